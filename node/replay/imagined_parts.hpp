#pragma once
// What a replay imagines around the real parts: functions that are there by being asked for, and the switches of the
// other edges, which take every order and see no packet.

#include "actors/edge/vnf_driver.hpp"
#include "dataplane/switch/counters.hpp"
#include "dataplane/switch/lcore_channel.hpp"
#include "dataplane/switch/southbound.hpp"

#include <map>
#include <set>
#include <string>

namespace glocal::node {

/// MAC addresses of a replay: locally administered, ours or the next hop's.
[[nodiscard]] inline mac_address imagined_mac(bool ours, dataplane::port_id port) noexcept {
  mac_address out;
  out.octets = {0x02, static_cast<std::uint8_t>(ours ? 0x0e : 0x0f), 0,
                0,    static_cast<std::uint8_t>(port >> 8),          static_cast<std::uint8_t>(port)};
  return out;
}

class imagined_driver final : public actors::vnf_driver {
public:
  explicit imagined_driver(std::uint16_t mtu) : mtu_{mtu} {}

  [[nodiscard]] expected<actors::started_vnf, std::string> start(const model::vnf_instance& instance,
                                                                 const model::vnf_class&) override {
    running_.insert(instance.name);
    const auto number = static_cast<std::uint32_t>(running_.size());
    return actors::started_vnf{arm(instance.name, false, number), arm(instance.name, true, number)};
  }
  [[nodiscard]] expected<void, std::string> stop(const std::string& instance) override {
    running_.erase(instance);
    return {};
  }
  [[nodiscard]] bool alive(const std::string& instance) const override { return running_.contains(instance); }

  [[nodiscard]] std::size_t running() const noexcept { return running_.size(); }

private:
  /// A /30 of the link-local block for each arm, as the real drivers have.
  [[nodiscard]] dataplane::port_config arm(const std::string& instance, bool out, std::uint32_t number) const {
    const auto base = 0xa9fe'0000u | (number * 2 + (out ? 1 : 0)) << 2;
    dataplane::port_config port;
    port.name = instance + (out ? ".out" : ".in");
    port.kind = out ? dataplane::port_kind::vnf_out : dataplane::port_kind::vnf_in;
    port.addresses = {{ip_address::v4(base + 1), 30}};
    port.peer_v4 = ip_address::v4(base + 2);
    port.mtu = mtu_;
    return port;
  }

  const std::uint16_t mtu_;
  std::set<std::string> running_;
};

class blind_switch final : public dataplane::southbound {
public:
  [[nodiscard]] expected<void, dataplane::submit_error> submit(dataplane::command&& order) override {
    const auto taken = std::move(order);
    return {};
  }
  [[nodiscard]] std::size_t poll(std::span<dataplane::event>) override { return 0; }
  void arm() override {}
  [[nodiscard]] bool empty() const override { return true; }
  [[nodiscard]] const dataplane::counters& statistics() const override { return *counters_; }

private:
  std::unique_ptr<dataplane::counters> counters_ = std::make_unique<dataplane::counters>();
};

/// The border of the replayed switch. Gives the ports the MAC addresses that devices would have, and knows them all.
class replayed_border final : public dataplane::southbound {
public:
  explicit replayed_border(dataplane::lcore_channel& channel) : channel_{channel} {}

  [[nodiscard]] expected<void, dataplane::submit_error> submit(dataplane::command&& order) override {
    if (auto* opened = std::get_if<dataplane::add_port>(&order)) {
      opened->port.mac = imagined_mac(true, opened->port.id);
      ports_[opened->port.id] = opened->port;
    } else if (const auto* closed = std::get_if<dataplane::remove_port>(&order))
      ports_.erase(closed->id);
    return channel_.submit(std::move(order));
  }
  [[nodiscard]] std::size_t poll(std::span<dataplane::event> out) override { return channel_.poll(out); }
  [[nodiscard]] std::size_t poll_traces(std::span<dataplane::trace_record> out) override {
    return channel_.poll_traces(out);
  }
  void arm() override { channel_.arm(); }
  [[nodiscard]] bool empty() const override { return channel_.empty(); }
  [[nodiscard]] const dataplane::counters& statistics() const override { return channel_.statistics(); }

  [[nodiscard]] const std::map<dataplane::port_id, dataplane::port_config>& ports() const noexcept { return ports_; }
  /// Nullptr when there is none.
  [[nodiscard]] const dataplane::port_config* find(dataplane::port_id port) const noexcept {
    const auto found = ports_.find(port);
    return found == ports_.end() ? nullptr : &found->second;
  }
  [[nodiscard]] const dataplane::port_config* named(std::string_view name) const noexcept {
    for (const auto& [id, port] : ports_)
      if (port.name == name)
        return &port;
    return nullptr;
  }

private:
  dataplane::lcore_channel& channel_;
  std::map<dataplane::port_id, dataplane::port_config> ports_;
};

} // namespace glocal::node
