#include "dataplane/classify/rule_table.hpp"

#include <algorithm>
#include <thread>

namespace glocal::dataplane {
namespace {

/// Changes whose memory is asked for at a time: the lines of 16 ways through the forest are some 100, which the nearest
/// cache holds.
constexpr std::size_t steps_ahead = 16;

change_error::code code_of(forest_error error) noexcept {
  switch (error) {
  case forest_error::out_of_memory: return change_error::code::out_of_memory;
  case forest_error::too_many_shapes: return change_error::code::too_many_shapes;
  case forest_error::too_many_lines: break;
  }
  return change_error::code::too_many_lines;
}

rule_counters& operator+=(rule_counters& left, const rule_counters& right) noexcept {
  left.packets += right.packets;
  left.bytes += right.bytes;
  return left;
}
rule_counters& operator-=(rule_counters& left, const rule_counters& right) noexcept {
  left.packets -= right.packets;
  left.bytes -= right.bytes;
  return left;
}

} // namespace

std::string_view to_string(change_error::code code) noexcept {
  using of = change_error::code;
  switch (code) {
  case of::contradictory_rule: return to_string(build_error::code::contradictory_rule);
  case of::no_such_rule: return "there is no rule of this match and priority";
  case of::too_many_rules: return to_string(build_error::code::too_many_rules);
  case of::too_many_masks: return to_string(build_error::code::too_many_masks);
  case of::too_many_shapes: return to_string(build_error::code::too_many_shapes);
  case of::too_many_lines: return to_string(build_error::code::too_many_lines);
  case of::out_of_memory: return to_string(build_error::code::out_of_memory);
  }
  return "unknown";
}

expected<std::unique_ptr<rule_table>, build_error> rule_table::make(forest_classifier::loader rules) {
  auto built = rules.finish();
  if (!built)
    return unexpected{built.error()};
  return std::unique_ptr<rule_table>{new rule_table{std::const_pointer_cast<forest_classifier>(*built)}};
}

expected<std::unique_ptr<rule_table>, build_error> rule_table::make(std::span<const rule> rules,
                                                                    const classifier_options& options) {
  forest_classifier::loader all{options};
  for (const auto& one : rules)
    if (const auto added = all.add(one); !added)
      return unexpected{added.error()};
  return make(std::move(all));
}

rule_table::rule_table(std::shared_ptr<forest_classifier> forest)
    : forest_{std::move(forest)}, edit_v4_{forest_->v4_, forest_->outcomes(),
                                           [this](std::uint32_t visits) {
                                             make_room(forest_->v4_.max_visits, visits);
                                           }},
      edit_v6_{forest_->v6_, forest_->outcomes(),
               [this](std::uint32_t visits) { make_room(forest_->v6_.max_visits, visits); }},
      size_{forest_->rules_}, next_id_{static_cast<rule_id>(forest_->rules_)} {}

rule_table::~rule_table() = default;

void rule_table::flip(std::uint64_t generations) {
  // Sequentially consistent, as is what readers announce: a reader that the loop finds idle will see the new
  // generation.
  const auto now = generation_.load(std::memory_order_relaxed) + generations;
  generation_.store(now, std::memory_order_seq_cst);
  for (const auto* one : readers_)
    for (unsigned turns = 0;; ++turns) {
      const auto seen = one->state_.load(std::memory_order_seq_cst);
      if (seen == 0 || seen >= now)
        break;
      if (turns > 64)
        std::this_thread::yield();
      else
        __builtin_ia32_pause();
    }
}

void rule_table::make_room(std::uint32_t& max_visits, std::uint32_t visits) {
  __atomic_store_n(&max_visits, visits, __ATOMIC_RELEASE);
  flip(2);
}

rule_table::packed_rule rule_table::pack_rule(const rule& of) {
  packed_rule out;
  const auto priority_class = forest_->classes_.of(of.priority);
  const auto with = [&]<std::size_t Words>(forest<Words>& family, std::optional<packed_words<Words>>& to) {
    if (!belongs_to<Words>(of.match))
      return;
    auto packed = pack<Words>(of.match);
    const auto mask = family.templates.intern(packed.mask);
    out.complete &= mask.has_value();
    packed.value.word[Words - 1] = payload::make(0, mask.value_or(0), priority_class);
    to = packed.value;
  };
  with(forest_->v4_, out.v4);
  with(forest_->v6_, out.v6);
  return out;
}

template <class Visit>
bool rule_table::each_family(const packed_rule& of, rule_id id, unsigned live, Visit&& visit) {
  const auto with = [&]<std::size_t Words>(const std::optional<packed_words<Words>>& of_family,
                                           forest_editor<Words>& editor) {
    if (!of_family)
      return true;
    auto packed = *of_family;
    auto& word = packed.word[Words - 1];
    word = payload::make(id, payload::template_of(word), static_cast<std::uint16_t>(word >> payload::class_shift));
    word = (word & ~payload::live_both) | std::uint64_t{live} << payload::live_shift;
    return visit(editor, packed);
  };
  return with(of.v4, edit_v4_) && with(of.v6, edit_v6_);
}

void rule_table::begin_steps(std::span<const rule_change> changes, std::span<step> steps) {
  std::vector<packed_v4> v4;
  std::vector<packed_v6> v6;
  for (std::size_t i = 0; i < changes.size(); ++i) {
    if (find_contradiction(changes[i].of.match))
      continue;
    steps[i].of = pack_rule(changes[i].of);
    if (steps[i].of.v4)
      v4.push_back(*steps[i].of.v4);
    if (steps[i].of.v6)
      v6.push_back(*steps[i].of.v6);
  }
  edit_v4_.prefetch(v4);
  edit_v6_.prefetch(v6);
}

std::optional<rule_id> rule_table::take_id() {
  if (!free_ids_.empty()) {
    // The heap's top is the lowest.
    std::pop_heap(free_ids_.begin(), free_ids_.end(), std::greater<>{});
    const auto id = free_ids_.back();
    free_ids_.pop_back();
    if (const auto raw = raw_counters(id); raw != rule_counters{})
      counted_before_[id] = raw;
    else
      counted_before_.erase(id);
    return id;
  }
  if (next_id_ == max_rules)
    return {};
  if (!forest_->outcomes_.grow((std::size_t{next_id_} + 1) * sizeof(rule_outcome)))
    return {};
  for (auto* one : readers_)
    if (one->counts_rules() && !one->make_room(std::size_t{next_id_} + 1))
      return {};
  return next_id_++;
}

std::optional<change_error::code> rule_table::insert(const rule& of, const packed_rule& packed, unsigned hidden,
                                                     rule_id& id) {
  if (!packed.complete)
    return change_error::code::too_many_masks;
  const auto taken = take_id();
  if (!taken)
    return next_id_ == max_rules ? change_error::code::too_many_rules : change_error::code::out_of_memory;
  if (forest_->exact_ && forest_->classes_.splits(of.priority)) {
    // From now on ties of classes are settled by priorities: all lookups have to know before there is one.
    __atomic_store_n(&forest_->exact_, false, __ATOMIC_RELEASE);
    flip(2);
  }
  forest_->outcomes()[*taken] = {of.cookie, of.action, of.priority};
  std::optional<forest_error> failure;
  (void)each_family(packed, *taken, 1u << hidden, [&](auto& editor, const auto& one) {
    failure = editor.insert(one);
    return !failure;
  });
  if (!failure) {
    id = *taken;
    return {};
  }
  (void)each_family(packed, *taken, 0, [](auto& editor, const auto& one) {
    editor.set_live(one, 0);
    return true;
  });
  take_out(packed, *taken);
  return code_of(*failure);
}

std::optional<change_error::code> rule_table::prepare(const rule_change& change, unsigned hidden, step& out) {
  if (find_contradiction(change.of.match))
    return change_error::code::contradictory_rule;
  if (change.what != rule_change::kind::add) {
    (void)each_family(out.of, 0, 0, [&](auto& editor, const auto& packed) {
      const auto found = editor.find(
          packed, hidden, [&](rule_id id) { return forest_->outcomes()[id].priority == change.of.priority; });
      if (found) {
        out.gone = payload::id(*found);
        out.gone_live = static_cast<unsigned>(*found >> payload::live_shift & 3);
      }
      return !found;
    });
    if (out.gone == no_rule)
      return change_error::code::no_such_rule;
  }
  if (change.what != rule_change::kind::remove)
    if (const auto failure = insert(change.of, out.of, hidden, out.come))
      return failure;
  if (out.gone != no_rule)
    (void)each_family(out.of, out.gone, 0, [&](auto& editor, const auto& packed) {
      editor.set_live(packed, out.gone_live & ~(1u << hidden));
      return true;
    });
  return {};
}

void rule_table::take_out(const packed_rule& of, rule_id id) {
  bool out = true;
  (void)each_family(of, id, 0, [&](auto& editor, const auto& packed) {
    out &= !editor.erase(packed);
    return true;
  });
  if (!out) {
    abandoned_.emplace_back(of, id);
    return;
  }
  free_ids_.push_back(id);
  std::push_heap(free_ids_.begin(), free_ids_.end(), std::greater<>{});
}

void rule_table::complete(const step& done, unsigned visible) {
  if (done.come != no_rule)
    (void)each_family(done.of, done.come, 0, [&](auto& editor, const auto& packed) {
      editor.settle(packed, visible);
      return true;
    });
  if (done.gone == no_rule)
    return;
  if (done.come != no_rule)
    counted_before_[done.come] -= counters(done.gone);
  (void)each_family(done.of, done.gone, 0, [](auto& editor, const auto& packed) {
    editor.set_live(packed, 0);
    return true;
  });
  take_out(done.of, done.gone);
}

void rule_table::undo(const step& done) {
  if (done.gone != no_rule)
    (void)each_family(done.of, done.gone, 0, [&](auto& editor, const auto& packed) {
      editor.set_live(packed, done.gone_live);
      return true;
    });
  if (done.come == no_rule)
    return;
  (void)each_family(done.of, done.come, 0, [](auto& editor, const auto& packed) {
    editor.set_live(packed, 0);
    return true;
  });
  take_out(done.of, done.come);
}

expected<std::vector<rule_id>, change_error> rule_table::apply(std::span<const rule_change> changes) {
  for (const auto& [of, id] : std::exchange(abandoned_, {}))
    take_out(of, id);
  const auto visible = static_cast<unsigned>(generation_.load(std::memory_order_relaxed) & 1);
  std::vector<step> done(changes.size());
  for (std::size_t i = 0; i < changes.size(); ++i) {
    if (i % steps_ahead == 0) {
      const auto some = std::min(steps_ahead, changes.size() - i);
      begin_steps(changes.subspan(i, some), std::span{done}.subspan(i, some));
    }
    const auto failure = prepare(changes[i], visible ^ 1, done[i]);
    if (!failure)
      continue;
    for (auto at = i; at-- > 0;)
      undo(done[at]);
    const auto mark_v4 = edit_v4_.retire_mark(), mark_v6 = edit_v6_.retire_mark();
    flip(2);
    edit_v4_.reclaim(mark_v4);
    edit_v6_.reclaim(mark_v6);
    return unexpected{change_error{*failure, i}};
  }
  const auto mark_v4 = edit_v4_.retire_mark(), mark_v6 = edit_v6_.retire_mark();
  flip(1);
  edit_v4_.reclaim(mark_v4);
  edit_v6_.reclaim(mark_v6);
  std::vector<rule_id> ids;
  ids.reserve(changes.size());
  for (const auto& one : done) {
    complete(one, visible ^ 1);
    ids.push_back(one.come);
    size_ += (one.come != no_rule ? 1u : 0u);
    size_ -= (one.gone != no_rule ? 1u : 0u);
  }
  return ids;
}

void rule_table::each(const std::function<void(rule_id, const rule&)>& visit) const {
  const auto visible = static_cast<unsigned>(generation() & 1);
  std::vector<bool> seen(next_id_);
  const auto of_family = [&]<std::size_t Words>(const forest<Words>& family) {
    each_rule<Words>(family, family.root, [&](const packed_words<Words>& packed) {
      const auto word = packed.word[Words - 1];
      const auto id = payload::id(word);
      if ((word >> (payload::live_shift + visible) & 1) == 0 || seen[id])
        return;
      seen[id] = true;
      const auto of = forest_->outcome(id);
      visit(id, {unpack<Words>(packed, family.templates.data()[payload::template_of(word)]), of.priority, of.cookie,
                 of.action});
    });
  };
  of_family(forest_->v4_);
  of_family(forest_->v6_);
}

expected<void, change_error> rule_table::replace(std::span<const rule> rules) {
  // By match and priority, as text: exact, and rules have no order of their own.
  struct held {
    rule is;
    std::size_t wanted = SIZE_MAX;
  };
  std::unordered_map<std::string, std::vector<held>> now;
  const auto key_of = [](const rule& of) {
    const auto v4 = belongs_to<4>(of.match);
    std::string key(1, v4 ? '4' : '6');
    const auto append = [&](const auto& packed) { key.append(reinterpret_cast<const char*>(&packed), sizeof packed); };
    v4 ? append(pack<4>(of.match)) : append(pack<8>(of.match));
    key.append(reinterpret_cast<const char*>(&of.priority), sizeof of.priority);
    return key;
  };
  each([&](rule_id, const rule& is) { now[key_of(is)].push_back({is}); });
  std::vector<rule_change> changes;
  for (std::size_t i = 0; i < rules.size(); ++i) {
    if (find_contradiction(rules[i].match))
      return unexpected{change_error{change_error::code::contradictory_rule, i}};
    const auto found = now.find(key_of(rules[i]));
    held* same = nullptr;
    if (found != now.end())
      for (auto& one : found->second)
        if (one.wanted == SIZE_MAX) {
          same = &one;
          break;
        }
    if (same == nullptr)
      changes.push_back({rule_change::kind::add, rules[i]});
    else {
      same->wanted = i;
      if (same->is != rules[i])
        changes.push_back({rule_change::kind::modify, rules[i]});
    }
  }
  for (const auto& [key, all] : now)
    for (const auto& one : all)
      if (one.wanted == SIZE_MAX)
        changes.push_back({rule_change::kind::remove, one.is});
  const auto applied = apply(changes);
  if (!applied)
    return unexpected{applied.error()};
  return {};
}

rule_counters rule_table::raw_counters(rule_id id) const {
  rule_counters out;
  if (const auto left = left_by_readers_.find(id); left != left_by_readers_.end())
    out = left->second;
  for (const auto* one : readers_) {
    if (id >= one->room_.load(std::memory_order_relaxed))
      continue;
    auto* of = reinterpret_cast<std::uint64_t*>(one->counters_.data()) + std::size_t{2} * id;
    out += {__atomic_load_n(of, __ATOMIC_RELAXED), __atomic_load_n(of + 1, __ATOMIC_RELAXED)};
  }
  return out;
}

rule_counters rule_table::counters(rule_id id) const {
  auto out = raw_counters(id);
  if (const auto before = counted_before_.find(id); before != counted_before_.end())
    out -= before->second;
  return out;
}

std::unique_ptr<rule_table::reader> rule_table::add_reader() {
  auto out = std::unique_ptr<reader>{new reader{*this}};
  readers_.push_back(out.get());
  return out;
}

rule_table::reader::~reader() {
  const auto* counted = reinterpret_cast<const rule_counters*>(counters_.data());
  for (rule_id id = 0; id < std::min<std::size_t>(table_.next_id_, room_.load(std::memory_order_relaxed)); ++id)
    if (counted[id] != rule_counters{})
      table_.left_by_readers_[id] += counted[id];
  std::erase(table_.readers_, this);
}

void rule_table::reader::begin() noexcept {
  auto now = table_.generation_.load(std::memory_order_acquire);
  for (;;) {
    // Announced before it is used; the writer may have flipped between the two.
    state_.store(now, std::memory_order_seq_cst);
    const auto again = table_.generation_.load(std::memory_order_seq_cst);
    if (again == now)
      break;
    now = again;
  }
  plane_ = static_cast<unsigned>(now & 1);
}

void rule_table::reader::lookup(std::span<const packed_v4> keys, std::span<rule_id> out) const noexcept {
  table_.forest_->kernel_.v4(table_.forest_->view<4>(plane_), keys.data(), out.data(), keys.size());
}

void rule_table::reader::lookup(std::span<const packed_v6> keys, std::span<rule_id> out) const noexcept {
  table_.forest_->kernel_.v6(table_.forest_->view<8>(plane_), keys.data(), out.data(), keys.size());
}

void rule_table::reader::lookup(std::span<const packet_fields> keys, std::span<rule_id> out) const noexcept {
  table_.forest_->lookup_in(plane_, keys, out);
}

bool rule_table::reader::count_rules() {
  if (counters_.data() == nullptr) {
    auto reserved = huge_memory::reserve(max_rules * sizeof(rule_counters));
    if (!reserved)
      return false;
    counters_ = std::move(*reserved);
  }
  return make_room(std::max<std::size_t>(table_.next_id_, 1));
}

bool rule_table::reader::make_room(std::size_t rules) {
  if (rules <= room_.load(std::memory_order_relaxed))
    return true;
  if (!counters_.grow(rules * sizeof(rule_counters)))
    return false;
  room_.store(counters_.size() / sizeof(rule_counters), std::memory_order_release);
  return true;
}

void rule_table::reader::count(rule_id id, std::uint32_t bytes) noexcept {
  auto* of = reinterpret_cast<std::uint64_t*>(counters_.data()) + std::size_t{2} * id;
  // One thread writes them: no locked instruction is needed.
  __atomic_store_n(of, __atomic_load_n(of, __ATOMIC_RELAXED) + 1, __ATOMIC_RELAXED);
  __atomic_store_n(of + 1, __atomic_load_n(of + 1, __ATOMIC_RELAXED) + bytes, __ATOMIC_RELAXED);
}

} // namespace glocal::dataplane
