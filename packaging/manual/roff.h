// Roff: a manual page in the macros of man(7), written piece by piece.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace weir::manual {

/// Text that a reader sees as it stands: nothing in it is taken for a request or an escape. With
/// `mark_up`, words that are flags (--listen) or pages (weir(8)) become bold.
[[nodiscard]] std::string escaped(std::string_view text, bool mark_up = false);

class Roff {
 public:
  Roff(std::string_view name, std::string_view section, std::string_view version);

  void section(std::string_view heading);
  void subsection(std::string_view heading);
  /// Running text, in paragraphs of its own.
  void paragraph(std::string_view text);
  /// `term` in bold, with `argument` in italics where it has one, and indented text below.
  void item(std::string_view term, std::string_view argument, std::string_view text);
  /// Lines that keep their breaks, indented, in the fixed-width fount where there is one.
  void example(const std::vector<std::string>& lines);
  /// One line of a synopsis: the program in bold, then the rest.
  void synopsis(std::string_view program, std::string_view rest);

  [[nodiscard]] const std::string& text() const noexcept { return text_; }

 private:
  void line(std::string_view roff);
  void sentences(std::string_view text);

  std::string text_;
};

}  // namespace weir::manual
