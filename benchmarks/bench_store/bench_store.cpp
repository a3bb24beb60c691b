// The store beside etcd and Redis: three store nodes as processes of this machine, each syncing every write, and in the
// same run three etcds and one Redis that syncs every write.

#include "benchmarks/bench_store/rivals.hpp"
#include "benchmarks/bench_store/store_load.hpp"
#include "tests/etcd/etcd_cluster.hpp"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <iostream>
#include <map>

namespace {

using namespace glocal;
using namespace glocal::bench;
using namespace std::chrono_literals;
using nlohmann::json;

struct arguments {
  load_plan plan;
  double seconds = 10;
  std::size_t fail_overs = 0, slots = 64;
  bool as_json = false, smoke = false;
  std::string program;
  std::vector<std::string> only{"glocal", "etcd", "redis"};
};

bool wants(const arguments& given, const std::string& name) {
  return std::ranges::find(given.only, name) != given.only.end();
}

json row_of(const load_result& result) {
  json row{{"row", "load"}, {"store", result.name}};
  if (!result.refused.empty()) {
    row["refused"] = result.refused;
    return row;
  }
  const auto known = [](double value) { return value > 0 ? json(value) : json(nullptr); };
  row.update({{"ops_per_s", result.ops_per_s},
              {"p50_us", known(result.p50_us)},
              {"p99_us", known(result.p99_us)},
              {"p999_us", known(result.p999_us)},
              {"max_us", known(result.max_us)},
              {"operations", result.operations},
              {"failures", result.failures}});
  for (const auto& [who, time] : result.cpu_us_per_op)
    row["cpu_us_per_op"][who] = time;
  return row;
}

/// How glocal compares with another of the same run.
json ratio_of(const load_result& ours, const load_result& other) {
  const auto ratio = [](double a, double b) { return a > 0 && b > 0 ? json(a / b) : json(nullptr); };
  return {{"row", "ratio"},
          {"ratio", "glocal / " + other.name},
          {"ops_per_s", ratio(ours.ops_per_s, other.ops_per_s)},
          {"p50", ratio(ours.p50_us, other.p50_us)},
          {"p99", ratio(ours.p99_us, other.p99_us)},
          {"p999", ratio(ours.p999_us, other.p999_us)}};
}

std::string number(const json& value, const char* format) {
  if (!value.is_number())
    return "-";
  char text[32];
  std::snprintf(text, sizeof text, format, value.get<double>());
  return text;
}

void print_table(const json& rows) {
  std::printf("%-16s %12s %10s %10s %10s %10s %10s\n", "", "ops/s", "p50 us", "p99 us", "p99.9 us", "max us", "failed");
  for (const auto& row : rows)
    if (row["row"] == "load" && row.contains("refused"))
      std::printf("%-16s %s\n", row["store"].get<std::string>().c_str(), row["refused"].get<std::string>().c_str());
    else if (row["row"] == "load")
      std::printf("%-16s %12.0f %10s %10s %10s %10s %10llu\n", row["store"].get<std::string>().c_str(),
                  row["ops_per_s"].get<double>(), number(row["p50_us"], "%.0f").c_str(),
                  number(row["p99_us"], "%.0f").c_str(), number(row["p999_us"], "%.0f").c_str(),
                  number(row["max_us"], "%.0f").c_str(), row["failures"].get<unsigned long long>());
    else if (row["row"] == "ratio")
      std::printf("%-16s %12s %10s %10s %10s\n", row["ratio"].get<std::string>().c_str(),
                  number(row["ops_per_s"], "%.2f").c_str(), number(row["p50"], "%.2f").c_str(),
                  number(row["p99"], "%.2f").c_str(), number(row["p999"], "%.2f").c_str());
  for (const auto& row : rows)
    if (row["row"] == "load" && row.contains("cpu_us_per_op")) {
      std::printf("CPU us per operation:");
      for (const auto& [who, time] : row["cpu_us_per_op"].items())
        std::printf("  %s %.2f", who.c_str(), time.get<double>());
      std::printf("\n");
    }
  for (const auto& row : rows)
    if (row["row"] == "fail-over")
      std::printf("fail-over: the longest any client waited %.0f ms; %llu acknowledged, %llu lost\n",
                  row["longest_gap_ms"].get<double>(), row["acknowledged"].get<unsigned long long>(),
                  row["lost"].get<unsigned long long>());
}

void run(const arguments& given, json& rows) {
  load_result ours;
  if (wants(given, "glocal")) {
    test::store_processes cluster{{.program = given.program, .slots = given.slots}};
    cluster.await_whole(60s);
    ours = run_store(cluster, given.plan);
    rows.push_back(row_of(ours));
  }
  const std::pair<const char*, load_result (*)(const load_plan&)> others[] = {{"etcd", run_etcd}, {"redis", run_redis}};
  for (const auto& [name, start] : others)
    if (wants(given, name)) {
      const auto other = start(given.plan);
      rows.push_back(row_of(other));
      if (other.refused.empty() && ours.ops_per_s > 0)
        rows.push_back(ratio_of(ours, other));
    }
  if (given.fail_overs == 0)
    return;
  // With a register that outlives any node.
  const test::etcd_cluster etcd;
  test::store_processes cluster{{.program = given.program, .slots = given.slots, .etcd = etcd.endpoints()}};
  cluster.await_whole(60s);
  for (std::size_t i = 0; i < given.fail_overs; ++i) {
    auto plan = given.plan;
    plan.op = operation::put_if_absent;
    const auto result = fail_over(cluster, plan);
    rows.push_back({{"row", "fail-over"},
                    {"longest_gap_ms", result.longest_gap_ms},
                    {"acknowledged", result.acknowledged},
                    {"lost", result.lost}});
  }
}

} // namespace

