#include "dataplane/switch/edge_switch.hpp"

// Commands are executed by swapping: what an order holds afterwards is what it replaced, and goes back to the agent.

namespace glocal::dataplane {

bool edge_switch::execute_commands(std::uint64_t now_ns, tx_sink& out) noexcept {
  begin(now_ns, out);
  if (!restored_paths_.empty()) [[unlikely]]
    tell_restored_paths();
  std::size_t executed = 0;
  for (command order; executed < max_commands_at_once && border_.next(order); ++executed) {
    std::visit([this](auto& each) { execute(each); }, order);
    border_.retire(std::move(order));
  }
  finish();
  return executed > 0;
}

/// O(flows): about a millisecond for a full table, for events as rare as a port or a path that goes away.
template <class Predicate>
void edge_switch::end_flows_if(Predicate&& ends) noexcept {
  for (std::uint32_t i = 0; i < flows_.high_water(); ++i)
    if (flows_[i].what != flow::kind::free && ends(i)) {
      if (flows_[i].what == flow::kind::pending)
        drop_held(flows_[i].hold, drop_reason::unknown_port);
      end_flow(i, removal::evicted);
    }
}

void edge_switch::execute(add_port& order) noexcept {
  const auto id = order.port.id;
  ports_.put(order.port);
  tunnels_.clear();
  budgets_[id].tenant = id;
  for (port_id other = 0; other < id; ++other)
    if (const auto* port = ports_.find(other); port != nullptr && port->tenant == ports_.find(id)->tenant) {
      budgets_[id].tenant = budgets_[other].tenant;
      break;
    }
}

void edge_switch::execute(remove_port& order) noexcept {
  const auto id = order.id;
  if (ports_.find(id) == nullptr)
    return counters_.commands_refused.add();
  end_flows_if([&](std::uint32_t flow) { return flows_.enters_by(flow, id); });
  neighbours_.remove_port(id, [this](std::uint32_t gone) { drop_unresolved(gone); });
  tunnels_.clear();
  ports_.remove(id);
}

void edge_switch::execute(set_classifier& order) noexcept {
  rules_.swap(order.rules);
  ++rules_generation_;
}

void edge_switch::execute(set_mappings& order) noexcept {
  eids_.swap(order.table);
  ++eid_generation_;
}

void edge_switch::execute(set_known_rlocs& order) noexcept {
  known_rlocs_.swap(order.rlocs);
}

void edge_switch::execute(set_path& order) noexcept {
  auto index = paths_.find(order.path.id);
  if (index == none)
    index = paths_.create(order.path.id);
  if (index == none)
    return counters_.commands_refused.add();
  auto& slot = paths_[index];
  const bool is_counted_elsewhere = slot.account != order.account;
  slot.account = order.account;
  if (slot.what == path_table::state::known && slot.program == order.path) { // an unchanged refresh moves nothing
    if (is_counted_elsewhere)
      file_.write_path(index, slot.program, slot.account);
    return;
  }
  const auto hold = slot.what == path_table::state::pending ? slot.hold : none;
  std::swap(slot.program, order.path);
  slot.what = path_table::state::known;
  slot.hold = none;
  ++slot.generation;
  file_.write_path(index, slot.program, slot.account);
  if (hold != none) {
    counters_.setup_latency.record(now_ns_ - holds_.opened_ns(hold));
    release(hold);
  }
}

void edge_switch::execute(remove_path& order) noexcept {
  const auto index = paths_.find(order.id);
  if (index == none)
    return counters_.commands_refused.add();
  if (paths_[index].what == path_table::state::pending)
    drop_held(paths_[index].hold, drop_reason::unknown_path);
  end_flows_if(
      [&](std::uint32_t flow) { return flows_[flow].what == flow::kind::on_path && flows_[flow].path_slot == index; });
  file_.erase_path(index);
  paths_.remove(index);
}

void edge_switch::execute(install_flow& order) noexcept {
  const auto hold = holds_.find(order.hold);
  const bool waits_for_path = hold != none && holds_.subject(hold).reason == packet_in_reason::path_miss;
  if (hold != none && !waits_for_path)
    flows_.remove(holds_.subject(hold).index);

  const auto slot = paths_.find(order.path);
  displaced_holds displaced;
  const bool has_path = slot != none && paths_[slot].what == path_table::state::known;
  const bool installed = has_path && install(order, slot, displaced) != none;
  if (!has_path)
    counters_.commands_refused.add();
  if (hold != none && !waits_for_path) {
    if (installed) {
      counters_.setup_latency.record(now_ns_ - holds_.opened_ns(hold));
      release(hold);
    } else
      drop_held(hold, has_path ? drop_reason::table_full : drop_reason::unknown_path);
  }
  release(displaced);
}

void edge_switch::execute(refuse& order) noexcept {
  const auto hold = holds_.find(order.hold);
  if (hold == none)
    return; // timed out or answered before
  const auto index = holds_.subject(hold).index;
  const bool is_path = holds_.subject(hold).reason == packet_in_reason::path_miss;
  if (order.answer == refuse::verdict::drop) {
    if (is_path) {
      paths_[index].what = path_table::state::refused;
      paths_[index].refused_until_ns = now_ns_ + static_cast<std::uint64_t>(config_.refusal_linger.count());
    } else {
      const auto key = flows_.key_of(index);
      flows_.remove(index);
      refuse_flow(key, order.reason);
    }
    return drop_held(hold, order.reason);
  }
  if (is_path)
    paths_.remove(index);
  else
    flows_.remove(index);
  while (auto in = holds_.take(hold)) {
    if (in->frame.is_traced()) [[unlikely]]
      tracer_.released(in->frame, now_ns_ - in->received_ns, true);
    if (!follow_entry(*in))
      install_by_eid(*in);
  }
  close_hold(hold);
}

void edge_switch::execute(start_trace& order) noexcept {
  tracer_.start(order.session);
}

void edge_switch::execute(stop_trace&) noexcept {
  tracer_.end(trace_end::stopped);
}

void edge_switch::execute(remove_flow& order) noexcept {
  const auto index = flows_.find_connection(order.tenant, order.tuple);
  if (index == none)
    return counters_.commands_refused.add();
  end_flow(index, removal::commanded);
}

} // namespace glocal::dataplane
