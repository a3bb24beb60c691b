#include "actors/edge/chain_chooser.hpp"

#include "base/hash.hpp"

#include <algorithm>

namespace glocal::actors {

void chain_chooser::update(const model::class_digest& digest) {
  auto& state = classes_[digest.vnf_class];
  std::vector<candidate> fresh;
  fresh.reserve(digest.candidates.size());
  for (const auto& published : digest.candidates) {
    candidate next{published.instance, published.flows, 0, 0, published.node, published.rate_pps};
    const auto known = std::find_if(state.candidates.begin(), state.candidates.end(),
                                    [&](const candidate& old) { return old.name == published.instance; });
    if (known != state.candidates.end())
      next.previous_choices = known->choices;
    fresh.push_back(std::move(next));
  }
  state.candidates = std::move(fresh);
}

expected<std::vector<std::string>, no_candidate> chain_chooser::choose(const std::vector<std::string>& classes,
                                                                       explanation* why) {
  for (const auto& vnf_class : classes) {
    const auto found = classes_.find(vnf_class);
    if (found == classes_.end() || found->second.candidates.empty())
      return unexpected{no_candidate{vnf_class}};
  }
  std::vector<std::string> instances;
  instances.reserve(classes.size());
  for (const auto& vnf_class : classes) {
    auto& state = classes_.find(vnf_class)->second;
    const auto how = pick(state);
    if (why != nullptr) {
      auto& seen = why->emplace_back();
      for (std::size_t i = 0; i < state.candidates.size(); ++i) {
        const auto& each = state.candidates[i];
        seen.push_back({each.name, each.node, each.published, each.previous_choices + each.choices, each.rate_pps,
                        i == how.first || i == how.second, i == how.chosen});
      }
    }
    auto& chosen = state.candidates[how.chosen];
    ++chosen.choices;
    instances.push_back(chosen.name);
  }
  return instances;
}

void chain_chooser::forget(const std::vector<std::string>& instances) {
  for (auto& [name, state] : classes_)
    for (auto& candidate : state.candidates)
      if (candidate.choices > 0 && std::find(instances.begin(), instances.end(), candidate.name) != instances.end())
        --candidate.choices;
}

chain_chooser::picked chain_chooser::pick(class_state& state) {
  const auto& all = state.candidates;
  if (policy_ == model::policy::round_robin)
    return {state.next++ % all.size()};
  const auto first = random_() % all.size();
  if (all.size() == 1)
    return {first, first, first};
  const auto second = (first + 1 + random_() % (all.size() - 1)) % all.size();
  return {all[second].load() < all[first].load() ? second : first, first, second};
}

model::path_id first_path_id(const std::string& service, const std::vector<std::string>& instances) {
  auto hash = hash_text(service);
  for (const auto& instance : instances)
    hash = hash_text(instance, hash);
  const auto id = static_cast<model::path_id>(hash) & 0xfffffe;
  return id == 0 ? 2 : id;
}

model::path_id next_path_id(model::path_id id) noexcept {
  return id == 0xfffffe ? 2 : id + 2;
}

} // namespace glocal::actors
