#pragma once
// One simulated run: store nodes, their network, disks, clocks and register, clients, and faults, all under one seed.
// The faults end, everything heals, and then the slot must be whole again.

#include "store/rules.hpp"
#include "tests/sim/client.hpp"
#include "tests/sim/watcher.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace glocal::sim {

/// Which faults a run may see; `mixed` draws some for each seed.
enum class fault : std::uint8_t {
  crash,
  crash_all,
  pause,
  partition,
  one_way,
  bridge,
  flapping,
  lossy,
  slow_network,
  slow_disk,
  broken_disk,
  full_disk,
  wiped_disk,
  clock_jump,
  register_outage,
  register_replies,
  register_cut,
  placement,
};
inline constexpr std::size_t fault_count = 18;
[[nodiscard]] std::string_view name(fault what) noexcept;

struct scenario {
  std::string name;
  std::vector<fault> faults;
};
/// mixed, calm, outage, joiners, moves, and one for each fault by its name.
[[nodiscard]] std::vector<scenario> all_scenarios();

struct settings {
  std::uint64_t seed = 1;
  std::string scenario = "mixed";
  bool verbose = false;
};

struct outcome {
  std::vector<std::string> violations;
  std::uint64_t trace = 0, steps = 0;
  std::size_t operations = 0, acknowledged = 0, undecided = 0, views = 0;
  duration longest_gap{};
  std::string log;
};

/// Runs one seed to its end. Cost: about 20 ms.
[[nodiscard]] outcome run(const settings& what);

} // namespace glocal::sim
