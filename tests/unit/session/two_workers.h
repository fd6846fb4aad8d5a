// Two workers of this process, and sessions that go from the one to the other.
#pragma once

#include <utility>
#include <vector>

#include "rig.h"

namespace weir::session {

/// Two workers and what carries sessions between them; its room may be taken away.
class TwoWorkersTest : public SessionTest {
 protected:
  class Ferry final : public Carrier {
   public:
    explicit Ferry(TwoWorkersTest& test) noexcept : test_{test} {}
    Carried carry(int fd, std::span<const std::byte> parcel,
                  std::uint32_t target) noexcept override {
      ++asked;
      if (answer != Carried::taken) return answer;
      test_.under_way_.push_back({UniqueFd{::dup(fd)}, {parcel.begin(), parcel.end()}, target});
      return Carried::taken;
    }
    Carried answer = Carried::taken;
    int asked = 0;

   private:
    TwoWorkersTest& test_;
  };

  struct UnderWay {
    UniqueFd fd;
    std::vector<std::byte> parcel;
    std::uint32_t target;
  };

  void SetUp() override {
    rules_.app = "echo";
    rules_.message_bytes_max = 4 << 20;
    handler_.forwards = true;
    SessionTest::SetUp();
    if (IsSkipped()) return;
    auto ring = io::Ring::create({.submissions = 64, .completions = 256});
    ASSERT_TRUE(ring);
    ring2_ = std::make_unique<io::Ring>(std::move(*ring));
    auto buffers = io::BufferRing::create(*ring2_, {.buffers = 16, .buffer_bytes = 2'048});
    ASSERT_TRUE(buffers);
    buffers2_ = std::make_unique<io::BufferRing>(std::move(*buffers));
    ASSERT_TRUE(ring2_->enable());
    sessions2_ =
        std::make_unique<Sessions>(*ring2_, *buffers2_, handler2_, gate_, nullptr, rules_, now_);
    handler2_.forwards = true;
    sessions_->carry_by(ferry_);
    sessions2_->carry_by(ferry_);
  }

  /// A turn of each, and what is under way arrives.
  void turn_both() {
    turn();
    for (UnderWay& one : std::exchange(under_way_, {})) {
      Sessions& target = one.target == 0 ? *sessions_ : *sessions2_;
      const auto arrived = target.arrive(one.fd, one.parcel, false, now_);
      EXPECT_TRUE(arrived) << to_string(arrived.error());
      ++moves_;
    }
    std::swap(ring_, ring2_);
    std::swap(buffers_, buffers2_);
    std::swap(sessions_, sessions2_);
    turn();
    std::swap(ring_, ring2_);
    std::swap(buffers_, buffers2_);
    std::swap(sessions_, sessions2_);
  }

  template <class Done>
  void turn_both_until(Done done) {
    for (int i = 0; i < 20'000; ++i) {
      if (done()) return;
      turn_both();
    }
    ADD_FAILURE() << "the condition never came true";
  }

  std::string read_both(const UniqueFd& peer, std::size_t bytes) {
    std::string got;
    turn_both_until([&] {
      std::string piece(bytes - got.size(), '\0');
      const ssize_t n = ::recv(peer.get(), piece.data(), piece.size(), MSG_DONTWAIT);
      if (n > 0) got.append(piece, 0, static_cast<std::size_t>(n));
      return got.size() >= bytes || n == 0;
    });
    return got;
  }

  void give_all_there() {
    EXPECT_EQ(sessions_->give(1'000, 1), sessions_->open_count());
    turn_both_until([&] { return sessions_->count() == 0; });
  }

  Ferry ferry_{*this};
  std::vector<UnderWay> under_way_;
  int moves_ = 0;
  Recorder handler2_;
  std::unique_ptr<io::Ring> ring2_;
  std::unique_ptr<io::BufferRing> buffers2_;
  std::unique_ptr<Sessions> sessions2_;
};

}  // namespace weir::session
