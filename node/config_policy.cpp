#include "node/config_policy.hpp"

#include "node/yaml_reader.hpp"

#include <algorithm>

namespace glocal::node {
namespace {

using namespace std::chrono_literals;
using policy::similarity;

constexpr std::uint32_t greatest_weight = 1000;
constexpr std::size_t max_weights = 10'000;

/// Parameters of each policy beside `name` and `reuse`.
std::vector<std::string_view> parameters_of(policy::kind what) {
  switch (what) {
  case policy::kind::least_loaded: return {"choices"};
  case policy::kind::round_robin:
  case policy::kind::consistent: return {};
  case policy::kind::lowest_latency: return {"sample", "spread_percent", "service_us"};
  case policy::kind::locality: return {"sample", "spread_percent", "spill_percent"};
  case policy::kind::weighted: return {"weights"};
  case policy::kind::combined:
    return {"sample", "spread_percent", "service_us", "latency_weight", "load_weight", "locality_weight"};
  }
  return {};
}

class policy_loader : yaml_reader {
public:
  using yaml_reader::yaml_reader;

  void load(const value& v, policy::settings& out) {
    if (v.what == kind::scalar)
      return policy_name(v, out.kind);
    if (v.what != kind::map) {
      report_.error(v, "policy is a policy's name, or 'name' with parameters",
                    "write for example 'policy: least-loaded' or 'policy: {name: least-loaded, choices: 3}'");
      return;
    }
    std::vector<std::string_view> known{"name", "reuse"};
    const auto* named = tree_.find(v, "name");
    const auto parsed = named != nullptr ? policy::parse_kind(named->text) : std::nullopt;
    // Under a name that is none, parameters of any policy pass: one mistake, one report.
    for (int each = 0; each <= static_cast<int>(policy::last_kind); ++each)
      if (!parsed || *parsed == static_cast<policy::kind>(each))
        for (const auto parameter : parameters_of(static_cast<policy::kind>(each)))
          if (std::find(known.begin(), known.end(), parameter) == known.end())
            known.push_back(parameter);
    if (!keys(v, parsed ? "policy " + std::string{policy::name(*parsed)} : std::string{"a policy"}, known, {"name"}))
      return;
    with(v, "name", [&](auto& e) { policy_name(e, out.kind); });
    with(v, "choices", [&](auto& e) { number(e, "choices", 1, 64, out.choices); });
    with(v, "sample", [&](auto& e) { number(e, "sample", 0, 64, out.sample); });
    with(v, "spread_percent", [&](auto& e) { number(e, "spread_percent", 0, 100, out.spread_percent); });
    with(v, "service_us", [&](auto& e) { number(e, "service_us", 1, 1'000'000, out.service_us); });
    with(v, "spill_percent", [&](auto& e) { number(e, "spill_percent", 1, 1000, out.spill_percent); });
    const auto weight = [&](std::string_view key, std::uint32_t& to) {
      with(v, key, [&](auto& e) { number(e, key, 0, greatest_weight, to); });
    };
    weight("latency_weight", out.latency_weight);
    weight("load_weight", out.load_weight);
    weight("locality_weight", out.locality_weight);
    if (out.kind == policy::kind::combined && out.latency_weight + out.load_weight + out.locality_weight == 0)
      report_.error(v, "all weights of the combined policy are 0, so nothing counts",
                    "give latency_weight, load_weight or locality_weight a value");
    with(v, "weights", [&](auto& e) { weights(e, out.weights); });
    with(v, "reuse", [&](auto& e) { reuse(e, out); });
  }

private:
  void policy_name(const value& v, policy::kind& out) {
    std::vector<std::pair<std::string_view, policy::kind>> choices;
    for (int each = 0; each <= static_cast<int>(policy::last_kind); ++each)
      choices.emplace_back(policy::name(static_cast<policy::kind>(each)), static_cast<policy::kind>(each));
    choice<policy::kind>(v, choices, out);
  }

  void weights(const value& v, std::vector<policy::instance_weight>& out) {
    if (!expect(v, kind::map, "weights", "write it as '{fw-1: 3, fw-2: 1}'"))
      return;
    if (v.children.size() / 2 > max_weights) {
      report_.error(v, "more than " + std::to_string(max_weights) + " weights",
                    "instances that are not named have weight 1");
      return;
    }
    for (std::size_t i = 0; i + 1 < v.children.size() && !report_.full(); i += 2) {
      const auto& key = tree_.at(v.children[i]);
      policy::instance_weight read;
      name(key, read.instance);
      number(tree_.at(v.children[i + 1]), "a weight", 0, greatest_weight, read.weight);
      const bool twice =
          std::any_of(out.begin(), out.end(), [&](const auto& e) { return e.instance == read.instance; });
      if (twice && !read.instance.empty())
        report_.error(key, "instance " + quoted(read.instance) + " a second time", "keep one of them");
      out.push_back(std::move(read));
    }
  }

  void reuse(const value& v, policy::settings& out) {
    if (!keys(v, "reuse", {"by", "for"}, {"by"}))
      return;
    with(v, "by", [&](auto& e) {
      choice<similarity>(e,
                         {{"none", similarity::none},
                          {"source", similarity::source},
                          {"destination", similarity::destination},
                          {"pair", similarity::pair}},
                         out.reuse);
    });
    with(v, "for", [&](auto& e) { duration(e, "for", 100ms, 24h, out.reuse_for); });
  }
};

} // namespace

void read_policy(const yaml_tree& tree, config_report& report, const yaml_value& v, policy::settings& out) {
  policy_loader{tree, report}.load(v, out);
}

} // namespace glocal::node
