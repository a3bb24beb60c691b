// Included by each kernel_*.cpp inside an anonymous namespace, with `Isa` saying how this instruction set extracts bits and
// compares rules. Everything here is instantiated once per file: no two files share code compiled for different machines.
//
// A burst moves through the forest in rounds. A round has three steps, each a loop over a work list without a branch that
// depends on data: what an item leads to is written behind the next list and kept by adding 0 or 1 to its length, and its
// cache line is asked for as it is written. By the time a list is worked off, the lines of its first items have come.
//
//   nodes    -> index of the table, entries to read; kept rules wait for the next round
//   leaves   -> two rules (one line) compared; a leaf with more lines and no winner goes to the next round
//   picks    -> of a leaf with marks the best rule that can match compared; without a winner the next one is picked
//   marked   -> the marks of a leaf compared; the rules that can match are picked in the next round
//   entries  -> nodes or leaves of the next round; what can't beat the winner so far is cut off
//
// Kept rules come after what the table led to: they are the less specific ones, mostly outranked by then, and end after one
// line instead of all (isp, compact: 2 lines less a packet).

/// Items pending of one kind. 64 packets with at most 16 pending each take a burst at once; deeper forests smaller parts.
constexpr std::size_t list_capacity = 1024;

constexpr unsigned packet_shift = 46;

/// All ones or none, in a way that the compiler can't turn into a branch: half of all packets would be mispredicted.
inline std::uint64_t mask_of(std::uint64_t bit) noexcept {
  auto mask = 0 - bit;
  asm("" : "+r"(mask));
  return mask;
}

inline void prefetch(const void* at) noexcept {
  __builtin_prefetch(at, 0, 3);
}

/// Which of two payloads ranks higher when their classes are equal but the priorities within a class are not.
inline bool outranks(const rule_outcome* outcomes, std::uint64_t left, std::uint64_t right) noexcept {
  const auto a = static_cast<std::uint32_t>(~left), b = static_cast<std::uint32_t>(~right);
  const auto of_a = __atomic_load_n(&outcomes[a].priority, __ATOMIC_RELAXED);
  const auto of_b = __atomic_load_n(&outcomes[b].priority, __ATOMIC_RELAXED);
  return of_a != of_b ? of_a > of_b : a < b;
}

