#include "actors/policy/maglev.hpp"
#include "actors/policy/pricing.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

namespace glocal::policy {
namespace {

constexpr float us_per_ms = 1000;
/// What a change of edge is worth to `locality` beside the delay: more than any detour saves.
constexpr float change_us = 1000;
/// A full instance is worth going further for than any path through the network is long.
constexpr float overfull_us = 1e6;

std::string percent(std::uint32_t value) {
  return std::to_string(value) + " %";
}

bool has(std::uint64_t mask, std::size_t i) noexcept {
  return (mask >> i & 1) != 0;
}

/// Power of d choices (Mitzenmacher, IEEE TPDS 2001): the less loaded of a few random candidates. Who compares all
/// would send a whole period's flows of all edges to the same instance.
class least_loaded final : public pricing {
public:
  explicit least_loaded(const settings& settings) : choices_{settings.choices} {}

  std::unique_ptr<pricing> clone() const override { return std::make_unique<least_loaded>(*this); }
  void offer(std::size_t, const layer& of, const flow_request&, random_source& random,
             layer_costs& costs) noexcept override {
    const auto offered = sample(of.size(), choices_, random);
    // Half a flow of chance decides between equals and never between unequals.
    for (std::size_t i = 0; i < of.size(); ++i)
      costs[i] = has(offered, i) ? (of.load(i) + 0.5f * random.unit()) / of.capacity(i) : not_offered;
  }
  std::string reason() const override {
    return "the least loaded of " + std::to_string(choices_) + " random candidates of each class";
  }

private:
  const std::size_t choices_;
};

class round_robin final : public pricing {
public:
  std::unique_ptr<pricing> clone() const override { return std::make_unique<round_robin>(*this); }
  void offer(std::size_t index, const layer& of, const flow_request&, random_source& random,
             layer_costs& costs) noexcept override {
    auto& turn = turns_[index];
    // Edges that start together must not go round together.
    if (turn == unset)
      turn = random.below(static_cast<std::uint32_t>(of.size()));
    std::fill_n(costs.begin(), of.size(), not_offered);
    costs[turn++ % of.size()] = 0;
  }
  std::string reason() const override { return "the next in turn of each class"; }

private:
  static constexpr std::uint64_t unset = ~std::uint64_t{0};
  std::array<std::uint64_t, max_layers> turns_ = [] {
    std::array<std::uint64_t, max_layers> out{};
    out.fill(unset);
    return out;
  }();
};

/// What prices all or a sample of the candidates and lets the path decide.
class priced : public pricing {
public:
  explicit priced(const settings& settings)
      : sample_{settings.sample}, spread_{static_cast<float>(settings.spread_percent) / 100} {}

  void offer(std::size_t, const layer& of, const flow_request&, random_source& random,
             layer_costs& costs) noexcept final {
    const auto offered = sample(of.size(), sample_, random);
    for (std::size_t i = 0; i < of.size(); ++i)
      costs[i] = has(offered, i) ? price(of.utilisation(i)) : not_offered;
  }
  float spread() const noexcept final { return spread_; }

protected:
  [[nodiscard]] virtual float price(float utilisation) const noexcept = 0;
  [[nodiscard]] std::string considered() const {
    return (sample_ == 0 ? "all candidates" : std::to_string(sample_) + " random candidates of each class") +
           ", within " + std::to_string(std::lround(spread_ * 100)) + " % of the cheapest";
  }

private:
  const std::size_t sample_;
  const float spread_;
};

/// Delay of the links plus the time in the instances.
class lowest_latency final : public priced {
public:
  explicit lowest_latency(const settings& settings)
      : priced{settings}, service_us_{static_cast<float>(settings.service_us)} {}

  std::unique_ptr<pricing> clone() const override { return std::make_unique<lowest_latency>(*this); }
  link_price links() const noexcept override { return {1, 0}; }
  std::string reason() const override { return "the least delay of links and queues, of " + considered(); }

protected:
  float price(float utilisation) const noexcept override { return queueing_us(utilisation, service_us_); }

private:
  const float service_us_;
};

/// The nearest instances, as long as they have room.
class locality final : public priced {
public:
  explicit locality(const settings& settings)
      : priced{settings}, percent_{settings.spill_percent}, spill_{static_cast<float>(settings.spill_percent) / 100} {}

  std::unique_ptr<pricing> clone() const override { return std::make_unique<locality>(*this); }
  link_price links() const noexcept override { return {1, change_us}; }
  std::string reason() const override {
    return "the fewest changes of edge, then the shortest way, past instances over " + percent(percent_) +
           " full, of " + considered();
  }

protected:
  float price(float utilisation) const noexcept override {
    // Among equally near ones the emptier, by less than any link is long.
    return utilisation + (utilisation > spill_ ? overfull_us * (1 + utilisation - spill_) : 0);
  }

private:
  const std::uint32_t percent_;
  const float spill_;
};

/// Latency, load and locality in one currency.
class combined final : public priced {
public:
  std::unique_ptr<pricing> clone() const override { return std::make_unique<combined>(*this); }
  explicit combined(const settings& settings)
      : priced{settings}, service_us_{static_cast<float>(settings.service_us)}, per_us_{static_cast<float>(
                                                                                            settings.latency_weight) /
                                                                                        us_per_ms},
        per_load_{static_cast<float>(settings.load_weight)}, per_change_{static_cast<float>(settings.locality_weight)} {
  }

