#include "dataplane/switch/flow_file.hpp"

#include "base/hash.hpp"
#include "dataplane/switch/counters.hpp"
#include "dataplane/switch/place.hpp"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstring>
#include <new>

namespace glocal::dataplane {
namespace {

constexpr std::array<char, 8> magic{'g', 'l', 'o', 'c', 'a', 'l', 'F', 'F'};
/// Rises with every change of the records below or of what their numbers mean.
constexpr std::uint32_t format_version = 1;
constexpr std::size_t header_bytes = 4096;
/// A seal is never 0, which is what a record that is being written has.
constexpr std::uint32_t seal_bit = 1;

/// Differs after every boot, and with it CLOCK_MONOTONIC, which the records' times are of.
std::array<char, 40> boot_id() noexcept {
  std::array<char, 40> out{};
  if (auto* file = std::fopen("/proc/sys/kernel/random/boot_id", "re")) {
    (void)!std::fread(out.data(), 1, out.size() - 1, file);
    std::fclose(file);
  }
  return out;
}

constexpr std::size_t round_up(std::size_t value) noexcept {
  return (value + 4095) / 4096 * 4096;
}

struct stored_address {
  std::array<std::uint8_t, 16> octets{};
  std::uint8_t family = 0;

  static stored_address of(const ip_address& address) noexcept {
    return {address.octets, static_cast<std::uint8_t>(address.family)};
  }
  /// False when it is no address.
  [[nodiscard]] bool read(ip_address& out) const noexcept {
    out = {octets, family == 4 ? ip_family::v4 : ip_family::v6};
    const bool has_rest = std::any_of(octets.begin() + 4, octets.end(), [](auto octet) { return octet != 0; });
    return (family == 4 && !has_rest) || family == 6;
  }
};

/// What kill -9 may separate; the processor and the page cache keep the order of a process's own stores.
void keep_order() noexcept {
  std::atomic_signal_fence(std::memory_order_seq_cst);
}

template <class Record>
std::uint32_t seal_of(const Record& record) noexcept {
  return static_cast<std::uint32_t>(hash_bytes(&record.body, sizeof record.body)) | seal_bit;
}
template <class Record>
void unseal(Record& record) noexcept {
  std::atomic_ref{record.seal}.store(0, std::memory_order_release);
  keep_order();
}
template <class Record>
void write_sealed(Record& record, const decltype(Record::body)& body) noexcept {
  unseal(record);
  std::memcpy(&record.body, &body, sizeof body);
  const auto seal = seal_of(record);
  keep_order();
  std::atomic_ref{record.seal}.store(seal, std::memory_order_release);
}

} // namespace

struct flow_file::header {
  std::array<char, 8> magic{};
  std::uint32_t version = 0, flow_bytes = 0;
  std::uint64_t flows = 0, paths = 0, fingerprint = 0;
  std::array<char, 40> boot{};
  /// Of all before.
  std::uint64_t checksum = 0;
  /// Flow records at or above were never written.
  std::uint64_t high_water = 0;

