#include "dataplane/switch/flow_table.hpp"

#include <random>

namespace glocal::dataplane {
namespace {

std::uint64_t draw_key() {
  std::random_device source;
  return std::uint64_t{source()} << 32 | source();
}

bool is_connection_key(const flow_key& key) noexcept {
  return key.where == place::connection(key.where.tenant());
}

} // namespace

flow_table::flow_table(const switch_config& config, counters& counted)
    : hash_key_{config.hash_key != 0 ? config.hash_key : draw_key()}, counted_{counted}, flows_{config.flows},
      entries_{config.flows * config.entries_per_flow}, index_{config.flows * config.entries_per_flow} {}

std::uint64_t flow_table::hash(const flow_key& key) const noexcept {
  return hash_value(key.tuple, hash_key_ ^ key.where.word() * 0x9e3779b97f4a7c15u);
}

const flow_table::entry* flow_table::find(const flow_key& key) const noexcept {
  const auto index = index_.find(hash(key), [&](std::uint32_t candidate) { return entries_[candidate].key == key; });
  return index == none ? nullptr : &entries_[index];
}

std::uint32_t flow_table::find_connection(std::uint32_t tenant, const five_tuple& tuple) const noexcept {
  const auto* found = find({place::connection(tenant), tuple.canonical()});
  return found == nullptr ? none : found->flow;
}

std::uint32_t flow_table::create(flow::kind what, std::uint32_t tenant, const five_tuple& forward) noexcept {
  const auto index = flows_.acquire();
  if (index != none) {
    auto& made = flows_[index];
    made.what = what;
    made.tenant = tenant;
    made.forward = forward;
  }
  return index;
}

bool flow_table::name_connection(std::uint32_t flow) noexcept {
  const auto& named = flows_[flow];
  return add_entry(flow, {place::connection(named.tenant), named.forward.canonical()}, {});
}

bool flow_table::add_entry(std::uint32_t flow, const flow_key& key, path_step step) noexcept {
  const auto index = entries_.acquire();
  if (index == none)
    return false;
  if (!index_.insert(hash(key), index)) {
    entries_.release(index);
    return false;
  }
  auto& owner = flows_[flow];
  entries_[index] = {key, step, flow, owner.first_entry};
  owner.first_entry = index;
  if (key.where.is_port())
    counted_.ports[key.where.port()].flows_now.add();
  return true;
}

bool flow_table::enters_by(const flow& which, port_id port) const noexcept {
  for (auto index = which.first_entry; index != none; index = entries_[index].next_of_flow)
    if (entries_[index].key.where.port() == port)
      return true;
  return false;
}

void flow_table::erase_entry(std::uint32_t index) noexcept {
  const auto& key = entries_[index].key;
  if (key.where.is_port())
    counted_.ports[key.where.port()].flows_now.decrement();
  index_.erase(hash(key), index);
  entries_.release(index);
}

void flow_table::clear_entries(std::uint32_t flow) noexcept {
  auto& owner = flows_[flow];
  auto next = owner.first_entry;
  owner.first_entry = none;
  while (next != none) {
    const auto index = next;
    next = entries_[index].next_of_flow;
    if (is_connection_key(entries_[index].key)) {
      entries_[index].next_of_flow = owner.first_entry;
      owner.first_entry = index;
    } else
      erase_entry(index);
  }
}

void flow_table::count_on(std::uint32_t flow, std::uint16_t account) noexcept {
  auto& counted = flows_[flow];
  if (counted.account == account)
    return;
  if (counted.account != flow::no_account)
    counted_.paths[counted.account].flows_now.decrement();
  counted.account = account;
  counted_.paths[account].flows_now.add();
  counted_.paths[account].flows.add();
}

void flow_table::remove(std::uint32_t flow) noexcept {
  if (const auto account = flows_[flow].account; account != flow::no_account)
    counted_.paths[account].flows_now.decrement();
  for (auto next = flows_[flow].first_entry; next != none;) {
    const auto index = next;
    next = entries_[index].next_of_flow;
    erase_entry(index);
  }
  flows_.release(flow);
}

} // namespace glocal::dataplane
