#include "actors/edge/chain_chooser.hpp"

#include "actors/model/keys.hpp"
#include "base/hash.hpp"

#include <algorithm>
#include <utility>

namespace glocal::actors {
namespace {

/// Linux's least retransmission timeout.
constexpr double retransmission_us = 200'000;

} // namespace

chain_chooser::chain_chooser(const policy::settings& rule, std::vector<std::string> classes, const std::string& edge,
                             std::uint64_t seed)
    : planner_{rule, std::move(classes), edge, seed}, rates_(planner_.classes().size()) {}

void chain_chooser::update(const model::class_digest& digest) {
  std::vector<policy::candidate> candidates;
  std::vector<double> rates;
  candidates.reserve(digest.candidates.size());
  for (const auto& each : digest.candidates) {
    candidates.push_back({each.instance, each.node, static_cast<double>(each.flows), static_cast<double>(each.capacity),
                          true, std::chrono::milliseconds{0}});
    rates.push_back(each.rate_pps);
  }
  planner_.update(digest.vnf_class, candidates);
  const auto& classes = planner_.classes();
  for (std::size_t i = 0; i < classes.size(); ++i)
    if (classes[i] == digest.vnf_class)
      rates_[i] = rates;
}

void chain_chooser::update(const model::link_state& link) {
  auto& delays = planner_.delays();
  const auto from = delays.number(link.from), to = delays.number(link.to);
  delays.set(from, to, static_cast<float>(link.delay_us + std::clamp(link.loss, 0.0, 1.0) * retransmission_us));
}

void chain_chooser::erase_link(const std::string& from, const std::string& to) {
  auto& delays = planner_.delays();
  const auto a = delays.number(from), b = delays.number(to);
  delays.set(a, b, -1);
}

std::uint64_t chain_chooser::similarity(model::tenant_id tenant, const five_tuple& tuple) const {
  const auto hash = [&](const ip_address& address, std::uint64_t seed) {
    return hash_bytes(address.octets.data(), address.octets.size(), seed);
  };
  switch (planner_.rule().reuse) {
  case policy::similarity::none: return 0;
  case policy::similarity::source: return hash(tuple.source, tenant);
  case policy::similarity::destination: return hash(tuple.destination, tenant);
  case policy::similarity::pair: return hash(tuple.destination, hash(tuple.source, tenant));
  }
  return 0;
}

expected<std::vector<std::string>, no_candidate> chain_chooser::choose(model::tenant_id tenant, const five_tuple& tuple,
                                                                       std::chrono::nanoseconds now, explanation* why) {
  policy::flow_request flow;
  // Of the flow's key, so that both directions of a connection hash alike.
  if (planner_.rule().kind == policy::kind::consistent)
    flow.hash = hash_text(model::keys::flow(tenant, tuple));
  flow.similarity = similarity(tenant, tuple);
  flow.now = now;
  const auto chosen = planner_.choose(flow);
  if (!chosen)
    return unexpected{no_candidate{planner_.classes()[chosen.error().index]}};
  if (why != nullptr) {
    const auto explained = planner_.explain(*chosen);
    *why = {explained.reason, explained.cost, explained.reused, {}};
    for (std::size_t i = 0; i < explained.classes.size(); ++i) {
      auto& seen = why->classes.emplace_back();
      for (std::size_t k = 0; k < explained.classes[i].size(); ++k) {
        const auto& each = explained.classes[i][k];
        const bool offered = each.cost < policy::not_offered;
        seen.push_back({each.instance, each.edge, static_cast<std::uint64_t>(each.published),
                        static_cast<std::uint64_t>(each.own), k < rates_[i].size() ? rates_[i][k] : 0, offered,
                        each.chosen, each.utilisation, each.delay_us, offered ? each.cost : 0});
      }
    }
  }
  return planner_.instances(*chosen);
}

void chain_chooser::forget(const std::vector<std::string>& instances) {
  planner_.forget(instances);
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
