#include "tests/store/store_processes.hpp"

#include "actors/store/store_client.hpp"
#include "node/launcher/node_client.hpp"
#include "runtime/tcp_transport.hpp"

#include <nlohmann/json.hpp>

#include <fstream>
#include <stdexcept>
#include <thread>

#include <arpa/inet.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

namespace glocal::test {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

constexpr auto client_name = "client";
constexpr auto cluster_name = "processes";

std::string address(std::size_t node) {
  return "127.0.0." + std::to_string(node + 1);
}

/// Free ones of this moment, of 127.0.0.1, 127.0.0.2 ...
std::vector<std::uint16_t> free_ports(std::size_t count) {
  std::vector<std::uint16_t> out;
  for (std::size_t i = 0; i < count; ++i) {
    const int sock = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in there{};
    there.sin_family = AF_INET;
    ::inet_pton(AF_INET, address(i).c_str(), &there.sin_addr);
    socklen_t size = sizeof there;
    const bool bound = sock >= 0 && ::bind(sock, reinterpret_cast<sockaddr*>(&there), sizeof there) == 0 &&
                       ::getsockname(sock, reinterpret_cast<sockaddr*>(&there), &size) == 0;
    if (sock >= 0)
      ::close(sock);
    if (!bound)
      throw std::runtime_error{"no free port at " + address(i)};
    out.push_back(ntohs(there.sin_port));
  }
  return out;
}

} // namespace

store_processes::store_processes(store_processes_options options)
    : options_{std::move(options)}, processes_(options_.nodes) {
  char made[] = "/tmp/glocal-store-XXXXXX";
  if (::mkdtemp(made) == nullptr)
    throw std::runtime_error{"no temporary directory"};
  directory_ = made;
  const auto ports = free_ports(options_.nodes + 1);
  if (options_.relays)
    relays_ = std::make_unique<link_relays>();
  for (std::size_t i = 0; i < size(); ++i) {
    write_config(i, ports);
    start(i);
  }
  start_client(ports);
}

store_processes::~store_processes() {
  for (auto* actor : {&client_, &transport_.router})
    if (*actor) {
      (void)runtime::stop_and_wait(*system_, *actor, 10s);
      *actor = nullptr;
    }
  transport_ = {};
  for (std::size_t i = 0; i < size(); ++i)
    kill(i);
  std::error_code failure;
  std::filesystem::remove_all(directory_, failure);
}

std::filesystem::path store_processes::config_of(std::size_t node) const {
  return directory_ / ("cluster-" + name(node) + ".yaml");
}

/// A cluster file wants an edge and a MANO too; nobody starts them. With relays, where another node is depends on who
/// asks.
void store_processes::write_config(std::size_t reader, const std::vector<std::uint16_t>& ports) {
  std::ofstream file{config_of(reader)};
  file << "cluster: " << cluster_name << "\nmanagement: 127.0.0.0/8\nunderlay: {routers: [r]}\n"
       << "store: {slots: " << options_.slots << ", register: ";
  if (options_.etcd.empty())
    file << "embedded";
  for (std::size_t i = 0; i < options_.etcd.size(); ++i)
    file << (i == 0 ? "{etcd: [" : ", ") << '"' << options_.etcd[i] << '"';
  file << (options_.etcd.empty() ? "" : "]}") << "}\nnodes:\n";
  for (std::size_t i = 0; i < size(); ++i) {
    file << "  - {name: " << name(i) << ", roles: [store], control: \"";
    if (relays_ && i != reader)
      file << address(i) << ':' << relays_->add({reader, i}, address(i), ports[i]);
    else
      file << address(i) << ':' << ports[i];
    file << "\"}\n";
  }
  file << "  - name: " << client_name << "\n    roles: [edge, mano]\n    control: \"" << address(size()) << ':'
       << ports[size()] << "\"\n    underlay: {router: r, rloc: 172.16.1.2/30, gateway: 172.16.1.1}\n"
       << "    attachments: [{name: h, gateway: 10.1.0.1/24, host: {name: a, addresses: [10.1.0.7/24]}}]\n";
  if (!file.flush())
    throw std::runtime_error{"the cluster file can't be written"};
}

