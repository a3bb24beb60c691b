#include "tests/store/workload.hpp"

#include <cstdio>
#include <stdexcept>

namespace glocal::test {

using namespace std::chrono_literals;

workload::workload(store_processes& cluster, const checked_load::options& how)
    : cluster_{cluster}, actor_{cluster.system().spawn<checked_load>(cluster.client(), how, history_)} {}

workload::~workload() {
  if (actor_)
    (void)runtime::stop_and_wait(cluster_.system(), actor_, 10s);
}

void workload::await_progress(std::size_t operations, std::chrono::seconds patience) const {
  const auto wanted = acknowledged() + operations;
  std::unique_lock lock{history_->mutex};
  if (!history_->progressed.wait_for(lock, patience, [&] { return acknowledged() >= wanted; }))
    throw std::runtime_error{"no progress: " + std::to_string(acknowledged()) + " operations of " +
                             std::to_string(wanted) + " after " + std::to_string(patience.count()) + " s"};
}

workload::outcome workload::end(std::chrono::seconds patience) {
  caf::anon_send(actor_, runtime::tick_atom_v);
  if (!runtime::wait_for_end(cluster_.system(), actor_, patience))
    throw std::runtime_error{"the clients did not end within " + std::to_string(patience.count()) + " s"};
  actor_ = nullptr;
  outcome out;
  for (const auto& [key, operations] : history_->operations) {
    ++out.keys;
    switch (sim::check_linearizable(operations)) {
    case sim::verdict::linearizable: break;
    case sim::verdict::undecided: ++out.undecided; break;
    case sim::verdict::violation:
      out.violations.push_back("key " + key + ":\n" + sim::describe(sim::first_violation(operations)));
    }
  }
  out.operations = acknowledged();
  out.unknown = history_->unknown;
  out.refused = history_->refused;
  out.longest_gap = history_->longest_gap;
  return out;
}

std::string describe(const workload::outcome& what) {
  return std::to_string(what.operations) + " operations on " + std::to_string(what.keys) + " keys, " +
         std::to_string(what.unknown) + " unknown, " + std::to_string(what.refused) + " refused, " +
         std::to_string(what.undecided) + " keys undecided; longest without an answer " +
         std::to_string(what.longest_gap.count()) + " ms";
}

std::size_t busiest(const store_processes& cluster) {
  std::size_t out = 0;
  for (std::size_t i = 1; i < cluster.size(); ++i)
    if (cluster.primaries(i) > cluster.primaries(out))
      out = i;
  return out;
}

} // namespace glocal::test
