#include "dataplane/switch/testing/bench.hpp"

#include "dataplane/classify/linear_classifier.hpp"

#include <cstdio>
#include <cstdlib>

namespace glocal::dataplane::testing {
namespace {

/// DPDK's default headroom and buffer.
constexpr std::uint16_t headroom = 128;
constexpr std::size_t room = 2048;

[[noreturn]] void fail(const char* what) {
  std::fprintf(stderr, "switch bench: %s\n", what);
  std::abort();
}

} // namespace

recording_sink::~recording_sink() {
  if (live_ != 0)
    fail("buffers were leaked");
}

packet recording_sink::make(const bytes& frame, port_id in_port) {
  if (frame.size() > room)
    fail("frame longer than a buffer");
  auto* storage = new std::byte[headroom + room];
  ++live_;
  std::ranges::copy(frame, storage + headroom);
  return {.data = storage + headroom,
          .handle = storage,
          .length = static_cast<std::uint32_t>(frame.size()),
          .headroom = headroom,
          .tailroom = static_cast<std::uint16_t>(room - frame.size()),
          .in_port = in_port};
}

std::size_t recording_sink::transmit(port_id port, std::span<const packet> burst) noexcept {
  if (std::ranges::find(jammed, port) != jammed.end())
    return 0;
  for (const auto& each : burst) {
    sent_.push_back({port, {each.data, each.data + each.length}});
    release(each);
  }
  return burst.size();
}

void recording_sink::release(const packet& gone) noexcept {
  delete[] static_cast<std::byte*>(gone.handle);
  --live_;
}

bool recording_sink::allocate(packet& out) noexcept {
  out = make({}, no_port);
  return true;
}

switch_config bench::small() {
  switch_config config;
  config.flows = 256;
  config.paths = 16;
  config.held_packets_per_flow = 4;
  config.held_packets = 16;
  config.holds = 8;
  config.neighbours = 8;
  config.held_packets_per_neighbour = 3;
  config.held_for_neighbours = 6;
  config.tunnels = 8;
  config.hash_key = 42;
  return config;
}

bench::bench(switch_config config, lcore_channel::sizes rings)
    : channel{rings, [] {}, [] {}}, edge{config, channel, now_ns} {}

bench::~bench() {
  edge.shut_down(sink);
}

void bench::order(command what) {
  if (!channel.submit(std::move(what)))
    fail("the command was not accepted");
  if (!edge.execute_commands(now_ns, sink))
    fail("the command was not executed");
}

void bench::receive_burst(port_id port, const std::vector<bytes>& frames) {
  std::vector<packet> burst;
  burst.reserve(frames.size());
  for (const auto& each : frames)
    burst.push_back(sink.make(each, port));
  edge.process_burst(burst, now_ns, sink);
}

void bench::advance(std::chrono::nanoseconds duration) {
  const auto end = now_ns + static_cast<std::uint64_t>(duration.count());
  // As the lcore does: at each deadline, then at the end.
  for (now_ns = std::max(now_ns, edge.deadline()); now_ns < end; now_ns = std::max(now_ns + 1, edge.deadline()))
    edge.expire(now_ns, sink);
  now_ns = end;
  edge.expire(now_ns, sink);
}

std::vector<event> bench::events() {
  std::vector<event> all(1024);
  all.resize(channel.poll(all));
  return all;
}

std::vector<packet_in> bench::packet_ins() {
  std::vector<packet_in> out;
  for (const auto& each : events())
    out.push_back(std::get<packet_in>(each));
  return out;
}

std::string bench::new_drops() {
  std::string out;
  for (std::size_t i = 0; i < drop_reason_count; ++i) {
    const std::string name{to_string(static_cast<drop_reason>(i))};
    const auto total = drops(static_cast<drop_reason>(i)), fresh = total - std::exchange(seen_drops_[name], total);
    if (fresh > 0)
      out.append(out.empty() ? "" : ", ").append(name).append(" ").append(std::to_string(fresh));
  }
  return out.empty() ? "none" : out;
}

port_config attachment(port_id id, std::string_view gateway) {
  port_config config;
  config.id = id;
  config.kind = port_kind::attachment;
  config.mac = edge_mac;
  config.addresses = {parse_interface_address(gateway).value()};
  return config;
}

port_config arm(port_id id, port_kind kind, std::string_view gateway, std::string_view peer) {
  auto config = attachment(id, gateway);
  config.kind = kind;
  config.peer_v4 = parse_ip(peer).value();
  return config;
}

port_config underlay(port_id id, std::string_view rloc, std::string_view router) {
  auto config = attachment(id, rloc);
  config.kind = port_kind::underlay;
  config.via_v4 = parse_ip(router).value();
  config.mtu = 1600;
  return config;
}

void introduce(bench& at, port_id port, std::string_view address, std::string_view gateway) {
  at.receive(port, arp_request(host_mac, address, gateway));
  if (at.sent().size() != 1)
    fail("the edge did not answer ARP");
}

eid_route local_route(std::string_view prefix, port_id port, std::uint32_t tenant) {
  return {tenant, parse_prefix(prefix).value(), port, {}};
}

eid_route remote_route(std::string_view prefix, std::string_view rloc, std::uint32_t tenant) {
  return {tenant, parse_prefix(prefix).value(), no_port, parse_ip(rloc).value()};
}

path_hop local_hop(port_id in_arm, port_id out_arm) {
  return {true, in_arm, out_arm, {}};
}

path_hop remote_hop(std::string_view rloc) {
  return {false, no_port, no_port, parse_ip(rloc).value()};
}

classifier_ptr linear_classifier_of(std::vector<rule> rules) {
  return linear_classifier::build(std::move(rules)).value();
}

classifier_ptr http_service(std::uint64_t cookie) {
  rule wanted;
  wanted.match.protocol = ip_protocol::tcp;
  wanted.match.destination_ports = {80, 80};
  wanted.cookie = cookie;
  wanted.action = static_cast<std::uint32_t>(rule_action::decide);
  auto mirror = wanted;
  mirror.match = wanted.match.mirrored();
  mirror.action = static_cast<std::uint32_t>(rule_action::reply);
  return linear_classifier_of({wanted, mirror});
}

} // namespace glocal::dataplane::testing
