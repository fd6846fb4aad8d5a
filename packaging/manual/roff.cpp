#include "manual/roff.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

namespace weir::manual {
namespace {

/// Punctuation that ends a word and is no part of it.
std::size_t without_punctuation(std::string_view word) {
  const auto last = word.find_last_not_of(".,;:");
  return last == word.npos ? 0 : last + 1;
}

bool is_flag(std::string_view word) {
  return word.size() > 2 && word.starts_with("--");
}

/// "weir(8)"
bool is_page(std::string_view word) {
  const auto open = word.find('(');
  return open != word.npos && open > 0 && word.size() == open + 3 && word.back() == ')' &&
         std::isdigit(static_cast<unsigned char>(word[open + 1])) != 0;
}

std::string escaped_word(std::string_view word) {
  std::string out;
  for (const char c : word) {
    switch (c) {
      case '\\': out += "\\e"; break;
      case '-': out += "\\-"; break;  // a minus, as one types it, and no hyphen
      case '\'': out += "\\(aq"; break;
      case '"': out += "\\(dq"; break;
      default: out += c;
    }
  }
  return out;
}

std::string marked_up(std::string_view word) {
  const std::string_view bare = word.substr(0, without_punctuation(word));
  if (!is_flag(bare) && !is_page(bare)) return escaped_word(word);
  const auto name = std::min(bare.find('('), bare.size());
  return fmt::format("\\fB{}\\fP{}{}", escaped_word(bare.substr(0, name)),
                     escaped_word(bare.substr(name)), escaped_word(word.substr(bare.size())));
}

}  // namespace

std::string escaped(std::string_view text, bool mark_up) {
  std::string out;
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find(' '));
    out += mark_up ? marked_up(word) : escaped_word(word);
    text.remove_prefix(word.size());
    for (; text.starts_with(' '); text.remove_prefix(1)) out += ' ';
  }
  return out.starts_with('.') ? "\\&" + out : out;
}

Roff::Roff(std::string_view name, std::string_view section, std::string_view version) {
  line(".\\\" Generated from the flag table; change src/cli/ and packaging/manual/ instead.");
  // No date: the same tree gives the same page.
  line(
      fmt::format(".TH {} {} \"\" \"{}\" \"System Manager\\(aqs Manual\"", name, section, version));
  line(".nh");    // no hyphenation,
  line(".ad l");  // and no wide gaps: flags and addresses keep their shape
}

void Roff::line(std::string_view roff) {
  text_ += roff;
  text_ += '\n';
}

/// Each sentence begins a line, as roff wants it to set the space between them.
void Roff::sentences(std::string_view text) {
  while (!text.empty()) {
    const auto end = text.find(". ");
    line(escaped(text.substr(0, end == text.npos ? end : end + 1), true));
    text.remove_prefix(end == text.npos ? text.size() : end + 2);
  }
}

void Roff::section(std::string_view heading) {
  line(fmt::format(".SH {}", escaped(heading)));
}
void Roff::subsection(std::string_view heading) {
  line(fmt::format(".SS {}", escaped(heading)));
}

void Roff::paragraph(std::string_view text) {
  line(".PP");
  sentences(text);
}

void Roff::item(std::string_view term, std::string_view argument, std::string_view text) {
  line(".TP");
  line(argument.empty() ? fmt::format("\\fB{}\\fP", escaped(term))
                        : fmt::format("\\fB{}\\fP \\fI{}\\fP", escaped(term), escaped(argument)));
  sentences(text);
}

void Roff::example(const std::vector<std::string>& lines) {
  line(".PP");
  line(".RS 4");
  line(".EX");
  for (const std::string& each : lines) line(escaped(each));
  line(".EE");
  line(".RE");
}

void Roff::synopsis(std::string_view program, std::string_view rest) {
  line(".PP");
  line(fmt::format("\\fB{}\\fP {}", escaped(program), escaped(rest)));
}

}  // namespace weir::manual
