// A directory of its own for one test, gone afterwards.
#pragma once

#include <unistd.h>

#include <filesystem>
#include <string>
#include <string_view>

namespace weir::admin {

class TempDirectory {
 public:
  TempDirectory() {
    std::string pattern = (std::filesystem::temp_directory_path() / "weir-admin-XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  TempDirectory(const TempDirectory&) = delete;
  TempDirectory& operator=(const TempDirectory&) = delete;
  ~TempDirectory() { std::filesystem::remove_all(path_); }

  [[nodiscard]] std::string operator/(std::string_view name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

}  // namespace weir::admin
