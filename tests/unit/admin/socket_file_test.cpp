// The control socket's name in the file system: its mode, whom it replaces, and whom it leaves.
#include "admin/socket_file.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <filesystem>
#include <fstream>

#include "temp_directory.h"

namespace weir::admin {
namespace {

mode_t mode_of(const std::string& path) {
  struct stat found {};
  return ::lstat(path.c_str(), &found) == 0 ? found.st_mode & 07777 : 0;
}

/// What the system makes of a connect: 0, or the errno.
int connect_to(const std::string& path) {
  const UniqueFd fd{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  const auto* generic = reinterpret_cast<const sockaddr*>(&address);
  return ::connect(fd.get(), generic, sizeof address) == 0 ? 0 : errno;
}

/// A socket file that its maker left behind.
void leave_stale(const std::string& path) {
  auto file = SocketFile::listen(path, 1);
  ASSERT_TRUE(file);
  file->take_fd().reset();
  ASSERT_EQ(connect_to(path), ECONNREFUSED);
}

TEST(SocketFile, IsItsOwnersAloneWhateverTheUmask) {
  const TempDirectory directory;
  for (const mode_t mask : {0000U, 0022U, 0077U}) {
    const mode_t before = ::umask(mask);
    const auto file = SocketFile::listen(directory / "s", 1);
    const mode_t after = ::umask(before);
    ASSERT_TRUE(file);
    EXPECT_EQ(mode_of(directory / "s"), 0600U) << mask;
    EXPECT_EQ(after, mask) << "the process's umask is not ours to change";
    file->remove();
  }
}

TEST(SocketFile, ReplacesOneThatNobodyAnswers) {
  const TempDirectory directory;
  leave_stale(directory / "s");
  const auto file = SocketFile::listen(directory / "s", 1);
  ASSERT_TRUE(file);
  EXPECT_EQ(connect_to(directory / "s"), 0);
}

TEST(SocketFile, LeavesALiveOneAlone) {
  const TempDirectory directory;
  const auto first = SocketFile::listen(directory / "s", 0);
  ASSERT_TRUE(first);
  for (int i = 0; i < 3; ++i) {  // the third time its queue is full, and it is alive all the same
    const auto second = SocketFile::listen(directory / "s", 1);
    ASSERT_FALSE(second);
    EXPECT_EQ(to_string(second.error()),
              "another weir answers at " + (directory / "s") +
                  "; stop it, or give this one a path of its own with --control PATH");
  }
  EXPECT_EQ(mode_of(directory / "s"), 0600U);
}

TEST(SocketFile, LeavesAFileThatIsNoSocketAlone) {
  const TempDirectory directory;
  std::ofstream{directory / "s"} << "precious";
  const auto file = SocketFile::listen(directory / "s", 1);
  ASSERT_FALSE(file);
  EXPECT_EQ(to_string(file.error()), (directory / "s") +
                                         " is there, and is no socket; remove it, or give another "
                                         "path with --control PATH");
  EXPECT_EQ(std::filesystem::file_size(directory / "s"), 8U);
}

TEST(SocketFile, OtherFailuresSayWhatToDo) {
  const TempDirectory directory;
  const auto nowhere = SocketFile::listen(directory / "none/s", 1);
  ASSERT_FALSE(nowhere);
  EXPECT_EQ(to_string(nowhere.error()),
            "cannot make the control socket " + (directory / "none/s") +
                ": No such file or directory; make its directory, or give another path with "
                "--control PATH");
  const auto too_long = SocketFile::listen("/" + std::string(107, 'p'), 1);
  ASSERT_FALSE(too_long);
  EXPECT_EQ(too_long.error().what,
            "the control socket's path is 108 bytes long, and may be 1 to "
            "107");
}

TEST(SocketFile, RemovesItsOwnNameAndNoOther) {
  const TempDirectory directory;
  const auto first = SocketFile::listen(directory / "s", 1);
  ASSERT_TRUE(first);
  first->remove();
  EXPECT_EQ(mode_of(directory / "s"), 0U);

  const auto second = SocketFile::listen(directory / "s", 1);
  ASSERT_TRUE(second);
  first->remove();
  EXPECT_EQ(connect_to(directory / "s"), 0);
}

TEST(MakeDirectory, IsReadableByAllWhateverTheUmask) {
  const TempDirectory directory;
  const mode_t before = ::umask(0077);
  const auto made = make_directory(directory / "run");
  ::umask(before);
  ASSERT_TRUE(made);
  EXPECT_EQ(mode_of(directory / "run"), 0755U);
}

TEST(MakeDirectory, LeavesOneThatIsThereAsItIs) {
  const TempDirectory directory;
  ASSERT_EQ(::mkdir((directory / "run").c_str(), 0700), 0);
  EXPECT_TRUE(make_directory(directory / "run"));
  EXPECT_EQ(mode_of(directory / "run"), 0700U);
  EXPECT_FALSE(make_directory(directory / "none/run"));
}

}  // namespace
}  // namespace weir::admin
