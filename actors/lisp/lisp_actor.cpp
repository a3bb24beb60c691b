#include "actors/lisp/lisp_actor.hpp"

#include "actors/model/keys.hpp"
#include "base/log.hpp"
#include "runtime/atoms.hpp"

namespace glocal::actors {
namespace {

constexpr std::chrono::milliseconds tick_period{100};
constexpr int renewals_per_ttl = 3;
/// Pause before asking a store again that did not grant.
constexpr std::chrono::milliseconds grant_pause{500};

/// The actor's message to itself: look after the lease.
struct lease_due {};

} // namespace
} // namespace glocal::actors

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(glocal::actors::lease_due)

namespace glocal::actors {

lisp_actor::lisp_actor(caf::actor_config& config, lisp_settings settings, std::shared_ptr<lisp::udp_endpoint> endpoint,
                       caf::actor store_client)
    : runtime::observed_actor{config, kind, lisp_actor_name(settings.server.node)}, settings_{std::move(settings)},
      endpoint_{std::move(endpoint)}, store_{*this, std::move(store_client)}, server_{settings_.server},
      driver_{server_, store_, [this] { return now(); },
              [this](std::vector<lisp::datagram>&& datagrams) {
                if (endpoint_)
                  endpoint_->send(datagrams);
              }} {}

caf::behavior lisp_actor::make_behavior() {
  driver_.watch();
  keep_lease();
  delayed_send(this, tick_period, runtime::tick_atom_v);
  return caf::message_handler{
      [this](lisp_datagrams& received) { on_datagrams(received); },
      [this](runtime::tick_atom) {
        lisp::effects out;
        server_.tick(now(), out);
        driver_.carry_out(std::move(out));
        delayed_send(this, tick_period, runtime::tick_atom_v);
      },
      [this](lease_due) { keep_lease(); },
      [this](const list_lisp_requesters& wanted) { return requesters(wanted.limit); },
  }
      .or_else(store_.handler());
}

void lisp_actor::on_datagrams(lisp_datagrams& received) {
  lisp::effects out;
  const auto when = now();
  for (const auto& one : received.batch.datagrams)
    server_.receive(one, when, out);
  for (std::size_t i = 0; i < received.batch.oversized; ++i)
    server_.receive_oversized();
  driver_.carry_out(std::move(out));
}

void lisp_actor::keep_lease() {
  const auto done = [this](const expected<void, store::store_error>& kept) {
    if (!kept) {
      note_error("lease not kept: " + std::string{store::name(kept.error())});
      if (kept.error() == store::store_error::no_such_lease)
        lease_held_ = announced_ = false;
      delayed_send(this, grant_pause, lease_due{});
      return;
    }
    lease_held_ = true;
    if (!announced_)
      announce();
    delayed_send(this, settings_.lease_ttl / renewals_per_ttl, lease_due{});
  };
  if (lease_held_)
    store_.renew_lease(settings_.lease, done);
  else
    store_.grant_lease(settings_.lease, settings_.lease_ttl, done);
}

void lisp_actor::announce() {
  store_.put(store::table::subscriptions, model::keys::lisp_server(settings_.server.node), "", settings_.lease,
             [this](const expected<store::op_result, store::store_error>& done) { announced_ = done && done->ok(); });
}

lisp_requesters lisp_actor::requesters(std::size_t limit) const {
  lisp_requesters out;
  out.total = server_.requesters().size();
  const auto when = now();
  for (const auto& [about, all] : server_.requesters().entries())
    for (const auto& [who, known] : all) {
      if (known.until <= when)
        continue;
      if (out.rows.size() >= limit)
        return out;
      out.rows.push_back({to_string(lisp::make_eid(about.prefix, about.instance_id)), to_string(who.rloc),
                          to_string(lisp::make_eid(who.own.prefix, who.own.instance_id)),
                          std::chrono::duration_cast<std::chrono::seconds>(known.until - when)});
    }
  return out;
}

lisp::map_server::time_point lisp_actor::now() const {
  return system().clock().now();
}

runtime::state_entries lisp_actor::state_summary() const {
  const auto& counted = server_.counters();
  const auto number = [](std::uint64_t value) { return std::to_string(value); };
  runtime::state_entries out{
      {"ready", server_.ready() && announced_ ? "true" : "false"},
      {"mappings", number(server_.database().size())},
      {"subscriptions", number(server_.subscriptions().size())},
      {"requesters", number(server_.requesters().size())},
      {"unacknowledged", number(server_.unacknowledged())},
      {"store_requests", number(server_.pending())},
      {"map_requests", number(counted.map_requests)},
      {"map_registers", number(counted.map_registers)},
      {"map_notify_acks", number(counted.map_notify_acks)},
      {"map_replies", number(counted.map_replies)},
      {"negative_replies", number(counted.negative_replies)},
      {"probe_replies", number(counted.probe_replies)},
      {"forwarded", number(counted.forwarded)},
      {"map_notifies", number(counted.map_notifies)},
      {"publications", number(counted.publications)},
      {"retransmissions", number(counted.retransmissions)},
      {"smrs", number(counted.smrs)},
      {"refreshed", number(counted.refreshed)},
      {"renewed", number(counted.renewed)},
      {"written", number(counted.written)},
      {"withdrawn", number(counted.withdrawn)},
      {"subscribed", number(counted.subscribed)},
      {"unsubscribed", number(counted.unsubscribed)},
      {"adopted", number(counted.adopted)},
      {"acknowledged", number(counted.acknowledged)},
      {"given_up", number(counted.given_up)},
      {"unreadable", number(server_.database().unreadable())},
      {"unsent", number(endpoint_ ? endpoint_->unsent() : 0)},
  };
  for (std::size_t i = 0; i < lisp::refusal_count; ++i)
    out.emplace_back("refused_" + std::string{lisp::name(static_cast<lisp::refusal>(i))}, number(counted.refusals[i]));
  return out;
}

} // namespace glocal::actors
