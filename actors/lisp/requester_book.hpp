#pragma once
// Who asked for what lately and does not subscribe: they are told of a change by a Solicit-Map-Request.
//
// Soft state of one node, bounded: beyond `max_requesters` those noted first are forgotten. Threading: one
// owner. Source: RFC 9301 section 6.1.

#include "actors/lisp/mapping_database.hpp"

#include <algorithm>
#include <chrono>
#include <deque>
#include <set>

namespace glocal::lisp {

struct requester {
  /// Where SMRs go, and the address they come from.
  ip_address rloc, local;
  /// An EID of its own: SMRs name it.
  instance_prefix own;
  auto operator<=>(const requester&) const = default;
};

class requester_book {
public:
  using time_point = std::chrono::steady_clock::time_point;
  static constexpr std::size_t max_requesters = 100'000;

  explicit requester_book(std::chrono::milliseconds smr_pause) : smr_pause_{smr_pause} {}

  /// `who` was told about `about`, and will believe it until `until`.
  void note(const instance_prefix& about, const requester& who, time_point until);

  struct smr {
    requester to;
    instance_prefix changed;
  };
  /// Those to be told now that `changed` did; who was told less than a pause ago is told later, by due().
  void changed(const instance_prefix& changed, time_point now, std::vector<smr>& out);
  void due(time_point now, std::vector<smr>& out);

  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] const auto& entries() const noexcept { return about_; }

private:
  struct memory {
    time_point until{}, next_smr{};
    /// Changes it is yet to be told of.
    std::set<ip_prefix> postponed;
  };
  using asked = std::map<requester, memory>;
  void forget_oldest();
  void tell(const requester& to, memory& known, const instance_prefix& changed, time_point now, std::vector<smr>& out);

  std::chrono::milliseconds smr_pause_;
  std::map<instance_prefix, asked> about_;
  /// In the order they were first noted.
  std::deque<std::pair<instance_prefix, requester>> order_;
  /// Whose SMRs wait for their pause.
  std::set<std::pair<instance_prefix, requester>> postponed_;
  std::size_t size_ = 0;
};

/// Calls `visit(key, value)` for what in `map` overlaps `eid`, holders and held. Cost: O(bits log n + hits).
template <class Map, class Visit>
void for_overlapping(Map& map, const instance_prefix& eid, Visit visit) {
  for (int length = 0; length < eid.prefix.length; ++length) {
    const instance_prefix holder{eid.instance_id,
                                 ip_prefix::make(eid.prefix.address, static_cast<std::uint8_t>(length))};
    if (const auto at = map.find(holder); at != map.end())
      visit(at->first, at->second);
  }
  // What lies inside follows in order, of both families mixed: stop at the first address outside.
  for (auto at = map.lower_bound(eid); at != map.end() && at->first.instance_id == eid.instance_id; ++at) {
    if (eid.prefix.contains(at->first.prefix))
      visit(at->first, at->second);
    else if (!(ip_prefix::make(at->first.prefix.address, std::min(eid.prefix.length, at->first.prefix.address.bits()))
                   .address.octets == eid.prefix.address.octets))
      break;
  }
}

} // namespace glocal::lisp
