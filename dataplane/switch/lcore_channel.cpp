#include "dataplane/switch/lcore_channel.hpp"

#include "dataplane/switch/place.hpp"

#include <algorithm>
#include <cstdlib>

namespace glocal::dataplane {
namespace {

/// RFC 791: every link carries 68 bytes; less is a mistake of the caller.
constexpr std::uint16_t min_mtu = 68;

struct validity {
  bool operator()(const std::monostate&) const noexcept { return false; }
  bool operator()(const add_port& order) const noexcept {
    const auto& port = order.port;
    return port.id < max_ports && port.addresses.size() <= max_port_addresses && port.tenant <= max_tenant &&
           port.mtu >= min_mtu &&
           std::ranges::all_of(port.addresses, [](const auto& own) { return own.length <= own.address.bits(); });
  }
  bool operator()(const remove_port& order) const noexcept { return order.id < max_ports; }
  bool operator()(const set_classifier& order) const noexcept { return order.rules != nullptr; }
  bool operator()(const set_mappings& order) const noexcept { return order.table != nullptr; }
  bool operator()(const set_known_rlocs&) const noexcept { return true; }
  bool operator()(const set_path& order) const noexcept {
    return is_valid(order.path) && order.account < max_path_accounts;
  }
  bool operator()(const remove_path& order) const noexcept { return is_path_id(order.id); }
  bool operator()(const install_flow& order) const noexcept {
    return order.tenant <= max_tenant && is_path_id(order.path) && order.idle_timeout.count() >= 0;
  }
  bool operator()(const refuse&) const noexcept { return true; }
  bool operator()(const remove_flow& order) const noexcept { return order.tenant <= max_tenant; }
  bool operator()(const start_trace& order) const noexcept {
    return order.session.packets >= 1 && order.session.packets <= trace_session::max_packets &&
           order.session.id_prefix >= 1 && order.session.id_prefix <= max_trace_id >> 24;
  }
  bool operator()(const stop_trace&) const noexcept { return true; }
  bool operator()(const probe& order) const noexcept {
    return order.port < max_ports && order.id >= 1 && order.id <= max_trace_id && order.frame.size() <= max_probe_bytes;
  }

  static bool is_path_id(std::uint32_t id) noexcept { return id <= max_spi && path_of_spi(id) == id; }
};

} // namespace

bool is_valid(const command& order) noexcept {
  return std::visit(validity{}, order);
}

// Between two submits at most all queued commands are executed and retired, so twice the ring is always enough.
lcore_channel::lcore_channel(sizes rings, std::function<void()> wake_agent, std::function<void()> wake_lcore)
    : commands_{rings.commands}, retired_{2 * commands_.capacity()}, events_{rings.events}, traces_{rings.traces},
      wake_agent_{std::move(wake_agent)}, wake_lcore_{std::move(wake_lcore)} {}

expected<void, submit_error> lcore_channel::submit(command&& order) {
  reclaim();
  if (!is_valid(order))
    return unexpected{submit_error::invalid};
  if (auto* known = std::get_if<set_known_rlocs>(&order))
    std::ranges::sort(known->rlocs); // the lcore searches them by halves
  if (!commands_.push(std::move(order)))
    return unexpected{submit_error::busy};
  if (commands_.disarm())
    wake_lcore_();
  return {};
}

std::size_t lcore_channel::poll(std::span<event> out) {
  std::size_t count = 0;
  while (count < out.size() && events_.pop(out[count]))
    ++count;
  return count;
}

std::size_t lcore_channel::poll_traces(std::span<trace_record> out) {
  std::size_t count = 0;
  while (count < out.size() && traces_.pop(out[count]))
    ++count;
  return count;
}

void lcore_channel::tell_agent() noexcept {
  has_news_ = false;
  // Both: whichever ring had the news, the agent that is woken looks into both.
  const bool waits_for_events = events_.disarm(), waits_for_traces = traces_.disarm();
  if (waits_for_events || waits_for_traces)
    wake_agent_();
}

void lcore_channel::retire(command&& spent) noexcept {
  if (!retired_.push(std::move(spent)))
    std::abort(); // impossible by the arithmetic above
}

void lcore_channel::reclaim() noexcept {
  for (command gone; retired_.pop(gone);)
    gone = std::monostate{};
}

} // namespace glocal::dataplane
