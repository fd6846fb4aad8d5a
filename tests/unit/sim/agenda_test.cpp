// The agenda's order, and the histogram's quantiles.
#include "sim/agenda.h"

#include <gtest/gtest.h>

#include "sim/histogram.h"
#include "sim/random.h"

namespace weir::sim {
namespace {

TEST(Agenda, GivesEventsInTheOrderOfTheirTimeHoweverFarAhead) {
  Agenda agenda;
  Random random{3};
  Nanoseconds now = 0;
  std::uint64_t left = 0;
  // Microseconds to minutes ahead: in the bucket of now, in the calendar, and beyond it.
  const auto add = [&] {
    const double ahead = std::exp(random.uniform() * 20) * 1'000;
    agenda.add(
        {.at = now + static_cast<Nanoseconds>(ahead), .kind = Event::Kind::session, .subject = 0});
    ++left;
  };
  for (int i = 0; i < 1'000; ++i) add();
  for (int i = 0; i < 100'000; ++i) {
    const Nanoseconds at = agenda.next().at;
    ASSERT_GE(at, now);
    now = at;
    agenda.pop();
    --left;
    add();
  }
  for (; left > 0; --left) {
    ASSERT_FALSE(agenda.empty());
    ASSERT_GE(agenda.next().at, now);
    now = agenda.next().at;
    agenda.pop();
  }
  EXPECT_TRUE(agenda.empty());
}

TEST(Agenda, TakesWhatIsDueNowWhileItIsWorkedOff) {
  Agenda agenda;
  for (const Nanoseconds at : {5U, 3U, 9U})
    agenda.add({.at = at, .kind = Event::Kind::session, .subject = 0});
  EXPECT_EQ(agenda.next().at, 3U);
  agenda.pop();
  agenda.add({.at = 4, .kind = Event::Kind::session, .subject = 0});
  for (const Nanoseconds at : {4U, 5U, 9U}) {
    EXPECT_EQ(agenda.next().at, at);
    agenda.pop();
  }
}

TEST(Histogram, QuantilesAreRightToThreePercent) {
  Histogram histogram;
  for (std::uint64_t value = 1; value <= 1'000'000; ++value) histogram.add(value);
  for (const double part : {0.001, 0.25, 0.5, 0.99, 0.999}) {
    const double exact = part * 1'000'000;
    EXPECT_GE(histogram.quantile(part), exact * 0.999) << part;
    EXPECT_LE(histogram.quantile(part), exact * 1.04) << part;
  }
  EXPECT_EQ(histogram.count(), 1'000'000U);
  EXPECT_DOUBLE_EQ(histogram.mean(), 500'000.5);
}

TEST(Histogram, HoldsTheLeastAndTheGreatest) {
  Histogram histogram;
  EXPECT_EQ(histogram.quantile(0.5), 0);
  histogram.add(0);
  EXPECT_EQ(histogram.quantile(0.5), 0);
  histogram.add(~std::uint64_t{0});
  EXPECT_GE(histogram.quantile(1), 0x1p63);
}

}  // namespace
}  // namespace weir::sim
