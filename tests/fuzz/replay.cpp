// Runs a fuzz target over files, in builds without libFuzzer: the committed corpus, past finds
// among it, is a test of every preset.
//
//   fuzz_NAME FILE|FOLDER...
#include <filesystem>
#include <fstream>
#include <iterator>

#include "fuzzing.h"

namespace {

namespace fs = std::filesystem;

void run(const fs::path& path) {
  std::ifstream file{path, std::ios::binary};
  const std::string bytes{std::istreambuf_iterator<char>{file}, {}};
  // Named before it runs: should it end the process, this is the input that did.
  std::fprintf(stderr, "%s: %zu bytes\n", path.c_str(), bytes.size());
  // Copied to memory of its exact size; a string has a 0 behind its end.
  const std::vector<std::uint8_t> exact{bytes.begin(), bytes.end()};
  LLVMFuzzerTestOneInput(exact.data(), exact.size());
}

}  // namespace

int main(int argc, char** argv) {
  std::size_t inputs = 0;
  for (const fs::path path : std::span{argv, static_cast<std::size_t>(argc)}.subspan(1)) {
    if (!fs::is_directory(path)) {
      run(path);
      ++inputs;
      continue;
    }
    for (const fs::directory_entry& entry : fs::directory_iterator{path}) {
      run(entry.path());
      ++inputs;
    }
  }
  std::fprintf(stderr, "%zu inputs\n", inputs);
  return inputs == 0 ? 1 : 0;  // an empty corpus tests nothing
}
