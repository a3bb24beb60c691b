#include "dataplane/classify/forest_classifier.hpp"

#include <algorithm>

namespace glocal::dataplane {
namespace {

/// Makes room for `more` values behind `count` of them in memory that may not be reserved yet.
template <class Value>
bool make_room(huge_memory& memory, std::size_t count, std::size_t more = 1) {
  if (memory.data() == nullptr) {
    auto reserved = huge_memory::reserve(max_rules * sizeof(Value));
    if (!reserved)
      return false;
    memory = std::move(*reserved);
  }
  return memory.grow((count + more) * sizeof(Value));
}

build_error::code code_of(forest_error error) noexcept {
  switch (error) {
  case forest_error::out_of_memory: return build_error::code::out_of_memory;
  case forest_error::too_many_shapes: return build_error::code::too_many_shapes;
  case forest_error::too_many_lines: break;
  }
  return build_error::code::too_many_lines;
}

} // namespace

template <std::size_t Words>
bool packed_rules<Words>::append(const packed_words<Words>& rule) {
  if (!make_room<packed_words<Words>>(memory, count))
    return false;
  ++count;
  all().back() = rule;
  return true;
}

template <std::size_t Words>
bool packed_rules<Words>::reserve(std::size_t more) {
  return make_room<packed_words<Words>>(memory, count, more);
}

bool forest_classifier::loader::reserve_outcomes(std::size_t more) {
  return make_room<rule_outcome>(outcomes_, count_, more);
}

template struct packed_rules<4>;
template struct packed_rules<8>;

expected<std::shared_ptr<const forest_classifier>, build_error>
forest_classifier::build(std::span<const rule> rules, const classifier_options& options) {
  loader all{options};
  for (const auto& one : rules)
    if (const auto added = all.add(one); !added)
      return unexpected{added.error()};
  return all.finish();
}

expected<void, build_error> forest_classifier::loader::add(const rule& added) {
  using code = build_error::code;
  if (count_ == max_rules)
    return unexpected{build_error{code::too_many_rules, count_}};
  if (find_contradiction(added.match))
    return unexpected{build_error{code::contradictory_rule, count_}};
  const auto id = static_cast<rule_id>(count_);
  if (!make_room<rule_outcome>(outcomes_, count_))
    return unexpected{build_error{code::out_of_memory, count_}};
  const auto add_to = [&]<std::size_t Words>(packed_rules<Words>& rules,
                                             template_table<Words>& templates) -> std::optional<build_error> {
    if (!belongs_to<Words>(added.match))
      return {};
    auto packed = pack<Words>(added.match);
    const auto mask = templates.intern(packed.mask);
    if (!mask)
      return build_error{code::too_many_masks, count_};
    packed.value.word[Words - 1] = payload::make(id, *mask, 0);
    return rules.append(packed.value) ? std::nullopt : std::optional{build_error{code::out_of_memory, count_}};
  };
  if (const auto error = add_to(v4_, templates_v4_))
    return unexpected{*error};
  if (const auto error = add_to(v6_, templates_v6_))
    return unexpected{*error};
  reinterpret_cast<rule_outcome*>(outcomes_.data())[count_++] = {added.cookie, added.action, added.priority};
  return {};
}

expected<std::shared_ptr<const forest_classifier>, build_error> forest_classifier::loader::finish() {
  auto out = std::shared_ptr<forest_classifier>{new forest_classifier{options_}};
  // Also where there are no rules yet: an address that never changes.
  if (!make_room<rule_outcome>(outcomes_, count_))
    return unexpected{build_error{build_error::code::out_of_memory, count_}};
  out->rules_ = count_;
  out->outcomes_ = std::move(outcomes_);
  out->classes_ = priority_classes{{out->outcomes(), count_}};
  out->exact_ = out->classes_.exact();
  out->v4_.templates = std::move(templates_v4_);
  out->v6_.templates = std::move(templates_v6_);
  if (const auto error = out->grow(out->v4_, v4_, options_))
    return unexpected{*error};
  if (const auto error = out->grow(out->v6_, v6_, options_))
    return unexpected{*error};
  return std::shared_ptr<const forest_classifier>{std::move(out)};
}

template <std::size_t Words>
std::optional<build_error> forest_classifier::grow(forest<Words>& into, packed_rules<Words>& rules,
                                                   const classifier_options& options) {
  const auto all = rules.all();
  std::vector<std::uint32_t> priorities;
  priorities.reserve(all.size());
  for (auto& rule : all) {
    auto& word = rule.word[Words - 1];
    priorities.push_back(outcomes()[payload::id(word)].priority);
    word |= std::uint64_t{classes_.of(priorities.back())} << payload::class_shift;
  }
  const auto order = rank_order(priorities);
  priorities = {};
  const auto refused = grow_forest<Words>(into, all, order, {outcomes(), rules_}, classes_.exact(), options.forest,
                                          {options.max_rule_bytes, options.max_bytes});
  rules = {};
  return refused ? std::optional{build_error{code_of(refused->why), refused->rule}} : std::nullopt;
}

template <std::size_t Words>
forest_view<Words> forest_classifier::view(unsigned plane) const noexcept {
  const auto& from = of_family<Words>();
  return {from.arena.data(),
          from.shapes.data(),
          from.templates.data(),
          outcomes(),
          entry::load(&from.root),
          __atomic_load_n(&from.max_visits, __ATOMIC_ACQUIRE),
          plane,
          __atomic_load_n(&exact_, __ATOMIC_ACQUIRE)};
}

template forest_view<4> forest_classifier::view<4>(unsigned) const noexcept;
template forest_view<8> forest_classifier::view<8>(unsigned) const noexcept;

void forest_classifier::lookup_in(unsigned plane, std::span<const packet_fields> keys,
                                  std::span<rule_id> out) const noexcept {
  packed_v4 v4[max_classify_burst];
  packed_v6 v6[max_classify_burst];
  std::uint8_t at[max_classify_burst];
  rule_id found[max_classify_burst];
  // Those of IPv4 in `at` from the front, those of IPv6 from the back.
  std::size_t count_v4 = 0, count_v6 = 0;
  for (std::size_t i = 0; i < keys.size(); ++i)
    if (keys[i].destination.is_v4()) {
      at[count_v4] = static_cast<std::uint8_t>(i);
      v4[count_v4++] = pack_key<4>(keys[i]);
    } else {
      at[max_classify_burst - 1 - count_v6] = static_cast<std::uint8_t>(i);
      v6[count_v6++] = pack_key<8>(keys[i]);
    }
  if (count_v4 > 0) {
    kernel_.v4(view<4>(plane), v4, found, count_v4);
    for (std::size_t i = 0; i < count_v4; ++i)
      out[at[i]] = found[i];
  }
  if (count_v6 > 0) {
    kernel_.v6(view<8>(plane), v6, found, count_v6);
    for (std::size_t i = 0; i < count_v6; ++i)
      out[at[max_classify_burst - 1 - i]] = found[i];
  }
}

std::size_t forest_classifier::bytes() const noexcept {
  return v4_.bytes() + v6_.bytes() + rules_ * sizeof(rule_outcome);
}

} // namespace glocal::dataplane