template <std::size_t Words, class Isa, bool Exact>
void lookup_part(const forest_view<Words>& forest, const packed_words<Words>* keys, rule_id* out,
                 std::size_t count) noexcept {
  using shape = node_shape<Words>;
  constexpr std::size_t slot_bytes = Words * 8;
  const auto* arena = forest.arena;
  const auto* words = reinterpret_cast<const std::uint64_t*>(arena);
  const auto* templates = forest.templates;
  const auto* shapes = forest.shapes;
  const unsigned live_bit = payload::live_shift + forest.plane;

  std::uint64_t best[max_classify_burst];
  std::uint64_t nodes[list_capacity], entries[list_capacity], kept[list_capacity], marked[list_capacity],
      leaf_lists[2][list_capacity], pick_lists[2][list_capacity];
  auto* leaves = leaf_lists[0];
  auto* next_leaves = leaf_lists[1];
  auto* picks = pick_lists[0];
  auto* next_picks = pick_lists[1];
  std::size_t node_count = 0, leaf_count = 0, marked_count = 0, pick_count = 0;

  const auto index_of = [&](std::size_t packet, const shape& how) {
    auto index = Isa::extract(keys[packet].word[0], how.mask[0]);
    for (std::size_t w = 1; w < shape::words; ++w)
      index |= Isa::extract(keys[packet].word[w], how.mask[w]) << how.shift[w];
    return index;
  };
  const auto load_payload = [](const std::byte* slot) {
    return __atomic_load_n(reinterpret_cast<const std::uint64_t*>(slot) + Words - 1, __ATOMIC_RELAXED);
  };
  /// The best so far after a rule of that rank, 0 where it does not match.
  const auto better_of = [&](std::uint64_t rank, std::uint64_t old) -> std::uint64_t {
    auto better = std::max(rank, old);
    if constexpr (!Exact)
      if ((((rank ^ old) >> payload::class_shift) == 0) & (rank != 0)) [[unlikely]]
        better = outranks(forest.outcomes, rank, old) ? rank : old;
    return better;
  };

  const bool root_is_node = (forest.root & entry::is_node) != 0, root_is_marked = (forest.root & entry::is_marked) != 0;
  auto* roots = root_is_node ? nodes : root_is_marked ? marked : leaves;
  for (std::size_t packet = 0; packet < count; ++packet) {
    best[packet] = 0;
    roots[packet] = (forest.root & entry::place_mask) | packet << packet_shift;
  }
  const bool is_empty = !root_is_node && !root_is_marked && entry::info(forest.root) == 0;
  auto& root_count = root_is_node ? node_count : root_is_marked ? marked_count : leaf_count;
  root_count = is_empty ? 0 : count;

  while ((node_count | leaf_count | marked_count | pick_count) != 0) {
    std::size_t entry_count = 0, kept_count = 0, next_leaf_count = 0, next_pick_count = 0;

    for (std::size_t i = 0; i < node_count; ++i) {
      const auto item = nodes[i];
      const auto base = static_cast<std::uint32_t>(item);
      const auto packet = item >> packet_shift;
      const shape& how = shapes[(item >> entry::info_shift) & entry::info_mask];
      const auto at = std::uint64_t{base} * Words + index_of(packet, how);
      entries[entry_count++] = at << 8 | packet;
      prefetch(words + at);
      const auto kept_at = kept_begin(base, how.kept);
      kept[kept_count] = kept_at | std::uint64_t{how.kept} << entry::info_shift | packet << packet_shift;
      kept_count += how.kept != 0;
      const auto header = std::uint64_t{base - 1} * Words;
      entries[entry_count] = header << 8 | packet;
      entry_count += how.kept_below;
      // No node has both kinds.
      const auto kept_inline = mask_of(how.kept != 0), kept_below = mask_of(how.kept_below);
      prefetch(words + ((std::uint64_t{kept_at} * Words & kept_inline) | (header & kept_below) |
                        (at & ~(kept_inline | kept_below))));
    }
    node_count = 0;

    for (std::size_t i = 0; i < leaf_count; ++i) {
      const auto item = leaves[i];
      const auto packet = item >> packet_shift;
      const auto left = (item >> entry::info_shift) & entry::info_mask;
      const auto* first = arena + std::uint64_t{static_cast<std::uint32_t>(item)} * slot_bytes;
      // A single rule is compared with twice: what lies behind it is another line's.
      const auto* second = first + (mask_of(left > 1) & slot_bytes);
      const auto payload_1 = load_payload(first), payload_2 = load_payload(second);
      const auto key = typename Isa::template key<Words>{keys[packet]};
      const auto hits = key.matches(first, templates + payload::template_of(payload_1), second,
                                    templates + payload::template_of(payload_2));
      const auto hit_1 = mask_of(hits & (payload_1 >> live_bit) & 1);
      const auto hit_2 = mask_of((hits >> 1) & (payload_2 >> live_bit) & 1);
      const auto rank = ((payload_1 & hit_1) | (payload_2 & hit_2 & ~hit_1)) & payload::rank_mask;
      const auto better = better_of(rank, best[packet]);
      best[packet] = better;
      // Those behind rank lower than the second: when that can't win, nothing behind can.
      next_leaves[next_leaf_count] = item + 2 - (2ULL << entry::info_shift);
      next_leaf_count += static_cast<std::size_t>(left > 2) & static_cast<std::size_t>(rank == 0) &
                         static_cast<std::size_t>((payload_2 >> payload::class_shift) >= (better >> payload::class_shift));
      prefetch(second + (mask_of(left > 2) & slot_bytes));
    }

    for (std::size_t i = 0; i < pick_count; ++i) {
      const auto item = picks[i];
      const auto packet = item >> packet_shift;
      const auto can = (item >> entry::info_shift) & entry::info_mask;
      const auto* rules = arena + std::uint64_t{static_cast<std::uint32_t>(item)} * slot_bytes;
      const auto* slot = rules + static_cast<unsigned>(std::countr_zero(can)) * slot_bytes;
      const auto word = load_payload(slot);
      const auto key = typename Isa::template key<Words>{keys[packet]};
      const auto hit = mask_of(key.matches(slot, templates + payload::template_of(word)) & (word >> live_bit) & 1);
      const auto rank = word & hit & payload::rank_mask;
      const auto better = better_of(rank, best[packet]);
      best[packet] = better;
      const auto left = can & (can - 1);
      next_picks[next_pick_count] = item ^ (can ^ left) << entry::info_shift;
      next_pick_count += static_cast<std::size_t>(left != 0) & static_cast<std::size_t>(hit == 0) &
                         static_cast<std::size_t>((word >> payload::class_shift) >= (better >> payload::class_shift));
      prefetch(rules + (static_cast<unsigned>(std::countr_zero(left | 1ULL << max_marked_rules)) * slot_bytes &
                        mask_of(left != 0)));
    }

    for (std::size_t i = 0; i < marked_count; ++i) {
      const auto item = marked[i];
      const auto base = static_cast<std::uint32_t>(item);
      const auto packet = item >> packet_shift;
      const auto* marks = reinterpret_cast<const __m128i*>(arena + std::uint64_t{base} * slot_bytes);
      const auto bits = index_of(packet, shapes[(item >> entry::info_shift) & entry::info_mask]);
      const auto wanted = _mm_load_si128(marks), care = _mm_load_si128(marks + 1);
      const auto seen = _mm_set1_epi8(static_cast<char>(bits));
      constexpr auto all = (1u << max_marked_rules) - 1;
      const auto fits = static_cast<unsigned>(_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_and_si128(seen, care), wanted))) & all;
      const auto can =
          not_outranked(fits, *reinterpret_cast<const leaf_marks*>(marks), best[packet] >> payload::class_shift);
      const auto rules = std::uint64_t{base} + 1;
      next_picks[next_pick_count] = rules | can << entry::info_shift | packet << packet_shift;
      next_pick_count += can != 0;
      prefetch(arena + ((rules + static_cast<unsigned>(std::countr_zero(can | 1ULL << max_marked_rules))) * slot_bytes &
                        mask_of(can != 0)));
    }
    marked_count = 0;

    for (std::size_t i = 0; i < entry_count; ++i) {
      const auto item = entries[i];
      const auto packet = item & 0xff;
      const auto word = entry::load(words + (item >> 8));
      const bool alive = (word >> entry::class_shift) >= (best[packet] >> payload::class_shift);
      const bool is_node = (word & entry::is_node) != 0;
      const auto next = (word & entry::place_mask) | packet << packet_shift;
      nodes[node_count] = next;
      node_count += alive & is_node;
      next_leaves[next_leaf_count] = next;
      const bool has_marks = (word & entry::is_marked) != 0;
      marked[marked_count] = next;
      marked_count += alive & has_marks;
      const auto info = word >> entry::info_shift & entry::info_mask;
      const bool is_leaf = alive & !is_node & !has_marks & (info != 0);
      next_leaf_count += is_leaf;
      const auto* line = arena + (std::uint64_t{entry::base(word)} * slot_bytes & mask_of(is_leaf | (alive & has_marks)));
      prefetch(line);
      // The second rule of a leaf of IPv6 lies in another line.
      if constexpr (Words == 8)
        prefetch(line + (mask_of(is_leaf & (info > 1)) & slot_bytes));
    }
    next_leaf_count = static_cast<std::size_t>(std::copy_n(kept, kept_count, next_leaves + next_leaf_count) - next_leaves);
    std::swap(leaves, next_leaves);
    leaf_count = next_leaf_count;
    std::swap(picks, next_picks);
    pick_count = next_pick_count;
  }
  for (std::size_t packet = 0; packet < count; ++packet)
    out[packet] = best[packet] == 0 ? no_rule : payload::id(best[packet]);
}

template <std::size_t Words, class Isa>
void lookup_burst(const forest_view<Words>& forest, const packed_words<Words>* keys, rule_id* out,
                  std::size_t count) noexcept {
  // A node leads to two entries and one leaf at most, and an entry to one of both: what is pending of one packet never
  // exceeds the nodes and leaves it visits.
  const auto part = std::max<std::size_t>(1, std::min(count, list_capacity / (forest.max_visits + 1)));
  for (std::size_t done = 0; done < count; done += part)
    if (forest.exact_classes)
      lookup_part<Words, Isa, true>(forest, keys + done, out + done, std::min(part, count - done));
    else
      lookup_part<Words, Isa, false>(forest, keys + done, out + done, std::min(part, count - done));
}
