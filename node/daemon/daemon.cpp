#include "node/daemon/daemon.hpp"

#include "actors/mano/mano_actor.hpp"
#include "actors/store/digest_actor.hpp"
#include "actors/store/embedded_register.hpp"
#include "actors/store/etcd_registers.hpp"
#include "actors/store/etcd_store_client.hpp"
#include "actors/store/placement_actor.hpp"
#include "actors/store/store_cache.hpp"
#include "actors/store/store_client.hpp"
#include "actors/store/store_node.hpp"
#include "base/hash.hpp"
#include "base/log.hpp"
#include "dataplane/dpdk/lcore.hpp"
#include "node/credentials.hpp"
#include "node/daemon/api.hpp"
#include "node/daemon/http_api.hpp"
#include "node/daemon/lisp_api.hpp"
#include "node/daemon/packet_trace.hpp"
#include "node/daemon/rate_sampler.hpp"
#include "node/daemon/store_watches.hpp"
#include "node/daemon/vnf_drivers.hpp"
#include "node/edge_actors.hpp"
#include "runtime/supervisor.hpp"
#include "runtime/tcp_transport.hpp"
#include "runtime/tls_filter.hpp"
#include "store/rocksdb_engine.hpp"

#include <caf/actor_system.hpp>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <random>

namespace glocal::node {

using namespace std::chrono_literals;

namespace {

constexpr auto stop_patience = 10s;
/// A store on etcd hears by its heartbeats that a stream has gone silent; each new one begins with what it missed.
constexpr auto etcd_stream_time = 10min;

std::uint64_t wall_clock() {
  return static_cast<std::uint64_t>(std::chrono::system_clock::now().time_since_epoch().count());
}

/// Flows are kept in the run directory, for a daemon that crashed or is upgraded.
dataplane::lcore_config lcore_config_of(const cluster_config& config, const node_config& self,
                                        const std::filesystem::path& run_dir) {
  dataplane::lcore_config out;
  out.poll = config.poll == poll_mode::busy ? dataplane::polling::busy : dataplane::polling::adaptive;
  out.tables = switch_tables_of(config);
  out.tables.file = {(run_dir / (self.name + ".flows")).string(), fingerprint_of(edge_ports_of(config, self))};
  return out;
}

/// Names for the counters of the edge's own ports.
std::vector<named_port> named_ports(const cluster_config& config, const node_config& self) {
  std::vector<named_port> out;
  for (const auto& port : edge_ports_of(config, self).ports)
    out.push_back({port.id, port.name, port.kind == dataplane::port_kind::underlay ? "underlay" : "attachment"});
  return out;
}

/// Null where nodes speak without TLS.
expected<std::shared_ptr<const runtime::tls_context>, std::string>
tls_context_of(const cluster_config& config, const std::string& node, std::filesystem::path certificates) {
  if (!config.uses_tls())
    return std::shared_ptr<const runtime::tls_context>{};
  if (certificates.empty())
    certificates = config.security.certificates;
  auto loaded = runtime::tls_context::load(certificate_files(certificates, node), node, config.name);
  if (loaded) {
    if ((*loaded)->not_after() - std::chrono::system_clock::now() < renewal_notice)
      spdlog::warn("the certificate of {} expires on {}", node, expiry_text((*loaded)->not_after()));
    return std::move(*loaded);
  }
  std::string why = "nodes of this cluster speak TLS, and what that needs is not right:";
  for (const auto& problem : loaded.error())
    why += "\n  " + to_string(problem);
  return unexpected{std::move(why)};
}

expected<std::shared_ptr<const store::hash_ring>, std::string> ring_of(const cluster_config& config) {
  std::vector<store::ring_node> nodes;
  for (const auto* node : config.nodes_with(role::store))
    nodes.push_back({node->name});
  auto ring = store::hash_ring::make(std::move(nodes), static_cast<store::slot_id>(config.store.slots));
  if (!ring)
    return unexpected{std::string{"the store's slots can't be placed: the cluster file names no store node"}};
  return std::make_shared<const store::hash_ring>(std::move(*ring));
}

/// Nothing where the API is to be had by the socket alone.
expected<std::optional<tcp_access>, std::string> tcp_access_of(const node_config& self) {
  if (!self.api)
    return std::optional<tcp_access>{};
  tcp_access out{self.api->listen, {}};
  if (!self.api->token_file.empty()) {
    auto token = read_api_token(self.api->token_file);
    if (!token)
      return unexpected{"the API's token: " + to_string(token.error())};
    out.token = std::move(*token);
  }
  return std::optional{std::move(out)};
}

} // namespace

/// Members in the order of their construction; ~parts ends them in the reverse order.
struct daemon::parts {
  parts(const cluster_config& cluster, const node_config& node, const daemon_options& how)
      : config{cluster}, self{node}, options{how} {}
  ~parts();

