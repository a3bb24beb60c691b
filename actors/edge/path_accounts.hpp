#pragma once
// Which paths are counted by themselves, and as what: the names of dataplane::counters::paths.
//
// A path keeps its account for as long as the node runs, also when the switch agent is restarted, so its counters never
// go back. There are max_path_accounts; when they are used up, what is new is counted with its service's others, and
// how often that happened is counted too. That bounds the memory, and the number of time series.
// Threading: thread-safe.

#include "actors/model/model.hpp"
#include "dataplane/switch/counters.hpp"

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace glocal::actors {

/// In place of a name, for what is not told apart.
inline constexpr auto other_paths = "(other)";

class path_accounts {
public:
  struct account {
    std::string service;
    /// `(other)` for the service's others.
    std::string path, chain;

    bool operator==(const account&) const = default;
  };

  /// Where `path` is counted, as of now under the chain it has now. Cost: O(log accounts).
  [[nodiscard]] std::uint16_t of(const model::service_path& path);

  /// By number; the first is for what has no account of its own and no service that has one.
  [[nodiscard]] std::vector<account> all() const;
  /// How often of() was asked for a path that is counted with others.
  [[nodiscard]] std::uint64_t folded() const;

private:
  [[nodiscard]] std::uint16_t add(account named);

  mutable std::mutex mutex_;
  std::vector<account> accounts_{{other_paths, other_paths, other_paths}};
  std::map<model::path_id, std::uint16_t> paths_;
  /// The others of a service.
  std::map<std::string, std::uint16_t> services_;
  std::uint64_t folded_ = 0;
};

} // namespace glocal::actors
