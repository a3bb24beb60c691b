// glocal-soak: real store nodes and a real etcd under load and faults for as long as one likes, and whether what
// clients were told holds together.

#include "base/log.hpp"
#include "tests/etcd/etcd_cluster.hpp"
#include "tests/store/workload.hpp"

#include <CLI/CLI.hpp>

#include <cstdio>
#include <functional>
#include <random>
#include <stdexcept>

using namespace glocal;
using namespace glocal::test;
using namespace std::chrono_literals;

namespace {

constexpr auto patience = 60s;
/// What clients must get done in a fault before it is mended: somebody has taken over.
constexpr std::size_t progress_in_fault = 500;
constexpr std::size_t progress_between = 500;

struct plan {
  std::size_t nodes = 3, operations = 0, clients = 32;
  double seconds = 0;
  std::uint64_t seed = 1;
  std::vector<std::string> faults;
};

class soak {
public:
  explicit soak(const plan& what)
      : plan_{what}, random_{what.seed},
        cluster_{{.program = GLOCALD, .nodes = what.nodes, .slots = 32, .etcd = etcd_.endpoints(), .relays = true}} {
    cluster_.await_whole(patience);
  }

  workload::outcome run() {
    checked_load::options how;
    how.clients = plan_.clients;
    how.keys = 3 * plan_.clients / 4;
    how.seed = plan_.seed;
    began_ = clock::now();
    workload load{cluster_, how};
    while (!done(load)) {
      const auto& fault = plan_.faults[random_() % plan_.faults.size()];
      const auto began = clock::now();
      const auto what = known_faults().at(fault)(*this, load);
      cluster_.await_whole(patience);
      ++faults_;
      std::printf("[%7.1f s] %9zu operations; %s, whole again after %.1f s\n", seconds_since(began_),
                  load.acknowledged(), what.c_str(), seconds_since(began));
      if (!done(load))
        load.await_progress(progress_between, patience);
    }
    return load.end(patience);
  }

  [[nodiscard]] std::size_t faults() const noexcept { return faults_; }

  using fault = std::function<std::string(soak&, workload&)>;
  static const std::map<std::string, fault>& known_faults() {
    static const std::map<std::string, fault> all{
        {"kill", [](soak& in, workload& load) { return in.kill(load, false); }},
        {"wipe", [](soak& in, workload& load) { return in.kill(load, true); }},
        {"stop", [](soak& in, workload& load) { return in.stop(load); }},
        {"cut", [](soak& in, workload& load) { return in.cut(load); }},
        {"isolate", [](soak& in, workload& load) { return in.isolate(load); }},
        {"all", [](soak& in, workload& load) { return in.kill_all(load); }},
        {"register", [](soak& in, workload& load) { return in.stop_register(load); }},
    };
    return all;
  }

private:
  using clock = std::chrono::steady_clock;

  static double seconds_since(clock::time_point begin) {
    return std::chrono::duration<double>(clock::now() - begin).count();
  }
  bool done(const workload& load) const {
    return (plan_.operations > 0 && load.acknowledged() >= plan_.operations) ||
           (plan_.seconds > 0 && seconds_since(began_) >= plan_.seconds);
  }
  static std::string name(std::size_t node) { return "s" + std::to_string(node + 1); }
  /// Half of them hit where most is going on.
  std::size_t victim() { return random_() % 2 == 0 ? busiest(cluster_) : random_() % cluster_.size(); }

  std::string kill(const workload& load, bool wiped) {
    const auto node = victim();
    cluster_.kill(node);
    if (wiped)
      cluster_.wipe(node);
    load.await_progress(progress_in_fault, patience);
    cluster_.start(node);
    return name(node) + (wiped ? " killed, its disk wiped" : " killed");
  }
  std::string stop(const workload& load) {
    const auto node = victim();
    cluster_.at(node).stop();
    load.await_progress(progress_in_fault, patience);
    cluster_.at(node).resume();
    return name(node) + " stopped";
  }
  std::string cut(const workload& load) {
    const auto one = victim();
    const auto other = (one + 1 + random_() % (cluster_.size() - 1)) % cluster_.size();
    cluster_.cut_link(one, other);
    load.await_progress(progress_in_fault, patience);
    cluster_.mend_links();
    return "link " + name(one) + "-" + name(other) + " cut";
  }
  std::string isolate(const workload& load) {
    const auto node = victim();
    cluster_.isolate(node);
    load.await_progress(progress_in_fault, patience);
    cluster_.mend_links();
    return name(node) + " cut off from the others";
  }
  std::string kill_all(const workload&) {
    for (std::size_t i = 0; i < cluster_.size(); ++i)
      cluster_.kill(i);
    for (std::size_t i = 0; i < cluster_.size(); ++i)
      cluster_.start(i);
    return "all killed";
  }
  std::string stop_register(const workload& load) {
    auto& member = etcd_.at(random_() % 3);
    member.stop();
    load.await_progress(progress_in_fault, patience);
    member.resume();
    return "an etcd stopped";
  }

  const plan plan_;
  std::mt19937_64 random_;
  etcd_cluster etcd_;
  store_processes cluster_;
  clock::time_point began_;
  std::size_t faults_ = 0;
};

} // namespace

int main(int argc, char** argv) {
  CLI::App app{
      "Runs real store nodes with a real etcd under load, kills, stops, wipes and cuts them off one after the\n"
      "other, and checks that every key's history is linearizable: nothing acknowledged is lost."};
  app.footer("Examples:\n  glocal-soak --operations 1000000\n  glocal-soak --nodes 5 --seconds 120 --seed 7\n"
             "  glocal-soak --faults kill,isolate --seconds 60\n"
             "Exit codes: 0 all held; 1 a history is not linearizable, or the store did not come back; 2 usage.");
  plan what;
  std::vector<std::string> names;
  for (const auto& [name, fault] : soak::known_faults())
    names.push_back(name);
  what.faults = names;
  app.add_option("--nodes", what.nodes, "Store nodes")->check(CLI::Range(3, 9))->capture_default_str();
  app.add_option("--operations", what.operations, "Acknowledged, until it ends");
  app.add_option("--seconds", what.seconds, "Until it ends; 60 when neither is given");
  app.add_option("--clients", what.clients, "Operations under way at once")
      ->check(CLI::Range(2, 1024))
      ->capture_default_str();
  app.add_option("--seed", what.seed, "Of the choice of operations and faults")->capture_default_str();
  app.add_option("--faults", what.faults, "Some of " + CLI::detail::join(names, ", "))
      ->delimiter(',')
      ->check(CLI::IsMember(names));
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  if (what.operations == 0 && what.seconds == 0)
    what.seconds = 60;
  std::setvbuf(stdout, nullptr, _IOLBF, 1 << 16); // a run that is stopped has still said what it found
  spdlog::set_level(spdlog::level::err);          // connections come and go, and nodes' logs are elsewhere
  std::printf("seed %llu: --seed %llu repeats its choices\n", static_cast<unsigned long long>(what.seed),
              static_cast<unsigned long long>(what.seed));
  try {
    soak work{what};
    const auto found = work.run();
    std::printf("%zu nodes, %zu faults: %s; %zu violations\n", what.nodes, work.faults(), describe(found).c_str(),
                found.violations.size());
    for (const auto& each : found.violations)
      std::printf("%s\n", each.c_str());
    return found.violations.empty() ? 0 : 1;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "glocal-soak: %s\n", error.what());
    return 1;
  }
}
