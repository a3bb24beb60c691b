#pragma once
// TCP relays between processes on loopback: the links that a test cuts. While a link is cut, nothing of it is read,
// taken on or passed on, as on a cable that drops every packet; what was under way arrives after it is mended.
//
// Threading: one thread of its own; members may be called from any.

#include <array>
#include <cstdint>
#include <deque>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace glocal::test {

class link_relays {
public:
  /// Who dials, whom.
  using link = std::pair<std::size_t, std::size_t>;

  link_relays();
  ~link_relays();
  link_relays(const link_relays&) = delete;
  link_relays& operator=(const link_relays&) = delete;

  /// @return another port of `address` that leads to `port`. Throws std::system_error.
  std::uint16_t add(link which, const std::string& address, std::uint16_t port);
  /// Both directions between two nodes, whoever dialled.
  void cut(std::size_t one, std::size_t other);
  void mend_all();

private:
  struct listener {
    link which;
    int socket = -1;
    std::string address;
    std::uint16_t port = 0;
  };
  /// What was read at one end and not yet written at the other.
  struct direction {
    std::array<char, 65536> bytes;
    std::size_t begin = 0, end = 0;
    bool ended = false;
  };
  struct connection {
    link which;
    /// Of who dialled, and of whom.
    std::array<int, 2> ends{-1, -1};
    /// By the end it was read from.
    std::array<direction, 2> passing;
    bool broken = false;
  };

  void run();
  void wake() const;
  void take_on(const listener& from);
  static void pump(connection& through, std::size_t end, short events);
  [[nodiscard]] bool is_cut(const link& which) const;

  std::mutex mutex_;
  /// Read by the thread alone but for add(), which appends under the mutex.
  std::deque<listener> listeners_;
  std::deque<connection> connections_;
  std::set<link> cut_;
  bool ending_ = false;
  int wake_ = -1;
  std::thread thread_;
};

} // namespace glocal::test
