#include "actors/policy/chain_planner.hpp"

#include "base/hash.hpp"

#include <algorithm>
#include <utility>

namespace glocal::policy {
namespace {

/// Pieces of 64 of it overlap in two choices out of 30; what counts is that no two choices see the same order for long.
constexpr std::size_t noise_size = 4096;

} // namespace

chain_planner::chain_planner(policy::settings settings, std::vector<std::string> classes, const std::string& edge,
                             std::uint64_t seed)
    : settings_{std::move(settings)}, classes_{std::move(classes)}, random_{seed}, pricing_{make_pricing(settings_)},
      price_{pricing_->links()}, edge_{delays_.number(edge)}, edge_name_{edge},
      layers_(classes_.size()), cache_{settings_.reuse == similarity::none ? std::chrono::milliseconds{0}
                                                                           : settings_.reuse_for},
      costs_(classes_.size()), factors_(pricing_->spread() > 0 ? classes_.size() : 0),
      links_(price_.free() ? 0 : classes_.size() - 1), noise_(pricing_->spread() > 0 ? noise_size : 0) {
  for (auto& number : noise_)
    number = 1 + pricing_->spread() * random_.unit();
}

chain_planner::chain_planner(const chain_planner& other)
    : settings_{other.settings_}, classes_{other.classes_}, random_{other.random_}, pricing_{other.pricing_->clone()},
      price_{other.price_}, delays_{other.delays_}, table_{other.table_ == &other.delays_ ? &delays_ : other.table_},
      edge_{other.edge_}, edge_name_{other.edge_name_}, layers_{other.layers_}, cache_{other.cache_},
      costs_{other.costs_}, factors_{other.factors_}, links_{other.links_}, ingress_{other.ingress_},
      egress_{other.egress_}, noise_{other.noise_}, links_stale_{other.links_stale_} {}

layered_problem chain_planner::problem() const noexcept {
  layered_problem out;
  out.layers = layers_.size();
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    out.sizes[i] = layers_[i].size();
    out.nodes[i] = &costs_[i];
    out.factors[i] = factors_.empty() ? nullptr : &factors_[i];
    out.links[i] = i < links_.size() ? &links_[i] : nullptr;
  }
  if (!price_.free()) {
    out.ingress = &ingress_;
    out.egress = &egress_;
  }
  return out;
}

void chain_planner::share_delays(delay_table& shared) noexcept {
  table_ = &shared;
  edge_ = shared.number(edge_name_);
  links_stale_ = true;
}

delay_table& chain_planner::delays() noexcept {
  links_stale_ = true;
  return *table_;
}

void chain_planner::update(const std::string& vnf_class, std::span<const candidate> candidates) {
  for (std::size_t i = 0; i < classes_.size(); ++i) {
    if (classes_[i] != vnf_class)
      continue;
    layers_[i].update(candidates, *table_);
    pricing_->refreshed(i, layers_[i]);
    links_stale_ = true;
  }
}

float chain_planner::link_cost(edge_id from, edge_id to) const noexcept {
  const bool change = from != to || from == unknown_edge;
  return price_.per_us * table_->delay_us(from, to) + (change ? price_.per_change : 0);
}

void chain_planner::refresh_links() {
  if (!std::exchange(links_stale_, false) || price_.free())
    return;
  for (std::size_t j = 0; j < layers_[0].size(); ++j)
    ingress_[j] = link_cost(edge_, layers_[0].edge(j));
  for (std::size_t l = 0; l + 1 < layers_.size(); ++l)
    for (std::size_t i = 0; i < layers_[l].size(); ++i)
      for (std::size_t j = 0; j < layers_[l + 1].size(); ++j)
        links_[l].at(i, j) = link_cost(layers_[l].edge(i), layers_[l + 1].edge(j));
}

expected<chosen_chain, missing_class> chain_planner::choose(const flow_request& flow) {
  for (std::size_t i = 0; i < layers_.size(); ++i)
    if (layers_[i].size() == 0)
      return unexpected{missing_class{i}};
  chosen_chain out;
  out.size = layers_.size();
  out.reused = reuse(flow, out);
  if (out.reused) {
    // The policy was not asked: nobody's turn passes and nothing has a price.
    for (auto& costs : costs_)
      costs.fill(not_offered);
  } else {
    refresh_links();
    if (!price_.free())
      for (std::size_t j = 0; j < layers_.back().size(); ++j)
        egress_[j] = flow.egress == unknown_edge ? 0 : link_cost(layers_.back().edge(j), flow.egress);
    for (std::size_t i = 0; i < layers_.size(); ++i)
      pricing_->offer(i, layers_[i], flow, random_, costs_[i]);
    disturb();
    const auto all = problem();
    out.candidates = cheapest_path(all).nodes;
    out.cost = cost_of(all, out.candidates);
    remember(flow, out);
  }
  for (std::size_t i = 0; i < out.size; ++i)
    layers_[i].count(out.candidates[i]);
  return out;
}

void chain_planner::disturb() noexcept {
  for (auto& factors : factors_) {
    const auto from = random_.below(noise_size - layer_width);
    std::copy_n(noise_.begin() + from, layer_width, factors.begin());
  }
}

bool chain_planner::reuse(const flow_request& flow, chosen_chain& chain) const noexcept {
  const auto* known = cache_.find(flow.similarity, flow.now);
  if (known == nullptr || known->size != chain.size)
    return false;
  for (std::size_t i = 0; i < chain.size; ++i) {
    const auto at = layers_[i].find(known->instances[i]);
    // An instance that is no candidate any more is ill, full or gone: decide anew.
    if (at == layers_[i].size())
      return false;
    chain.candidates[i] = static_cast<std::uint8_t>(at);
  }
  return true;
}

void chain_planner::remember(const flow_request& flow, const chosen_chain& chain) noexcept {
  if (flow.similarity == 0 || settings_.reuse == similarity::none)
    return;
  remembered_chain remembered{chain.size, {}};
  for (std::size_t i = 0; i < chain.size; ++i)
    remembered.instances[i] = layers_[i].id(chain.candidates[i]);
  cache_.put(flow.similarity, remembered, flow.now);
}

void chain_planner::forget(const std::vector<std::string>& instances) noexcept {
  for (std::size_t i = 0; i < layers_.size() && i < instances.size(); ++i)
    layers_[i].uncount(instances[i]);
}

std::vector<std::string> chain_planner::instances(const chosen_chain& chain) const {
  std::vector<std::string> out;
  out.reserve(chain.size);
  for (std::size_t i = 0; i < chain.size; ++i)
    out.push_back(instance(i, chain.candidates[i]));
  return out;
}

explanation chain_planner::explain(const chosen_chain& latest) const {
  explanation out{std::string{name(settings_.kind)},
                  latest.reused ? "the chain of a similar flow" : pricing_->reason(),
                  latest.cost,
                  latest.reused,
                  {}};
  auto before = edge_;
  for (std::size_t l = 0; l < latest.size; ++l) {
    auto& explained = out.classes.emplace_back();
    const auto& here = layers_[l];
    for (std::size_t i = 0; i < here.size(); ++i) {
      const bool chosen = i == latest.candidates[l];
      const auto own = here.own(i) - (chosen ? 1.0f : 0.0f);
      explained.push_back({here.names()[i], std::string{table_->name(here.edge(i))}, here.published(i), own,
                           (here.published(i) + own) / here.capacity(i), table_->delay_us(before, here.edge(i)),
                           costs_[l][i], chosen});
    }
    before = here.edge(latest.candidates[l]);
  }
  return out;
}

} // namespace glocal::policy
