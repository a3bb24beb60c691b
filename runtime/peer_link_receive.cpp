// What comes from a peer: to the mailboxes of this node's actors, and their answers back.

#include "runtime/cast_batch.hpp"
#include "runtime/observed.hpp"
#include "runtime/peer_link_inbound.hpp"

#include "base/log.hpp"

#include <caf/all.hpp>

namespace glocal::runtime {

/// The requester of what came by one connection, to the actors of this node. No actor with a mailbox: it encodes the
/// reply on the thread of who answers.
class peer_link::request_proxy : public caf::monitorable_actor {
public:
  request_proxy(caf::actor_config& cfg, std::shared_ptr<peer_link> link, std::weak_ptr<inbound> in)
      : monitorable_actor{cfg}, owner_{link->context_.owner.lock()}, link_{std::move(link)}, in_{std::move(in)} {}

  void enqueue(caf::mailbox_element_ptr element, caf::execution_unit*) override {
    if (!element || !element->mid.is_response())
      return;
    if (const auto in = in_.lock())
      link_->answer(in, element->mid, element->content());
  }

private:
  // An actor may answer long after the node's transport has ended.
  const std::shared_ptr<const void> owner_;
  const std::shared_ptr<peer_link> link_;
  const std::weak_ptr<inbound> in_;
};

namespace {

/// Both fit the 60 bits that CAF leaves to a request's number; the correlation is not 0.
caf::message_id id_of(const frame_header& header) {
  constexpr auto normal = caf::message_id::default_async_value;
  return caf::message_id{normal | std::uint64_t{header.kind} << 32 | header.correlation};
}
std::uint32_t correlation_in(caf::message_id id) {
  return static_cast<std::uint32_t>(id.integer_value());
}
std::uint16_t kind_in(caf::message_id id) {
  return static_cast<std::uint16_t>(id.integer_value() >> 32);
}

template <class... Ts>
void enqueue(const caf::actor& to, caf::strong_actor_ptr from, caf::message_id id, Ts&&... values) {
  caf::actor_cast<caf::abstract_actor*>(to)->enqueue(
      caf::make_mailbox_element(std::move(from), id, {}, std::forward<Ts>(values)...), nullptr);
}

} // namespace

expected<void, std::string> peer_link::receive(const peer_connection& via, std::shared_ptr<received_run> run) {
  std::shared_ptr<inbound> in;
  std::uint64_t cost = 0;
  {
    const std::scoped_lock lock{mutex_};
    if (!in_ || in_->via.get() != &via)
      return {};
    in = in_;
    for_each_frame(run->view(), [&](const frame_header& header, byte_view payload) {
      auto& traffic = traffic_of(header.kind);
      ++traffic.messages_in;
      traffic.bytes_in += frame_header_bytes + payload.size();
      if (header.type == frame_type::cast || header.type == frame_type::request)
        cost += flow_cost(payload.size());
      return true;
    });
    suspicion_.sign_of_life(context_.now());
  }
  if (cost > 0) {
    run->count(in->window, cost);
    if (!in->window->arrived(cost, max_body_bytes))
      return unexpected{std::string{"more is under way than its window allows"}};
  }
  std::string problem;
  for (auto rest = run->view(); !rest.empty();) {
    const auto header = trusted_header(rest.data());
    if (header.type == frame_type::cast) {
      if (!on_casts(*in, run, rest, problem))
        return unexpected{std::move(problem)};
      continue;
    }
    const auto payload = rest.subspan(frame_header_bytes, header.payload_bytes);
    rest = rest.subspan(frame_header_bytes + payload.size());
    bool good = true;
    switch (header.type) {
    case frame_type::request: good = on_request(in, run, header, payload, problem); break;
    case frame_type::reply:
    case frame_type::failure: good = on_answer(*in, header, payload, problem); break;
    default: good = on_control(*in, header, payload, problem); break;
    }
    if (!good)
      return unexpected{std::move(problem)};
  }
  return {};
}

/// Casts in a row to one target, taken off `rest`.
bool peer_link::on_casts(inbound& in, const std::shared_ptr<received_run>& run, byte_view& rest, std::string& problem) {
  const auto slot = trusted_header(rest.data()).target;
  const auto* name = in.name_at(slot);
  if (name == nullptr) {
    problem = "a cast to slot " + std::to_string(slot) + ", which has no name";
    return false;
  }
  const auto target = context_.actors->find(*name);
  const bool batches =
      target && dynamic_cast<const takes_cast_batches*>(caf::actor_cast<caf::abstract_actor*>(target)) != nullptr;
  const auto begin = rest;
  std::size_t count = 0;
  for_each_frame(begin, [&](const frame_header& header, byte_view body) {
    if (header.type != frame_type::cast || header.target != slot)
      return false;
    if (!well_formed(body)) {
      problem = "body of a cast to " + *name + " is not valid Cap'n Proto";
      return false;
    }
    if (!target)
      context_.actors->letters().count({.from = in.sender_of(header, node_), .to = *name, .kind = header.kind});
    else if (!batches)
      enqueue(target, nullptr, caf::make_message_id(), wire_cast_atom_v, node_,
              wire_message{header.kind, shared_slice{run, body}});
    ++count;
    rest = rest.subspan(frame_header_bytes + body.size());
    return true;
  });
  if (batches && count > 0)
    enqueue(target, nullptr, caf::make_message_id(), wire_casts_atom_v, node_,
            cast_batch{run, begin.first(begin.size() - rest.size()), count});
  return problem.empty();
}

bool peer_link::on_request(const std::shared_ptr<inbound>& in, const std::shared_ptr<received_run>& run,
                           const frame_header& header, byte_view payload, std::string& problem) {
  const auto* name = in->name_at(header.target);
  if (name == nullptr || header.correlation == 0) {
    problem = "a request to slot " + std::to_string(header.target) + " without a name or number";
    return false;
  }
  if (!well_formed(payload)) {
    problem = "body of a request to " + *name + " is not valid Cap'n Proto";
    return false;
  }
  const auto target = context_.actors->find(*name);
  if (!target) {
    context_.actors->letters().count({.from = in->sender_of(header, node_), .to = *name, .kind = header.kind});
    fail(*in, header.correlation, header.kind, {transport_errc::no_such_actor, *name + '@' + context_.self.node});
    return true;
  }
  {
    std::unique_lock lock{mutex_};
    if (in->serving >= context_.limits.max_outstanding) {
      lock.unlock();
      fail(*in, header.correlation, header.kind,
           {transport_errc::overloaded, context_.self.node + " works on too many requests"});
      return true;
    }
    ++in->serving;
  }
  if (!in->proxy) {
    caf::actor_config config;
    in->proxy = caf::make_actor<request_proxy, caf::strong_actor_ptr>(
        context_.system.next_actor_id(), context_.system.node(), &context_.system, config, shared_from_this(), in);
  }
  // No time-out here: the requester has one, and `serving` bounds what an actor that never answers can hold.
  enqueue(target, in->proxy, id_of(header), wire_request_atom_v, node_,
          wire_message{header.kind, shared_slice{run, payload}});
  return true;
}

void peer_link::answer(const std::shared_ptr<inbound>& in, caf::message_id id, const caf::type_erased_tuple& content) {
  const auto correlation = correlation_in(id);
  const auto kind = kind_in(id);
  failure problem;
  if (content.match_elements<wire_message>()) {
    const auto& reply = content.get_as<wire_message>(0);
    const auto body = reply.view();
    if (body.size() > max_body_bytes || body.size() % 8 != 0)
      problem = {transport_errc::too_large, "reply of " + std::to_string(body.size()) + " bytes"};
    else if (in->via->queued() > context_.limits.max_queued_bytes)
      problem = {transport_errc::overloaded, "too many replies wait for " + node_};
    else {
      due_push due;
      {
        const std::scoped_lock lock{mutex_};
        if (in_ != in)
          return;
        --in->serving;
        write({.kind = reply.kind, .type = frame_type::reply, .correlation = correlation}, body, due);
      }
      if (due)
        due->push();
      return;
    }
  } else if (content.match_elements<caf::error>()) {
    const auto& error = content.get_as<caf::error>(0);
    problem = {as_transport_error(error), describe(error)};
  } else {
    problem = {transport_errc::refused, "the answer is no wire_message"};
  }
  {
    const std::scoped_lock lock{mutex_};
    if (in_ != in)
      return;
    --in->serving;
  }
  fail(*in, correlation, kind, problem);
  if (problem.code == transport_errc::malformed) {
    ++context_.invalid_frames;
    in->via->close("body of kind " + std::to_string(kind) + " is not what its kind promises");
  }
}

void peer_link::fail(inbound& in, std::uint32_t correlation, std::uint16_t kind, const failure& value) {
  due_push due;
  {
    const std::scoped_lock lock{mutex_};
    if (out_ != in.via)
      return;
    write({.kind = kind, .type = frame_type::failure, .correlation = correlation}, encode(value), due);
  }
  if (due)
    due->push();
}

bool peer_link::on_answer(inbound& in, const frame_header& header, byte_view payload, std::string& problem) {
  const bool reply = header.type == frame_type::reply;
  auto error = reply ? std::nullopt : decode_failure(payload);
  if (reply ? !well_formed(payload) : !error) {
    problem = reply ? "body of a reply is not valid Cap'n Proto" : "failure is not valid Cap'n Proto";
    return false;
  }
  outstanding_request asked;
  {
    const std::scoped_lock lock{mutex_};
    if (in_.get() != &in)
      return true;
    const auto found = outstanding_.find(header.correlation);
    if (found == outstanding_.end())
      return true; // its time was over
    asked = std::move(found->second);
    outstanding_.erase(found);
  }
  // A copy: who asked may keep the answer for long, and must not hold the peer's credit by that.
  if (reply)
    respond(asked.requester, asked.id, make_message(header.kind, payload));
  else {
    if (error->code == transport_errc::no_such_actor)
      context_.actors->letters().count(
          {.from = name_of(asked.requester), .to = error->text, .kind = header.kind, .returned = true});
    respond(asked.requester, asked.id, make_error(error->code, std::move(error->text)));
  }
  return true;
}

bool peer_link::on_control(inbound& in, const frame_header& header, byte_view payload, std::string& problem) {
  switch (header.kind) {
  case control_kinds::name: {
    auto name = decode_name(payload);
    if (!name || name->empty() || header.target >= max_names) {
      problem = "a name is not valid";
      return false;
    }
    if (in.names.size() <= header.target)
      in.names.resize(header.target + std::size_t{1});
    in.names[header.target] = *std::move(name);
    return true;
  }
  case control_kinds::credit: {
    std::uint64_t handled = 0;
    if (payload.size() == sizeof handled)
      std::memcpy(&handled, payload.data(), sizeof handled);
    std::unique_lock lock{mutex_};
    if (in_.get() != &in)
      return true;
    if (payload.size() != sizeof handled || !window_.credit(handled)) {
      problem = "credit for what was not sent";
      return false;
    }
    if (window_.half_empty())
      tell_writable(lock);
    return true;
  }
  case control_kinds::heartbeat: {
    const std::scoped_lock lock{mutex_};
    suspicion_.heartbeat(context_.now());
    return true;
  }
  case control_kinds::hello_refused:
    // They dialled, and what is wrong they found in our hello: after that, this side took it as established.
    ++context_.refusals;
    spdlog::warn("router/{}: {} refused us: {}", context_.self.node, node_,
                 decode_refusal(payload).value_or("without a reason"));
    return true;
  default: return true; // what a later version adds
  }
}

void peer_link::tell_writable(std::unique_lock<std::mutex>& lock) {
  const auto waiting = std::exchange(waiting_for_room_, {});
  lock.unlock();
  for (const auto& who : waiting)
    caf::anon_send(who, writable_atom_v, node_);
}

} // namespace glocal::runtime
