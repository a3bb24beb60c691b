// bench_classify: how fast the classifier is, beside the machine's own random line rate and DPDK's rte_acl, in one run.

#include "benchmarks/bench_classify/peer.hpp"
#include "benchmarks/bench_classify/rule_set.hpp"
#include "benchmarks/bench_classify/worst_case.hpp"
#include "dataplane/classify/rule_file.hpp"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <iostream>
#include <set>
#include <thread>

namespace glocal::bench {
namespace {

using namespace dataplane;
using clock = std::chrono::steady_clock;

double seconds_since(clock::time_point begin) {
  return std::chrono::duration<double>(clock::now() - begin).count();
}

struct arguments {
  std::size_t rules = 10'000;
  std::string shape = "isp", trace = "uniform", kernel, file;
  std::size_t burst = max_classify_burst, packets = 0;
  double max_rule_bytes = 200;
  std::uint64_t seed = 1;
  unsigned runs = 5, peer_seconds = 30;
  std::uint64_t updates_per_s = 0;
  std::size_t transaction = 256;
  bool json = false, no_peer = false;
  std::vector<std::string> forest;
};

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

/// Units of `pass` per second: the median of some runs, each of a fifth of a second at least.
template <class Pass>
double rate_of(std::size_t units, unsigned runs, Pass&& pass) {
  pass();
  std::vector<double> rates;
  for (unsigned run = 0; run < runs; ++run) {
    const auto begin = clock::now();
    std::size_t done = 0;
    do {
      pass();
      done += units;
    } while (seconds_since(begin) < 0.2);
    rates.push_back(static_cast<double>(done) / seconds_since(begin));
  }
  return median(rates);
}

/// The machine's limit: random lines of a table of `bytes`, 64 asked for at a time, as a burst does.
double random_lines_per_s(std::size_t bytes, unsigned runs) {
  auto table = huge_memory::reserve(bytes);
  if (!table || !table->grow(bytes))
    return 0;
  std::memset(table->data(), 1, bytes);
  const auto lines = std::max<std::size_t>(bytes / 64, 1);
  random_source random{99};
  constexpr std::size_t batches = 4096;
  std::uint64_t sum = 0;
  const auto rate = rate_of(batches * 64, runs, [&] {
    std::array<const std::byte*, 64> at;
    for (std::size_t batch = 0; batch < batches; ++batch) {
      for (auto& one : at) {
        one = table->data() + random.below(lines) * 64;
        __builtin_prefetch(one);
      }
      for (const auto* one : at)
        sum += std::to_integer<std::uint64_t>(*one);
    }
  });
  if (sum == 0)
    std::abort();
  return rate;
}

std::optional<std::string> set_forest_option(forest_options& options, const std::string& text) {
  const auto equals = text.find('=');
  const auto key = text.substr(0, equals);
  const auto value = equals == std::string::npos ? 0.0 : std::strtod(text.c_str() + equals + 1, nullptr);
  const auto number = static_cast<std::uint32_t>(value);
  if (key == "leaf")
    options.leaf_rules = number;
  else if (key == "copies")
    options.max_copies = value;
  else if (key == "load")
    options.table_load = value;
  else if (key == "open")
    options.open_penalty = value;
  else if (key == "kept")
    options.kept_inline = number;
  else if (key == "root")
    options.root_width = number;
  else if (key == "inner")
    options.inner_width = number;
  else if (key == "marked")
    options.marked_rules = number;
  else if (key == "split")
    options.split_length = number;
  else
    return "'" + text +
           "': --forest wants leaf, copies, load, open, kept, marked, root, inner or split, '=' and a number";
  return {};
}

/// What the packets of the trace meet: the share that three priorities or more match. On small lists only.
double overlap_of(const rule_set& rules, const std::vector<packet_fields>& trace) {
  std::vector<rule> all;
  for (std::size_t i = 0; i < rules.size(); ++i)
    all.push_back(rules.at(i));
  std::size_t several = 0;
  const auto sample = std::min<std::size_t>(trace.size(), 500);
  for (std::size_t i = 0; i < sample; ++i) {
    std::set<std::uint32_t> priorities;
    for (const auto& one : all)
      if (matches(one.match, trace[i]))
        priorities.insert(one.priority);
    several += priorities.size() >= 3;
  }
  return static_cast<double>(several) / static_cast<double>(sample);
}

/// Compares with linear search on small lists. The number of packets compared, or nothing when an answer was wrong.
std::optional<std::size_t> verify(const rule_set& rules, const std::vector<packet_fields>& trace,
                                  const forest_classifier& tested) {
  std::vector<rule> all;
  for (std::size_t i = 0; i < rules.size(); ++i)
    all.push_back(rules.at(i));
  const auto sample = std::min<std::size_t>(trace.size(), std::max<std::size_t>(1, 20'000'000 / rules.size()));
  for (std::size_t i = 0; i < sample; ++i) {
    auto wanted = no_rule;
    for (rule_id id = 0; id < all.size(); ++id)
      if ((wanted == no_rule || all[id].priority > all[wanted].priority) && matches(all[id].match, trace[i]))
        wanted = id;
    if (tested.lookup(trace[i]) != wanted)
      return {};
  }
  return sample;
}

/// Lookups of one thread while another takes rules out and puts them back, `updates_per_s` at most.
void measure_updates(const rule_set& rules, std::span<const packed_v4> keys, const arguments& wanted,
                     forest_classifier::loader loader, nlohmann::json& out) {
  auto made = rule_table::make(std::move(loader));
  if (!made) {
    out["updates_refused"] = to_string(made.error().what);
    return;
  }
  auto& table = **made;
  const auto reader = table.add_reader();
  // Made before the clock runs: what is measured is the table.
  random_source random{wanted.seed + 7};
  std::vector<std::vector<rule_change>> removals, additions;
  std::set<std::size_t> chosen;
  while (chosen.size() < std::min<std::size_t>(rules.size() / 2, 1 << 16))
    chosen.insert(random.below(rules.size()));
  std::vector<std::size_t> victims{chosen.begin(), chosen.end()};
  for (auto i = victims.size() - 1; i > 0; --i)
    std::swap(victims[i], victims[random.below(i + 1)]);
  for (std::size_t i = 0; i < victims.size(); ++i) {
    if (i % wanted.transaction == 0) {
      removals.emplace_back();
      additions.emplace_back();
    }
    removals.back().push_back({rule_change::kind::remove, rules.at(victims[i])});
    additions.back().push_back({rule_change::kind::add, rules.at(victims[i])});
  }

  std::array<rule_id, max_classify_burst> found{};
  struct rates {
    double lookups_per_s, longest_us;
  };
  const auto look_up = [&](double seconds) {
    const auto begin = clock::now();
    auto last = begin;
    std::size_t done = 0, at = 0;
    double longest = 0;
    while (std::chrono::duration<double>(last - begin).count() < seconds) {
      const auto burst = std::min(wanted.burst, keys.size() - at);
      reader->begin();
      reader->lookup(keys.subspan(at, burst), std::span{found}.first(burst));
      reader->end();
      done += burst;
      at = at + burst == keys.size() ? 0 : at + burst;
      const auto now = clock::now();
      longest = std::max(longest, std::chrono::duration<double, std::micro>(now - last).count());
      last = now;
    }
    return rates{static_cast<double>(done) / seconds_since(begin), longest};
  };
  (void)look_up(0.5);
  const auto alone = look_up(1.0);
  std::atomic<bool> stop{false};
  std::uint64_t updates = 0;
  double seconds = 0;
  std::string failure;
  std::thread writer{[&] {
    const auto begin = clock::now();
    for (std::size_t turn = 0; !stop.load(std::memory_order_relaxed) && failure.empty(); ++turn) {
      // Away, and back in the next transaction.
      const auto& changes = (turn % 2 == 0 ? removals : additions)[turn / 2 % removals.size()];
      if (const auto applied = table.apply(changes); !applied)
        failure = to_string(applied.error().what);
      updates += changes.size();
      while (static_cast<double>(updates) / static_cast<double>(wanted.updates_per_s) > seconds_since(begin) &&
             !stop.load(std::memory_order_relaxed))
        std::this_thread::yield();
    }
    seconds = seconds_since(begin);
  }};
  const auto beside = look_up(3.0);
  stop = true;
  writer.join();
  out["updates_per_s"] = static_cast<double>(updates) / seconds;
  out["transaction"] = wanted.transaction;
  out["lookups_per_s_without_updates"] = alone.lookups_per_s;
  out["lookups_per_s_with_updates"] = beside.lookups_per_s;
  out["lookup_rate_kept"] = beside.lookups_per_s / alone.lookups_per_s;
  out["longest_burst_us_without_updates"] = alone.longest_us;
  out["stall_us_max"] = beside.longest_us;
  out["bytes_per_rule_after_updates"] = static_cast<double>(table.bytes()) / static_cast<double>(rules.size());
  if (!failure.empty())
    out["update_failure"] = failure;
}

int run(const arguments& wanted) {
  nlohmann::json out;
  const auto made = make_rule_set(wanted.shape, wanted.rules, wanted.seed);
  if (!made) {
    std::cerr << "bench_classify: " << made.error() << '\n';
    return 2;
  }
  const auto& rules = **made;
  const auto count = rules.size();
  const auto packets = wanted.packets > 0 ? wanted.packets : std::clamp<std::size_t>(count * 4, 1 << 16, 1 << 22);
  // The worst packets are known when there is a forest.
  auto trace = make_trace(rules, wanted.trace == "worst" ? "uniform" : wanted.trace, packets, wanted.seed + 1);
  if (!trace) {
    std::cerr << "bench_classify: " << trace.error() << '\n';
    return 2;
  }
  out["rules"] = count;
  out["shape"] = wanted.shape;
  out["trace"] = wanted.trace;
  out["batch"] = wanted.burst;

  classifier_options options;
  options.max_rule_bytes = wanted.max_rule_bytes;
  for (const auto& text : wanted.forest) {
    if (!options.forest)
      options.forest.emplace();
    if (const auto error = set_forest_option(*options.forest, text)) {
      std::cerr << "bench_classify: " << *error << '\n';
      return 2;
    }
  }
  forest_classifier::loader loader{options};
  auto begin = clock::now();
  std::optional<build_error> refused;
  for (std::size_t i = 0; i < count && !refused; ++i)
    if (const auto added = loader.add(rules.at(i)); !added)
      refused = added.error();
  out["load_s"] = seconds_since(begin);
  begin = clock::now();
  std::shared_ptr<forest_classifier> tested;
  if (!refused) {
    auto built = loader.finish();
    if (built)
      tested = std::const_pointer_cast<forest_classifier>(*built);
    else
      refused = built.error();
  }
  out["build_s"] = seconds_since(begin);
  if (refused) {
    out["refused"] = to_string(refused->what);
    out["refused_rule"] = refused->rule_index;
    std::cout << out.dump(wanted.json ? -1 : 2) << '\n';
    return 1;
  }
  for (const auto& kernel : lookup_kernels())
    if (wanted.kernel == kernel.name)
      tested->use(kernel);
  out["kernel"] = tested->kernel().name;
  out["bytes_per_rule"] = static_cast<double>(tested->bytes()) / static_cast<double>(count);
  out["pages"] = to_string(tested->pages());
  const auto& tuned = tested->tuned();
  out["forest"] = {{"leaf", tuned.leaf_rules},   {"copies", tuned.max_copies},  {"load", tuned.table_load},
                   {"open", tuned.open_penalty}, {"kept", tuned.kept_inline},   {"root", tuned.root_width},
                   {"inner", tuned.inner_width}, {"split", tuned.split_length}, {"marked", tuned.marked_rules}};
  out["shapes"] = tested->shapes();
  out["max_visits"] = tested->view<4>().max_visits;
  if (wanted.trace == "worst")
    *trace = worst_packets(rules, *tested, packets, wanted.seed + 2);
  if (count <= 20'000)
    out["share_of_packets_with_3_priorities"] = overlap_of(rules, *trace);
  if (count <= 1'000'000) {
    const auto verified = verify(rules, *trace, *tested);
    if (!verified) {
      std::cerr << "bench_classify: an answer is not that of linear search\n";
      return 1;
    }
    out["verified"] = *verified;
  }

  auto memory = huge_memory::reserve(packets * sizeof(packed_v4));
  if (!memory || !memory->grow(packets * sizeof(packed_v4))) {
    std::cerr << "bench_classify: no memory for the trace\n";
    return 1;
  }
  const std::span keys{reinterpret_cast<packed_v4*>(memory->data()), packets};
  const auto pack_rate = rate_of(packets, 3, [&] {
    for (std::size_t i = 0; i < packets; ++i)
      keys[i] = pack_key<4>((*trace)[i]);
  });
  out["pack_ns"] = 1e9 / pack_rate;

  lookup_cost cost;
  for (std::size_t i = 0; i < std::min<std::size_t>(packets, 100'000); ++i)
    (void)counted_lookup<4>(tested->view<4>(), keys[i], cost);
  const auto lines = static_cast<double>(cost.lines) / static_cast<double>(cost.lookups);
  out["lines_per_lookup"] = lines;
  out["lines_per_lookup_worst"] = cost.worst_lines;

  std::array<rule_id, max_classify_burst> found{};
  std::uint64_t sum = 0;
  const auto rate = rate_of(packets, wanted.runs, [&] {
    for (std::size_t i = 0; i < packets; i += wanted.burst) {
      const auto burst = std::min(wanted.burst, packets - i);
      tested->lookup(std::span<const packed_v4>{keys}.subspan(i, burst), std::span{found}.first(burst));
      sum += found[0];
    }
  });
  out["lookups_per_s"] = rate;
  out["ns_per_lookup"] = 1e9 / rate;
  out["checksum"] = sum;
  const auto line_rate = random_lines_per_s(std::max<std::size_t>(tested->bytes(), 4096), 3);
  out["random_lines_per_s"] = line_rate;
  out["efficiency"] = rate * lines / line_rate;
  if (!wanted.file.empty()) {
    begin = clock::now();
    const auto saved = save_rules(*tested, wanted.file);
    out["save_s"] = seconds_since(begin);
    tested.reset();
    begin = clock::now();
    if (!saved) {
      std::cerr << "bench_classify: " << saved.error().message << '\n';
      return 1;
    }
    auto read = load_rules(wanted.file, options);
    out["read_s"] = seconds_since(begin);
    if (!read) {
      std::cerr << "bench_classify: " << read.error().message << '\n';
      return 1;
    }
    if (const auto ready = read->finish(); !ready) {
      std::cerr << "bench_classify: " << wanted.file << ": " << to_string(ready.error().what) << '\n';
      return 1;
    }
    out["ready_from_file_s"] = seconds_since(begin);
  }
  tested.reset();
  if (wanted.updates_per_s > 0) {
    forest_classifier::loader again{options};
    for (std::size_t i = 0; i < count; ++i)
      (void)again.add(rules.at(i));
    measure_updates(rules, keys, wanted, std::move(again), out);
  }

  if (!wanted.no_peer) {
    const auto peer = measure_rte_acl(rules, *trace, wanted.burst, std::chrono::seconds{wanted.peer_seconds});
    if (peer.failure.empty()) {
      out["rte_acl_lookups_per_s"] = peer.lookups_per_s;
      out["rte_acl_build_s"] = peer.build_s;
      out["ratio_to_rte_acl"] = rate / peer.lookups_per_s;
    } else
      out["rte_acl_failure"] = peer.failure;
  }
  if (wanted.json) {
    std::cout << out.dump() << '\n';
    return 0;
  }
  for (const auto& [key, value] : out.items())
    std::cout << key << ": " << (value.is_number_float() ? std::to_string(value.get<double>()) : value.dump()) << '\n';
  return 0;
}

} // namespace
} // namespace glocal::bench

int main(int argc, char** argv) {
  glocal::bench::arguments wanted;
  CLI::App app{"Measures the classifier beside the machine's random line rate and DPDK's rte_acl, in one run.\n\n"
               "  bench_classify --rules 1000000 --shape isp --json\n"
               "  bench_classify --rules 10000 --shape classbench:acl1_10000.gz --trace shuffled\n"};
  app.add_option("--rules", wanted.rules, "Rules (of a file: the first so many)")
      ->check(CLI::Range(std::size_t{1}, glocal::dataplane::max_rules))
      ->capture_default_str();
  app.add_option("--shape", wanted.shape, "isp, overlap, nested or classbench:FILE")->capture_default_str();
  app.add_option("--trace", wanted.trace, "uniform, shuffled, zipf, miss:PCT, random or worst")->capture_default_str();
  app.add_option("--batch", wanted.burst, "Packets of one lookup")
      ->check(CLI::Range(std::size_t{1}, glocal::dataplane::max_classify_burst))
      ->capture_default_str();
  app.add_option("--updates-per-s", wanted.updates_per_s, "Changes a second beside the lookups, at most; 0: none");
  app.add_option("--transaction", wanted.transaction, "Changes of one transaction")
      ->check(CLI::Range(1, 1 << 16))
      ->capture_default_str();
  app.add_option("--packets", wanted.packets, "Packets of the trace; 0: four for each rule, 64 Ki to 4 Mi");
  app.add_option("--max-rule-bytes", wanted.max_rule_bytes, "Memory a rule may take")->capture_default_str();
  app.add_option("--forest", wanted.forest,
                 "KEY=VALUE instead of tuning: leaf copies load open kept marked root inner split");
  app.add_option("--file", wanted.file, "Saves the rules there, reads them back and says how long both take");
  app.add_option("--kernel", wanted.kernel, "avx512, avx2, avx2-without-pext or baseline");
  app.add_option("--seed", wanted.seed, "Of rules and packets")->capture_default_str();
  app.add_option("--runs", wanted.runs, "Runs the median is taken of")
      ->check(CLI::Range(1, 100))
      ->capture_default_str();
  app.add_option("--peer-seconds", wanted.peer_seconds, "What rte_acl may take to build")->capture_default_str();
  app.add_flag("--no-peer", wanted.no_peer, "Without rte_acl");
  app.add_flag("--json", wanted.json, "One JSON object on one line");
  CLI11_PARSE(app, argc, argv);
  return glocal::bench::run(wanted);
}
