// Writes what the build makes from the flag tables into a directory: the manual pages and the
// default configuration file. Run by the build, never installed.
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <string>

#include "manual/pages.h"
#include "weir/cli/config_text.h"

namespace {

void write(const std::filesystem::path& path, const std::string& text) {
  std::ofstream file{path, std::ios::binary | std::ios::trunc};
  file.exceptions(std::ios::badbit | std::ios::failbit);
  file << text << std::flush;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fputs("usage: write_pages DIRECTORY\n", stderr);
    return 2;
  }
  const std::filesystem::path directory{argv[1]};
  try {
    write(directory / "weir.8", weir::manual::weir_page());
    write(directory / "weirctl.8", weir::manual::weirctl_page());
    write(directory / "weir.conf", weir::cli::config_text());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "write_pages: cannot write to %s: %s\n", argv[1], error.what());
    return 1;
  }
  return 0;
}
