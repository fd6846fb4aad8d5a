#include "weir/cli/config_text.h"

#include <fmt/format.h>

#include <string_view>

#include "weir/cli/options.h"
#include "wrap.h"

namespace weir::cli {
namespace {

void append_comment(std::string& out, std::string_view text) {
  out += "# ";
  append_wrapped(out, text, "# ");
}

void append_key(std::string& out, const Flag& flag) {
  std::string comment = flag.full_help();
  if (flag.repeatable) comment += "; may be there again";
  if (!flag.reloads) comment += "; takes a restart";
  if (flag.standard.empty()) comment += fmt::format(" (default: {})", flag.otherwise);
  append_comment(out, comment);
  out += fmt::format("#{} = {}\n", flag.name, flag.standard.empty() ? flag.value : flag.standard);
}

}  // namespace

std::string config_text() {
  std::string out;
  append_comment(out, "weir's configuration: the flags of weir(8), without their dashes.");
  append_comment(out,
                 "What stands here is what holds anyway. To change it, remove the # before a name "
                 "and write another value. A flag of the command line goes before its line here.");
  append_comment(out, "weir --check --config FILE says whether a file is sound.");
  append_comment(out,
                 "weirctl reload, or systemctl reload weir, has a running weir read it again; what "
                 "takes a restart says so.");
  append_comment(out, weir_manual().units);
  std::string_view group;
  for (const Flag& flag : weir_manual().flags) {
    if (flag.command_line_only) continue;
    out += flag.group == group ? "\n" : fmt::format("\n### {}\n\n", flag.group);
    group = flag.group;
    append_key(out, flag);
  }
  return out;
}

}  // namespace weir::cli
