// doctor: tries what `up` will do, in a sandbox of its own that it removes again, instead of guessing from versions.

#include "dataplane/classify/huge_memory.hpp"
#include "node/credentials.hpp"
#include "node/launcher/local_etcd.hpp"
#include "node/launcher/sandbox.hpp"
#include "node/offloads.hpp"
#include "tools/glocal_clusters.hpp"
#include "tools/glocal_table.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <functional>
#include <iostream>
#include <optional>
#include <thread>

#include <arpa/inet.h>
#include <glob.h>
#include <net/ethernet.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

namespace glocal::cli {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

constexpr std::uint64_t mebibyte = 1u << 20;
/// An edge takes about 200 MiB with DPDK's memory; seven nodes of the demo fit.
constexpr std::uint64_t least_memory = 2048 * mebibyte, least_space = 256 * mebibyte;

struct finding {
  std::string probe;
  bool ok = false;
  /// Clusters run without it.
  bool optional = false;
  std::string detail;
};

/// In a child, as it leaves this process's namespaces. The error number of the first call that failed.
int try_in_child(const std::function<bool()>& attempt) {
  const auto child = ::fork();
  if (child < 0)
    return errno;
  if (child == 0)
    ::_exit(attempt() ? 0 : errno == 0 ? EIO : errno & 0xff);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : EIO;
}

finding from_errno(std::string probe, int code, std::string detail) {
  return {std::move(probe), code == 0, false, code == 0 ? std::move(detail) : std::strerror(code)};
}

class examination {
public:
  std::vector<finding> run() {
    machine();
    tools();
    kernel();
    libraries();
    return std::move(found_);
  }

private:
  void machine() {
    utsname system{};
    ::uname(&system);
    found_.push_back({"kernel", true, true, std::string{system.sysname} + " " + system.release + " " + system.machine});
    const auto cores = std::thread::hardware_concurrency();
    found_.push_back(
        {"processors", cores >= 2, true, std::to_string(cores) + (cores >= 2 ? "" : "; two or more are better")});
    const auto memory = meminfo("MemAvailable:") * 1024;
    found_.push_back({"memory", memory >= least_memory, false,
                      std::to_string(memory / mebibyte) + " MiB available, " + std::to_string(least_memory / mebibyte) +
                          " needed by the demo"});
    const auto pages = dataplane::expected_page_kind();
    found_.push_back(
        {"huge pages", pages != dataplane::page_kind::small, true,
         std::string{to_string(pages)} +
             (pages != dataplane::page_kind::small
                  ? " for the classifier's rules"
                  : "; lists of 100,000 rules and more are looked up up to 4 times slower; mend it by: sysctl "
                    "vm.nr_hugepages=512, or: echo madvise > /sys/kernel/mm/transparent_hugepage/enabled")});
    struct statvfs space {};
    const bool known = ::statvfs("/tmp", &space) == 0;
    const auto free = known ? std::uint64_t{space.f_bavail} * space.f_frsize : 0;
    found_.push_back(
        {"space in /tmp", free >= least_space, false,
         std::to_string(free / mebibyte) + " MiB free, " + std::to_string(least_space / mebibyte) + " needed"});
  }

  static std::uint64_t meminfo(const std::string& key) {
    std::ifstream stream{"/proc/meminfo"};
    std::string word;
    std::uint64_t value = 0;
    while (stream >> word)
      if (word == key && stream >> value)
        return value;
    return 0;
  }

  void tools() {
    std::string missing;
    for (const auto* tool : {"ip", "nsenter", "setsid", "ethtool", "nft", "sysctl"})
      if (!node::in_path(tool))
        missing += (missing.empty() ? "" : ", ") + std::string{tool};
    found_.push_back({"tools", missing.empty(), false,
                      missing.empty() ? "ip nsenter setsid ethtool nft sysctl"
                                      : "missing: " + missing + "; scripts/setup installs them"});
    std::string absent;
    for (const auto program : {node::etcd_program, node::health_program})
      if (!node::in_path(std::string{program}))
        absent += (absent.empty() ? "" : ", ") + std::string{program};
    found_.push_back({"etcd", absent.empty(), true,
                      absent.empty() ? "for a register or a store on 'etcd: local'"
                                     : "missing: " + absent + "; only clusters with 'etcd: local' need it; package " +
                                           std::string{node::etcd_package}});
  }

