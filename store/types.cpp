#include "store/types.hpp"

#include "store/slots.hpp"
#include "store/store.hpp"

namespace glocal::store {
std::string_view name(table value) noexcept {
  switch (value) {
  case table::catalogue: return "catalogue";
  case table::instances: return "instances";
  case table::flows: return "flows";
  case table::paths: return "paths";
  case table::status: return "status";
  case table::digests: return "digests";
  case table::links: return "links";
  case table::mappings: return "mappings";
  case table::subscriptions: return "subscriptions";
  case table::user: return "user";
  case table::placement: return "placement";
  }
  return "unknown";
}

std::optional<table> parse_table(std::string_view text) noexcept {
  for (const auto candidate : all_tables)
    if (name(candidate) == text)
      return candidate;
  return std::nullopt;
}

table table_of(const operation& op) noexcept {
  return std::visit([](const auto& concrete) { return concrete.table; }, op);
}

const std::string& key_of(const operation& op) noexcept {
  return std::visit([](const auto& concrete) -> const std::string& { return concrete.key; }, op);
}

lease_id lease_of(const operation& op) noexcept {
  return std::visit(
      [](const auto& concrete) -> lease_id {
        if constexpr (requires { concrete.lease; })
          return concrete.lease;
        else
          return 0;
      },
      op);
}

std::size_t payload_bytes(const operation& op) noexcept {
  return std::visit(
      [](const auto& concrete) {
        if constexpr (requires { concrete.value; })
          return concrete.key.size() + concrete.value.size();
        else
          return concrete.key.size();
      },
      op);
}

std::string_view name(store_error value) noexcept {
  switch (value) {
  case store_error::unavailable: return "unavailable: a node that holds the slot does not answer";
  case store_error::timeout: return "timeout: no answer in time, the outcome is unknown";
  case store_error::too_large: return "too large: a limit of the store is exceeded";
  case store_error::no_such_lease: return "no such lease: it ran out or was never granted";
  case store_error::compacted: return "compacted: that part of the history is no longer held";
  case store_error::invalid: return "invalid: malformed request or reply";
  case store_error::overloaded: return "overloaded: a bounded queue is full";
  }
  return "unknown error";
}

store_counters& store_counters::operator+=(const store_counters& other) noexcept {
  gets += other.gets;
  puts += other.puts;
  puts_if_absent += other.puts_if_absent;
  compare_and_sets += other.compare_and_sets;
  erases += other.erases;
  scans += other.scans;
  conflicts += other.conflicts;
  leases_expired += other.leases_expired;
  return *this;
}

std::optional<store_error> check(const operation& op) noexcept {
  const auto in = table_of(op);
  if (in < table::catalogue || in > last_table || key_of(op).empty())
    return store_error::invalid;
  const auto key_bytes = key_of(op).size();
  if (key_bytes > limits::key_bytes || payload_bytes(op) - key_bytes > limits::value_bytes)
    return store_error::too_large;
  return std::nullopt;
}

std::optional<store_error> check(const batch& operations) noexcept {
  if (operations.size() > limits::batch_operations)
    return store_error::too_large;
  std::size_t total = 0;
  for (const auto& op : operations) {
    if (const auto fault = check(op))
      return fault;
    total += payload_bytes(op);
  }
  return total > limits::batch_bytes ? std::optional{store_error::too_large} : std::nullopt;
}

std::string encode_position(const scan_position& position) {
  std::string token{static_cast<char>(position.slot >> 8), static_cast<char>(position.slot & 0xff)};
  return token += position.after;
}

std::optional<scan_position> decode_position(std::string_view token) {
  if (token.empty())
    return scan_position{};
  if (token.size() < 2 || token.size() > 2 + limits::key_bytes)
    return std::nullopt;
  const auto byte = [&](std::size_t i) { return static_cast<unsigned>(static_cast<unsigned char>(token[i])); };
  return scan_position{static_cast<slot_id>(byte(0) << 8 | byte(1)), std::string{token.substr(2)}};
}

void store::one(operation op, result_callback done) {
  batch single;
  single.push_back(std::move(op));
  execute(std::move(single), [done = std::move(done)](expected<std::vector<op_result>, store_error> results) {
    if (!results)
      done(unexpected{results.error()});
    else
      done(std::move(results->front()));
  });
}

} // namespace glocal::store
