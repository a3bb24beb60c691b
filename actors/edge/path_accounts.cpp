#include "actors/edge/path_accounts.hpp"

#include "actors/model/keys.hpp"

#include <utility>

namespace glocal::actors {

using dataplane::max_path_accounts;

std::uint16_t path_accounts::of(const model::service_path& path) {
  std::string chain;
  for (const auto& instance : path.instances)
    chain += (chain.empty() ? "" : " > ") + instance;
  const std::scoped_lock lock{mutex_};
  if (const auto known = paths_.find(path.id); known != paths_.end()) {
    accounts_[known->second].chain = std::move(chain);
    return known->second;
  }
  auto others = services_.find(path.service);
  if (others == services_.end() && accounts_.size() < max_path_accounts)
    others = services_.emplace(path.service, add({path.service, other_paths, other_paths})).first;
  if (others != services_.end() && accounts_.size() < max_path_accounts)
    return paths_[path.id] = add({path.service, model::keys::path(path.id), std::move(chain)});
  ++folded_;
  return others == services_.end() ? std::uint16_t{0} : others->second;
}

std::uint16_t path_accounts::add(account named) {
  accounts_.push_back(std::move(named));
  return static_cast<std::uint16_t>(accounts_.size() - 1);
}

std::vector<path_accounts::account> path_accounts::all() const {
  const std::scoped_lock lock{mutex_};
  return accounts_;
}

std::uint64_t path_accounts::folded() const {
  const std::scoped_lock lock{mutex_};
  return folded_;
}

} // namespace glocal::actors