  [[nodiscard]] std::uint64_t sum() const noexcept { return hash_bytes(this, offsetof(header, checksum)); }
};

struct flow_file::flow_record {
  struct content {
    std::uint64_t cookie, idle_ns, hard_ns, created_ns;
    std::uint32_t tenant, path;
    stored_address source, destination;
    std::uint16_t source_port, destination_port, account;
    std::uint8_t protocol, kind, owner;
    std::array<std::uint8_t, 5> zero;
  };
  std::uint32_t seal, zero;
  content body;
};

struct flow_file::path_record {
  struct hop {
    stored_address rloc;
    std::uint8_t local;
    std::uint16_t in_arm, out_arm;
  };
  struct content {
    std::uint32_t id;
    std::uint16_t account, hops;
    std::array<hop, max_path_hops> each;
  };
  std::uint32_t seal;
  content body;
};

std::string_view to_string(cold_start why) noexcept {
  switch (why) {
  case cold_start::no: return "warm";
  case cold_start::no_file: return "no flow file is configured";
  case cold_start::new_file: return "there was no flow file";
  case cold_start::unusable: return "the flow file can't be opened and mapped";
  case cold_start::in_use: return "another process has the flow file";
  case cold_start::no_space: return "there is no space for the flow file";
  case cold_start::other_layout: return "the flow file is of another version or size, or damaged";
  case cold_start::other_boot: return "the machine was started since";
  case cold_start::other_configuration: return "the ports are others";
  }
  return "unknown";
}

flow_file::flow_file(const flow_file_config& config, std::size_t flows, std::size_t paths) {
  static_assert(sizeof(flow_record) == 96 && sizeof(path_record) == 364 && offsetof(header, checksum) == 80);
  const auto live_at = header_bytes;
  flow_records_at_ = round_up(live_at + flows * sizeof(flow));
  path_records_at_ = round_up(flow_records_at_ + flows * sizeof(flow_record));
  auto bytes = round_up(path_records_at_ + paths * sizeof(path_record));
  header wanted;
  wanted.magic = magic;
  wanted.version = format_version;
  wanted.flow_bytes = sizeof(flow_record);
  wanted.flows = flows;
  wanted.paths = paths;
  wanted.fingerprint = config.fingerprint;
  wanted.boot = boot_id();
  wanted.checksum = wanted.sum();
  if (config.path.empty() || !open(config, bytes, wanted)) {
    if (config.path.empty())
      bytes = flow_records_at_; // of what nobody will read nothing is needed
    auto memory = mapped_file::anonymous(bytes);
    if (!memory)
      throw std::bad_alloc{};
    memory_ = std::move(*memory);
  }
  live_ = {std::launder(reinterpret_cast<flow*>(memory_.data() + live_at)), flows};
}

bool flow_file::open(const flow_file_config& config, std::size_t bytes, const header& wanted) {
  auto memory = mapped_file::open(config.path, bytes);
  if (!memory) {
    cold_ = memory.error() == file_error::in_use     ? cold_start::in_use
            : memory.error() == file_error::no_space ? cold_start::no_space
                                                     : cold_start::unusable;
    return false;
  }
  memory_ = std::move(*memory);
  const auto& found = head();
  if (memory_.is_new())
    cold_ = cold_start::new_file;
  else if (found.magic != magic || found.checksum != found.sum() || found.version != wanted.version ||
           found.flow_bytes != wanted.flow_bytes || found.flows != wanted.flows || found.paths != wanted.paths)
    cold_ = cold_start::other_layout;
  else if (found.boot != wanted.boot)
    cold_ = cold_start::other_boot;
  else if (found.fingerprint != wanted.fingerprint)
    cold_ = cold_start::other_configuration;
  else
    cold_ = cold_start::no;
  is_kept_ = true;
  if (cold_ == cold_start::no) {
    flows_to_read_ = static_cast<std::uint32_t>(std::min(found.high_water, found.flows));
    return true;
  }
  if (!memory_.is_new() && !memory_.clear()) {
    cold_ = cold_start::no_space;
    is_kept_ = false;
    return false;
  }
  head() = wanted; // no record is sealed, so that a header cut short is as good as none
  return true;
}

flow_file::header& flow_file::head() const noexcept {
  return *std::launder(reinterpret_cast<header*>(memory_.data()));
}
flow_file::flow_record& flow_file::flow_at(std::uint32_t index) const noexcept {
  return std::launder(reinterpret_cast<flow_record*>(memory_.data() + flow_records_at_))[index];
}
flow_file::path_record& flow_file::path_at(std::uint32_t slot) const noexcept {
  return std::launder(reinterpret_cast<path_record*>(memory_.data() + path_records_at_))[slot];
}

std::optional<flow_file::stored_flow> flow_file::read_flow(std::uint32_t index) const noexcept {
  const auto& record = flow_at(index);
  if (cold_ != cold_start::no || record.seal == 0 || record.seal != seal_of(record))
    return {};
  const auto& body = record.body;
  stored_flow out;
  auto& identity = out.identity;
  out.what = static_cast<flow::kind>(body.kind);
  out.account = body.account;
  identity.tenant = body.tenant;
  identity.cookie = body.cookie;
  identity.idle_ns = body.idle_ns;
  identity.hard_ns = body.hard_ns;
  identity.created_ns = body.created_ns;
  identity.path = body.path;
  identity.owner = body.owner == 1;
  identity.forward.source_port = body.source_port;
  identity.forward.destination_port = body.destination_port;
  identity.forward.protocol = body.protocol;
  const bool is_sound = (out.what == flow::kind::on_path || out.what == flow::kind::by_eid) && body.owner <= 1 &&
                        body.tenant <= max_tenant && body.path <= max_spi &&
                        body.source.read(identity.forward.source) &&
                        body.destination.read(identity.forward.destination) &&
                        (body.account < max_path_accounts || body.account == flow::no_account);
  return is_sound ? std::optional{out} : std::nullopt;
}

std::optional<flow_file::stored_path> flow_file::read_path(std::uint32_t slot) const {
  const auto& record = path_at(slot);
  if (cold_ != cold_start::no || record.seal == 0 || record.seal != seal_of(record))
    return {};
  const auto& body = record.body;
  if (body.hops > max_path_hops || body.account >= max_path_accounts)
    return {};
  stored_path out;
  out.account = body.account;
  out.program.id = body.id;
  for (std::size_t i = 0; i < body.hops; ++i) {
    const auto& from = body.each[i];
    path_hop hop{from.local == 1, from.in_arm, from.out_arm, {}};
    if (!from.rloc.read(hop.rloc))
      return {};
    out.program.hops.push_back(hop);
  }
  return is_valid(out.program) ? std::optional{out} : std::nullopt;
}

void flow_file::write_flow(std::uint32_t index, const flow_identity& identity, flow::kind what,
                           std::uint16_t account) noexcept {
  if (!is_kept_)
    return;
  if (index >= head().high_water) {
    head().high_water = std::uint64_t{index} + 1;
    keep_order();
  }
  const auto& tuple = identity.forward;
  flow_record::content body{};
  body.cookie = identity.cookie;
  body.idle_ns = identity.idle_ns;
  body.hard_ns = identity.hard_ns;
  body.created_ns = identity.created_ns;
  body.tenant = identity.tenant;
  body.path = identity.path;
  body.source = stored_address::of(tuple.source);
  body.destination = stored_address::of(tuple.destination);
  body.source_port = tuple.source_port;
  body.destination_port = tuple.destination_port;
  body.account = account;
  body.protocol = tuple.protocol;
  body.kind = static_cast<std::uint8_t>(what);
  body.owner = identity.owner ? 1 : 0;
  write_sealed(flow_at(index), body);
}

void flow_file::erase_flow(std::uint32_t index) noexcept {
  if (is_kept_)
    unseal(flow_at(index));
}

void flow_file::write_path(std::uint32_t slot, const path_program& program, std::uint16_t account) noexcept {
  if (!is_kept_)
    return;
  path_record::content body{};
  body.id = program.id;
  body.account = account;
  body.hops = static_cast<std::uint16_t>(program.hops.size());
  for (std::size_t i = 0; i < program.hops.size(); ++i) {
    const auto& hop = program.hops[i];
    body.each[i] = {stored_address::of(hop.rloc), static_cast<std::uint8_t>(hop.local ? 1 : 0), hop.in_arm,
                    hop.out_arm};
  }
  write_sealed(path_at(slot), body);
}

void flow_file::erase_path(std::uint32_t slot) noexcept {
  if (is_kept_)
    unseal(path_at(slot));
}

} // namespace glocal::dataplane