void store_processes::start_client(const std::vector<std::uint16_t>& ports) {
  std::vector<store::ring_node> nodes;
  for (std::size_t i = 0; i < size(); ++i)
    nodes.push_back({name(i)});
  ring_ = std::make_shared<const store::hash_ring>(
      *store::hash_ring::make(std::move(nodes), static_cast<store::slot_id>(options_.slots)));
  system_options_ = std::make_unique<runtime::system_config>(runtime::system_options{.node = client_name});
  system_ = std::make_unique<caf::actor_system>(*system_options_);
  runtime::tcp_transport_options tcp;
  tcp.self = {client_name, cluster_name, 1};
  tcp.listen_host = address(size());
  tcp.listen_port = ports[size()];
  for (std::size_t i = 0; i < size(); ++i)
    tcp.peers.push_back({name(i), address(i), ports[i]});
  tcp.directory = std::make_shared<runtime::directory>();
  auto listening = runtime::spawn_tcp_transport(*system_, tcp);
  if (!listening)
    throw std::runtime_error{listening.error()};
  transport_ = listening->transport;
  actors::store_client_settings settings;
  settings.ring = ring_;
  client_ = system_->spawn<actors::store_client>(settings, transport_);
  tcp.directory->add(std::string{actors::store_client_name}, client_);
}

void store_processes::start(std::size_t node) {
  processes_.at(node) = std::make_unique<child_process>(
      "/bin/sh", std::vector<std::string>{"-c", "log=$0; exec \"$@\" 2>>\"$log\"", log_of(node), options_.program,
                                          "--config", config_of(node), "--node", name(node), "--run-dir", directory_});
}

void store_processes::kill(std::size_t node) {
  if (processes_.at(node))
    processes_[node]->kill();
  processes_[node].reset();
}

void store_processes::wipe(std::size_t node) const {
  for (const auto& entry : std::filesystem::directory_iterator{directory_})
    if (entry.path().filename().string().starts_with(name(node) + "."))
      std::filesystem::remove_all(entry.path());
}

void store_processes::isolate(std::size_t node) {
  for (std::size_t other = 0; other < size(); ++other)
    if (other != node)
      relays_->cut(node, other);
}

std::filesystem::path store_processes::log_of(std::size_t node) const {
  return directory_ / ("log-" + name(node));
}

std::size_t store_processes::number(std::size_t node, const std::string& key, const std::string& kind) const {
  if (!processes_.at(node))
    return 0;
  const auto answer = node::ask_node(directory_ / (name(node) + ".sock"), "/api/v1/actors", 2s);
  if (!answer)
    return 0;
  const auto parsed = json::parse(*answer, nullptr, false);
  if (!parsed.is_object())
    return 0;
  for (const auto& actor : parsed.value("actors", json::array()))
    if (actor.value("kind", "") == kind)
      if (const auto state = actor.value("state", json::object()); state.contains(key))
        return std::stoul(state[key].get<std::string>());
  return 0;
}

std::size_t store_processes::primaries(std::size_t node) const {
  return number(node, "slots");
}

std::size_t store_processes::to_move(std::size_t node) const {
  return number(node, "to_move", "store placement");
}

int store_processes::post(std::size_t node, const std::string& what, const std::string& body) const {
  const auto answer = node::call_node(directory_ / (name(node) + ".sock"), "/api/v1/store/" + what, body, 10s);
  return answer ? answer->status : 0;
}

/// Other processes say nothing by themselves: they are asked until it holds.
void store_processes::await(std::chrono::seconds patience, const std::function<std::string()>& missing) const {
  constexpr auto between_questions = 50ms;
  const auto until = std::chrono::steady_clock::now() + patience;
  for (auto why = missing(); !why.empty(); why = missing()) {
    if (std::chrono::steady_clock::now() > until)
      throw std::runtime_error{why + " after " + std::to_string(patience.count()) + " s" + last_words()};
    std::this_thread::sleep_for(between_questions);
  }
}

void store_processes::await_share(std::size_t node, std::size_t slots, std::chrono::seconds patience) const {
  await(patience, [&]() -> std::string {
    if (const auto leads = primaries(node); leads != slots)
      return name(node) + " is primary of " + std::to_string(leads) + " slots, not of " + std::to_string(slots);
    std::size_t left = 0;
    for (std::size_t i = 0; i < size(); ++i)
      left += to_move(i);
    return left == 0 ? "" : std::to_string(left) + " slots still have to move";
  });
}

std::string store_processes::last_words() const {
  std::string out;
  for (std::size_t i = 0; i < size(); ++i) {
    std::ifstream log{log_of(i)};
    std::string line, last;
    while (std::getline(log, line))
      last = line;
    out += "\n  " + name(i) + " said last: " + last;
  }
  return out;
}

void store_processes::await_whole(std::chrono::seconds patience) const {
  await(patience, [&]() -> std::string {
    std::size_t whole = 0;
    for (std::size_t i = 0; i < size(); ++i)
      whole += number(i, "whole");
    return whole == options_.slots
               ? ""
               : std::to_string(whole) + " of " + std::to_string(options_.slots) + " slots have all their copies";
  });
}

} // namespace glocal::test
