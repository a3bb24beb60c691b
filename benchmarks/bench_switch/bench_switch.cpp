// The whole switch on one core: packets from memory (net_pcap with infinite_rx) through the pipeline of an edge to a
// port that takes everything (net_null), beside DPDK's testpmd io forwarding on the same ports and packets in the same
// run.
//
//   bench_switch --rules 1000 --flows 200000            one case
//   bench_switch --json                                 the table of cases, as JSON
//
// What is compared are ratios of one run. Huge pages (sysctl vm.nr_hugepages=2048) are used where there are any.

#include "benchmarks/bench_switch/match_rows.hpp"
#include "benchmarks/bench_switch/workload.hpp"
#include "dataplane/classify/forest_classifier.hpp"
#include "dataplane/dpdk/mbuf_sink.hpp"
#include "dataplane/switch/edge_switch.hpp"
#include "dataplane/wire/testing/packet_builder.hpp"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <rte_dev.h>
#include <rte_eal.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <regex>

#include <unistd.h>

using namespace glocal;
using namespace glocal::dataplane;

namespace {

using clock_type = std::chrono::steady_clock;

constexpr port_id in_port = 0, out_port = 1;
constexpr std::uint16_t burst = 32;
/// More than any pcap of a case holds, as net_pcap keeps a buffer for each packet.
constexpr std::size_t spare_buffers = 16'384;

struct options {
  std::size_t rules = 0, flows = 0, frame_bytes = 64;
  double seconds = 2;
  bool as_json = false, with_testpmd = true;
  std::size_t entries = 16'777'216;
  std::string exact = "both", overlay = "both";
};

struct case_of {
  std::size_t rules = 0, flows = 0;
  bool mixed = true;
};

struct row {
  case_of what;
  bool exact_match = true, encapsulates = false;
  double mpps = 0, testpmd_mpps = 0, cycles = 0;
  double hits = 0, drops = 0;
};

std::uint64_t now_ns() {
  return static_cast<std::uint64_t>(clock_type::now().time_since_epoch().count());
}

bool has_huge_pages() {
  return expected_page_kind() == page_kind::huge_tlb;
}

/// Both devices of the rig, for as long as it lives.
class rig {
public:
  rig(const std::string& pcap, rte_mempool& buffers) {
    const auto arguments = "rx_pcap=" + pcap + ",infinite_rx=1";
    usable_ = rte_eal_hotplug_add("vdev", "net_pcap0", arguments.c_str()) == 0 &&
              rte_eal_hotplug_add("vdev", "net_null0", "no-rx=1") == 0 &&
              rte_eth_dev_get_port_by_name("net_pcap0", &in) == 0 &&
              rte_eth_dev_get_port_by_name("net_null0", &out) == 0 && start(in, buffers, 0) && start(out, buffers, 1);
  }
  rig(const rig&) = delete;
  rig& operator=(const rig&) = delete;
  ~rig() {
    for (const auto port : {in, out})
      if (port != no_ethdev) {
        rte_eth_dev_stop(port);
        rte_eth_dev_close(port);
      }
    (void)rte_eal_hotplug_remove("vdev", "net_pcap0");
    (void)rte_eal_hotplug_remove("vdev", "net_null0");
  }
  [[nodiscard]] bool is_usable() const { return usable_; }

  std::uint16_t in = no_ethdev, out = no_ethdev;

private:
  static bool start(std::uint16_t port, rte_mempool& buffers, std::uint16_t tx_queues) {
    const rte_eth_conf none{};
    if (rte_eth_dev_configure(port, 1, tx_queues, &none) != 0 ||
        rte_eth_rx_queue_setup(port, 0, 512, SOCKET_ID_ANY, nullptr, &buffers) != 0)
      return false;
    return (tx_queues == 0 || rte_eth_tx_queue_setup(port, 0, 512, SOCKET_ID_ANY, nullptr) == 0) &&
           rte_eth_dev_start(port) == 0;
  }

