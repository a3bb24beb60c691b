#include "benchmarks/bench_store/rivals.hpp"

#include "base/histogram.hpp"
#include "tests/etcd/etcd_cluster.hpp"
#include "tests/support/child_process.hpp"

#include <httplib.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <memory>
#include <mutex>
#include <sstream>
#include <thread>

namespace glocal::bench {
namespace {

using namespace std::chrono_literals;
using clock = std::chrono::steady_clock;

/// More threads than this only wait: three etcds do not get faster from 64 on.
constexpr std::size_t most_connections = 256;

bool answers(const std::string& endpoint) {
  httplib::Client client{endpoint};
  client.set_connection_timeout(1s);
  client.set_read_timeout(2s);
  const auto health = client.Get("/health");
  return health && health->status == 200 && health->body.find("\"true\"") != std::string::npos;
}

struct request {
  std::string path, body;
};

request request_of(const load_plan& plan, std::uint64_t n, const std::string& value) {
  switch (plan.op) {
  case operation::put_if_absent: {
    const auto key = key_of((std::uint64_t{1} << 40) + n);
    return {"/v3/kv/txn", R"({"compare":[{"key":")" + key + R"(","target":"CREATE","create_revision":"0"}],)" +
                              R"("success":[{"requestPut":{"key":")" + key + R"(","value":")" + value + R"("}}]})"};
  }
  case operation::put:
  case operation::watch:
    return {"/v3/kv/put", R"({"key":")" + key_of(n % plan.keys) + R"(","value":")" + value + R"("})"};
  case operation::get: return {"/v3/kv/range", R"({"key":")" + key_of(n % plan.keys) + R"("})"};
  }
  return {};
}

std::string output_of(const std::string& command) {
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe{::popen(command.c_str(), "r"), ::pclose};
  std::string out;
  std::array<char, 4096> part{};
  while (pipe != nullptr) {
    const auto count = std::fread(part.data(), 1, part.size(), pipe.get());
    if (count == 0)
      break;
    out.append(part.data(), count);
  }
  return out;
}

} // namespace

std::string key_of(std::uint64_t n) {
  const auto digits = std::to_string(n);
  return std::string(16 - std::min<std::size_t>(16, digits.size()), '0') + digits;
}

load_result run_etcd(const load_plan& plan) {
  load_result out;
  out.name = "etcd";
  if (plan.op == operation::watch) {
    out.refused = "watches are not compared";
    return out;
  }
  const test::etcd_cluster cluster;
  const auto patience = clock::now() + 30s;
  for (const auto& endpoint : cluster.endpoints())
    while (!answers(endpoint)) {
      if (clock::now() > patience) {
        out.refused = "etcd is not healthy after 30 s";
        return out;
      }
      std::this_thread::sleep_for(50ms);
    }
  // As base64: four characters are three bytes.
  const std::string value((plan.value_bytes + 2) / 3 * 4, 'v');
  auto latency = std::make_unique<histogram>();
  std::mutex latency_guard;
  std::atomic<std::uint64_t> next{0}, operations{0}, failures{0};
  const auto run = [&](std::size_t thread, auto&& goes_on, auto&& make) {
    httplib::Client client{cluster.endpoints()[thread % cluster.endpoints().size()]};
    client.set_keep_alive(true);
    client.set_tcp_nodelay(true);
    client.set_read_timeout(10s);
    std::vector<std::uint64_t> times;
    while (goes_on()) {
      const auto what = make(next++);
      const auto began = clock::now();
      const auto answer = client.Post(what.path, what.body, "application/json");
      times.push_back(static_cast<std::uint64_t>((clock::now() - began).count()));
      if (answer && answer->status == 200)
        ++operations;
      else
        ++failures;
    }
    const std::lock_guard lock{latency_guard};
    for (const auto time : times)
      latency->record(time);
  };
  const auto all = [&](auto&& goes_on, auto&& make) {
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < std::min(plan.clients, most_connections); ++i)
      threads.emplace_back([&, i] { run(i, goes_on, make); });
    for (auto& thread : threads)
      thread.join();
  };
  if (plan.op == operation::get) {
    // A tenth of the keys: loading them all would take longer than the rest.
    load_plan few = plan;
    few.op = operation::put;
    all([&] { return next.load() < plan.keys / 10; }, [&](std::uint64_t n) { return request_of(few, n, value); });
    operations = failures = next = 0;
    latency = std::make_unique<histogram>();
  }
  auto asked = plan;
  if (plan.op == operation::get)
    asked.keys = std::max<std::size_t>(plan.keys / 10, 1);
  const auto began = clock::now();
  const auto until = began + plan.time;
  all([&] { return clock::now() < until; }, [&](std::uint64_t n) { return request_of(asked, n, value); });
  const std::chrono::duration<double> took = clock::now() - began;
  out.operations = operations;
  out.failures = failures;
  out.ops_per_s = static_cast<double>(out.operations) / took.count();
  const auto at = [&](double quantile) { return static_cast<double>(latency->quantile(quantile)) / 1e3; };
  out.p50_us = at(0.5);
  out.p99_us = at(0.99);
  out.p999_us = at(0.999);
  out.max_us = static_cast<double>(latency->max()) / 1e3;
  return out;
}

