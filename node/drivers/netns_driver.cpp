#include "node/drivers/netns_driver.hpp"

#include "node/offloads.hpp"
#include "node/process.hpp"

#include <nlohmann/json.hpp>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <optional>
#include <system_error>

#include <csignal>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

namespace glocal::node {
namespace {

using nlohmann::json;

constexpr std::string_view namespaces = "/run/netns/";
constexpr std::uint32_t arm_range = 0x64400000; // 100.64.0.0/10
/// Locally administered (second bit of the first octet), "gl".
constexpr std::uint8_t mac_prefix[] = {0x02, 0x67, 0x6c};
/// Tables of the VNF's own namespace.
constexpr const char *table_from_in = "101", *table_from_out = "102";

std::string namespace_path(const std::string& name) {
  return std::string{namespaces} + name;
}

/// A namespace as the kernel knows it: a file of the same name may be another one's.
struct namespace_identity {
  std::uint64_t device = 0, inode = 0;
  bool operator==(const namespace_identity&) const = default;
};

std::optional<namespace_identity> identify_namespace(const std::string& name) {
  struct stat what {};
  if (::stat(namespace_path(name).c_str(), &what) != 0)
    return std::nullopt;
  return namespace_identity{what.st_dev, what.st_ino};
}

struct record {
  std::string network_namespace, in_interface, out_interface;
  std::uint32_t index = 0;
  /// Absent while the namespace is being made.
  std::optional<namespace_identity> identity;
};

std::filesystem::path record_path(const std::filesystem::path& records, std::string_view name) {
  return records / (std::string{name} + ".json");
}

/// Atomic, so that a crash leaves the old record or the new one.
bool write_record(const std::filesystem::path& path, const record& what) {
  json out{{"namespace", what.network_namespace},
           {"in", what.in_interface},
           {"out", what.out_interface},
           {"index", what.index}};
  if (what.identity) {
    out["device"] = what.identity->device;
    out["inode"] = what.identity->inode;
  }
  const auto fresh = path.string() + ".new";
  {
    std::ofstream stream{fresh, std::ios::trunc};
    stream << out.dump() << '\n';
    if (!stream.flush())
      return false;
  }
  std::error_code failure;
  std::filesystem::rename(fresh, path, failure);
  return !failure;
}

std::optional<record> read_record(const std::filesystem::path& path) {
  std::ifstream stream{path};
  const auto in = json::parse(stream, nullptr, false);
  if (!in.is_object())
    return std::nullopt;
  const auto text = [&](const char* key) {
    const auto found = in.find(key);
    return found != in.end() && found->is_string() ? found->get<std::string>() : std::string{};
  };
  record out{text("namespace"), text("in"), text("out"), 0, std::nullopt};
  if (const auto found = in.find("index"); found != in.end() && found->is_number_unsigned())
    out.index = found->get<std::uint32_t>();
  if (in.contains("device") && in["device"].is_number_unsigned() && in.contains("inode") &&
      in["inode"].is_number_unsigned())
    out.identity = namespace_identity{in["device"], in["inode"]};
  return out;
}

/// Asks the kernel about a device of the calling thread's namespace; `about` carries the request's argument if any.
bool ask(const std::string& interface, unsigned long request, ifreq& about) {
  if (interface.empty() || interface.size() >= IFNAMSIZ)
    return false;
  const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0)
    return false;
  std::memcpy(about.ifr_name, interface.c_str(), interface.size() + 1);
  const bool ok = ::ioctl(fd, request, &about) == 0;
  ::close(fd);
  return ok;
}

std::optional<mac_address> mac_of(const std::string& interface) {
  ifreq answer{};
  if (!ask(interface, SIOCGIFHWADDR, answer))
    return std::nullopt;
  mac_address out;
  std::memcpy(out.octets.data(), answer.ifr_hwaddr.sa_data, out.octets.size());
  return out;
}

/// Not IFF_RUNNING: that follows the carrier up to a second late.
bool has_carrier(const std::string& interface) {
  ethtool_value link{ETHTOOL_GLINK, 0};
  ifreq question{};
  question.ifr_data = reinterpret_cast<char*>(&link);
  return ask(interface, SIOCETHTOOL, question) && link.data != 0;
}

std::vector<std::string> inside(const std::string& network_namespace, std::vector<std::string> argv) {
  std::vector<std::string> out{"nsenter", "--net=" + namespace_path(network_namespace), "--"};
  out.insert(out.end(), argv.begin(), argv.end());
  return out;
}

/// Every step must succeed; the first failure is kept.
class steps {
public:
  void run(const command& what) {
    if (failure_)
      return;
    if (const auto done = run_checked(what); !done)
      failure_ = done.error().message;
  }
  void ip(const std::string& batch, const std::string& network_namespace = {}) {
    command what;
    what.argv = {"ip", "-batch", "-"};
    if (!network_namespace.empty())
      what.argv = {"ip", "-netns", network_namespace, "-batch", "-"};
    what.input = batch;
    run(what);
  }
  [[nodiscard]] const std::optional<std::string>& failure() const { return failure_; }

private:
  std::optional<std::string> failure_;
};

/// What the edge opens: up, but without a kernel that answers on it. Strict reverse-path filtering makes the kernel
/// drop whatever it sees here, as no route leads back; or VNFs could speak to the node's control address.
void make_edge_end_blind(steps& to, const std::string& interface) {
  command quiet;
  quiet.argv = {"sysctl",
                "-q",
                "-e",
                "-w",
                "net.ipv6.conf." + interface + ".disable_ipv6=1",
                "net.ipv4.conf." + interface + ".rp_filter=1"};
  to.run(quiet);
}

void make_links(steps& to, const instance_spec& spec, const std::string& network_namespace, const vnf_arm& in,
                const vnf_arm& out) {
  const auto pair = [&](const std::string& edge, const char* vnf, const vnf_arm& arm) {
    return "link add name " + edge + " mtu " + std::to_string(spec.mtu) + " address " + to_string(arm.edge_mac) +
           " type veth peer name " + vnf + " mtu " + std::to_string(spec.mtu) + " address " + to_string(arm.vnf_mac) +
           " netns " + network_namespace + "\n";
  };
  to.ip(pair(spec.in_interface, "in", in) + pair(spec.out_interface, "out", out));
  for (const auto& interface : {spec.in_interface, spec.out_interface})
    make_edge_end_blind(to, interface);
  to.ip("link set " + spec.in_interface + " arp off up\nlink set " + spec.out_interface + " arp off up\n");
}

void make_forwarding(steps& to, const std::string& network_namespace, const vnf_arm& in, const vnf_arm& out) {
  command settings;
  // -e: a kernel without IPv6 has no such keys. `default` comes too late for in and out, so they are named.
  settings.argv =
      inside(network_namespace,
             {"sysctl", "-q", "-e", "-w", "net.ipv6.conf.all.disable_ipv6=1", "net.ipv4.ip_forward=1",
              "net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.in.rp_filter=0", "net.ipv4.conf.out.rp_filter=0",
              // A VNF is no router of its hosts' subnets: no redirects although both arms may serve one peer.
              "net.ipv4.conf.all.send_redirects=0", "net.ipv4.conf.in.send_redirects=0",
              "net.ipv4.conf.out.send_redirects=0"});
  to.run(settings);
  to.ip("link set lo up\n"
        "addr add " +
            to_string(in.vnf_address) + "/30 dev in\n" + "addr add " + to_string(out.vnf_address) + "/30 dev out\n" +
            "link set in up\nlink set out up\n" + "route add default via " + to_string(out.edge_address) +
            " dev out table " + table_from_in + "\n" + "route add default via " + to_string(in.edge_address) +
            " dev in table " + table_from_out + "\n" + "rule add iif in table " + table_from_in +
            "\nrule add iif out table " + table_from_out + "\n",
        network_namespace);
}

void switch_offloads_off(steps& to, const instance_spec& spec, const std::string& network_namespace) {
  for (const auto& interface : {spec.in_interface, spec.out_interface})
    to.run({.argv = offloads_off(interface)});
  for (const auto* interface : {"in", "out"})
    to.run({.argv = inside(network_namespace, offloads_off(interface))});
}

/// Removes what a record says, as far as it still is what the record says.
std::optional<std::string> remove(const record& what) {
  std::optional<std::string> first_failure;
  const auto attempt = [&](std::vector<std::string> argv) {
    if (const auto done = run_checked({.argv = std::move(argv)}); !done && !first_failure)
      first_failure = done.error().message;
  };
  const auto now = identify_namespace(what.network_namespace);
  const bool ours = now && (!what.identity || *what.identity == *now);
  if (ours) {
    // Processes a setup left behind would keep the namespace alive without its name.
    if (const auto pids = run({.argv = {"ip", "netns", "pids", what.network_namespace}}); pids && pids->ok())
      for (std::size_t at = 0; at < pids->output.size();) {
        const auto end = std::min(pids->output.find('\n', at), pids->output.size());
        if (const auto pid = std::atoi(pids->output.substr(at, end - at).c_str()); pid > 1)
          ::kill(pid, SIGKILL);
        at = end + 1;
      }
  }
  for (const bool out : {false, true}) {
    const auto& interface = out ? what.out_interface : what.in_interface;
    if (const auto mac = mac_of(interface); mac && *mac == arm_addresses(what.index, out).edge_mac)
      attempt({"ip", "link", "del", interface});
  }
  if (ours)
    attempt({"ip", "netns", "del", what.network_namespace});
  return first_failure;
}

} // namespace

