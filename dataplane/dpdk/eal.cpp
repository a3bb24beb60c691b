#include "dataplane/dpdk/eal.hpp"

#include <rte_eal.h>

#include <filesystem>
#include <vector>

#include <sched.h>
#include <unistd.h>

namespace glocal::dataplane {
namespace {

/// "0@(0,1)": one lcore id, free to run on every CPU this process may use. DPDK would pin the caller to one otherwise.
std::string unpinned_lcores() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  std::string cpus;
  if (sched_getaffinity(0, sizeof allowed, &allowed) == 0)
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
      if (CPU_ISSET(cpu, &allowed))
        cpus += (cpus.empty() ? "" : ",") + std::to_string(cpu);
  return cpus.empty() ? "0" : "0@(" + cpus + ")";
}

/// With --no-shconf DPDK makes a runtime directory and puts nothing in it; the one above goes with the last process.
void remove_runtime_directory() {
  const std::filesystem::path made = rte_eal_get_runtime_dir();
  std::error_code ignored; // not empty: somebody else's files are in it
  std::filesystem::remove(made, ignored);
  std::filesystem::remove(made.parent_path(), ignored);
}

} // namespace

expected<std::unique_ptr<eal>, eal_error> eal::start(const eal_config& config) {
  static bool started = false;
  if (started)
    return unexpected{eal_error::already_started};
  started = true;

  std::vector<std::string> words{config.name,
                                 "--no-pci",
                                 "--no-shconf",
                                 "--no-telemetry",
                                 "--log-level=error",
                                 "--file-prefix=" + config.name + "-" + std::to_string(getpid()),
                                 "-m",
                                 std::to_string(config.memory_mb),
                                 "--lcores=" + unpinned_lcores()};
  words.push_back(config.huge_pages ? "--single-file-segments" : "--no-huge");
  std::vector<char*> arguments;
  arguments.reserve(words.size() + 1);
  for (auto& word : words)
    arguments.push_back(word.data());
  arguments.push_back(nullptr);
  if (rte_eal_init(static_cast<int>(words.size()), arguments.data()) < 0)
    return unexpected{eal_error::refused};
  remove_runtime_directory();
  return std::unique_ptr<eal>{new eal};
}

eal::~eal() {
  rte_eal_cleanup();
}

} // namespace glocal::dataplane
