#pragma once
// A watcher of one table: keeps a copy by what it is told, resumes where a stream broke off, at any node.

#include "tests/sim/client.hpp"

namespace glocal::sim {

class watcher {
public:
  watcher(cluster reach, std::size_t number, store::table of, std::string prefix)
      : reach_{reach}, number_{number}, of_{of}, prefix_{std::move(prefix)} {}

  /// Opens a stream at some node; leaves it for another after a while, or when it breaks.
  void run();

private:
  void deliver(const std::vector<store::watch_record>& records);
  void deliver(const store::watch_record& record);

  cluster reach_;
  std::size_t number_;
  store::table of_;
  std::string prefix_;
  std::uint64_t stream_ = 0;
  std::optional<std::size_t> at_node_;
  /// Everything up to here has been delivered.
  std::optional<store::revision> seen_;
  std::map<std::string, store::revision> copy_, snapshot_;
};

} // namespace glocal::sim
