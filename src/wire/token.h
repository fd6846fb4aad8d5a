// Which characters a token is made of: RFC 9110, 5.6.2. RFC 2616's and RFC 6455's own definition,
// visible ASCII without separators, comes to the same.
#pragma once

#include <array>
#include <string_view>

namespace weir::wire {

inline constexpr std::array<bool, 256> kTokenCharacters = [] {
  std::array<bool, 256> of_token{};
  for (std::size_t c = '!'; c <= '~'; ++c) of_token[c] = true;
  for (const char separator : std::string_view{"()<>@,;:\\\"/[]?={}"}) {
    of_token[static_cast<unsigned char>(separator)] = false;
  }
  return of_token;
}();

constexpr bool is_token_character(char c) noexcept {
  return kTokenCharacters[static_cast<unsigned char>(c)];
}

}  // namespace weir::wire
