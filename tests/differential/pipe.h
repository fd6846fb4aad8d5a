// Pipe: the stream below a Beast WebSocket in memory: what it is to read is there, in pieces of
// the sizes asked for, and what it writes stays. Synchronous; an end of the input is an end of
// the stream.
#pragma once

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/beast/core/error.hpp>
#include <boost/beast/core/role.hpp>
#include <boost/beast/websocket/teardown.hpp>
#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace weir::differential {

class Pipe {
 public:
  using executor_type = boost::asio::io_context::executor_type;
  using error_code = boost::beast::error_code;

  explicit Pipe(boost::asio::io_context& io) : io_{&io} {}

  std::string in;                   // to be read
  std::vector<std::size_t> pieces;  // its sizes, first to last; then all that there is room for
  std::string out;                  // written
  std::function<void()> on_dry;     // called when there is nothing to read; may fill `in`

  executor_type get_executor() noexcept { return io_->get_executor(); }

  template <class Buffers>
  std::size_t read_some(const Buffers& buffers, error_code& error) {
    error = {};
    if (taken_ == in.size() && on_dry) on_dry();
    std::string_view rest = std::string_view{in}.substr(taken_);
    if (rest.empty() && boost::asio::buffer_size(buffers) > 0) error = boost::asio::error::eof;
    if (next_piece_ < pieces.size()) rest = rest.substr(0, pieces[next_piece_]);
    const std::size_t bytes = boost::asio::buffer_copy(buffers, boost::asio::buffer(rest));
    taken_ += bytes;
    if (next_piece_ < pieces.size() && (pieces[next_piece_] -= bytes) == 0) ++next_piece_;
    return bytes;
  }
  template <class Buffers>
  std::size_t read_some(const Buffers& buffers) {
    error_code error;
    const std::size_t bytes = read_some(buffers, error);
    if (error) throw boost::beast::system_error{error};
    return bytes;
  }
  template <class Buffers>
  std::size_t write_some(const Buffers& buffers, error_code& error) {
    error = {};
    const std::size_t before = out.size();
    out.resize(before + boost::asio::buffer_size(buffers));
    return boost::asio::buffer_copy(boost::asio::buffer(out.data() + before, out.size() - before),
                                    buffers);
  }
  template <class Buffers>
  std::size_t write_some(const Buffers& buffers) {
    error_code error;
    return write_some(buffers, error);
  }

 private:
  boost::asio::io_context* io_;
  std::size_t taken_ = 0;  // of `in`
  std::size_t next_piece_ = 0;
};

/// Beast ends what lies below it; here there is nothing to end.
inline void teardown(boost::beast::role_type /*role*/, Pipe& /*pipe*/, Pipe::error_code& error) {
  error = {};
}

}  // namespace weir::differential