  const cluster_config& config;
  const node_config& self;
  const daemon_options options;
  const std::uint64_t incarnation = wall_clock();
  const std::chrono::steady_clock::time_point started = std::chrono::steady_clock::now();

  std::unique_ptr<dataplane::eal> environment;
  std::shared_ptr<vnf_drivers> drivers;
  std::unique_ptr<runtime::system_config> system_options;
  std::unique_ptr<caf::actor_system> system;
  std::shared_ptr<runtime::directory> directory = std::make_shared<runtime::directory>();
  std::unique_ptr<dataplane::lcore> lcore;
  std::shared_ptr<actors::trace_book> traces = std::make_shared<actors::trace_book>();
  std::shared_ptr<actors::path_accounts> accounts = std::make_shared<actors::path_accounts>();
  std::shared_ptr<actors::slot_meters> meters;
  runtime::transport transport;
  std::shared_ptr<const store::hash_ring> ring;
  std::shared_ptr<store::engine> engine;
  /// Of the embedded register; null unless it is here.
  std::shared_ptr<store::engine> register_engine;
  /// Of a register in etcd, or of a store that is there; null without one.
  std::shared_ptr<store::etcd_client> etcd;
  std::shared_ptr<lisp::udp_endpoint> map_server_port;
  lisp::map_server_settings map_server;
  std::shared_ptr<const runtime::tls_context> certificate;
  caf::actor top;
  std::unique_ptr<rate_sampler> rates;
  std::unique_ptr<http_api> api;

  [[nodiscard]] bool is_edge() const { return self.has(role::edge); }
  [[nodiscard]] bool is_on_etcd() const { return config.store.backend == store_backend::etcd; }
  /// Whether it keeps slots.
  [[nodiscard]] bool is_store() const { return self.has(role::store) && !is_on_etcd(); }
  /// As those see it who read and watch: an etcd has one history.
  [[nodiscard]] store::slot_id slot_count() const { return is_on_etcd() ? store::slot_id{1} : ring->slot_count(); }
  [[nodiscard]] expected<void, std::string> start();
  [[nodiscard]] expected<void, std::string> start_transport();
  [[nodiscard]] expected<void, std::string> start_lcore();
  [[nodiscard]] expected<void, std::string> open_engine();
  [[nodiscard]] expected<void, std::string> open_register();
  [[nodiscard]] expected<void, std::string> open_map_server();
  void start_actors();
  [[nodiscard]] std::vector<runtime::child_spec> node_children();

