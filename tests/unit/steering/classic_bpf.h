// An interpreter of classic BPF programs, as the kernel runs them over a packet: the instructions
// that weir's programs use, and no others. What the kernel would refuse, or what is no index of a
// socket by construction (a jump out of the program, a load from outside the packet), throws.
#pragma once

#include <linux/filter.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

namespace weir::steering {

/// From the network header on, in network byte order.
using Packet = std::vector<std::uint8_t>;

class ClassicBpf {
 public:
  explicit ClassicBpf(std::span<const sock_filter> program) : program_{program} {
    if (program.empty() || program.size() > BPF_MAXINSNS) throw std::runtime_error{"length"};
  }

  /// What it returns for this packet, with `random` for SKF_AD_RANDOM.
  [[nodiscard]] std::uint32_t run(const Packet& packet, std::uint32_t random) const {
    std::uint32_t a = 0;
    std::uint32_t x = 0;
    std::array<std::uint32_t, BPF_MEMWORDS> memory{};
    for (std::size_t at = 0; at < program_.size(); ++at) {
      const sock_filter& op = program_[at];
      switch (op.code) {
        case BPF_LD | BPF_IMM: a = op.k; break;
        case BPF_LD | BPF_MEM: a = memory.at(op.k); break;
        case BPF_LDX | BPF_MEM: x = memory.at(op.k); break;
        case BPF_ST: memory.at(op.k) = a; break;
        case BPF_LD | BPF_W | BPF_ABS:
          a = op.k == static_cast<std::uint32_t>(SKF_AD_OFF + SKF_AD_RANDOM)
                  ? random
                  : load(packet, op.k, 4);
          break;
        case BPF_LD | BPF_H | BPF_ABS: a = load(packet, op.k, 2); break;
        case BPF_LD | BPF_B | BPF_ABS: a = load(packet, op.k, 1); break;
        case BPF_LD | BPF_H | BPF_IND: a = load(packet, op.k + x, 2); break;
        case BPF_LDX | BPF_B | BPF_MSH: x = (load(packet, op.k, 1) & 0xfU) * 4; break;
        case BPF_MISC | BPF_TAX: x = a; break;
        case BPF_ALU | BPF_ADD | BPF_K: a += op.k; break;
        case BPF_ALU | BPF_SUB | BPF_K: a -= op.k; break;
        case BPF_ALU | BPF_MUL | BPF_K: a *= op.k; break;
        case BPF_ALU | BPF_MOD | BPF_K: a %= of_division(op.k); break;
        case BPF_ALU | BPF_DIV | BPF_X: a /= of_division(x); break;
        case BPF_ALU | BPF_XOR | BPF_K: a ^= op.k; break;
        case BPF_ALU | BPF_XOR | BPF_X: a ^= x; break;
        case BPF_ALU | BPF_LSH | BPF_K: a <<= of_shift(op.k); break;
        case BPF_ALU | BPF_RSH | BPF_K: a >>= of_shift(op.k); break;
        case BPF_JMP | BPF_JA: at += op.k; break;
        case BPF_JMP | BPF_JEQ | BPF_K: at += a == op.k ? op.jt : op.jf; break;
        case BPF_JMP | BPF_JGE | BPF_K: at += a >= op.k ? op.jt : op.jf; break;
        case BPF_RET | BPF_K: return op.k;
        case BPF_RET | BPF_A: return a;
        default: throw std::runtime_error{"instruction " + std::to_string(op.code)};
      }
    }
    throw std::runtime_error{"no return"};
  }

 private:
  static std::uint32_t load(const Packet& packet, std::uint32_t at, std::size_t bytes) {
    const std::size_t offset = at - static_cast<std::uint32_t>(SKF_NET_OFF);
    if (offset + bytes > packet.size()) throw std::runtime_error{"load from outside"};
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < bytes; ++i) value = value << 8 | packet[offset + i];
    return value;
  }
  static std::uint32_t of_division(std::uint32_t by) {
    return by != 0 ? by : throw std::runtime_error{"division by 0"};
  }
  static std::uint32_t of_shift(std::uint32_t by) {
    return by < 32 ? by : throw std::runtime_error{"shift by 32 or more"};
  }

  std::span<const sock_filter> program_;
};

}  // namespace weir::steering