  link_price links() const noexcept override { return {per_us_, per_change_}; }
  std::string reason() const override { return "the least cost of latency, load and locality, of " + considered(); }

protected:
  float price(float utilisation) const noexcept override {
    return per_us_ * queueing_us(utilisation, service_us_) + per_load_ * utilisation;
  }

private:
  const float service_us_, per_us_, per_load_, per_change_;
};

/// By lot, each candidate with the chance its weight gives it (inversion: Devroye 1986, chapter III.2).
class weighted final : public pricing {
public:
  explicit weighted(const settings& settings) : weights_{settings.weights} {}

  std::unique_ptr<pricing> clone() const override { return std::make_unique<weighted>(*this); }
  void refreshed(std::size_t index, const layer& of) override {
    float sum = 0;
    for (std::size_t i = 0; i < of.size(); ++i) {
      const auto named = std::find_if(weights_.begin(), weights_.end(),
                                      [&](const auto& each) { return each.instance == of.names()[i]; });
      sum += named == weights_.end() ? 1.0f : static_cast<float>(named->weight);
      sums_[index][i] = sum;
    }
  }
  void offer(std::size_t index, const layer& of, const flow_request&, random_source& random,
             layer_costs& costs) noexcept override {
    const auto& sums = sums_[index];
    const auto end = sums.begin() + static_cast<std::ptrdiff_t>(of.size());
    const auto total = *(end - 1);
    // All weights 0 is an operator who drained everything: then chance alone.
    const auto drawn = total > 0 ? std::upper_bound(sums.begin(), end - 1, random.unit() * total) - sums.begin()
                                 : static_cast<std::ptrdiff_t>(random.below(static_cast<std::uint32_t>(of.size())));
    std::fill_n(costs.begin(), of.size(), not_offered);
    costs[static_cast<std::size_t>(drawn)] = 0;
  }
  std::string reason() const override { return "by lot, in proportion to the weights"; }

private:
  const std::vector<instance_weight> weights_;
  std::array<layer_costs, max_layers> sums_{};
};

/// Maglev hashing of the connection: the same for every edge and every time, whatever the load.
class consistent final : public pricing {
public:
  std::unique_ptr<pricing> clone() const override { return std::make_unique<consistent>(*this); }
  void refreshed(std::size_t index, const layer& of) override {
    if (tables_.size() <= index) {
      tables_.resize(index + 1);
      names_.resize(index + 1);
    }
    // A digest changes every second, its members hardly ever.
    if (names_[index] != of.names())
      tables_[index] = maglev_table{names_[index] = of.names()};
  }
  void offer(std::size_t index, const layer& of, const flow_request& flow, random_source&,
             layer_costs& costs) noexcept override {
    std::fill_n(costs.begin(), of.size(), not_offered);
    // The classes of a chain are independent of each other.
    costs[tables_[index].find(random_source::mix(flow.hash + index))] = 0;
  }
  std::string reason() const override { return "by the hash of the connection (Maglev)"; }

private:
  std::vector<maglev_table> tables_;
  std::vector<std::vector<std::string>> names_;
};

constexpr std::array names{std::pair{kind::least_loaded, std::string_view{"least-loaded"}},
                           std::pair{kind::round_robin, std::string_view{"round-robin"}},
                           std::pair{kind::lowest_latency, std::string_view{"lowest-latency"}},
                           std::pair{kind::locality, std::string_view{"locality"}},
                           std::pair{kind::weighted, std::string_view{"weighted"}},
                           std::pair{kind::consistent, std::string_view{"consistent"}},
                           std::pair{kind::combined, std::string_view{"combined"}}};
static_assert(names.size() == static_cast<std::size_t>(last_kind) + 1);

} // namespace

std::string_view name(kind what) noexcept {
  const auto index = static_cast<std::size_t>(what);
  return index < names.size() ? names[index].second : "?";
}

std::optional<kind> parse_kind(std::string_view text) noexcept {
  const auto found = std::find_if(names.begin(), names.end(), [&](const auto& each) { return each.second == text; });
  return found == names.end() ? std::nullopt : std::optional{found->first};
}

std::unique_ptr<pricing> make_pricing(const settings& settings) {
  switch (settings.kind) {
  case kind::least_loaded: return std::make_unique<least_loaded>(settings);
  case kind::round_robin: return std::make_unique<round_robin>();
  case kind::lowest_latency: return std::make_unique<lowest_latency>(settings);
  case kind::locality: return std::make_unique<locality>(settings);
  case kind::weighted: return std::make_unique<weighted>(settings);
  case kind::consistent: return std::make_unique<consistent>();
  case kind::combined: return std::make_unique<combined>(settings);
  }
  return nullptr;
}

float queueing_us(float utilisation, float service_us) noexcept {
  constexpr float bend = 0.95f, at_bend = 1 / (1 - bend), slope = at_bend * at_bend;
  return service_us * (utilisation < bend ? 1 / (1 - utilisation) : at_bend + slope * (utilisation - bend));
}

std::uint64_t sample(std::size_t size, std::size_t count, random_source& random) noexcept {
  const auto all = size == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << size) - 1;
  if (count == 0 || count >= size)
    return all;
  // Of two complements the smaller is drawn, so that a draw hits a free place at least every other time.
  const bool inverted = count > size / 2;
  const auto wanted = static_cast<int>(inverted ? size - count : count);
  std::uint64_t drawn = 0;
  while (std::popcount(drawn) < wanted)
    drawn |= std::uint64_t{1} << random.below(static_cast<std::uint32_t>(size));
  return inverted ? all & ~drawn : drawn;
}

} // namespace glocal::policy
