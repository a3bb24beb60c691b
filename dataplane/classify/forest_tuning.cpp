#include "dataplane/classify/forest_tuning.hpp"

#include "dataplane/classify/lookup_kernel.hpp"

#include <algorithm>
#include <random>

namespace glocal::dataplane {
namespace {

/// Rules that options are tried on: some 50 times 0.1 s.
constexpr std::size_t tuned_rules = 20'000;
/// A forest of this size is in the cache all the time, whatever a rule takes.
constexpr double cached_bytes = 2 << 20;
constexpr std::size_t sample_packets = 2048;
/// Of entries that is 512 MB; a list of 100 M rules has four to eight rules for each of its 16 to 32 M.
constexpr std::uint32_t max_root_width = 26;
/// What a rule takes besides its place in the forest.
constexpr double outcome_bytes = sizeof(rule_outcome);

/// A packet that the rule matches; what the rule leaves open is random.
template <std::size_t Words>
packed_words<Words> packet_of(const packed_words<Words>& rule, const packed_words<Words>& mask,
                              std::mt19937_64& random) {
  using layout = packed_layout<Words>;
  packed_words<Words> out;
  for (std::size_t i = 0; i < layout::ports; ++i)
    out.word[i] = rule.word[i] | (random() & ~mask.word[i]);
  const auto port = [&](unsigned shift) {
    const auto low = rule.word[layout::ports] >> shift & 0xffff,
               high = ~rule.word[layout::ports] >> (shift + 16) & 0xffff;
    const auto chosen = low + random() % (high - low + 1);
    return chosen << shift | (~chosen & 0xffff) << (shift + 16);
  };
  out.word[layout::ports] = port(0) | port(32);
  return out;
}

/// A number that rules of one network share: of the first 20 bits (IPv6: 52) of their destination or source prefix.
template <std::size_t Words>
std::uint64_t network_of(const packed_words<Words>& rule, const packed_words<Words>& mask) {
  constexpr unsigned bits = Words == 4 ? 20 : 52;
  const auto of = bits_of<Words>(rule, mask);
  const auto mixed = [](std::uint64_t value) { return (value + 1) * 0x9e3779b97f4a7c15ULL >> 24; };
  for (const bool source : {false, true})
    if (prefix_length<Words>(of, source) >= bits) {
      if constexpr (Words == 4)
        return mixed((source ? rule.word[0] >> 32 : rule.word[0] & 0xffff'ffff) >> (32 - bits));
      else
        return mixed(rule.word[source ? 0 : 2] >> (64 - bits));
    }
  return mixed(payload::id(rule.word[Words - 1]));
}

/// In lines, all told: what a lookup of a packet of a random rule costs.
template <std::size_t Words>
double cost_of(const forest<Words>& tried, std::span<const packed_words<Words>> rules,
               std::span<const std::uint32_t> order, std::span<const rule_outcome> outcomes, bool exact_classes) {
  const forest_view<Words> view{
      tried.arena.data(), tried.shapes.data(), tried.templates.data(), outcomes.data(), tried.root, tried.max_visits, 0,
      exact_classes};
  std::mt19937_64 random{1};
  lookup_cost cost;
  for (std::size_t i = 0; i < sample_packets; ++i) {
    const auto& rule = rules[order[random() % order.size()]];
    const auto packet =
        packet_of<Words>(rule, tried.templates.data()[payload::template_of(rule.word[Words - 1])], random);
    (void)counted_lookup<Words>(view, packet, cost);
  }
  return static_cast<double>(cost.lines) / static_cast<double>(cost.lookups);
}

template <std::size_t Words>
std::optional<forest_refusal> build(forest<Words>& out, std::span<const packed_words<Words>> rules,
                                    std::span<const std::uint32_t> order, const forest_options& options,
                                    const forest_limits& limits) {
  out.arena = slot_arena<Words>{limits.max_bytes};
  out.shapes = {};
  out.shared = {};
  out.options = options;
  forest_builder<Words> builder{out.arena, out.templates, out.shapes, options, &out.shared};
  const auto built = builder.build(rules, order);
  if (!built)
    return forest_refusal{built.error(), builder.longest_leaf_rule()};
  out.root = built->entry;
  out.max_visits = std::max(built->visits, 1u);
  return {};
}

/// Tries options on some rules and remembers the cheapest that fit.
template <std::size_t Words>
class tuner {
public:
  tuner(forest<Words>& scratch, std::span<const packed_words<Words>> rules, std::span<const std::uint32_t> order,
        std::span<const rule_outcome> outcomes, bool exact_classes, const forest_limits& limits, double least_bytes)
      : scratch_{scratch}, rules_{rules}, order_{order}, outcomes_{outcomes},
        exact_classes_{exact_classes}, limits_{limits}, most_bytes_{std::max((limits.max_rule_bytes - outcome_bytes) *
                                                                                 static_cast<double>(order.size()),
                                                                             least_bytes)} {}

  void tune() {
    // What matters most first; each step keeps what was best before it. Either entries tell most rules apart, or leaves
    // are long and their marks do.
    struct way {
      double load;
      std::uint32_t leaf_rules, marked_rules;
    };
    for (const auto copies : {1.25, 4.0, 16.0, 64.0, 256.0})
      for (const auto& with : {way{1, 4, 0}, way{8, 4, 0}, way{0.25, 12, 3}, way{1, 12, 3}})
        for (const auto open : {0.02, 0.5})
          consider([&](auto& one) {
            one.max_copies = copies;
            one.table_load = with.load;
            one.leaf_rules = with.leaf_rules;
            one.marked_rules = with.marked_rules;
            one.open_penalty = open;
          });
    for (const auto open : {0.1, 1.0})
      consider([&](auto& one) { one.open_penalty = open; });
    for (const std::uint32_t leaf : {2u, 8u, 12u})
      consider([&](auto& one) { one.leaf_rules = leaf; });
    for (const auto load : {0.5, 2.0})
      consider([&](auto& one) { one.table_load = load; });
    for (const std::uint32_t marked : {0u, 3u, 6u})
      consider([&](auto& one) { one.marked_rules = marked; });
    for (const std::uint32_t kept : {0u, 2u, 8u})
      consider([&](auto& one) { one.kept_inline = kept; });
    consider([&](auto& one) { one.split_length = 12; });
  }
  [[nodiscard]] const std::optional<forest_options>& best() const noexcept { return best_; }
  [[nodiscard]] const std::optional<forest_refusal>& refusal() const noexcept { return refusal_; }

private:
  template <class Change>
  void consider(Change&& change) {
    auto one = best_.value_or(forest_options{});
    change(one);
    // What takes too much memory is given up as it is built.
    auto limits = limits_;
    limits.max_bytes = std::min(limits.max_bytes, static_cast<std::size_t>(most_bytes_));
    if (const auto refused = build<Words>(scratch_, rules_, order_, one, limits)) {
      refusal_ = refused;
      return;
    }
    const auto cost = cost_of<Words>(scratch_, rules_, order_, outcomes_, exact_classes_);
    if (!best_ || cost < best_cost_) {
      best_ = one;
      best_cost_ = cost;
    }
  }

  forest<Words>& scratch_;
  std::span<const packed_words<Words>> rules_;
  std::span<const std::uint32_t> order_;
  std::span<const rule_outcome> outcomes_;
  bool exact_classes_;
  const forest_limits& limits_;
  double most_bytes_, best_cost_ = 0;
  std::optional<forest_options> best_;
  std::optional<forest_refusal> refusal_;
};

} // namespace

template <std::size_t Words>
std::optional<forest_refusal> grow_forest(forest<Words>& out, std::span<const packed_words<Words>> rules,
                                          std::span<const std::uint32_t> order, std::span<const rule_outcome> outcomes,
                                          bool exact_classes, const std::optional<forest_options>& options,
                                          const forest_limits& limits) {
  if (options || order.size() <= forest_options{}.leaf_rules)
    return build(out, rules, order, options.value_or(forest_options{}), limits);
  // Of a long list the rules of some networks are tried, all of each: trees are as dense there as in the whole.
  std::vector<std::uint32_t> some;
  if (order.size() > 2 * tuned_rules) {
    const auto share = order.size() / tuned_rules;
    for (const auto at : order) {
      const auto& rule = rules[at];
      if (network_of<Words>(rule, out.templates.data()[payload::template_of(rule.word[Words - 1])]) % share == 0)
        some.push_back(at);
    }
  }
  // Where a few networks have all rules, some of these.
  if (order.size() > 2 * tuned_rules && (some.size() < tuned_rules / 8 || some.size() > 4 * tuned_rules)) {
    some.clear();
    for (std::size_t i = 0; i < order.size(); i += order.size() / tuned_rules)
      some.push_back(order[i]);
  }
  tuner<Words> all{out,           rules,  some.empty() ? order : some,    outcomes,
                   exact_classes, limits, some.empty() ? cached_bytes : 0};
  all.tune();
  if (!all.best()) {
    // Nothing fits what a rule should take, or nothing is shallow enough without more copies.
    auto refused = all.refusal();
    for (const auto copies : {1.25, 16.0, 128.0}) {
      forest_options one;
      one.max_copies = copies;
      refused = build(out, rules, order, one, limits);
      if (!refused || refused->why != forest_error::too_many_lines)
        break;
    }
    return refused;
  }
  // Tried lists are short; a long one has its rules told apart by one table where the widest can.
  auto chosen = *all.best();
  chosen.root_width = std::clamp<std::uint32_t>(static_cast<std::uint32_t>(std::bit_width(order.size())),
                                                chosen.root_width, max_root_width);
  // A table has 2^n entries. The tried list had its own luck with that; this one gets the nearest, not the next below.
  const auto entries = chosen.table_load * static_cast<double>(order.size());
  const auto below = static_cast<double>(std::bit_floor(static_cast<std::uint64_t>(std::max(entries, 1.0))));
  if (!some.empty() && entries > below * 1.4)
    chosen.table_load *= 2.001 * below / entries;
  return build(out, rules, order, chosen, limits);
}

template std::optional<forest_refusal> grow_forest<4>(forest<4>&, std::span<const packed_v4>,
                                                      std::span<const std::uint32_t>, std::span<const rule_outcome>,
                                                      bool, const std::optional<forest_options>&, const forest_limits&);
template std::optional<forest_refusal> grow_forest<8>(forest<8>&, std::span<const packed_v6>,
                                                      std::span<const std::uint32_t>, std::span<const rule_outcome>,
                                                      bool, const std::optional<forest_options>&, const forest_limits&);

} // namespace glocal::dataplane