  /// This node's store client, looked up when an actor is made: it may have been restarted.
  [[nodiscard]] caf::actor client() const { return directory->find(actors::store_client_name); }
  /// The same for the edge's actors: with a cache in front.
  [[nodiscard]] caf::actor edge_client() const {
    return config.store.cache_entries == 0 ? client() : directory->find(actors::store_cache_name);
  }
  /// Where the embedded register is.
  [[nodiscard]] const std::string& register_node() const { return ring->nodes().front().name; }
  /// For people.
  [[nodiscard]] std::string register_text() const;
  /// All that this edge publishes hangs on it; another incarnation has another.
  [[nodiscard]] store::lease_id lease() const { return hash_text(self.name, incarnation) | 1; }
};

daemon::parts::~parts() {
  api.reset();
  for (auto* actor : {&top, &transport.router}) {
    if (*actor && !runtime::stop_and_wait(*system, *actor, stop_patience)) {
      // The actor system's destructor would wait for it for ever.
      spdlog::critical("an actor did not end within {} s; leaving without it", stop_patience.count());
      std::_Exit(EXIT_FAILURE);
    }
    *actor = nullptr;
  }
  map_server_port.reset();
  directory->clear();
  lcore.reset();
  if (drivers)
    if (const auto stopped = drivers->stop_all(); !stopped)
      spdlog::error("VNF instances were left behind: {}", stopped.error());
}

expected<void, std::string> daemon::parts::start() {
  std::error_code failure;
  std::filesystem::create_directories(options.run_dir, failure);
  if (failure)
    return unexpected{options.run_dir.string() + ": " + failure.message()};
  auto access = tcp_access_of(self);
  if (!access)
    return unexpected{access.error()};
  auto context = tls_context_of(config, self.name, options.certificates);
  if (!context)
    return unexpected{context.error()};
  certificate = std::move(*context);
  auto placed = ring_of(config);
  if (!placed)
    return unexpected{placed.error()};
  ring = std::move(*placed);
  if (is_edge()) {
    drivers = std::make_shared<vnf_drivers>(config, options.run_dir / (self.name + ".vnfs"));
    // What an earlier process of this node left running would hold the interfaces.
    if (auto cleared = drivers->stop_all(); !cleared)
      return cleared;
  }

  runtime::system_options actors;
  actors.node = self.name;
  system_options = std::make_unique<runtime::system_config>(actors);
  system = std::make_unique<caf::actor_system>(*system_options);
  if (is_on_etcd()) {
    store::etcd_settings way;
    way.endpoints = config.etcd_endpoints();
    way.stream_time = etcd_stream_time;
    etcd = std::make_shared<store::etcd_client>(std::move(way));
  }
  if (is_store())
    if (auto opened = open_engine(); !opened)
      return opened;
  if (is_edge())
    if (auto running = start_lcore(); !running)
      return running;
  if (auto listening = start_transport(); !listening)
    return listening;
  if (self.has(role::lisp))
    if (auto opened = open_map_server(); !opened)
      return opened;
  start_actors();
  rates = std::make_unique<rate_sampler>(system_options->observatory());

  status_sources sources{self, system_options->observatory(), started, nullptr, {}, 0};
  if (lcore) {
    sources.counters = &lcore->statistics();
    sources.ports = named_ports(config, self);
    sources.flow_capacity = config.flow.capacity;
    sources.paths = accounts;
  }
  sources.slots = meters;
  sources.store_register = register_text();
  sources.store_is_etcd = is_on_etcd();
  const auto* counters = sources.counters;
  auto handlers = make_api(*system, transport, std::move(sources), slot_count());
  add_packet_trace(handlers, *system, {config, self, directory, traces, counters});
  api = std::make_unique<http_api>(options.run_dir / (self.name + ".sock"), std::move(handlers), std::move(*access));
  if (auto answering = api->start(); !answering)
    return answering;
  if (self.api)
    spdlog::info("the API answers at http://{}{}", to_string(self.api->listen),
                 self.api->token_file.empty() ? "/, for reading, to this machine" : "/, to who shows the token");
  return {};
}

expected<void, std::string> daemon::parts::open_engine() {
  const store::engine_identity identity{config.name, static_cast<store::slot_id>(config.store.slots)};
  auto opened = store::open_rocksdb(options.run_dir / (self.name + ".store"), identity);
  if (!opened)
    return unexpected{opened.error().message};
  engine = std::move(*opened);
  meters = std::make_shared<actors::slot_meters>(config.store.slots);
  return open_register();
}

/// A register that begins empty beside slots that do not would make a primary of who has nothing: what the first start
/// chose, stays.
expected<void, std::string> daemon::parts::open_register() {
  const auto embedded = options.run_dir / (self.name + ".store-register");
  const auto elsewhere = options.run_dir / (self.name + ".store-register-in-etcd");
  const bool wants_etcd = config.store.where != store_register::embedded;
  const auto& other = wants_etcd ? embedded : elsewhere;
  std::error_code failure;
  if (std::filesystem::exists(other, failure))
    return unexpected{
        other.string() + ": the register of this node's slots " +
        (wants_etcd ? "is embedded, and the cluster file wants it in etcd"
                    : "is in etcd, and the cluster file wants it embedded") +
        "; it can't move: write 'register' as it was, or begin with empty directories on all store nodes"};
  if (wants_etcd) {
    std::ofstream mark{elsewhere};
    if (!(mark << "The register of this node's slots is in etcd.\n") || !mark.flush())
      return unexpected{elsewhere.string() + ": can't be written"};
    etcd = std::make_shared<store::etcd_client>(store::etcd_settings{config.etcd_endpoints()});
    return {};
  }
  if (self.name != register_node())
    return {};
  auto opened = store::open_rocksdb(embedded, {config.name, static_cast<store::slot_id>(config.store.slots)});
  if (!opened)
    return unexpected{opened.error().message};
  register_engine = std::move(*opened);
  return {};
}

std::string daemon::parts::register_text() const {
  if (!etcd)
    return "embedded at " + register_node();
  std::string out;
  for (const auto& endpoint : config.etcd_endpoints())
    out += (out.empty() ? "etcd at " : ", ") + endpoint;
  return out;
}

expected<void, std::string> daemon::parts::open_map_server() {
  auto settings =
      lisp_settings_of(config, self.name, std::random_device{}() | std::uint64_t{std::random_device{}()} << 32);
  if (!settings)
    return unexpected{settings.error()};
  map_server = std::move(*settings);
  auto deliver = [actors = directory, name = actors::lisp_actor_name(self.name)](lisp::udp_endpoint::batch&& batch) {
    if (const auto actor = actors->find(name))
      caf::anon_send(actor, actors::lisp_datagrams{std::move(batch)});
  };
  auto opened = lisp::udp_endpoint::open(self.lisp_listen, lisp::control_port, std::move(deliver));
  if (!opened)
    return unexpected{"the Map-Server can't listen at " + opened.error()};
  map_server_port = std::move(*opened);
  return {};
}

expected<void, std::string> daemon::parts::start_lcore() {
  auto eal = dataplane::eal::start({.name = "glocal-" + self.name});
  if (!eal)
    return unexpected{std::string{"DPDK could not be started; what it printed says why"}};
  environment = std::move(*eal);
  auto wake = [actors = directory, agent = actors::edge_names::switch_agent(self.name)] {
    if (const auto actor = actors->find(agent))
      caf::anon_send(actor, runtime::wake_atom_v);
  };
  auto running = dataplane::lcore::start(*environment, lcore_config_of(config, self, options.run_dir), std::move(wake));
  if (!running)
    return unexpected{std::string{running.error() == dataplane::lcore_error::no_buffers
                                      ? "no memory for packet buffers"
                                      : "the lcore's thread could not be started: no descriptor or thread is free"}};
  lcore = std::move(*running);
  if (const auto why = lcore->cold(); why == dataplane::cold_start::no)
    spdlog::info("{} flows go on from before the start, {} are no longer known",
                 lcore->statistics().flows_restored.value(), lcore->statistics().flows_forgotten.value());
  else if (why != dataplane::cold_start::new_file)
    spdlog::warn("no flow of before the start is known: {}", to_string(why));
  return {};
}

expected<void, std::string> daemon::parts::start_transport() {
  runtime::tcp_transport_options tcp;
  tcp.self = {self.name, config.name, incarnation};
  tcp.listen_host = to_string(self.control.address);
  tcp.listen_port = self.control.port;
  for (const auto& node : config.nodes)
    if (node.name != self.name)
      tcp.peers.push_back({node.name, to_string(node.control.address), node.control.port});
  tcp.directory = directory;
  if (certificate)
    tcp.make_filter = runtime::tls_filters(certificate, self.name);
  else if (std::any_of(config.nodes.begin(), config.nodes.end(),
                       [](const auto& one) { return one.uses_real_devices(); }))
    spdlog::warn("nodes of several machines speak without TLS: who reaches the management network can be any node");
  auto listening = runtime::spawn_tcp_transport(*system, tcp);
  if (!listening)
    return unexpected{listening.error()};
  transport = listening->transport;
  return {};
}

void daemon::parts::start_actors() {
  runtime::supervisor_options whole;
  whole.strategy = runtime::restart_strategy::rest_for_one;
  top = system->spawn<runtime::supervisor>("node", whole, node_children(), directory);
}

std::vector<runtime::child_spec> daemon::parts::node_children() {
  std::vector<runtime::child_spec> children;
  const auto add = [&](std::string name, runtime::child_factory start) {
    runtime::child_spec spec;
    spec.registered_as = name;
    spec.name = std::move(name);
    spec.start = std::move(start);
    children.push_back(std::move(spec));
  };
  if (register_engine)
    add(std::string{actors::register_server_name}, [this](caf::local_actor& parent) {
      return parent.spawn<actors::embedded_register_server, caf::detached>(transport, register_engine,
                                                                           ring->slot_count());
    });
  if (is_store())
    add(std::string{actors::store_node_name}, [this](caf::local_actor& parent) {
      actors::store_node_settings settings;
      settings.ring = ring;
      settings.meters = meters;
      settings.replicas = config.replica_count();
      settings.config_register =
          etcd ? actors::register_in_etcd(etcd, config.name) : actors::embedded_register(transport, register_node());
      actors::store_storage storage;
      storage.engine = engine;
      storage.slot_count = ring->slot_count();
      storage.open_log = [directory = options.run_dir / (self.name + ".store-log")] {
        return store::open_log_directory(directory);
      };
      return parent.spawn<actors::store_node>(settings, transport, storage);
    });
  add(std::string{actors::store_client_name}, [this](caf::local_actor& parent) {
    if (is_on_etcd()) {
      store::etcd_store_settings settings;
      settings.cluster = config.name;
      settings.heartbeat_as = self.has(role::store) ? self.name : "";
      return parent.spawn<actors::etcd_store_client>(etcd, std::move(settings));
    }
    actors::store_client_settings settings;
    settings.ring = ring;
    settings.replicas = config.replica_count();
    return parent.spawn<actors::store_client>(settings, transport);
  });
  if (is_store())
    add(std::string{actors::placement_name}, [this](caf::local_actor& parent) {
      actors::placement_settings settings;
      settings.ring = ring;
      settings.replicas = config.replica_count();
      return parent.spawn<actors::placement_actor>(settings, transport, client());
    });
  add(std::string{store_watches_name},
      [this](caf::local_actor& parent) { return parent.spawn<store_watches>(client(), slot_count()); });
  add(std::string{store_view_name}, [this](caf::local_actor& parent) { return parent.spawn<store_view>(client()); });
  if (self.has(role::store))
    add("store/digests", [this](caf::local_actor& parent) {
      actors::digest_settings settings;
      settings.ring = ring;
      settings.node = self.name;
      return parent.spawn<actors::digest_actor>(settings, client());
    });
  if (is_edge() && config.store.cache_entries != 0)
    add(std::string{actors::store_cache_name}, [this](caf::local_actor& parent) {
      return parent.spawn<actors::store_cache>(
          store::cache_options{config.store.cache_entries, config.store.cache_bytes}, client());
    });
  if (is_edge())
    add("edge/" + self.name, [this](caf::local_actor& parent) {
      return parent.spawn<runtime::supervisor>("edge/" + self.name, runtime::supervisor_options{},
                                               edge_children({.config = config,
                                                              .self = self,
                                                              .fast_path = *lcore,
                                                              .ports = edge_ports_of(config, self),
                                                              .driver = drivers,
                                                              .lease = lease(),
                                                              .client = [this] { return edge_client(); },
                                                              .directory = directory,
                                                              .traces = traces,
                                                              .accounts = accounts}),
                                               directory);
    });
  if (self.has(role::lisp))
    add(actors::lisp_actor_name(self.name), [this](caf::local_actor& parent) {
      actors::lisp_settings settings{map_server, hash_text("lisp/" + self.name, incarnation) | 1,
                                     config.store.lease_ttl};
      return parent.spawn<actors::lisp_actor>(settings, map_server_port, client());
    });
  if (self.has(role::mano))
    add("mano", [this](caf::local_actor& parent) {
      return parent.spawn<actors::mano_actor>(
          actors::mano_settings{config.services, config.vnf_classes, config.instances}, transport, client());
    });
  return children;
}

daemon::daemon(std::unique_ptr<parts> made) : parts_{std::move(made)} {}

daemon::~daemon() = default;

expected<std::unique_ptr<daemon>, std::string> daemon::start(const cluster_config& config, const std::string& name,
                                                             const daemon_options& options,
                                                             std::function<void(std::string)> on_failure) {
  auto made = std::make_unique<parts>(config, *config.find_node(name), options);
  if (auto started = made->start(); !started)
    return unexpected{started.error()};
  made->top->attach_functor([on_failure = std::move(on_failure)](const caf::error& reason) {
    // Asked to end by ~parts: no failure.
    if (reason != caf::exit_reason::user_shutdown)
      on_failure(runtime::describe(reason));
  });
  spdlog::info("node {} is up", name);
  return std::unique_ptr<daemon>{new daemon{std::move(made)}};
}

} // namespace glocal::node
