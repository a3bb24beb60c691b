#include "runtime/peer_link.hpp"

#include "runtime/peer_link_inbound.hpp"

#include "base/hash.hpp"
#include "base/log.hpp"

#include <caf/all.hpp>

#include <algorithm>

namespace glocal::runtime {

namespace {

/// Between two words in the log about refused casts; the counters have each.
constexpr std::chrono::seconds complaint_pause{10};

template <class Value>
void deliver(const caf::strong_actor_ptr& requester, caf::message_id id, Value&& value) {
  if (requester && id.is_request())
    requester->get()->enqueue(caf::make_mailbox_element(nullptr, id.response_id(), {}, std::forward<Value>(value)),
                              nullptr);
}

} // namespace

void respond(const caf::strong_actor_ptr& requester, caf::message_id id, wire_message&& reply) {
  deliver(requester, id, std::move(reply));
}

void respond(const caf::strong_actor_ptr& requester, caf::message_id id, caf::error&& error) {
  deliver(requester, id, std::move(error));
}

peer_link::peer_link(link_context& context, std::string node)
    : context_{context}, node_{std::move(node)}, window_{context.limits.window_bytes},
      suspicion_{context.limits.heartbeat_interval}, random_{hash_text(node_, context.self.incarnation)} {}

peer_link::~peer_link() = default;

// -- for actors of this node ------------------------------------------------------------------------------------------

bool peer_link::cast(std::string_view target, std::string_view sender, std::uint16_t kind, byte_view body) {
  due_push due;
  {
    std::unique_lock lock{mutex_};
    if (const auto refusal = admit(lock, target, body.size())) {
      lose_cast(*refusal);
      return false;
    }
    const auto to = slot_of(target, names_.last_target, due), from = slot_of(sender, names_.last_sender, due);
    window_.sent(flow_cost(body.size()));
    write({.kind = kind, .type = frame_type::cast, .target = to, .sender = from}, body, due);
  }
  if (due)
    due->push();
  return true;
}

void peer_link::ask(const caf::strong_actor_ptr& requester, caf::message_id id, std::string_view target,
                    std::string_view sender, const wire_message& message, caf::timespan timeout) {
  due_push due;
  const auto size = message.view().size();
  bool first = false;
  {
    std::unique_lock lock{mutex_};
    auto refusal = admit(lock, target, size);
    if (!refusal && outstanding_.size() >= context_.limits.max_outstanding)
      refusal = transport_errc::overloaded;
    if (refusal) {
      auto error = make_error(*refusal, reason_of(*refusal, target, size));
      lock.unlock();
      return respond(requester, id, std::move(error));
    }
    const auto to = slot_of(target, names_.last_target, due), from = slot_of(sender, names_.last_sender, due);
    first = outstanding_.empty();
    // 32 bits last for hours at any rate, and what is still outstanding then is skipped.
    const outstanding_request entry{requester, id, context_.now() + timeout};
    do
      ++next_correlation_;
    while (next_correlation_ == 0 || !outstanding_.try_emplace(next_correlation_, entry).second);
    window_.sent(flow_cost(size));
    write({.kind = message.kind,
           .type = frame_type::request,
           .target = to,
           .sender = from,
           .correlation = next_correlation_},
          message.view(), due);
  }
  if (first)
    context_.network->start_sweeping();
  if (due)
    due->push();
}

void peer_link::when_writable(const caf::actor& who) {
  {
    const std::scoped_lock lock{mutex_};
    if ((state_ == state::up || state_ == state::connecting) && !window_.half_empty()) {
      waiting_for_room_.push_back(who);
      return;
    }
  }
  caf::anon_send(who, writable_atom_v, node_);
}

/// Why the message can't be sent now, if so; starts connecting when that is what is missing.
std::optional<transport_errc> peer_link::admit(std::unique_lock<std::mutex>& lock, std::string_view target,
                                               std::size_t size) {
  if (size > max_body_bytes || size % 8 != 0 || target.size() > max_name_bytes || target.empty())
    return transport_errc::too_large;
  used_ = true;
  if (state_ == state::down) {
    last_used_ = context_.now();
    // Between two attempts callers learn at once that it is no use, instead of waiting for their time-outs.
    if (last_used_ < next_attempt_)
      return transport_errc::unreachable;
    begin_attempt();
    lock.unlock();
    context_.network->connect(*this);
    lock.lock();
  }
  if (state_ != state::up && state_ != state::connecting)
    return transport_errc::unreachable;
  if (!window_.has_room())
    return transport_errc::overloaded;
  return std::nullopt;
}

std::string peer_link::reason_of(transport_errc code, std::string_view target, std::size_t size) const {
  switch (code) {
  case transport_errc::too_large:
    return "body of " + std::to_string(size) + " bytes, name of " + std::to_string(target.size()) + " bytes";
  case transport_errc::overloaded:
    return !window_.has_room() ? std::to_string(window_.under_way()) + " bytes are under way to " + node_
                               : "too many requests outstanding at " + node_;
  default: return node_ + ": " + stats_.last_reason;
  }
}

void peer_link::lose_cast(transport_errc why) {
  ++stats_.lost_casts;
  const auto now = context_.now();
  if (now < next_complaint_)
    return;
  next_complaint_ = now + complaint_pause;
  spdlog::warn("router/{}: casts to {} are refused: {}", context_.self.node, node_, to_string(why));
}

std::uint16_t peer_link::slot_of(std::string_view name, std::uint16_t& last, due_push& due) {
  if (name.empty() || name.size() > max_name_bytes)
    return no_name;
  if (last != no_name && names_.names[last] == name)
    return last;
  if (const auto found = names_.slots.find(name); found != names_.slots.end())
    return last = found->second;
  const auto slot = names_.next;
  names_.next = static_cast<std::uint16_t>((slot + 1) % max_names);
  if (slot < names_.names.size())
    names_.slots.erase(names_.names[slot]);
  else
    names_.names.emplace_back();
  names_.names[slot] = name;
  names_.slots.emplace(name, slot);
  write({.kind = control_kinds::name, .type = frame_type::control, .target = slot}, encode_name(name), due);
  return last = slot;
}

void peer_link::write(const frame_header& header, byte_view payload, due_push& due) {
  auto& traffic = traffic_of(header.kind);
  ++traffic.messages_out;
  traffic.bytes_out += frame_header_bytes + payload.size();
  if (!out_)
    append_frame(backlog_, header, payload);
  else if (out_->append(header, payload))
    due = out_;
}

transport_stats::traffic& peer_link::traffic_of(std::uint16_t kind) {
  if (last_traffic_.second == nullptr || last_traffic_.first != kind)
    last_traffic_ = {kind, &stats_.kinds[kind]};
  return *last_traffic_.second;
}

// -- for the network --------------------------------------------------------------------------------------------------

void peer_link::connected(std::shared_ptr<peer_connection> via, std::uint64_t window_bytes) {
  bool due = false;
  {
    const std::scoped_lock lock{mutex_};
    if (state_ == state::stopped)
      return;
    in_ = std::make_shared<inbound>();
    in_->via = via;
    in_->window = std::make_shared<receive_window>(
        context_.limits.window_bytes, [weak = std::weak_ptr{via}](std::uint64_t handled) {
          if (const auto there = weak.lock())
            if (there->append({.kind = control_kinds::credit, .type = frame_type::control},
                              std::as_bytes(std::span{&handled, 1})))
              there->push();
        });
    out_ = via;
    state_ = state::up;
    window_.resize(window_bytes);
    backoff_ = {};
    suspected_ = false;
    suspicion_.restart(context_.now());
    ++stats_.connects;
    if (!backlog_.empty())
      due = via->append(std::exchange(backlog_, {}));
    spdlog::info("router/{}: connected to {}", context_.self.node, node_);
    context_.tell_router(peer_up_atom_v, node_);
  }
  if (due)
    via->push();
}

void peer_link::lost(const std::string& reason) {
  end_connection(reason, state::down);
  context_.network->note_lost(*this);
}

void peer_link::stop(const std::string& reason) {
  end_connection(reason, state::stopped);
}

void peer_link::end_connection(const std::string& reason, state next) {
  decltype(outstanding_) failed;
  std::vector<caf::actor> waiting;
  std::shared_ptr<inbound> old_in;
  auto code = transport_errc::unreachable;
  {
    const std::scoped_lock lock{mutex_};
    const bool was_up = state_ == state::up;
    if (next == state::down && (was_up || stats_.last_reason != reason))
      spdlog::warn("router/{}: {} {}: {}", context_.self.node, was_up ? "lost" : "can't reach", node_, reason);
    if (was_up)
      code = transport_errc::peer_gone;
    if (state_ != state::stopped)
      state_ = next;
    if (std::exchange(used_, false))
      last_used_ = context_.now();
    stats_.last_reason = reason;
    out_.reset();
    old_in = std::exchange(in_, nullptr);
    backlog_ = {};
    window_.reset(context_.limits.window_bytes);
    names_ = {};
    failed.swap(outstanding_);
    waiting.swap(waiting_for_room_);
    if (was_up)
      context_.tell_router(peer_down_atom_v, node_, reason);
  }
  for (auto& [correlation, request] : failed)
    respond(request.requester, request.id, make_error(code, node_ + ": " + reason));
  for (const auto& who : waiting)
    caf::anon_send(who, writable_atom_v, node_);
}

bool peer_link::up() const {
  const std::scoped_lock lock{mutex_};
  return state_ == state::up;
}

void peer_link::begin_attempt() {
  const auto& limits = context_.limits;
  state_ = state::connecting;
  backoff_ = std::clamp(2 * backoff_, limits.backoff_min, limits.backoff_max);
  // Up to half of it off at random, so that nodes that lost the same peer don't come back in step.
  random_ = random_ * 6364136223846793005u + 1442695040888963407u;
  next_attempt_ = context_.now() + (backoff_ - backoff_ * (random_ >> 55) / 1024);
}

std::optional<caf::timespan> peer_link::retry_pause() const {
  const std::scoped_lock lock{mutex_};
  const auto now = context_.now();
  if (state_ != state::down || now - last_used_ > context_.limits.interest)
    return std::nullopt;
  return std::max<caf::timespan>(next_attempt_ - now, context_.limits.backoff_min);
}

void peer_link::retry() {
  {
    const std::scoped_lock lock{mutex_};
    if (state_ != state::down || context_.now() < next_attempt_)
      return;
    begin_attempt();
  }
  context_.network->connect(*this);
}

void peer_link::forget_backoff() {
  const std::scoped_lock lock{mutex_};
  next_attempt_ = {};
}

// -- time -------------------------------------------------------------------------------------------------------------

bool peer_link::sweep(time_point now) {
  std::vector<outstanding_request> overdue;
  bool more = false;
  {
    const std::scoped_lock lock{mutex_};
    for (auto it = outstanding_.begin(); it != outstanding_.end();) {
      if (it->second.deadline > now) {
        ++it;
        continue;
      }
      overdue.push_back(std::move(it->second));
      it = outstanding_.erase(it);
    }
    more = !outstanding_.empty();
  }
  for (auto& request : overdue)
    respond(request.requester, request.id, make_error(transport_errc::timeout, "no answer from " + node_));
  return more;
}

void peer_link::judge(time_point now) {
  const std::scoped_lock lock{mutex_};
  const bool suspect = state_ == state::up && suspicion_.level(now) >= context_.limits.suspect_level;
  if (suspect == suspected_)
    return;
  suspected_ = suspect;
  if (suspect) {
    spdlog::warn("router/{}: {} is probably gone: it is silent for longer than ever", context_.self.node, node_);
    context_.tell_router(peer_suspect_atom_v, node_);
  } else if (state_ == state::up) {
    spdlog::info("router/{}: {} is heard of again", context_.self.node, node_);
    context_.tell_router(peer_trusted_atom_v, node_);
  }
}

transport_stats::peer peer_link::stats() const {
  const std::scoped_lock lock{mutex_};
  auto out = stats_;
  out.connected = state_ == state::up;
  out.outstanding = outstanding_.size();
  out.queued_bytes = out_ ? out_->queued() : backlog_.size();
  out.encryption = out_ ? out_->encryption() : std::string{};
  out.under_way_bytes = window_.under_way();
  out.suspicion = out.connected ? suspicion_.level(context_.now()) : 0;
  return out;
}

} // namespace glocal::runtime
