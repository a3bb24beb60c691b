// How fast messages cross between two processes: glocal's transport, CAF's BASP and capnp-rpc, in one run.

#include "benchmarks/bench_transport/run_certificates.hpp"
#include "benchmarks/bench_transport/transport_rival.hpp"
#include "tests/support/child_process.hpp"

#include "base/log.hpp"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <functional>
#include <iostream>
#include <optional>
#include <stdexcept>

#include <unistd.h>

namespace {

using namespace glocal::bench;
using namespace glocal::test;
using nlohmann::json;

struct run_options {
  bool as_json = false, smoke = false;
  std::size_t repeat = 3, pairs = 15;
  std::vector<std::string> only;
};

struct contestant {
  rival_options options;
  std::function<void()> serve;
  std::function<std::unique_ptr<rival>(std::uint16_t)> connect;
  /// Of the fast ones more are needed for the same time.
  std::size_t one_way_count;
  /// Whether it promises bounded memory.
  bool floods = false;
};

/// @param certificates directory of those of this run.
std::vector<contestant> contestants(const std::string& certificates) {
  std::vector<contestant> out;
  const auto add = [&](const rival_options& options, std::size_t one_way_count, bool floods) {
    out.push_back({options, [options] { serve_glocal(options); },
                   [options](std::uint16_t port) { return connect_glocal(options, port); }, one_way_count, floods});
  };
  // One message of CAF for each of ours, or for a batch of them; with and without observation.
  add({.name = "glocal"}, std::size_t{4} << 20, true);
  add({.name = "glocal-tls", .certificates = certificates}, std::size_t{4} << 20, false);
  add({.name = "glocal-unobserved", .observed = false}, std::size_t{4} << 20, false);
  add({.name = "glocal-singles", .batches = false}, std::size_t{2} << 20, false);
  add({.name = "glocal-singles-unobserved", .observed = false, .batches = false}, std::size_t{2} << 20, false);
  out.push_back({{.name = "basp"}, serve_basp, connect_basp, std::size_t{1} << 17});
  out.push_back({{.name = "capnp-rpc"}, serve_capnp_rpc, connect_capnp_rpc, std::size_t{1} << 16});
  return out;
}

double microseconds(std::vector<std::uint64_t>& times, double quantile) {
  const auto at = static_cast<std::size_t>(quantile * static_cast<double>(times.size() - 1));
  std::nth_element(times.begin(), times.begin() + static_cast<std::ptrdiff_t>(at), times.end());
  return static_cast<double>(times[at]) / 1e3;
}

struct served {
  explicit served(const contestant& one)
      : server{this_program, {"--serve", one.options.name, "--certificates", one.options.certificates}},
        client{one.connect(static_cast<std::uint16_t>(std::stoul(server.read_line())))} {}
  child_process server;
  std::unique_ptr<rival> client;
};

json measure(const contestant& one, const run_options& options) {
  const served run{one};
  json rows = json::array();
  for (const std::size_t bytes : {64, 1024}) {
    const std::size_t asks = options.smoke ? 50 : 5'000;
    const std::size_t count = options.smoke ? 2 * one_way_window : one.one_way_count / (bytes > 64 ? 4 : 1);
    (void)run.client->round_trips(bytes, asks / 10 + 1);
    // The best of several: what else the machine does only makes them worse.
    double p50 = 0, p99 = 0, rate = 0;
    for (std::size_t i = 0; i < (options.smoke ? 1 : options.repeat); ++i) {
      auto times = run.client->round_trips(bytes, asks);
      const auto middle = microseconds(times, 0.5);
      if (i == 0 || middle < p50) {
        p50 = middle;
        p99 = microseconds(times, 0.99);
      }
      rate = std::max(rate, run.client->one_way(bytes, count));
    }
    rows.push_back({{"row", "messages"},
                    {"rival", one.options.name},
                    {"bytes", bytes},
                    {"rtt_p50_us", p50},
                    {"rtt_p99_us", p99},
                    {"messages_per_s", rate}});
  }
  return rows;
}

/// The middle of `values`, and between which two half of them lie.
struct spread {
  double low, middle, high;
};
spread spread_of(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const auto at = [&](double quantile) {
    return values[static_cast<std::size_t>(std::lround(quantile * static_cast<double>(values.size() - 1)))];
  };
  return {at(0.25), at(0.5), at(0.75)};
}

/// What something costs: one contestant with and one without it, a short piece of each in turn, so that what else the
/// machine does hits both alike; the middle of the pieces' ratios. Measured one after the other as a whole, two equal
/// contestants differ by up to a fifth.
json compare(const char* label, const contestant& with, const contestant& without, const run_options& options) {
  const served with_it{with}, without_it{without};
  json rows = json::array();
  for (const std::size_t bytes : {64, 1024}) {
    const std::size_t asks = options.smoke ? 50 : 1'000;
    const std::size_t count = options.smoke ? 2 * one_way_window : with.one_way_count / (bytes > 64 ? 32 : 8);
    std::vector<double> rates, times;
    const auto middle_of = [&](const served& one) {
      auto asked = one.client->round_trips(bytes, asks);
      return microseconds(asked, 0.5);
    };
    for (std::size_t i = 0; i < (options.smoke ? 1 : options.pairs); ++i) {
      // Each goes first in turn.
      const auto &first = i % 2 == 0 ? with_it : without_it, &second = i % 2 == 0 ? without_it : with_it;
      const double first_time = middle_of(first), second_time = middle_of(second);
      const double first_rate = first.client->one_way(bytes, count), second_rate = second.client->one_way(bytes, count);
      rates.push_back(i % 2 == 0 ? first_rate / second_rate : second_rate / first_rate);
      times.push_back(i % 2 == 0 ? first_time / second_time : second_time / first_time);
    }
    const auto rate = spread_of(rates), time = spread_of(times);
    rows.push_back({{"row", "ratio"},
                    {"ratio", label},
                    {"bytes", bytes},
                    {"pairs", rates.size()},
                    {"messages_per_s", rate.middle},
                    {"messages_per_s_quartiles", {rate.low, rate.high}},
                    {"rtt_p50", time.middle},
                    {"rtt_p50_quartiles", {time.low, time.high}}});
  }
  return rows;
}

/// What both processes grow by when one floods an actor of the other that handles nothing, or that stands still as a
/// whole.
json measure_flood(const contestant& one, const run_options& options, bool stop_process) {
  const served run{one};
  (void)run.client->round_trips(64, 10);
  const auto other = run.server.pid(), self = ::getpid();
  for (const auto pid : {self, other})
    forget_peak(pid);
  const auto before_self = resident_bytes(self), before_other = resident_bytes(other);
  if (stop_process)
    run.server.stop();
  const std::size_t count = options.smoke ? 50'000 : 400'000;
  run.client->flood(64, count);
  const auto grown = [](std::uint64_t before, std::uint64_t peak) { return peak > before ? peak - before : 0; };
  const auto sender = grown(before_self, peak_resident_bytes(self));
  const auto receiver = grown(before_other, peak_resident_bytes(other));
  return {{"row", "flood"},
          {"rival", one.options.name},
          {"stalled", stop_process ? "process" : "actor"},
          {"messages", 2 * count},
          {"sender_growth_bytes", sender},
          {"receiver_growth_bytes", receiver},
          {"growth_bytes", sender + receiver}};
}

/// What `name` has in the row of so many bytes, or nothing.
const json* row_of(const json& rows, const std::string& name, int bytes) {
  const auto found = std::find_if(rows.begin(), rows.end(), [&](const json& row) {
    return row["row"] == "messages" && row["rival"] == name && row["bytes"] == bytes;
  });
  return found == rows.end() ? nullptr : &*found;
}

/// How `name` compares with another of the same run.
void add_ratio(json& rows, const char* label, const std::string& name, const std::string& other) {
  for (const int bytes : {64, 1024}) {
    const auto *ours = row_of(rows, name, bytes), *theirs = row_of(rows, other, bytes);
    if (ours == nullptr || theirs == nullptr)
      continue;
    const auto ratio = [&](const char* key) { return (*ours)[key].get<double>() / (*theirs)[key].get<double>(); };
    rows.push_back({{"row", "ratio"},
                    {"ratio", label},
                    {"bytes", bytes},
                    {"messages_per_s", ratio("messages_per_s")},
                    {"rtt_p50", ratio("rtt_p50_us")}});
  }
}

/// `   (0.96 to 1.04 in half of 15 pairs)`, of the rate; empty for what was not compared in pairs.
std::string quartiles(const json& row) {
  if (!row.contains("pairs"))
    return {};
  char text[80];
  std::snprintf(text, sizeof text, "   (%.2f to %.2f in half of %zu pairs)",
                row["messages_per_s_quartiles"][0].get<double>(), row["messages_per_s_quartiles"][1].get<double>(),
                row["pairs"].get<std::size_t>());
  return text;
}

void print_table(const json& rows) {
  std::printf("%-34s %6s %12s %12s %14s\n", "", "bytes", "RTT p50 us", "RTT p99 us", "M messages/s");
  const auto text = [](const json& row, const char* key) { return row[key].get<std::string>(); };
  for (const auto& row : rows)
    if (row["row"] == "messages")
      std::printf("%-34s %6d %12.1f %12.1f %14.3f\n", text(row, "rival").c_str(), row["bytes"].get<int>(),
                  row["rtt_p50_us"].get<double>(), row["rtt_p99_us"].get<double>(),
                  row["messages_per_s"].get<double>() / 1e6);
  for (const auto& row : rows)
    if (row["row"] == "ratio")
      std::printf("%-34s %6d %12.2f %12s %14.2f%s\n", text(row, "ratio").c_str(), row["bytes"].get<int>(),
                  row["rtt_p50"].get<double>(), "", row["messages_per_s"].get<double>(), quartiles(row).c_str());
  for (const auto& row : rows)
    if (row["row"] == "flood")
      std::printf("flood at a stalled %-7s of %s: both processes grow by %.1f MB (sender %.1f, receiver %.1f)\n",
                  text(row, "stalled").c_str(), text(row, "rival").c_str(), row["growth_bytes"].get<double>() / 1e6,
                  row["sender_growth_bytes"].get<double>() / 1e6, row["receiver_growth_bytes"].get<double>() / 1e6);
}

} // namespace