  void kernel() {
    auto user =
        from_errno("user namespaces", try_in_child([] { return ::unshare(CLONE_NEWUSER) == 0; }), "can be made");
    user.optional = ::geteuid() == 0;
    if (!user.ok)
      user.detail +=
          user.optional ? "; root needs none"
                        : "; run as root, or: sysctl kernel.unprivileged_userns_clone=1 user.max_user_namespaces=10000";
    found_.push_back(std::move(user));
    found_.push_back(from_errno("packet sockets", try_in_child([] {
                                  if (::unshare(CLONE_NEWNET) != 0 && ::unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0)
                                    return false;
                                  return ::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL)) >= 0;
                                }),
                                "net_af_packet's kind can be opened"));
    std::string name = "/tmp/glocal-doctor.XXXXXX";
    const auto* directory = ::mkdtemp(name.data());
    if (directory == nullptr) {
      found_.push_back(from_errno("sandbox", errno, ""));
      return;
    }
    const auto place = node::sandbox::create(directory, [](const auto&) { return true; });
    found_.push_back({"sandbox", place.has_value(), false,
                      !place                        ? place.error()
                      : place->has_user_namespace() ? "mount, network and PID namespaces in a user namespace"
                                                    : "mount, network and PID namespaces"});
    if (place) {
      inside_ = &*place;
      try_inside("named namespaces", {"ip", "netns", "add", "one"}, "", "ip netns works");
      try_inside("veth pairs",
                 {"ip", "link", "add", "name", "left", "type", "veth", "peer", "name", "right", "netns", "one"}, "",
                 "can be made");
      try_inside("offloads", node::offloads_off("left"), "", "can be turned off");
      try_inside("bridges", {"ip", "link", "add", "name", "bridge", "type", "bridge"}, "", "can be made");
      try_inside("policy routing", {"ip", "rule", "add", "iif", "left", "table", "101"}, "", "ip rule works");
      try_inside("network settings", {"sysctl", "-q", "-w", "net.ipv4.ip_forward=1", "net.ipv4.conf.left.rp_filter=0"},
                 "", "can be changed");
      try_inside("nftables", {"nft", "-f", "-"},
                 "table inet t {\n set s { type ipv4_addr; }\n chain f { type filter hook forward priority 0; "
                 "ct state established accept; ip daddr @s counter drop; tcp flags syn tcp option maxseg size set "
                 "1360; }\n}\n",
                 "connection tracking, sets, counters and MSS clamping work");
      (void)place->destroy(0ms);
    }
    std::error_code failure;
    fs::remove(directory, failure);
  }

  void try_inside(const std::string& probe, const std::vector<std::string>& argv, const std::string& input,
                  const std::string& detail) {
    const auto tried = node::run({.argv = inside_->enter(argv), .input = input});
    const bool ok = tried && tried->ok();
    const auto said = tried ? tried->errors.substr(0, tried->errors.find('\n')) : tried.error().message;
    found_.push_back({probe, ok, false, ok ? detail : said});
  }

  void libraries() {
    bool all = true;
    std::string missing;
    for (const std::string driver : {"net_af_packet", "net_tap"}) {
      glob_t match{};
      const auto pattern = "/usr/lib/*/librte_" + driver + ".so*";
      const bool there = ::glob(pattern.c_str(), 0, nullptr, &match) == 0;
      ::globfree(&match);
      if (!there)
        missing += (missing.empty() ? "" : ", ") + driver;
      all = all && there;
    }
    found_.push_back({"DPDK drivers", all, false,
                      all ? "net_af_packet net_tap" : "missing: " + missing + "; scripts/setup installs DPDK"});
    std::error_code failure;
    const auto daemon = fs::read_symlink("/proc/self/exe", failure).parent_path() / "glocald";
    const bool there = ::access(daemon.c_str(), X_OK) == 0;
    found_.push_back(
        {"glocald", there, false,
         daemon.string() + (there ? "" : ": " + std::string{std::strerror(errno)} + "; scripts/build makes it")});
  }

  std::vector<finding> found_;
  const node::sandbox* inside_ = nullptr;
};

/// What one node needs of this machine besides.
void examine_node(const node::cluster_config& config, const std::string& name, std::vector<finding>& found) {
  const auto problems = node::problems_of_files(config, name);
  for (const auto& problem : problems)
    found.push_back({"files of " + name, false, false, to_string(problem)});
  if (!problems.empty())
    return;
  std::string detail = config.find_node(name)->api && !config.find_node(name)->api->token_file.empty()
                           ? "the API's token can be read"
                           : "no token is needed";
  if (config.uses_tls())
    detail += "; certificate valid until " + node::certificate_expiry(config, name);
  else
    detail += "; no certificate is needed: nodes speak without TLS";
  found.push_back({"files of " + name, true, false, detail});
}

} // namespace

int doctor(const std::string& file, const std::string& node, output format) {
  std::optional<node::cluster_config> config;
  if (!file.empty()) {
    auto loaded = node::load_cluster_file(file);
    if (!loaded) {
      for (const auto& what : loaded.error())
        std::cerr << to_string(what) << '\n';
      return invalid_config;
    }
    if (loaded->find_node(node) == nullptr) {
      complain(file + " has no node '" + node + "'");
      return usage;
    }
    config = std::move(*loaded);
  }
  auto found = examination{}.run();
  if (config)
    examine_node(*config, node, found);
  const bool fit = std::all_of(found.begin(), found.end(), [](const auto& one) { return one.ok || one.optional; });
  if (format == output::json) {
    auto probes = nlohmann::json::array();
    for (const auto& one : found)
      probes.push_back({{"probe", one.probe}, {"ok", one.ok}, {"optional", one.optional}, {"detail", one.detail}});
    std::cout << nlohmann::json{{"fit", fit}, {"probes", probes}}.dump(2) << '\n';
  } else {
    table out{{"PROBE", "RESULT", "DETAIL"}};
    for (const auto& one : found)
      out.add({one.probe, one.ok ? "ok" : one.optional ? "absent" : "MISSING", one.detail});
    std::cout << out.text()
              << (fit ? "\nThis machine can run clusters.\n"
                      : "\nThis machine cannot run clusters: see MISSING above.\n");
  }
  return fit ? done : host_unfit;
}

} // namespace glocal::cli
