#pragma once
// Who is where on the links of this edge (IP address → MAC address), and the packets that wait to know.
//
// Learned are answers to what was asked, and on-link senders that ask for an address of ours; nothing else, so that
// nobody fills or poisons the table unasked. A confirmed neighbour is used until a renewed question stays unanswered.
// The table keeps time and state; asking and sending is the switch's.
//
// Threading: one thread. Only the constructor allocates. Sources: RFC 826, RFC 4861 section 7.

#include "dataplane/switch/hash_index.hpp"
#include "dataplane/switch/hold_buffer.hpp"
#include "dataplane/switch/switch_config.hpp"
#include "dataplane/wire/packet.hpp"

#include "base/net.hpp"

namespace glocal::dataplane {

struct neighbour {
  ip_address address;
  port_id port = 0;
  /// False: being asked for, `mac` is not known.
  bool resolved = false;
  bool in_use = false;
  mac_address mac;
  /// Questions since the last answer.
  std::uint32_t attempts = 0;
  std::uint64_t asked_ns = 0, confirmed_ns = 0;
  std::uint32_t hold = none;
};

class neighbour_table {
public:
  using holds = hold_buffer<packet, std::uint32_t>;

  explicit neighbour_table(const switch_config& config);

  struct answer {
    /// Into operator[]; `none` when the table is full.
    std::uint32_t neighbour = none;
    /// The caller is to ask now: the question is counted as asked.
    bool ask = false;
  };

  /// The neighbour a packet is about to be sent to, entered if it is new.
  [[nodiscard]] answer use(port_id port, const ip_address& address, std::uint64_t now_ns) noexcept;

  /// As use(), for who is there and needs no question; else nullptr, and no change. Cost: a few ns for one of those
  /// asked for last.
  [[nodiscard]] const neighbour* find_ready(port_id port, std::uint32_t v4_address, std::uint64_t now_ns) noexcept;

  /// Keeps `waiting` until the neighbour is learned. REQUIRES: not resolved.
  [[nodiscard]] holds::outcome hold(std::uint32_t neighbour, const packet& waiting, std::uint64_t now_ns) noexcept;
  [[nodiscard]] std::optional<packet> take_held(std::uint32_t neighbour) noexcept;

  /// `address` is at `mac`. Unknown addresses are entered only if `create`. @return the neighbour if it was taken over;
  /// the caller sends what take_held() gives.
  std::uint32_t learn(port_id port, const ip_address& address, const mac_address& mac, std::uint64_t now_ns,
                      bool create) noexcept;

  /// Calls `ask(neighbour&)` for each whose question is to be repeated, and `give_up(index)` for each that did not
  /// answer in time, before it is removed; give_up must take what is held.
  template <class Ask, class GiveUp>
  void expire(std::uint64_t now_ns, Ask&& ask, GiveUp&& give_up) noexcept {
    if (now_ns < deadline_ns_)
      return;
    deadline_ns_ = UINT64_MAX;
    for (std::uint32_t i = 0; i < table_.high_water(); ++i) {
      auto& each = table_[i];
      if (!each.in_use || each.resolved)
        continue;
      if (now_ns - each.asked_ns >= interval_ns_) {
        if (each.attempts >= max_attempts_) {
          give_up(i);
          remove(i);
          continue;
        }
        ++each.attempts;
        each.asked_ns = now_ns;
        ask(each);
      }
      deadline_ns_ = std::min(deadline_ns_, each.asked_ns + interval_ns_);
    }
  }
  /// When expire() next has something to do; the end of time when nobody is asked for.
  [[nodiscard]] std::uint64_t deadline() const noexcept { return deadline_ns_; }

  /// The neighbours of a port that is gone. REQUIRES: give_up as above.
  template <class GiveUp>
  void remove_port(port_id port, GiveUp&& give_up) noexcept {
    for (std::uint32_t i = 0; i < table_.high_water(); ++i)
      if (table_[i].in_use && table_[i].port == port) {
        give_up(i);
        remove(i);
      }
  }

  [[nodiscard]] const neighbour& operator[](std::uint32_t index) const noexcept { return table_[index]; }
  [[nodiscard]] std::size_t held() const noexcept { return holds_.items(); }

private:
  [[nodiscard]] std::uint32_t find(port_id port, const ip_address& address) const noexcept;
  [[nodiscard]] std::uint32_t create(port_id port, const ip_address& address, std::uint64_t now_ns) noexcept;
  void remove(std::uint32_t index) noexcept;
  void forget_unused(std::uint64_t now_ns) noexcept;

  const std::uint64_t interval_ns_, reachable_ns_;
  const std::uint32_t max_attempts_;
  const std::size_t max_held_;
  pool<neighbour> table_;
  hash_index index_;
  holds holds_;
  std::uint64_t deadline_ns_ = UINT64_MAX;
  std::uint64_t forgot_ns_ = 0;
  /// Found last, by port and address; to be looked at before it is believed.
  std::array<std::uint32_t, 64> recent_{};
};

} // namespace glocal::dataplane
