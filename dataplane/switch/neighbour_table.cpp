#include "dataplane/switch/neighbour_table.hpp"

#include "base/hash.hpp"

namespace glocal::dataplane {
namespace {

std::uint64_t hash(port_id port, const ip_address& address) noexcept {
  return hash_bytes(address.octets.data(), address.octets.size(), port);
}

std::uint64_t nanoseconds(std::chrono::nanoseconds duration) noexcept {
  return static_cast<std::uint64_t>(duration.count());
}

} // namespace

neighbour_table::neighbour_table(const switch_config& config)
    : interval_ns_{nanoseconds(config.solicit_interval)}, reachable_ns_{nanoseconds(config.reachable_time)},
      max_attempts_{config.solicit_attempts}, max_held_{config.held_packets_per_neighbour}, table_{config.neighbours},
      index_{config.neighbours}, holds_{{.holds = config.neighbours,
                                         .items = config.held_for_neighbours,
                                         .timeout_ns = 0}} {}

std::uint32_t neighbour_table::find(port_id port, const ip_address& address) const noexcept {
  return index_.find(hash(port, address), [&](std::uint32_t candidate) {
    return table_[candidate].address == address && table_[candidate].port == port;
  });
}

std::uint32_t neighbour_table::create(port_id port, const ip_address& address, std::uint64_t now_ns) noexcept {
  auto index = table_.acquire();
  if (index == none) {
    forget_unused(now_ns);
    index = table_.acquire();
  }
  if (index == none)
    return none;
  if (!index_.insert(hash(port, address), index)) {
    table_.release(index);
    return none;
  }
  auto& made = table_[index];
  made.in_use = true;
  made.port = port;
  made.address = address;
  return index;
}

void neighbour_table::remove(std::uint32_t index) noexcept {
  if (table_[index].hold != none)
    holds_.close(table_[index].hold);
  index_.erase(hash(table_[index].port, table_[index].address), index);
  table_.release(index);
}

void neighbour_table::forget_unused(std::uint64_t now_ns) noexcept {
  // At most once per interval: a scan of the table for every packet of an address scan would be a gift.
  if (now_ns - forgot_ns_ < interval_ns_)
    return;
  forgot_ns_ = now_ns;
  for (std::uint32_t i = 0; i < table_.high_water(); ++i)
    if (table_[i].in_use && table_[i].resolved && now_ns - table_[i].confirmed_ns > 2 * reachable_ns_)
      remove(i);
}

neighbour_table::answer neighbour_table::use(port_id port, const ip_address& address, std::uint64_t now_ns) noexcept {
  auto index = find(port, address);
  const bool is_new = index == none;
  if (is_new && (index = create(port, address, now_ns)) == none)
    return {};
  auto& found = table_[index];
  const bool stale = found.resolved && now_ns - found.confirmed_ns >= reachable_ns_;
  if (stale && found.attempts >= max_attempts_ && now_ns - found.asked_ns >= interval_ns_) {
    found.resolved = false; // unreachable by now: resolve it as if it were new
    found.attempts = 0;
  }
  const bool ask = found.attempts == 0 ? is_new || stale : stale && now_ns - found.asked_ns >= interval_ns_;
  if (ask) {
    ++found.attempts;
    found.asked_ns = now_ns;
    if (!found.resolved)
      deadline_ns_ = std::min(deadline_ns_, now_ns + interval_ns_);
  }
  return {index, ask};
}

const neighbour* neighbour_table::find_ready(port_id port, std::uint32_t v4_address, std::uint64_t now_ns) noexcept {
  const auto wanted = ip_address::v4(v4_address);
  auto& recent = recent_[(v4_address ^ v4_address >> 8 ^ port) % recent_.size()];
  const auto is_it = [&](const neighbour& each) { return each.in_use && each.port == port && each.address == wanted; };
  if (!is_it(table_[recent])) {
    const auto index = find(port, wanted);
    if (index == none)
      return nullptr;
    recent = index;
  }
  const auto& found = table_[recent];
  return found.resolved && now_ns - found.confirmed_ns < reachable_ns_ ? &found : nullptr;
}

neighbour_table::holds::outcome neighbour_table::hold(std::uint32_t neighbour, const packet& waiting,
                                                      std::uint64_t now_ns) noexcept {
  auto& target = table_[neighbour];
  if (target.hold == none && (target.hold = holds_.open(neighbour, now_ns, max_held_)) == none)
    return holds::outcome::buffer_full;
  return holds_.append(target.hold, waiting);
}

std::optional<packet> neighbour_table::take_held(std::uint32_t neighbour) noexcept {
  auto& target = table_[neighbour];
  if (target.hold == none)
    return std::nullopt;
  auto taken = holds_.take(target.hold);
  if (!taken) {
    holds_.close(target.hold);
    target.hold = none;
  }
  return taken;
}

std::uint32_t neighbour_table::learn(port_id port, const ip_address& address, const mac_address& mac,
                                     std::uint64_t now_ns, bool create_it) noexcept {
  auto index = find(port, address);
  if (index == none && create_it)
    index = create(port, address, now_ns);
  if (index == none)
    return none;
  auto& learned = table_[index];
  learned.mac = mac;
  learned.resolved = true;
  learned.attempts = 0;
  learned.confirmed_ns = now_ns;
  return index;
}

} // namespace glocal::dataplane
