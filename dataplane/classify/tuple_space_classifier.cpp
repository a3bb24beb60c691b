#include "dataplane/classify/tuple_space_classifier.hpp"

#include "base/bytes.hpp"
#include "base/hash.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <map>

namespace glocal::dataplane {
namespace {

/// Writes the first `length` bits of an address, the rest zero, as two words.
void put_leading_bits(const ip_address& address, unsigned length, std::uint64_t* out) noexcept {
  for (std::size_t i = 0; i < 2; ++i) {
    const auto kept = std::min(length, 64u);
    length -= kept;
    const auto mask = kept == 0 ? 0 : ~std::uint64_t{0} << (64 - kept);
    out[i] = load_be64(std::as_bytes(std::span{address.octets}).data() + 8 * i) & mask;
  }
}

bool is_one_port(const l4_port_range& range) noexcept {
  return range.low == range.high;
}

/// A packet that `match` accepts as far as its hashed fields go.
packet_fields representative(const rule_match& match) noexcept {
  packet_fields out;
  if (match.source)
    out.source = match.source->address;
  if (match.destination)
    out.destination = match.destination->address;
  out.source_port = match.source_ports.low;
  out.destination_port = match.destination_ports.low;
  out.in_port = match.in_port.value_or(0);
  out.vlan = match.vlan.value_or(0);
  out.protocol = match.protocol.value_or(0);
  out.dscp = match.dscp.value_or(0);
  return out;
}

} // namespace

tuple_space_classifier::mask tuple_space_classifier::mask_of(const rule_match& match) noexcept {
  mask out;
  if (match.source) {
    out.source_length = match.source->length;
    out.family = static_cast<std::uint8_t>(match.source->address.family);
  }
  if (match.destination) {
    out.destination_length = match.destination->length;
    out.family = static_cast<std::uint8_t>(match.destination->address.family);
  }
  out.source_port = is_one_port(match.source_ports);
  out.destination_port = is_one_port(match.destination_ports);
  out.in_port = match.in_port.has_value();
  out.vlan = match.vlan.has_value();
  out.protocol = match.protocol.has_value();
  out.dscp = match.dscp.has_value();
  return out;
}

std::uint64_t tuple_space_classifier::hash_of(const mask& bits, const packet_fields& fields) const noexcept {
  std::array<std::uint64_t, 6> key{};
  if (bits.source_length != mask::any_length)
    put_leading_bits(fields.source, bits.source_length, &key[0]);
  if (bits.destination_length != mask::any_length)
    put_leading_bits(fields.destination, bits.destination_length, &key[2]);
  const auto field = [](bool wanted, std::uint64_t value, int shift) { return wanted ? value << shift : 0; };
  key[4] = field(bits.source_port, fields.source_port, 0) | field(bits.destination_port, fields.destination_port, 16) |
           field(bits.in_port, fields.in_port, 32) | field(bits.vlan, fields.vlan, 48);
  key[5] = field(bits.protocol, fields.protocol, 0) | field(bits.dscp, fields.dscp, 8);
  return hash_bytes(key.data(), sizeof key, hash_key_);
}

expected<classifier_ptr, build_error> tuple_space_classifier::build(std::vector<rule> rules, std::uint64_t hash_key) {
  if (const auto error = find_build_error(rules))
    return unexpected{*error};
  std::map<mask, std::vector<std::uint32_t>> by_mask;
  for (std::size_t i = 0; i < rules.size(); ++i) {
    by_mask.try_emplace(mask_of(rules[i].match));
    if (by_mask.size() > max_tuples)
      return unexpected{build_error{build_error::code::too_many_tuples, i}};
  }
  // Rank order: stable, because of equal priorities the rule that stands first wins.
  std::stable_sort(rules.begin(), rules.end(), [](const rule& a, const rule& b) { return a.priority > b.priority; });
  for (std::size_t rank = 0; rank < rules.size(); ++rank)
    by_mask[mask_of(rules[rank].match)].push_back(static_cast<std::uint32_t>(rank));

  auto out = std::shared_ptr<tuple_space_classifier>{new tuple_space_classifier{hash_key}};
  out->rules_ = std::move(rules);
  out->bucket_ranks_.reserve(out->rules_.size());
  for (const auto& [bits, ranks] : by_mask) {
    tuple made;
    made.bits = bits;
    made.best_rank = ranks.front();
    out->fill(made, ranks);
    out->tuples_.push_back(made);
  }
  std::sort(out->tuples_.begin(), out->tuples_.end(),
            [](const tuple& a, const tuple& b) { return a.best_rank < b.best_rank; });
  return classifier_ptr{std::move(out)};
}

void tuple_space_classifier::fill(tuple& into, std::span<const std::uint32_t> ranks) {
  std::vector<std::pair<std::uint64_t, std::uint32_t>> hashed;
  hashed.reserve(ranks.size());
  for (const auto rank : ranks)
    hashed.emplace_back(hash_of(into.bits, representative(rules_[rank].match)), rank);
  std::sort(hashed.begin(), hashed.end());

  const auto slots = std::bit_ceil(2 * ranks.size());
  into.first_slot = static_cast<std::uint32_t>(slots_.size());
  into.slot_mask = static_cast<std::uint32_t>(slots - 1);
  slots_.resize(slots_.size() + slots);
  for (std::size_t i = 0; i < hashed.size();) {
    auto end = i;
    while (end < hashed.size() && hashed[end].first == hashed[i].first)
      ++end;
    auto at = static_cast<std::uint32_t>(hashed[i].first) & into.slot_mask;
    while (slots_[into.first_slot + at].count != 0)
      at = (at + 1) & into.slot_mask;
    slots_[into.first_slot + at] = {hashed[i].first, static_cast<std::uint32_t>(bucket_ranks_.size()),
                                    static_cast<std::uint32_t>(end - i)};
    for (; i < end; ++i)
      bucket_ranks_.push_back(hashed[i].second);
  }
}

const rule* tuple_space_classifier::find(const packet_fields& packet) const noexcept {
  auto best = static_cast<std::uint32_t>(rules_.size());
  const auto family = static_cast<std::uint8_t>(packet.destination.family);
  for (const auto& tuple : tuples_) {
    if (tuple.best_rank >= best)
      break;
    if (tuple.bits.family != 0 && tuple.bits.family != family)
      continue;
    const auto hash = hash_of(tuple.bits, packet);
    for (auto at = static_cast<std::uint32_t>(hash) & tuple.slot_mask;; at = (at + 1) & tuple.slot_mask) {
      const auto& slot = slots_[tuple.first_slot + at];
      if (slot.count == 0)
        break;
      if (slot.hash != hash)
        continue;
      for (std::uint32_t i = slot.first; i < slot.first + slot.count && bucket_ranks_[i] < best; ++i)
        // The whole rule again: equal hashes prove nothing, and ranges were not hashed.
        if (matches(rules_[bucket_ranks_[i]].match, packet))
          best = bucket_ranks_[i];
      break;
    }
  }
  return best < rules_.size() ? &rules_[best] : nullptr;
}

void tuple_space_classifier::lookup(std::span<const packet_fields> keys, std::span<const rule*> out) const noexcept {
  for (std::size_t i = 0; i < keys.size(); ++i)
    out[i] = find(keys[i]);
}

} // namespace glocal::dataplane