std::string vnf_namespace(std::string_view instance) {
  return "vnf-" + std::string{instance};
}

vnf_arm arm_addresses(std::uint32_t index, bool out) {
  const auto arm = index * 2 + (out ? 1 : 0);
  const auto subnet = arm_range + arm * 4;
  const auto mac = [&](bool vnf) {
    const auto number = arm * 2 + (vnf ? 1 : 0);
    return mac_address{{mac_prefix[0], mac_prefix[1], mac_prefix[2], static_cast<std::uint8_t>(number >> 16),
                        static_cast<std::uint8_t>(number >> 8), static_cast<std::uint8_t>(number)}};
  };
  return {{}, ip_address::v4(subnet + 1), ip_address::v4(subnet + 2), mac(false), mac(true)};
}

netns_driver::netns_driver(std::filesystem::path records) : records_{std::move(records)} {}

expected<started_instance, driver_error> netns_driver::start(const instance_spec& spec) {
  const auto host_error = [](std::string message) {
    return unexpected{driver_error{driver_error::kind::host, std::move(message)}};
  };
  if (auto stopped = stop(spec.name); !stopped)
    return unexpected{stopped.error()};
  std::error_code failure;
  std::filesystem::create_directories(records_, failure);
  if (failure)
    return host_error(records_.string() + ": " + failure.message());
  const auto path = record_path(records_, spec.name);
  record mine{vnf_namespace(spec.name), spec.in_interface, spec.out_interface, spec.index, std::nullopt};
  if (identify_namespace(mine.network_namespace))
    return host_error("network namespace '" + mine.network_namespace +
                      "' is there already and is not ours; if nothing uses it: ip netns del " + mine.network_namespace);
  for (const auto& interface : {spec.in_interface, spec.out_interface})
    if (::if_nametoindex(interface.c_str()) != 0)
      return host_error("interface '" + interface + "' is there already and is not ours");
  if (!write_record(path, mine))
    return host_error(path.string() + ": cannot be written: " + std::strerror(errno));

  started_instance out{spec.name, mine.network_namespace, arm_addresses(spec.index, false),
                       arm_addresses(spec.index, true)};
  out.in.interface = spec.in_interface;
  out.out.interface = spec.out_interface;
  steps host;
  host.run({.argv = {"ip", "netns", "add", mine.network_namespace}});
  mine.identity = identify_namespace(mine.network_namespace);
  if (!host.failure() && !write_record(path, mine)) {
    (void)stop(spec.name);
    return host_error(path.string() + ": cannot be written");
  }
  make_links(host, spec, mine.network_namespace, out.in, out.out);
  make_forwarding(host, mine.network_namespace, out.in, out.out);
  switch_offloads_off(host, spec, mine.network_namespace);
  steps setup;
  if (!host.failure())
    for (const auto& line : spec.setup)
      setup.run({.argv = inside(mine.network_namespace, {"sh", "-c", line}), .timeout = spec.setup_timeout});
  if (const auto& why = host.failure() ? host.failure() : setup.failure()) {
    (void)stop(spec.name);
    return unexpected{driver_error{host.failure() ? driver_error::kind::host : driver_error::kind::setup, *why}};
  }
  return out;
}

expected<void, driver_error> netns_driver::stop(std::string_view name) {
  const auto path = record_path(records_, name);
  std::error_code failure;
  if (!std::filesystem::exists(path, failure))
    return {};
  if (const auto mine = read_record(path))
    if (auto why = remove(*mine))
      return unexpected{driver_error{driver_error::kind::host, std::move(*why)}};
  std::filesystem::remove(path, failure);
  std::filesystem::remove(path.string() + ".new", failure);
  return {};
}

expected<void, driver_error> netns_driver::stop_all() {
  std::error_code failure;
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator{records_, failure})
    if (entry.path().extension() == ".json")
      names.push_back(entry.path().stem().string());
  expected<void, driver_error> out;
  for (const auto& name : names)
    if (auto stopped = stop(name); !stopped && out)
      out = stopped;
  return out;
}

bool netns_driver::alive(std::string_view name) const {
  const auto mine = read_record(record_path(records_, name));
  return mine && mine->identity && identify_namespace(mine->network_namespace) == mine->identity &&
         has_carrier(mine->in_interface) && has_carrier(mine->out_interface);
}

} // namespace glocal::node
