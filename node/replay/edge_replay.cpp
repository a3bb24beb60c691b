#include "node/replay/edge_replay.hpp"

#include "actors/edge/messages.hpp"
#include "actors/mano/mano_actor.hpp"
#include "actors/store/digest_actor.hpp"
#include "actors/store/memory_storage.hpp"
#include "actors/store/process_register.hpp"
#include "actors/store/store_client.hpp"
#include "actors/store/store_node.hpp"
#include "dataplane/overlay/encapsulation.hpp"
#include "dataplane/switch/edge_switch.hpp"
#include "node/edge_actors.hpp"
#include "node/replay/frame_pool.hpp"
#include "node/replay/imagined_parts.hpp"
#include "runtime/simulation.hpp"

#include <algorithm>
#include <cstring>
#include <deque>
#include <limits>

namespace glocal::node {

using namespace std::chrono_literals;
using dataplane::port_id;
using dataplane::port_kind;

namespace {

/// Placement is of no interest on one node; a few slots, so that the order of operations is not that of one.
constexpr store::slot_id slots = 16;
/// In virtual time. Instances need a few round trips, digests follow within a second.
constexpr auto start_patience = 60s, publication = 2s;
/// One look at the actors' clocks.
constexpr auto stride = 10ms;
/// Beyond it the first is told of although its end is not known.
constexpr std::size_t max_pending = 65'536;
/// Of one packet between the pipeline and imagined functions: a chain has 16 hops at most, each twice.
constexpr std::size_t max_rounds = 1000;
/// Steps read from the book at once.
constexpr std::size_t most_steps = 1000;

bool waits(const replayed_packet& packet) {
  for (auto step = packet.steps.rbegin(); step != packet.steps.rend(); ++step)
    if (step->who == "lcore")
      return step->what == "packet_in" || step->what == "held" || step->what == "waiting";
  return false;
}

} // namespace

struct edge_replay::parts {
  parts(const cluster_config& cluster, const node_config& node, replay_options how, packet_sink packets,
        frame_sink frames)
      : config{cluster}, self{node}, options{std::move(how)}, on_packet{std::move(packets)}, on_frame{std::move(
                                                                                                 frames)},
        channel{{}, [this] { wake_agent(); }, [] {}}, border{channel}, pipeline{switch_tables_of(cluster), channel} {}
  ~parts() { pipeline.shut_down(pool); }

  [[nodiscard]] expected<void, std::string> start();
  void start_node(const node_config& node);
  [[nodiscard]] caf::actor client_at(const std::string& node) {
    return nodes.at(node).directory->find(actors::store_client_name);
  }
  void wake_agent() {
    if (const auto agent = nodes.at(self.name).directory->find(actors::edge_names::switch_agent(self.name)))
      caf::anon_send(agent, runtime::wake_atom_v);
  }

  // Time and quiet.
  [[nodiscard]] std::uint64_t actors_now() const {
    return static_cast<std::uint64_t>(simulation.now().time_since_epoch().count());
  }
  void pass_until(std::uint64_t target_ns);
  void settle();
  void arrive(port_id port, byte_view frame);
  void handle_sent();
  [[nodiscard]] bool answer_solicitation(frame_pool::sent& sent);
  [[nodiscard]] const dataplane::port_config* other_arm(const dataplane::port_config& arm) const;

  // Packets.
  void feed(const dataplane::captured_packet& packet);
  [[nodiscard]] const dataplane::port_config* arrival_port(byte_view frame, replayed_packet& out) const;
  void collect();
  void tell(bool all);

  const cluster_config& config;
  const node_config& self;
  const replay_options options;
  const packet_sink on_packet;
  const frame_sink on_frame;

  dataplane::lcore_channel channel;
  replayed_border border;
  frame_pool pool;
  dataplane::edge_switch pipeline;
  std::map<std::string, blind_switch> blind;
  std::vector<std::shared_ptr<imagined_driver>> drivers;
  std::shared_ptr<actors::trace_book> traces = std::make_shared<actors::trace_book>();
  std::shared_ptr<const store::hash_ring> ring;
  std::map<std::string, runtime::transport> nodes;
  runtime::simulation simulation;