int main(int argc, char** argv) {
  CLI::App app{"Three store nodes as processes, each write synced by all three; three etcds and one Redis that syncs "
               "each write, under the same load in the same run.\n"
               "Examples:\n  bench_store --op put_if_absent --clients 1024 --seconds 10 --json\n"
               "  bench_store --op get --only glocal\n  bench_store --only none --fail-over 5 --clients 64"};
  arguments given;
  std::error_code failure;
  given.program = (std::filesystem::read_symlink("/proc/self/exe", failure).parent_path() / "../../tools/glocald")
                      .lexically_normal();
  app.add_option("--op", given.plan.op, "put_if_absent, put, get or watch (puts; times are from put to delivery)")
      ->transform(CLI::CheckedTransformer(std::map<std::string, operation>{{"put_if_absent", operation::put_if_absent},
                                                                           {"put", operation::put},
                                                                           {"get", operation::get},
                                                                           {"watch", operation::watch}}))
      ->option_text("OP");
  app.add_option("--clients", given.plan.clients, "Requests under way at once")
      ->capture_default_str()
      ->check(CLI::Range(1, 60000));
  app.add_option("--batch", given.plan.batch, "Operations in a request (Redis: pipelined; etcd: always 1)")
      ->capture_default_str()
      ->check(CLI::Range(1, 256));
  app.add_option("--seconds", given.seconds, "Of each load")->capture_default_str()->check(CLI::Range(0.1, 3600.0));
  app.add_option("--value-bytes", given.plan.value_bytes)->capture_default_str()->check(CLI::Range(1, 65536));
  app.add_option("--keys", given.plan.keys, "Of put, get and watch")->capture_default_str();
  app.add_option("--slots", given.slots)->capture_default_str()->check(CLI::Range(1, 65536));
  app.add_option("--fail-over", given.fail_overs, "So often: kill -9 of a primary under put_if_absent")
      ->capture_default_str();
  app.add_option("--only", given.only, "Of glocal, etcd, redis; none for fail-overs alone")->delimiter(',');
  app.add_option("--glocald", given.program, "The node's program")->capture_default_str();
  app.add_flag("--json", given.as_json, "Print JSON instead of a table");
  app.add_flag("--smoke", given.smoke, "Little of everything: only to see that it runs");
  CLI11_PARSE(app, argc, argv);
  given.plan.time = std::chrono::milliseconds{static_cast<std::int64_t>(given.seconds * 1000)};
  if (given.smoke) {
    given.plan.time = 300ms;
    given.plan.keys = 1000;
    given.slots = 8;
  }
  json rows = json::array();
  try {
    run(given, rows);
  } catch (const std::exception& error) {
    std::cerr << "bench_store: " << error.what() << '\n';
    return 1;
  }
  if (given.as_json)
    std::cout << json{{"clients", given.plan.clients}, {"batch", given.plan.batch}, {"rows", rows}}.dump(2) << '\n';
  else
    print_table(rows);
  return 0;
}
