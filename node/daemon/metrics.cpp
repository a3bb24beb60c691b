#include "node/daemon/metrics.hpp"

#include "actors/lisp/map_server_counters.hpp"
#include "dataplane/switch/southbound.hpp"
#include "dataplane/wire/drop_reason.hpp"
#include "node/daemon/exposition.hpp"
#include "node/daemon/kind_names.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <string>
#include <utility>

namespace glocal::node {
namespace {

using runtime::actor_record;
using records = std::vector<actor_record>;

double seconds(std::uint64_t nanoseconds) {
  return static_cast<double>(nanoseconds) / 1e9;
}

void summary(exposition& out, const char* name, const char* help, const histogram& of) {
  out.family(name, "summary", help);
  for (const auto& [text, q] : {std::pair{"0.5", 0.5}, std::pair{"0.9", 0.9}, std::pair{"0.99", 0.99}})
    out.add({{"quantile", text}}, seconds(of.quantile(q)));
  out.add({}, of.count(), "_count");
}

void add_node(exposition& out, const status_sources& node) {
  std::string roles;
  for (const auto role : node.self.roles)
    roles += (roles.empty() ? "" : ",") + std::string{to_string(role)};
  out.family("glocal_node_info", "gauge", "Always 1; the labels say what runs here.");
  out.add({{"version", GLOCAL_VERSION}, {"roles", roles}}, std::uint64_t{1});
  out.family("glocal_node_uptime_seconds", "gauge", "Since the process started.");
  out.add({}, std::chrono::duration<double>(std::chrono::steady_clock::now() - node.started).count());
}

void add_ports(exposition& out, const status_sources& node) {
  const auto each = [&](const char* name, const char* help, const dataplane::counter dataplane::port_counters::*which) {
    out.family(name, "counter", help);
    for (const auto& port : node.ports)
      out.add({{"port", port.name}, {"kind", port.kind}}, (node.counters->ports[port.id].*which).value());
  };
  using port = dataplane::port_counters;
  each("glocal_edge_port_receive_packets_total", "Packets received by a port.", &port::rx_packets);
  each("glocal_edge_port_receive_bytes_total", "Bytes received by a port.", &port::rx_bytes);
  each("glocal_edge_port_transmit_packets_total", "Packets sent by a port.", &port::tx_packets);
  each("glocal_edge_port_transmit_bytes_total", "Bytes sent by a port.", &port::tx_bytes);
}

/// At most max_path_accounts, and nothing of one that nothing has passed.
void add_paths(exposition& out, const dataplane::counters& counted, const actors::path_accounts& accounts) {
  using dataplane::path_counters;
  const auto all = accounts.all();
  const auto is_used = [&](std::size_t i) {
    const auto& of = counted.paths[i];
    return of.flows.value() > 0 || of.packets[0].value() > 0 || of.packets[1].value() > 0;
  };
  const auto each = [&](const char* name, const char* type, const char* help, auto&& add) {
    out.family(name, type, help);
    for (std::size_t i = 0; i < all.size(); ++i)
      if (is_used(i))
        add(all[i], counted.paths[i]);
  };
  const auto by_direction = [&](const char* name, const char* help,
                                const std::array<dataplane::counter, 2> path_counters::*which) {
    each(name, "counter", help, [&](const actors::path_accounts::account& path, const path_counters& of) {
      for (const auto& [direction, way] : {std::pair{"forward", 0}, std::pair{"reverse", 1}})
        out.add({{"service", path.service}, {"path", path.path}, {"chain", path.chain}, {"direction", direction}},
                (of.*which)[static_cast<std::size_t>(way)].value());
    });
  };
  const auto plain = [&](const char* name, const char* type, const char* help,
                         const dataplane::counter path_counters::*which) {
    each(name, type, help, [&](const actors::path_accounts::account& path, const path_counters& of) {
      out.add({{"service", path.service}, {"path", path.path}, {"chain", path.chain}}, (of.*which).value());
    });
  };
  by_direction("glocal_path_packets_total", "Packets that set out on a path here: over all nodes each counts once.",
               &path_counters::packets);
  by_direction("glocal_path_bytes_total", "IP bytes that set out on a path here.", &path_counters::bytes);
  plain("glocal_path_flows", "gauge", "Flows on a path that were decided here.", &path_counters::flows_now);
  plain("glocal_path_flows_total", "counter", "Flows decided here for a path, or moved to it.", &path_counters::flows);
  out.family("glocal_path_folded_total", "counter",
             "Times a path was programmed that is counted as (other), because all places are taken.");
  out.add({}, accounts.folded());
}

void add_edge(exposition& out, const status_sources& node) {
  const auto& counted = *node.counters;
  add_ports(out, node);
  out.family("glocal_edge_drops_total", "counter", "Packets dropped, by the one reason each has.");
  for (std::size_t i = 0; i < dataplane::drop_reason_count; ++i)
    // All reasons, also at 0: a rate needs a value from before the first drop.
    out.add({{"reason", to_string(static_cast<dataplane::drop_reason>(i))}}, counted.drops[i].value());
  const auto one = [&](const char* name, const char* type, const char* help, const dataplane::counter& of) {
    out.family(name, type, help);
    out.add({}, of.value());
  };
  one("glocal_edge_exact_match_hits_total", "counter", "Packets that met an exact-match entry.", counted.exact_hits);
  one("glocal_edge_exact_match_misses_total", "counter", "Packets that met none.", counted.exact_misses);
  one("glocal_edge_classifier_lookups_total", "counter", "Packets the classifier was asked for.",
      counted.classifier_lookups);
  one("glocal_edge_icmp_errors_sent_total", "counter", "Sources told that their packets are too long or end here.",
      counted.errors_sent);
  one("glocal_edge_packet_ins_total", "counter", "First packets handed to a service module.", counted.packet_ins);
  one("glocal_edge_events_lost_total", "counter", "Events the switch agent's ring had no room for.",
      counted.events_lost);
  one("glocal_edge_packets_held", "gauge", "Packets that wait for a decision.", counted.held_now);
  one("glocal_edge_packets_held_peak", "gauge", "The most that ever waited at once.", counted.held_peak);
  one("glocal_edge_flows", "gauge", "Flows in the exact-match table.", counted.flows_now);
  out.family("glocal_edge_flows_capacity", "gauge", "Flows the exact-match table has room for.");
  out.add({}, std::uint64_t{node.flow_capacity});
  one("glocal_edge_flows_installed_total", "counter", "Flows installed.", counted.flows_installed);
  one("glocal_edge_flows_resteered_total", "counter", "Flows programmed again because their path changed.",
      counted.flows_resteered);
  one("glocal_edge_flows_restored_total", "counter", "Flows taken over from before the start.", counted.flows_restored);
  one("glocal_edge_flows_forgotten_total", "counter", "Flows of before the start that are no longer known.",
      counted.flows_forgotten);
  out.family("glocal_edge_flows_removed_total", "counter", "Flows that ended, by why.");
  for (std::size_t i = 0; i < dataplane::removal_count; ++i)
    out.add({{"reason", to_string(static_cast<dataplane::removal>(i))}}, counted.flows_removed[i].value());
  one("glocal_edge_commands_refused_total", "counter", "Commands that named what is not there.",
      counted.commands_refused);
  one("glocal_edge_traces_begun_total", "counter", "Packets traced from this edge on.", counted.traces_begun);
  one("glocal_edge_trace_records_lost_total", "counter", "Steps of traced packets that found no room.",
      counted.trace_records_lost);
  one("glocal_edge_trace_ids_refused_total", "counter", "Traced packets of other edges that came too fast to follow.",
      counted.trace_ids_refused);
  summary(out, "glocal_edge_setup_latency_seconds", "From a flow's first packet to its entries in the table.",
          counted.setup_latency);
  summary(out, "glocal_edge_first_packet_delay_seconds", "From a flow's first packet until it is on its way.",
          counted.first_packet_delay);
  if (node.paths)
    add_paths(out, counted, *node.paths);
}

/// One family over all actors of a kind, from the number `key` of their state summaries.
struct summarised {
  const char *name, *type, *key, *help;
};

void add_services(exposition& out, const records& all) {
  const auto modules = of_kind(all, "service module");
  for (const auto& [name, type, key, help] : {
           summarised{"glocal_service_packet_ins_total", "counter", "packet_ins",
                      "First packets a module was asked for."},
           summarised{"glocal_service_decided_total", "counter", "decided", "Flows whose chain was decided here."},
           summarised{"glocal_service_adopted_total", "counter", "adopted", "Flows that another edge had decided."},
           summarised{"glocal_service_cached_total", "counter", "cached", "Flows answered from the module's memory."},
           summarised{"glocal_service_provisional_total", "counter", "provisional",
                      "Flows decided while the store did not answer."},
           summarised{"glocal_service_yielded_total", "counter", "yielded",
                      "Flows that moved to the path of another edge's decision, published first."},
           summarised{"glocal_service_unpublished_flows", "gauge", "unpublished",
                      "Flows that are programmed and still to be published."},
           summarised{"glocal_service_flows", "gauge", "flows_remembered", "Flows the module remembers."},
       }) {
    out.family(name, type, help);
    for (const auto* module : modules)
      out.add({{"service", state_of(*module, "service")}}, number_of(*module, key));
  }
  out.family("glocal_service_refused_total", "counter", "Flows without a chain, by why.");
  for (const auto* module : modules)
    for (const auto* reason : {"no_candidate", "store_failures"})
      out.add({{"service", state_of(*module, "service")}, {"reason", reason}}, number_of(*module, reason));
}

void add_instances(exposition& out, const records& all) {
  const auto monitors = of_kind(all, "vnf monitor");
  for (const auto& [name, type, key, help] : {
           summarised{"glocal_vnf_instance_flows", "gauge", "flows", "Flows that cross an instance."},
           summarised{"glocal_vnf_instance_packets_total", "counter", "packets", "Packets that left an instance."},
           summarised{"glocal_vnf_instance_bytes_total", "counter", "bytes", "Bytes that left an instance."},
       }) {
    out.family(name, type, help);
    for (const auto* monitor : monitors)
      out.add({{"instance", state_of(*monitor, "instance")}, {"class", state_of(*monitor, "class")}},
              number_of(*monitor, key));
  }
  out.family("glocal_vnf_instance_healthy", "gauge", "1 while the instance is healthy, else 0.");
  for (const auto* monitor : monitors)
    out.add({{"instance", state_of(*monitor, "instance")}, {"class", state_of(*monitor, "class")}},
            std::uint64_t{state_of(*monitor, "healthy") == "true"});
}

void add_store(exposition& out, const records& all) {
  const auto nodes = of_kind(all, "store node"), clients = of_kind(all, "store client");
  out.family("glocal_store_operations_total", "counter", "Operations this store node carried out, by kind.");
  for (const auto* node : nodes)
    for (const auto& [label, key] :
         {std::pair{"get", "gets"}, std::pair{"put", "puts"}, std::pair{"put_if_absent", "puts_if_absent"},
          std::pair{"compare_and_set", "compare_and_sets"}, std::pair{"erase", "erases"}, std::pair{"scan", "scans"}})
      out.add({{"kind", label}}, number_of(*node, key));
  const auto each = [&](const std::vector<const actor_record*>& actors, std::initializer_list<summarised> families) {
    for (const auto& [name, type, key, help] : families) {
      out.family(name, type, help);
      for (const auto* actor : actors)
        out.add({}, number_of(*actor, key));
    }
  };
  each(nodes, {{"glocal_store_conflicts_total", "counter", "conflicts", "Conditional writes that lost."},
               {"glocal_store_leases_expired_total", "counter", "leases_expired", "Leases whose holder went silent."},
               {"glocal_store_slots", "gauge", "slots", "Slots this node keeps."},
               {"glocal_store_copies", "gauge", "copies", "Copies of each slot in the cluster."},
               {"glocal_store_keys", "gauge", "keys", "Entries this node keeps."},
               {"glocal_store_watchers", "gauge", "watchers", "Watch streams this node serves."},
               {"glocal_store_leases", "gauge", "leases", "Leases this node knows."}});
  each(clients,
       {{"glocal_store_client_operations_total", "counter", "operations", "Operations this node asked the store for."},
        {"glocal_store_client_retries_total", "counter", "retries", "Frames sent again."},
        {"glocal_store_client_failures_total", "counter", "failures", "Calls that ended with an error."},
        {"glocal_store_client_watch_events_total", "counter", "watch_events", "Changes heard of."}});
  out.family("glocal_store_client_latency_seconds", "summary", "From a call to its answer.");
  for (const auto* client : clients)
    for (const auto& [quantile, key] : {std::pair{"0.5", "latency_p50_us"}, std::pair{"0.99", "latency_p99_us"}})
      out.add({{"quantile", quantile}}, static_cast<double>(number_of(*client, key)) / 1e6);
}

void add_store_cache(exposition& out, const records& all) {
  const auto caches = of_kind(all, "store cache");
  const auto by_table = [&](const actor_record& cache, auto&& add) {
    for (const auto of : store::all_tables)
      if (const std::string name{store::name(of)}; !state_of(cache, name + "_live").empty())
        add(name);
  };
  out.family("glocal_store_cache_reads_total", "counter",
             "Reads of a table by the edge: answered by its cache, not known there, or not believed there.");
  for (const auto* cache : caches)
    by_table(*cache, [&](const std::string& name) {
      for (const auto& [outcome, key] :
           {std::pair{"hit", "_hits"}, std::pair{"miss", "_misses"}, std::pair{"suspect", "_suspect"}})
        out.add({{"table", name}, {"outcome", outcome}}, number_of(*cache, name + key));
    });
  out.family("glocal_store_cache_live", "gauge", "1 while the table's watch is live, else 0: reads go to the store.");
  for (const auto* cache : caches)
    by_table(*cache, [&](const std::string& name) {
      out.add({{"table", name}}, std::uint64_t{state_of(*cache, name + "_live") == "true"});
    });
  for (const auto& [name, type, key, help] :
       {summarised{"glocal_store_cache_entries", "gauge", "entries", "Entries the cache holds."},
        summarised{"glocal_store_cache_bytes", "gauge", "bytes", "Bytes they take."},
        summarised{"glocal_store_cache_evictions_total", "counter", "evictions", "Entries that made room."}}) {
    out.family(name, type, help);
    for (const auto* cache : caches)
      out.add({}, number_of(*cache, key));
  }
}

void add_map_server(exposition& out, const records& all) {
  const auto servers = of_kind(all, "map server");
  const auto labelled = [&](std::string_view name, std::string_view help, std::string_view label,
                            std::initializer_list<std::pair<const char*, const char*>> values) {
    out.family(name, "counter", help);
    for (const auto* server : servers)
      for (const auto& [value, key] : values)
        out.add({{label, value}}, number_of(*server, key));
  };
  labelled("glocal_lisp_received_total", "LISP control messages taken in, by type.", "type",
           {{"map_request", "map_requests"}, {"map_register", "map_registers"}, {"map_notify_ack", "map_notify_acks"}});
  labelled("glocal_lisp_sent_total", "LISP control messages sent, by what they are for.", "type",
           {{"map_reply", "map_replies"},
            {"negative_map_reply", "negative_replies"},
            {"probe_reply", "probe_replies"},
            {"forwarded_map_request", "forwarded"},
            {"map_notify", "map_notifies"},
            {"retransmission", "retransmissions"},
            {"smr", "smrs"}});
  labelled("glocal_lisp_registrations_total", "Map-Registers, by what they led to.", "outcome",
           {{"refreshed", "refreshed"}, {"renewed", "renewed"}, {"written", "written"}, {"withdrawn", "withdrawn"}});
  labelled("glocal_lisp_subscriptions_total", "What became of subscriptions and publications.", "outcome",
           {{"subscribed", "subscribed"},
            {"unsubscribed", "unsubscribed"},
            {"adopted", "adopted"},
            {"published", "publications"},
            {"acknowledged", "acknowledged"},
            {"given_up", "given_up"}});
  out.family("glocal_lisp_refused_total", "counter", "Messages, or parts of them, not served, by reason.");
  for (const auto* server : servers)
    for (std::size_t i = 0; i < lisp::refusal_count; ++i) {
      const auto reason = lisp::name(static_cast<lisp::refusal>(i));
      out.add({{"reason", reason}}, number_of(*server, "refused_" + std::string{reason}));
    }
  for (const auto& [name, type, key, help] :
       {summarised{"glocal_lisp_unsent_total", "counter", "unsent", "Datagrams the kernel did not take."},
        summarised{"glocal_lisp_mappings", "gauge", "mappings", "Entries of table mappings this node knows."},
        summarised{"glocal_lisp_subscribers", "gauge", "subscriptions", "Subscriptions this node knows."},
        summarised{"glocal_lisp_requesters", "gauge", "requesters", "Askers that would be sent SMRs."},
        summarised{"glocal_lisp_unacknowledged", "gauge", "unacknowledged", "Map-Notifies not acknowledged yet."}}) {
    out.family(name, type, help);
    for (const auto* server : servers)
      out.add({}, number_of(*server, key));
  }
}

/// 256 slots by default and at most one copy of each on a node, so a few families of them are bearable.
void add_slots(exposition& out, const records& all) {
  const auto shards = of_kind(all, "store shard");
  for (const auto& [name, type, key, help] : {
           summarised{"glocal_store_slot_revision", "counter", "revision", "Changes of a slot, since it is kept."},
           summarised{"glocal_store_slot_keys", "gauge", "keys", "Entries of a slot."},
           summarised{"glocal_store_slot_leases", "gauge", "leases", "Leases a slot's entries hang on."},
           summarised{"glocal_store_slot_subscriptions", "gauge", "subscriptions", "Watches of a slot."},
       }) {
    out.family(type == std::string_view{"counter"} ? std::string{name} + "_total" : name, type, help);
    for (const auto* shard : shards)
      out.add({{"slot", state_of(*shard, "slot")}}, number_of(*shard, key));
  }
}

/// Of slots that were asked for something: 22 samples each.
void add_slot_meters(exposition& out, const actors::slot_meters& meters) {
  const auto& slots = meters.by_slot();
  const auto each = [&](auto&& add) {
    for (std::size_t slot = 0; slot < slots.size(); ++slot)
      if (slots[slot].is_used())
        add(std::to_string(slot), slots[slot]);
  };
  using meter = actors::slot_meters::meter;
  out.family("glocal_store_slot_operations_total", "counter", "Operations a slot has answered, by kind.");
  each([&](const std::string& slot, const meter& of) {
    for (std::size_t i = 0; i < of.operations.size(); ++i)
      out.add({{"slot", slot}, {"kind", actors::slot_meters::kind_names[i]}},
              of.operations[i].load(std::memory_order_relaxed));
  });
  out.family("glocal_store_slot_operation_duration_seconds", "histogram",
             "From an operation's arrival at the node to its slot's answer; a write is on disk then.");
  each([&](const std::string& slot, const meter& of) { out.add({{"slot", slot}}, of.duration); });
}

void add_transport(exposition& out, const runtime::transport_stats& stats) {
  const auto each = [&](const char* name, const char* type, const char* help, auto value) {
    out.family(name, type, help);
    for (const auto& [peer, state] : stats.peers)
      out.add({{"peer", peer}}, std::uint64_t{value(state)});
  };
  each("glocal_transport_peer_up", "gauge", "1 while the peer is connected, else 0.",
       [](const auto& peer) { return peer.connected; });
  each("glocal_transport_peer_encrypted", "gauge", "1 while the connection with the peer is encrypted, else 0.",
       [](const auto& peer) { return !peer.encryption.empty(); });
  each("glocal_transport_connects_total", "counter", "Connections made with the peer.",
       [](const auto& peer) { return peer.connects; });
  each("glocal_transport_queued_bytes", "gauge", "Bytes queued for the peer and not yet taken by the kernel.",
       [](const auto& peer) { return peer.queued_bytes; });
  each("glocal_transport_under_way_bytes", "gauge", "Sent to the peer and not yet handled there.",
       [](const auto& peer) { return peer.under_way_bytes; });
  out.family("glocal_transport_peer_suspicion", "gauge",
             "How likely the peer is gone (phi accrual): wrong once in 10^N heartbeats.");
  for (const auto& [peer, state] : stats.peers)
    out.add({{"peer", peer}}, state.suspicion);
  each("glocal_transport_outstanding_requests", "gauge", "Requests the peer has not answered.",
       [](const auto& peer) { return peer.outstanding; });
  using traffic = runtime::transport_stats::traffic;
  const auto by_kind = [&](const char* name, const char* help, std::uint64_t traffic::*in,
                           std::uint64_t traffic::*sent) {
    out.family(name, "counter", help);
    for (const auto& [peer, state] : stats.peers)
      for (const auto& [kind, passed] : state.kinds) {
        out.add({{"peer", peer}, {"kind", kind_name(kind)}, {"direction", "in"}}, passed.*in);
        out.add({{"peer", peer}, {"kind", kind_name(kind)}, {"direction", "out"}}, passed.*sent);
      }
  };
  by_kind("glocal_transport_messages_total", "Messages exchanged with a peer.", &traffic::messages_in,
          &traffic::messages_out);
  by_kind("glocal_transport_bytes_total", "Bytes of these messages, framing included.", &traffic::bytes_in,
          &traffic::bytes_out);
  const auto one = [&](const char* name, const char* help, std::uint64_t value) {
    out.family(name, "counter", help);
    out.add({}, value);
  };
  one("glocal_transport_invalid_frames_total", "Connections closed because of what came in.", stats.invalid_frames);
  one("glocal_transport_refusals_total", "Handshakes refused, on either side.", stats.refusals);
  one("glocal_transport_lost_casts_total", "Casts to a peer that was away or overloaded.", stats.lost_casts);
}

/// All actors of one kind.
struct kind_sum {
  runtime::observatory::traffic passed;
  std::uint64_t alive = 0, mailbox = 0, mailbox_peak = 0, handling_p99 = 0;
  double oldest_wait = 0;
};

void add_actors(exposition& out, const runtime::observatory& actors, const records& all) {
  std::map<std::string, kind_sum> kinds;
  for (const auto& [kind, passed] : actors.ended())
    kinds[kind].passed = passed;
  for (const auto& one : all) {
    auto& sum = kinds[one.kind];
    sum.passed.messages_in += one.messages_in;
    sum.passed.messages_out += one.messages_out;
    sum.passed.unhandled += one.unhandled;
    ++sum.alive;
    sum.mailbox += one.mailbox_depth;
    sum.mailbox_peak = std::max(sum.mailbox_peak, one.mailbox_peak);
    sum.handling_p99 = std::max(sum.handling_p99, one.handling_p99);
    sum.oldest_wait = std::max(sum.oldest_wait, std::chrono::duration<double>(one.oldest_wait).count());
  }
  const auto each = [&](const char* name, const char* type, const char* help, auto value) {
    out.family(name, type, help);
    for (const auto& [kind, sum] : kinds)
      out.add({{"kind", kind}}, value(sum));
  };
  each("glocal_actors", "gauge", "Living actors.", [](const kind_sum& sum) { return sum.alive; });
  each("glocal_actor_messages_in_total", "counter", "Messages handled, by actors that have ended too.",
       [](const kind_sum& sum) { return sum.passed.messages_in; });
  each("glocal_actor_messages_out_total", "counter", "Messages sent to actors of this node while handling one.",
       [](const kind_sum& sum) { return sum.passed.messages_out; });
  each("glocal_actor_unhandled_total", "counter", "Messages that no handler of the actor matched.",
       [](const kind_sum& sum) { return sum.passed.unhandled; });
  each("glocal_actor_mailbox_messages", "gauge", "Messages in mailboxes.",
       [](const kind_sum& sum) { return sum.mailbox; });
  each("glocal_actor_mailbox_peak_messages", "gauge", "The most one mailbox ever held.",
       [](const kind_sum& sum) { return sum.mailbox_peak; });
  each("glocal_actor_oldest_wait_seconds", "gauge", "The longest any message has waited, at least.",
       [](const kind_sum& sum) { return sum.oldest_wait; });
  each("glocal_actor_handling_p99_seconds", "gauge", "99th percentile of handling a message, of the slowest actor.",
       [](const kind_sum& sum) { return seconds(sum.handling_p99); });
  out.family("glocal_actor_restarts_total", "counter", "Restarts by a supervisor, of actors that were ever restarted.");
  for (const auto& [name, count] : actors.restarts())
    out.add({{"actor", name}}, std::uint64_t{count});
}

} // namespace

std::string metrics_text(const metrics_sources& sources) {
  exposition out{std::vector<std::pair<std::string, std::string>>{{"node", sources.node.self.name}}};
  add_node(out, sources.node);
  if (sources.node.counters != nullptr)
    add_edge(out, sources.node);
  add_services(out, sources.records);
  add_instances(out, sources.records);
  add_store(out, sources.records);
  add_store_cache(out, sources.records);
  add_slots(out, sources.records);
  if (sources.node.slots)
    add_slot_meters(out, *sources.node.slots);
  add_map_server(out, sources.records);
  add_transport(out, sources.peers);
  add_actors(out, sources.node.actors, sources.records);
  for (const bool returned : {false, true}) {
    if (returned)
      out.family("glocal_dead_letters_returned_total", "counter", "Requests another node had no actor for.");
    else
      out.family("glocal_dead_letters_total", "counter", "Messages to actors that were not here.");
    for (const auto& [letter, count] : sources.dead_letters)
      if (letter.returned == returned)
        out.add({{"from", letter.from}, {"to", letter.to}, {"kind", kind_of(letter)}}, count);
  }
  return out.take();
}

} // namespace glocal::node