  bool usable_ = false;
};

class subject {
public:
  subject(const case_of& what, const classifier_ptr& rules, bool exact_match, bool encapsulates, mbuf_sink& sink)
      : sink_{sink}, channel_{{}, [] {}, [] {}}, edge_{config_of(what, exact_match), channel_, now_ns()} {
    port_config host;
    host.id = in_port;
    host.mac = testing::edge_mac;
    host.addresses = {parse_interface_address("10.0.0.1/9").value()};
    order(add_port{host});
    port_config way_out = host;
    way_out.id = out_port;
    way_out.kind = encapsulates ? port_kind::underlay : port_kind::attachment;
    way_out.addresses = {parse_interface_address("192.0.2.1/24").value()};
    way_out.via_v4 = parse_ip("192.0.2.254").value();
    order(add_port{way_out});
    order(set_classifier{rules});
    eid_route to{0, parse_prefix("10.128.0.0/9").value(), out_port, {}};
    if (encapsulates)
      to = {0, to.prefix, no_port, parse_ip("198.51.100.1").value()};
    order(set_mappings{eid_table::make({{0, parse_prefix("10.0.0.0/9").value(), in_port, {}}, to}).value()});
    // The router behind the way out makes itself known.
    receive_bytes(out_port, testing::arp_request(testing::host_mac, "192.0.2.254", "192.0.2.1"));
  }
  ~subject() { edge_.shut_down(sink_); }