  std::uint64_t now_ns = 0, begin_ns = 0;
  std::uint64_t count = 0;
  std::chrono::nanoseconds first_time{0};
  std::uint64_t read_to = 0;
  std::vector<std::pair<port_id, bytes>> arrivals;
  std::deque<replayed_packet> pending;
  std::map<dataplane::trace_id, std::uint64_t> packet_of_trace;
};

expected<void, std::string> edge_replay::parts::start() {
  const auto stores = config.nodes_with(role::store), manos = config.nodes_with(role::mano),
             edges = config.nodes_with(role::edge);
  const auto& store_name = stores.front()->name;
  const auto& mano_name = manos.empty() ? store_name : manos.front()->name;
  ring = std::make_shared<const store::hash_ring>(*store::hash_ring::make({{store_name}}, slots));
  std::set<std::string> needed{store_name, mano_name};
  for (const auto* edge : edges)
    needed.insert(edge->name);
  auto& system = simulation.system();
  for (const auto& name : needed) {
    const auto& made = nodes.emplace(name, simulation.node(name, {}, config.name)).first->second;
    if (name == store_name) {
      actors::store_node_settings settings;
      settings.ring = ring;
      settings.config_register =
          actors::process_register::factory(std::make_shared<actors::process_register::values>());
      made.directory->add(
          std::string{actors::store_node_name},
          simulation.own(system.spawn<actors::store_node>(settings, made, actors::memory_disks{}.storage(slots))));
    }
    actors::store_client_settings settings;
    settings.ring = ring;
    made.directory->add(std::string{actors::store_client_name},
                        simulation.own(system.spawn<actors::store_client>(settings, made)));
  }
  actors::digest_settings digests;
  digests.ring = ring;
  digests.node = store_name;
  simulation.own(system.spawn<actors::digest_actor>(digests, client_at(store_name)));
  for (const auto* edge : edges)
    start_node(*edge);
  simulation.own(
      system.spawn<actors::mano_actor>(actors::mano_settings{config.services, config.vnf_classes, config.instances},
                                       nodes.at(mano_name), client_at(mano_name)));

  now_ns = actors_now();
  const auto give_up = now_ns + static_cast<std::uint64_t>(std::chrono::nanoseconds{start_patience}.count());
  const auto running = [&] {
    std::size_t out = 0;
    for (const auto& driver : drivers)
      out += driver->running();
    return out;
  };
  while (running() < config.instances.size()) {
    if (now_ns >= give_up)
      return unexpected{std::to_string(running()) + " of " + std::to_string(config.instances.size()) +
                        " instances came up"};
    pass_until(now_ns + 100'000'000);
  }
  pass_until(now_ns + static_cast<std::uint64_t>(std::chrono::nanoseconds{publication}.count()));
  begin_ns = now_ns;
  read_to = traces->end();
  if (!options.port.empty() && border.named(options.port) == nullptr) {
    std::string names;
    for (const auto& [id, port] : border.ports())
      names += (names.empty() ? "" : ", ") + port.name;
    return unexpected{"edge " + self.name + " has no port '" + options.port + "'; it has: " + names};
  }
  return {};
}

void edge_replay::parts::start_node(const node_config& node) {
  const bool is_self = node.name == self.name;
  auto& here = nodes.at(node.name);
  const auto& driver = drivers.emplace_back(std::make_shared<imagined_driver>(config.largest_attachment_mtu()));
  auto children = edge_children({.config = config,
                                 .self = node,
                                 .fast_path = is_self ? static_cast<dataplane::southbound&>(border) : blind[node.name],
                                 .ports = edge_ports_of(config, node),
                                 .driver = driver,
                                 .lease = drivers.size(),
                                 .client = [this, name = node.name] { return client_at(name); },
                                 .directory = here.directory,
                                 .traces = is_self ? traces : std::make_shared<actors::trace_book>(),
                                 .detached_driver = false});
  simulation.own(simulation.system().spawn<runtime::supervisor>("edge/" + node.name, runtime::supervisor_options{},
                                                                std::move(children), here.directory));
}

// --- Time and quiet --------------------------------------------------------------------------------------------------

void edge_replay::parts::pass_until(std::uint64_t target_ns) {
  constexpr auto step = static_cast<std::uint64_t>(std::chrono::nanoseconds{stride}.count());
  while (now_ns < target_ns) {
    now_ns = std::min({target_ns, now_ns + step, std::max(pipeline.deadline(), now_ns + 1)});
    // The actors' clock counts milliseconds.
    if (const auto behind = (now_ns - actors_now()) / 1'000'000; behind > 0)
      simulation.advance(std::chrono::milliseconds{behind});
    if (pipeline.deadline() <= now_ns)
      pipeline.expire(now_ns, pool);
    settle();
  }
}

/// Until neither the actors nor the switch nor what surrounds them has anything to do now.
void edge_replay::parts::settle() {
  for (std::size_t round = 0; round < max_rounds; ++round) {
    const auto handled = simulation.run();
    const auto ordered = pipeline.execute_commands(now_ns, pool);
    handle_sent();
    const auto waiting = std::exchange(arrivals, {});
    for (const auto& [port, frame] : waiting)
      arrive(port, frame);
    if (handled == 0 && !ordered && waiting.empty() && arrivals.empty())
      return;
  }
}

void edge_replay::parts::arrive(port_id port, byte_view frame) {
  const auto one = pool.make(frame, port);
  pipeline.process_burst({&one, 1}, now_ns, pool);
  handle_sent();
}

void edge_replay::parts::handle_sent() {
  for (auto& sent : pool.take_sent()) {
    const auto* port = border.find(sent.port);
    if (port == nullptr || answer_solicitation(sent))
      continue;
    if (port->kind == port_kind::vnf_in || port->kind == port_kind::vnf_out) {
      const auto* back = options.vnfs == imagined_vnf::wire ? other_arm(*port) : nullptr;
      if (back == nullptr)
        continue;
      const auto mac = back->mac.octets;
      std::memcpy(sent.frame.data(), mac.data(), mac.size());
      arrivals.emplace_back(back->id, std::move(sent.frame));
    } else
      on_frame({port->name, std::chrono::nanoseconds{now_ns - begin_ns}, std::move(sent.frame)});
  }
}

/// Every next hop is there and answers at once.
bool edge_replay::parts::answer_solicitation(frame_pool::sent& sent) {
  dataplane::parsed_packet parsed;
  if (dataplane::parse(sent.frame, parsed) || !dataplane::is_neighbour_message(parsed))
    return false;
  const auto message = dataplane::decode_neighbour(sent.frame, parsed);
  if (!message || message->op != dataplane::neighbour_message::operation::solicit)
    return false;
  auto answer = pool.make(sent.frame, sent.port);
  if (!dataplane::write_advertisement(answer, *message, imagined_mac(false, sent.port), parsed.vlan))
    arrivals.emplace_back(sent.port, bytes(answer.data, answer.data + answer.length));
  pool.release(answer);
  return true;
}

const dataplane::port_config* edge_replay::parts::other_arm(const dataplane::port_config& arm) const {
  const auto dot = arm.name.rfind('.');
  return border.named(arm.name.substr(0, dot) + (arm.kind == port_kind::vnf_in ? ".out" : ".in"));
}

// --- Packets ---------------------------------------------------------------------------------------------------------

/// Where the packet comes in; nullptr, and why, when it does not come in here.
const dataplane::port_config* edge_replay::parts::arrival_port(byte_view frame, replayed_packet& out) const {
  dataplane::parsed_packet parsed;
  const auto bad = dataplane::parse(frame, parsed);
  if (parsed.tuple != five_tuple{})
    out.key = to_string(parsed.tuple);
  if (!options.port.empty())
    return border.named(options.port);
  if (!bad && dataplane::is_neighbour_message(parsed)) {
    out.elsewhere = "a question of the captured link (ARP or ND)";
    return nullptr;
  }
  if (!bad && dataplane::is_overlay(parsed) && parsed.tuple.destination == self.underlay->rloc.address)
    return border.named("underlay");
  const attachment_config* nearest = nullptr;
  const node_config* where = nullptr;
  std::uint8_t length = 0;
  for (const auto* edge : config.nodes_with(role::edge))
    for (const auto& attachment : edge->attachments)
      for (const auto& prefix : attachment.prefixes) {
        const bool is_better = nearest == nullptr || prefix.length > length ||
                               (prefix.length == length && edge->name == self.name && where->name != self.name);
        if (prefix.contains(parsed.tuple.source) && is_better) {
          nearest = &attachment;
          where = edge;
          length = prefix.length;
        }
      }
  if (bad && parsed.tuple == five_tuple{}) {
    out.elsewhere = "it can't be read (" + std::string{dataplane::to_string(*bad)} + "), so not known to be for " +
                    self.name + "; name a port to have it arrive";
    return nullptr;
  }
  if (nearest == nullptr)
    out.elsewhere = to_string(parsed.tuple.source) + " lives behind no attachment of the cluster";
  else if (where->name != self.name)
    out.elsewhere = to_string(parsed.tuple.source) + " lives at " + where->name + ", behind " + nearest->name;
  else
    return border.named(nearest->name);
  return nullptr;
}

void edge_replay::parts::feed(const dataplane::captured_packet& packet) {
  if (count++ == 0)
    first_time = packet.time;
  const auto offset = packet.time - first_time;
  if (offset.count() > 0)
    pass_until(begin_ns + static_cast<std::uint64_t>(offset.count()));
  replayed_packet out;
  out.number = count;
  out.time = offset;
  out.captured_bytes = packet.frame.size();
  out.wire_bytes = packet.wire_bytes;
  collect();

  const auto* port = arrival_port(packet.frame, out);
  std::array<std::uint64_t, dataplane::drop_reason_count> before{};
  for (std::size_t i = 0; i < before.size(); ++i)
    before[i] = channel.statistics().drops[i].value();
  if (port != nullptr && packet.frame.size() > frame_pool::room) {
    out.elsewhere = "it is longer than a packet buffer";
    port = nullptr;
  }
  const bool arrives = port != nullptr;
  if (arrives)
    out.port = port->name;
  pending.push_back(std::move(out));
  if (arrives) {
    dataplane::start_trace order;
    order.session.id = order.session.id_prefix = static_cast<std::uint32_t>(count % 0xff'ffff + 1);
    order.session.packets = 1;
    order.session.until_ns = std::numeric_limits<std::uint64_t>::max();
    order.session.anywhere = true;
    // Behind what the agent ordered before; there is room, as all of that was executed.
    (void)channel.submit(order);
    (void)pipeline.execute_commands(now_ns, pool);
    auto frame = packet.frame;
    if (frame.size() >= port->mac.octets.size() && !dataplane::destination_mac(frame.data()).is_multicast())
      std::memcpy(frame.data(), port->mac.octets.data(), port->mac.octets.size());
    arrive(port->id, frame);
    settle();
    collect();
    auto& fed = pending.back();
    if (fed.steps.empty())
      for (std::size_t i = 0; i < before.size(); ++i)
        if (channel.statistics().drops[i].value() > before[i])
          fed.dropped = dataplane::to_string(static_cast<dataplane::drop_reason>(i));
  }
  tell(false);
}

/// Steps since the last look, to the packets they are of. A trace not seen before is that of the packet at hand.
void edge_replay::parts::collect() {
  for (;;) {
    auto page = traces->read(read_to, most_steps);
    read_to = page.next;
    for (auto& step : page.entries) {
      if (pending.empty())
        break;
      const auto number = packet_of_trace.try_emplace(step.trace, pending.back().number).first->second;
      if (number < pending.front().number)
        continue; // told already
      pending[number - pending.front().number].steps.push_back(std::move(step));
    }
    if (page.entries.size() < most_steps)
      return;
  }
}

void edge_replay::parts::tell(bool all) {
  while (!pending.empty() && (all || pending.size() > max_pending || !waits(pending.front()))) {
    on_packet(pending.front());
    if (!pending.front().steps.empty())
      packet_of_trace.erase(pending.front().steps.front().trace);
    pending.pop_front();
  }
}

// --- The public face -------------------------------------------------------------------------------------------------

edge_replay::edge_replay(std::unique_ptr<parts> made) : parts_{std::move(made)} {}

edge_replay::~edge_replay() = default;

expected<std::unique_ptr<edge_replay>, std::string>
edge_replay::start(const cluster_config& config, replay_options options, packet_sink on_packet, frame_sink on_frame) {
  const auto* self = config.find_node(options.edge);
  if (self == nullptr || !self->has(role::edge)) {
    std::string names;
    for (const auto* edge : config.nodes_with(role::edge))
      names += (names.empty() ? "" : ", ") + edge->name;
    return unexpected{"'" + options.edge + "' is no edge of cluster " + config.name + "; its edges are: " + names};
  }
  auto made = std::make_unique<parts>(config, *self, std::move(options), std::move(on_packet), std::move(on_frame));
  if (auto started = made->start(); !started)
    return unexpected{started.error()};
  return std::unique_ptr<edge_replay>{new edge_replay{std::move(made)}};
}

void edge_replay::feed(const dataplane::captured_packet& packet) {
  parts_->feed(packet);
}

void edge_replay::finish() {
  const auto patience = std::chrono::nanoseconds{switch_tables_of(parts_->config).hold_timeout} + 1s;
  if (!parts_->pending.empty())
    parts_->pass_until(parts_->now_ns + static_cast<std::uint64_t>(patience.count()));
  parts_->collect();
  parts_->tell(true);
}

const dataplane::counters& edge_replay::counters() const {
  return parts_->channel.statistics();
}

} // namespace glocal::node