int main(int argc, char** argv) {
  CLI::App app{"Messages between two processes over loopback: round trips one at a time, one-way messages, and what a "
               "flood at a receiver that stands still costs.\n"
               "Example: bench_transport --only glocal,basp --json"};
  run_options options;
  std::string serving, certificates;
  app.add_flag("--json", options.as_json, "Print JSON instead of a table");
  app.add_flag("--smoke", options.smoke, "Few messages: only to see that it runs");
  app.add_option("--repeat", options.repeat, "Measure so often; the best counts")->capture_default_str();
  app.add_option("--pairs", options.pairs, "Of what is compared with and without: pieces of each in turn")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000));
  app.add_option("--only", options.only,
                 "Only these: glocal, glocal-tls, glocal-unobserved, glocal-singles, "
                 "glocal-singles-unobserved, basp, capnp-rpc")
      ->delimiter(',');
  app.add_option("--serve", serving)->group("");
  app.add_option("--certificates", certificates)->group("");
  CLI11_PARSE(app, argc, argv);
  spdlog::set_level(spdlog::level::err);
  try {
    std::optional<run_certificates> of_this_run;
    if (serving.empty())
      certificates = of_this_run.emplace().directory();
    json rows = json::array();
    const auto all = contestants(certificates);
    const auto named = [&](const std::string& name) {
      return std::find_if(all.begin(), all.end(), [&](const contestant& one) { return one.options.name == name; });
    };
    if (!serving.empty()) {
      const auto one = named(serving);
      if (one == all.end())
        throw std::invalid_argument{"nothing is called '" + serving + "'; --help names the rivals"};
      one->serve();
      return 0;
    }
    const auto wanted = [&](const contestant& one) {
      return options.only.empty() ||
             std::find(options.only.begin(), options.only.end(), one.options.name) != options.only.end();
    };
    for (const auto& one : all) {
      if (!wanted(one))
        continue;
      for (auto& row : measure(one, options))
        rows.push_back(std::move(row));
      if (one.floods)
        for (const bool stop_process : {false, true})
          rows.push_back(measure_flood(one, options, stop_process));
    }
    add_ratio(rows, "glocal : basp", "glocal", "basp");
    add_ratio(rows, "glocal : capnp-rpc", "glocal", "capnp-rpc");
    const auto add_comparison = [&](const char* label, const char* with, const char* without) {
      if (!wanted(*named(with)) || !wanted(*named(without)))
        return;
      for (auto& row : compare(label, *named(with), *named(without), options))
        rows.push_back(std::move(row));
    };
    add_comparison("with TLS : without", "glocal-tls", "glocal");
    add_comparison("observed : unobserved", "glocal", "glocal-unobserved");
    add_comparison("observed : unobserved (singles)", "glocal-singles", "glocal-singles-unobserved");
    if (rows.empty())
      throw std::invalid_argument{"nothing is called that; --help names the rivals"};
    if (options.as_json)
      std::cout << json{{"bench", "transport"}, {"rows", rows}}.dump(2) << '\n';
    else
      print_table(rows);
    return 0;
  } catch (const std::exception& failure) {
    std::cerr << "bench_transport: " << failure.what() << '\n';
    return 1;
  }
}