  /// One burst from `from`. @return its packets.
  std::size_t round(std::uint16_t from) {
    std::array<rte_mbuf*, burst> buffers;
    std::array<packet, burst> packets;
    const auto count = rte_eth_rx_burst(from, 0, buffers.data(), burst);
    for (std::uint16_t i = 0; i < count; ++i)
      packets[i] = to_packet(buffers[i], in_port);
    const auto now = now_ns();
    edge_.process_burst({packets.data(), count}, now, sink_);
    if (now >= edge_.deadline())
      edge_.expire(now, sink_);
    return count;
  }
  [[nodiscard]] const counters& counted() const { return channel_.statistics(); }

private:
  static switch_config config_of(const case_of& what, bool exact_match) {
    switch_config out;
    out.flows = std::max<std::size_t>(65'536, what.flows * 5 / 4);
    out.entries_per_flow = 2;
    out.entries_by_eid = exact_match;
    return out;
  }
  void order(command what) {
    if (!channel_.submit(std::move(what)))
      std::abort();
    (void)edge_.execute_commands(now_ns(), sink_);
  }
  void receive_bytes(port_id port, const bytes& frame) {
    packet made;
    if (!sink_.allocate(made) || !made.set_length(frame.size()))
      std::abort();
    std::memcpy(made.data, frame.data(), frame.size());
    made.in_port = port;
    edge_.process_burst({&made, 1}, now_ns(), sink_);
  }

  mbuf_sink& sink_;
  lcore_channel channel_;
  edge_switch edge_;
};

std::uint64_t sum_of_drops(const counters& of) {
  std::uint64_t out = 0;
  for (const auto& each : of.drops)
    out += each.value();
  return out;
}

row measure(const options& wanted, const case_of& what, const classifier_ptr& rules, const rig& ports,
            rte_mempool& buffers, bool exact_match, bool encapsulates) {
  mbuf_sink sink{buffers};
  sink.attach(out_port, ports.out);
  auto tested = std::make_unique<subject>(what, rules, exact_match, encapsulates, sink);
  for (std::size_t i = 0; i < 3 * what.flows / burst + 10'000; ++i) // all flows are known, and all pages touched
    (void)tested->round(ports.in);
  const auto& counted = tested->counted();
  const auto sent = counted.ports[out_port].tx_packets.value(), hits = counted.exact_hits.value(),
             drops = sum_of_drops(counted);
  const auto begin = clock_type::now();
  const auto cycles = __builtin_ia32_rdtsc();
  std::uint64_t packets = 0;
  std::chrono::duration<double> spent{};
  while (spent.count() < wanted.seconds) {
    for (int i = 0; i < 1000; ++i)
      packets += tested->round(ports.in);
    spent = clock_type::now() - begin;
  }
  row out{what, exact_match, encapsulates, 0, 0, 0, 0, 0};
  out.cycles = static_cast<double>(__builtin_ia32_rdtsc() - cycles) / static_cast<double>(packets);
  out.mpps = static_cast<double>(counted.ports[out_port].tx_packets.value() - sent) / spent.count() / 1e6;
  out.hits = static_cast<double>(counted.exact_hits.value() - hits) / static_cast<double>(packets);
  out.drops = static_cast<double>(sum_of_drops(counted) - drops) / static_cast<double>(packets);
  return out;
}

/// testpmd's forwarding rate on the same devices, 0 when it can't be run.
double run_testpmd(const options& wanted, const std::string& pcap, std::size_t flows) {
  const auto memory = (flows + spare_buffers) * 2'560 / (1 << 20) + 128;
  const auto command = "timeout " +
                       std::to_string(static_cast<int>(wanted.seconds) + 4 + static_cast<int>(flows / 400'000)) +
                       " dpdk-testpmd -l 0,1 --no-pci --no-telemetry --log-level=1 " +
                       (has_huge_pages() ? std::string{"--in-memory --single-file-segments"}
                                         : "--no-huge --no-shconf --file-prefix=peer") +
                       " -m " + std::to_string(memory) + " --vdev net_pcap0,rx_pcap=" + pcap +
                       ",infinite_rx=1 --vdev net_null0,no-rx=1 -- --forward-mode=io --nb-cores=1 --total-num-mbufs=" +
                       std::to_string(flows + spare_buffers) + " --stats-period=1 --no-mlockall 2>&1";
  auto* pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr)
    return 0;
  std::string text;
  std::array<char, 4096> piece;
  for (std::size_t got = 0; (got = std::fread(piece.data(), 1, piece.size(), pipe)) > 0;)
    text.append(piece.data(), got);
  ::pclose(pipe);
  // "Tx-pps:  12345": of port 1 the highest of all seconds, as the first ones are the start.
  static const std::regex rate{R"(Tx-pps:\s+(\d+))"};
  double best = 0;
  for (std::sregex_iterator it{text.begin(), text.end(), rate}, end; it != end; ++it)
    best = std::max(best, std::stod((*it)[1]) / 1e6);
  if (best == 0 && std::getenv("BENCH_SWITCH_VERBOSE") != nullptr)
    std::fputs(text.c_str(), stderr);
  return best;
}

nlohmann::json to_json(const bench::match_row& of) {
  return {{"entries", of.entries},     {"inserts_m_s", of.inserted}, {"hits_m_s", of.found},
          {"misses_m_s", of.missed},   {"erases_m_s", of.erased},    {"bytes_per_entry", of.bytes_per_entry},
          {"displaced", of.displaced}, {"refused", of.refused},      {"wrong", of.wrong}};
}

nlohmann::json to_json(const row& of) {
  return {{"rules", of.what.rules},
          {"flows", of.what.flows},
          {"mixed_masks", of.what.mixed},
          {"exact_match", of.exact_match},
          {"encapsulates", of.encapsulates},
          {"mpps", of.mpps},
          {"cycles_per_packet", of.cycles},
          {"testpmd_mpps", of.testpmd_mpps},
          {"of_testpmd", of.testpmd_mpps > 0 ? of.mpps / of.testpmd_mpps : 0},
          {"hit_share", of.hits},
          {"drop_share", of.drops}};
}

void print(const bench::match_row& of) {
  std::printf("\nexact-match table alone, %zu keys of IPv4, M/s: %.1f inserted, %.1f found, %.1f missed, %.1f erased; "
              "%.0f bytes a key, %.2f moved an insert, %lu refused, %lu wrong\n",
              of.entries, of.inserted, of.found, of.missed, of.erased, of.bytes_per_entry, of.displaced,
              static_cast<unsigned long>(of.refused), static_cast<unsigned long>(of.wrong));
}

void print(const row& of) {
  std::printf("%9zu %9zu  %-5s %-5s %8.2f %8.2f %6.0f%% %8.0f %6.1f%% %6.1f%%\n", of.what.rules, of.what.flows,
              of.exact_match ? "on" : "off", of.encapsulates ? "lisp" : "-", of.mpps, of.testpmd_mpps,
              of.testpmd_mpps > 0 ? of.mpps / of.testpmd_mpps * 100 : 0, of.cycles, of.hits * 100, of.drops * 100);
  std::fflush(stdout);
}

} // namespace

int main(int argc, char** argv) {
  options wanted;
  CLI::App app{
      "The whole switch on one core, beside testpmd.\n\nExamples:\n  bench_switch --rules 1000 --flows 200000\n"
      "  bench_switch --json > switch.json"};
  app.add_option("--rules", wanted.rules, "one case: so many rules (100: /24s; others: mixed masks)");
  app.add_option("--flows", wanted.flows, "one case: so many flows, visited in random order");
  app.add_option("--frame", wanted.frame_bytes, "bytes of a frame, checksum included")
      ->capture_default_str()
      ->check(CLI::Range(64, 1500));
  app.add_option("--seconds", wanted.seconds, "time of one measurement")->capture_default_str();
  app.add_option("--exact-match", wanted.exact, "on, off or both")
      ->capture_default_str()
      ->check(CLI::IsMember({"on", "off", "both"}));
  app.add_option("--lisp", wanted.overlay, "on, off or both: encapsulation on the way out")
      ->capture_default_str()
      ->check(CLI::IsMember({"on", "off", "both"}));
  app.add_option("--entries", wanted.entries, "keys of the exact-match table measured alone; 0: leave it out")
      ->capture_default_str();
  app.add_flag("!--no-testpmd", wanted.with_testpmd, "leave the ceiling out");
  app.add_flag("--json", wanted.as_json, "print JSON");
  CLI11_PARSE(app, argc, argv);

  std::vector<case_of> cases{{100, 64, false},  {100, 200'000, false}, {1'000, 200'000},
                             {10'000, 200'000}, {100'000, 200'000},    {1'000'000, 1'000'000}};
  if (wanted.rules != 0 || wanted.flows != 0)
    cases = {{wanted.rules == 0 ? 100 : wanted.rules, wanted.flows == 0 ? 64 : wanted.flows, wanted.rules > 100}};

  std::size_t most = 0;
  for (const auto& each : cases)
    most = std::max(most, each.flows);
  const auto memory = std::to_string((most + spare_buffers) * 2'560 / (1 << 20) + 128);
  std::vector<std::string> words{"bench_switch",  "-l", "1",   "--no-pci", "--no-telemetry",
                                 "--log-level=1", "-m", memory};
  for (const auto* word : has_huge_pages()
                              ? std::vector<const char*>{"--in-memory", "--single-file-segments"}
                              : std::vector<const char*>{"--no-huge", "--no-shconf", "--file-prefix=bench_switch"})
    words.emplace_back(word);
  std::vector<char*> arguments;
  for (auto& word : words)
    arguments.push_back(word.data());
  if (rte_eal_init(static_cast<int>(arguments.size()), arguments.data()) < 0) {
    std::fprintf(stderr, "bench_switch: DPDK can't start: %s MB of memory and core 1 are needed\n", memory.c_str());
    return 4;
  }
  auto* buffers = rte_pktmbuf_pool_create("packets", static_cast<unsigned>(most + spare_buffers), 256, 0,
                                          RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
  if (buffers == nullptr) {
    std::fprintf(stderr, "bench_switch: no memory for %zu packet buffers\n", most + spare_buffers);
    return 4;
  }
  const auto pcap =
      (std::filesystem::temp_directory_path() / ("bench_switch-" + std::to_string(::getpid()) + ".pcap")).string();
  if (!wanted.as_json)
    std::printf("packets of %zu bytes; %s\n\n%9s %9s  %-5s %-5s %8s %8s %7s %8s %7s %7s\n", wanted.frame_bytes,
                std::string{to_string(expected_page_kind())}.c_str(), "rules", "flows", "exact", "encap", "Mpps",
                "testpmd", "ratio", "cycles", "hits", "drops");
  auto all = nlohmann::json::array();
  for (const auto& each : cases) {
    const auto load = bench::make_workload(each.rules, each.flows, each.mixed, 1);
    auto built = forest_classifier::build(load.rules);
    if (!built || !bench::write_pcap(pcap, load.flows, wanted.frame_bytes)) {
      std::fprintf(stderr, "bench_switch: rules can't be built or %s can't be written\n", pcap.c_str());
      return 1;
    }
    const classifier_ptr rules = std::move(*built);
    const auto ceiling = wanted.with_testpmd ? run_testpmd(wanted, pcap, each.flows) : 0.0;
    const rig ports{pcap, *buffers};
    if (!ports.is_usable()) {
      std::fprintf(stderr, "bench_switch: net_pcap or net_null can't be opened\n");
      return 4;
    }
    for (const bool encapsulates : {false, true})
      for (const bool exact_match : {true, false}) {
        if ((wanted.exact == (exact_match ? "off" : "on")) || (wanted.overlay == (encapsulates ? "off" : "on")))
          continue;
        auto result = measure(wanted, each, rules, ports, *buffers, exact_match, encapsulates);
        result.testpmd_mpps = ceiling;
        if (wanted.as_json)
          all.push_back(to_json(result));
        else
          print(result);
      }
  }
  std::filesystem::remove(pcap);
  nlohmann::json result{{"cases", all}};
  if (wanted.entries > 0) {
    const auto alone = bench::measure_match_table(wanted.entries, 1);
    result["exact_match_table"] = to_json(alone);
    if (!wanted.as_json)
      print(alone);
  }
  if (wanted.as_json)
    std::puts(result.dump(2).c_str());
  rte_eal_cleanup();
  return 0;
}