load_result run_redis(const load_plan& plan) {
  load_result out;
  out.name = "redis";
  if (plan.op == operation::watch) {
    out.refused = "watches are not compared";
    return out;
  }
  if (::access("/usr/bin/redis-server", X_OK) != 0 || ::access("/usr/bin/redis-benchmark", X_OK) != 0) {
    out.refused = "redis-server and redis-benchmark are not installed (packages redis-server, redis-tools)";
    return out;
  }
  char made[] = "/tmp/glocal-redis-XXXXXX";
  if (::mkdtemp(made) == nullptr) {
    out.refused = "no temporary directory";
    return out;
  }
  const std::string directory = made, socket = directory + "/redis.sock";
  {
    const test::child_process server{"/usr/bin/redis-server",
                                     {"--port", "0", "--unixsocket", socket, "--dir", directory, "--appendonly", "yes",
                                      "--appendfsync", "always", "--save", "", "--maxclients", "20000", "--logfile",
                                      directory + "/log"}};
    const auto patience = clock::now() + 10s;
    while (::access(socket.c_str(), R_OK) != 0 && clock::now() < patience)
      std::this_thread::sleep_for(20ms);
    const std::string value(plan.value_bytes, 'v');
    // Of keys that are set once, so many that hardly any comes twice.
    const auto keys = plan.op == operation::put_if_absent ? "1000000000" : std::to_string(plan.keys);
    const auto benchmark = [&](std::uint64_t count, const std::string& what) {
      const auto text = output_of("/usr/bin/redis-benchmark -s " + socket + " -c " + std::to_string(plan.clients) +
                                  " -P " + std::to_string(plan.batch) + " -n " + std::to_string(count) + " -r " + keys +
                                  " --csv " + what + " 2>/dev/null");
      // "test","rps","avg_latency_ms","min_latency_ms","p50_latency_ms","p95...","p99...","max..."
      std::vector<double> numbers;
      std::istringstream last{text.substr(text.rfind('\n', text.size() - 2) + 1)};
      for (std::string word; std::getline(last, word, '"');)
        if (!word.empty() && word.find_first_not_of("0123456789.") == std::string::npos)
          numbers.push_back(std::stod(word));
      return numbers;
    };
    const std::string key = "key:__rand_int__";
    const auto what = plan.op == operation::put_if_absent ? "setnx " + key + " " + value
                      : plan.op == operation::put         ? "set " + key + " " + value
                                                          : "get " + key;
    if (plan.op == operation::get)
      (void)benchmark(5 * plan.keys, "set " + key + " " + value);
    // As many as fill the time, by a short run.
    const auto first = benchmark(20'000, what);
    const auto seconds = std::chrono::duration<double>(plan.time).count();
    const auto numbers =
        first.empty() ? first : benchmark(static_cast<std::uint64_t>(std::max(20'000.0, first[0] * seconds)), what);
    if (numbers.size() < 7) {
      out.refused = "redis-benchmark says nothing that can be read";
    } else {
      out.ops_per_s = numbers[0];
      out.operations = static_cast<std::uint64_t>(numbers[0] * seconds);
      out.p50_us = numbers[3] * 1e3;
      out.p99_us = numbers[5] * 1e3;
      out.max_us = numbers[6] * 1e3;
    }
    server.kill();
  }
  std::filesystem::remove_all(directory);
  return out;
}

} // namespace glocal::bench
