// Who covers whose accept queue, over every state that a small ring of slots can be in.
#include "weir/steering/attendance.h"

#include <string>
#include <string_view>

#include "table_fixture.h"

namespace weir::steering {
namespace {

/// One letter a slot: u(nborn), s(erving), l(eaving), a(bsent).
Attendance read(char letter) {
  switch (letter) {
    case 'u': return Attendance::unborn;
    case 's': return Attendance::serving;
    case 'l': return Attendance::leaving;
    default: return Attendance::absent;
  }
}

std::vector<std::uint32_t> covered_by(std::uint32_t self, std::string_view ring) {
  return slots_to_cover(self, static_cast<std::uint32_t>(ring.size()),
                        [ring](std::uint32_t slot) { return read(ring[slot]); });
}

using Slots = std::vector<std::uint32_t>;

TEST(Cover, WhoCoversWhom) {
  struct Case {
    const char* sentence;
    std::string_view ring;
    std::uint32_t self;
    Slots covered;
  };
  const Case cases[] = {
      {"nobody where all serve", "ssss", 1, {}},
      {"the next in the ring covers one that is absent", "sass", 2, {1}},
      {"and nobody else does", "sass", 3, {}},
      {"the ring closes: slot 0 comes after the last", "sssa", 0, {3}},
      {"a run of absent ones has one cover", "saas", 3, {2, 1}},
      {"a lone survivor covers all", "aasa", 2, {1, 0, 3}},
      {"one that is leaving is passed over", "sals", 3, {1}},
      {"it covers nobody while another serves", "sals", 2, {}},
      {"however far that is", "slal", 3, {}},
      {"where nobody serves the next one leaving covers", "lala", 2, {1}},
      {"and so does the other", "lala", 0, {3}},
      {"a slot that never had a worker has no queue to cover", "suas", 3, {2}},
      {"one slot has no neighbour", "s", 0, {}},
  };
  for (const Case& c : cases) EXPECT_EQ(covered_by(c.self, c.ring), c.covered) << c.sentence;
}

TEST(Cover, EachAbsentSlotHasExactlyOneCoverWhileAnyWorkerIsAwake) {
  constexpr std::string_view letters = "usla";
  constexpr std::size_t kSlots = 5;
  std::string ring(kSlots, 'u');
  for (unsigned number = 0; number < 1'024; ++number) {  // 4^5
    for (std::size_t i = 0; i < kSlots; ++i) ring[i] = letters[number >> (2 * i) & 3U];
    Slots covers(kSlots);
    for (std::uint32_t self = 0; self < kSlots; ++self)
      if (ring[self] == 's' || ring[self] == 'l')
        for (const std::uint32_t slot : covered_by(self, ring)) ++covers[slot];
    const bool awake = ring.find_first_of("sl") != ring.npos;
    for (std::size_t i = 0; i < kSlots; ++i)
      EXPECT_EQ(covers[i], ring[i] == 'a' && awake ? 1U : 0U) << ring << " " << i;
  }
}

TEST(Cover, AsksAboutOneNeighbourWhereAllIsWell) {
  int asked = 0;
  (void)slots_to_cover(7, 1'024, [&](std::uint32_t) {
    ++asked;
    return Attendance::serving;
  });
  EXPECT_EQ(asked, 2) << "itself and the one before it";
}

using AttendanceOf = TableTest;

TEST_F(AttendanceOf, IsReadFromTheTable) {
  configure(4, Policy::least_connections);
  const Instant at{Duration{now}};
  WorkerSlot mine = worker(0);
  EXPECT_EQ(mine.attendance_of(1, at), Attendance::serving);
  table.mark_down(1);
  EXPECT_EQ(mine.attendance_of(1, at), Attendance::leaving);
  EXPECT_EQ(mine.attendance_of(2, at + Duration{kThreshold}), Attendance::serving);
  EXPECT_EQ(mine.attendance_of(2, at + Duration{kThreshold + 1}), Attendance::absent);
  EXPECT_EQ(mine.attendance_of(1, at + Duration{kThreshold + 1}), Attendance::absent);
  EXPECT_EQ(mine.attendance_of(2, at - Duration{1}), Attendance::serving) << "it woke just now";
  raw.row[3].awake_at_ns = 0;
  EXPECT_EQ(mine.attendance_of(3, at), Attendance::unborn);
  table.set_hang_threshold(Duration::zero());
  EXPECT_EQ(mine.attendance_of(2, at + std::chrono::hours{1}), Attendance::serving)
      << "without a threshold nobody is judged";
}

TEST_F(AttendanceOf, AConnectionFromACoveredQueueBringsItsLoadOver) {
  configure({.slots = 2, .weights = {3, 1}});
  (void)steer_many(8);
  ASSERT_EQ(table.snapshot(0).load, 6U);
  ASSERT_EQ(table.snapshot(1).load, 2U);
  WorkerSlot mine = worker(1);
  EXPECT_TRUE(mine.accepted_from(0));
  EXPECT_EQ(table.snapshot(0).load, 5U) << "by the other's weight";
  EXPECT_EQ(table.snapshot(1).load, 3U) << "by its own";
  EXPECT_EQ(table.snapshot(0).row.open, 0U);
  EXPECT_EQ(table.snapshot(1).row.open, 1U);
  EXPECT_EQ(table.total(), 8U) << "it was counted before";
  mine.ended();
  EXPECT_EQ(table.snapshot(1).load, 2U);
  EXPECT_EQ(table.total(), 7U);
}

TEST_F(AttendanceOf, CountedByTheWorkerACoveredConnectionIsItsOwnFromTheStart) {
  configure(2, Policy::least_connections);
  WorkerSlot mine{raw, 1, WorkerSlot::Counting::by_worker};
  EXPECT_TRUE(mine.accepted_from(0));
  EXPECT_EQ(table.snapshot(0).load, 0U);
  EXPECT_EQ(table.snapshot(1).load, 1U);
  EXPECT_EQ(table.total(), 1U);
}

}  // namespace
}  // namespace weir::steering
