// What tracing costs a switch: nanoseconds per packet of a known flow, from a host's port to the overlay, while nobody
// traces, while a trace runs that is about other packets, while one waits for drops, and while every packet is
// followed.
//
// All are measured in turn in one run, and compared as ratios to the first; the machine's own noise is what the
// repeated first says.

#include "dataplane/switch/testing/bench.hpp"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <limits>

using namespace glocal;
using namespace glocal::dataplane;
using namespace glocal::dataplane::testing;

namespace {

constexpr port_id host = 0, under = 1;
constexpr std::size_t burst_packets = 32, headroom = 128;

/// Takes everything; the buffers are ours.
class null_sink final : public tx_sink {
public:
  [[nodiscard]] std::size_t transmit(port_id, std::span<const packet> burst) noexcept override { return burst.size(); }
  void release(const packet&) noexcept override {}
  [[nodiscard]] bool allocate(packet&) noexcept override { return false; }
};

/// An edge with one flow on a path that leads elsewhere.
class subject {
public:
  subject() {
    it_.order(add_port{attachment(host, "10.1.0.1/16")});
    it_.order(add_port{underlay(under, "192.0.1.1/24", "192.0.1.254")});
    it_.order(set_classifier{http_service()});
    it_.order(set_mappings{
        eid_table::make({local_route("10.1.0.0/16", host), remote_route("0.0.0.0/0", "192.0.2.1")}).value()});
    introduce(it_, under, "192.0.1.254", "192.0.1.1");
    it_.order(set_path{{100, {remote_hop("192.0.2.1")}}});
    frame_ = packet_builder{}.ip("10.1.0.7", "203.0.113.9").tcp(51514, 80).build();
    it_.order(install_flow{.forward = parsed(frame_).tuple, .path = 100});
    buffers_.assign(burst_packets, bytes(2048));
  }

  void run(std::size_t bursts) {
    for (std::size_t i = 0; i < bursts; ++i) {
      for (std::size_t k = 0; k < burst_packets; ++k) {
        std::memcpy(buffers_[k].data() + headroom, frame_.data(), frame_.size());
        burst_[k] = {.data = buffers_[k].data() + headroom,
                     .handle = nullptr,
                     .length = static_cast<std::uint32_t>(frame_.size()),
                     .headroom = headroom,
                     .tailroom = 1024,
                     .in_port = host};
      }
      it_.edge.process_burst(burst_, it_.now_ns, sink_);
      if (is_followed_) {
        // The agent's part: a session is over after its packets, and the ring is emptied.
        (void)it_.channel.poll_traces(records_);
        if (++since_start_ * burst_packets >= trace_session::max_packets)
          follow_all();
      }
    }
  }

  void stop() {
    is_followed_ = false;
    it_.order(stop_trace{});
    (void)it_.channel.poll_traces(records_);
  }
  void follow_others(bool drops) {
    auto session = session_of();
    session.filter.match.source = parse_prefix("10.99.0.0/16").value();
    session.drops_only = drops;
    it_.order(start_trace{session});
  }
  void follow_all() {
    is_followed_ = true;
    since_start_ = 0;
    it_.order(start_trace{session_of()});
  }

private:
  static trace_session session_of() {
    trace_session session;
    session.packets = trace_session::max_packets;
    session.until_ns = std::numeric_limits<std::uint64_t>::max();
    return session;
  }

  bench it_{{.hash_key = 42}};
  null_sink sink_;
  bytes frame_;
  std::vector<bytes> buffers_;
  std::array<packet, burst_packets> burst_;
  std::vector<trace_record> records_ = std::vector<trace_record>(2048);
  bool is_followed_ = false;
  std::size_t since_start_ = 0;
};

} // namespace

int main(int argc, char** argv) {
  CLI::App app{"bench_trace: what tracing costs a switch, per packet"};
  bool as_json = false;
  std::size_t rounds = 41, bursts = 5000;
  app.add_flag("--json", as_json, "one JSON object");
  app.add_option("--rounds", rounds, "measurements of each")->check(CLI::Range(1, 10'000))->capture_default_str();
  app.add_option("--bursts", bursts, "of 32 packets, in one measurement")
      ->check(CLI::Range(1, 10'000'000))
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);

  struct row {
    const char* name;
    void (*prepare)(subject&);
    std::vector<double> ns = {};
  };
  std::vector<row> rows{{"nobody traces", [](subject&) {}},
                        {"nobody traces, again", [](subject&) {}},
                        {"a trace of other packets", [](subject& of) { of.follow_others(false); }},
                        {"a trace of other drops", [](subject& of) { of.follow_others(true); }},
                        {"every packet followed", [](subject& of) { of.follow_all(); }}};
  subject switched;
  switched.run(bursts); // warm
  for (std::size_t round = 0; round < rounds; ++round)
    for (auto& [name, prepare, ns] : rows) {
      prepare(switched);
      const auto begin = std::chrono::steady_clock::now();
      switched.run(bursts);
      const auto took = std::chrono::duration<double, std::nano>{std::chrono::steady_clock::now() - begin};
      ns.push_back(took.count() / static_cast<double>(bursts * burst_packets));
      switched.stop();
    }
  auto results = nlohmann::json::array();
  for (auto& [name, prepare, ns] : rows) {
    std::sort(ns.begin(), ns.end());
    std::sort(rows[0].ns.begin(), rows[0].ns.end());
    results.push_back({{"case", name},
                       {"ns_per_packet_min", ns.front()},
                       {"ns_per_packet_median", ns[ns.size() / 2]},
                       {"ratio_of_medians", ns[ns.size() / 2] / rows[0].ns[rows[0].ns.size() / 2]}});
  }
  if (as_json) {
    std::printf("%s\n", nlohmann::json{{"benchmark", "trace"}, {"results", results}}.dump(1).c_str());
    return 0;
  }
  std::printf("%-26s %10s %10s %8s\n", "ns per packet", "min", "median", "ratio");
  for (const auto& each : results)
    std::printf("%-26s %10.1f %10.1f %8.3f\n", each["case"].get<std::string>().c_str(),
                each["ns_per_packet_min"].get<double>(), each["ns_per_packet_median"].get<double>(),
                each["ratio_of_medians"].get<double>());
  return 0;
}
