#include "store/replica_codec.hpp"

#include "schema/replica.capnp.h"
#include "store/codec_parts.hpp"

#include <algorithm>
#include <limits>
#include <utility>

namespace glocal::store {
namespace {

using namespace codec_parts;

// Building.

void fill(wire::Member::Builder out, const member& value) {
  out.setNode(data_of(value.node));
  out.setIncarnation(value.incarnation);
}

void fill(wire::Position::Builder out, const log_position& value) {
  out.setEpoch(value.epoch);
  out.setIndex(value.index);
}

void fill(wire::View::Builder out, const slot_view& value) {
  out.setEpoch(value.epoch);
  fill(out.initPrimary(), value.primary);
  auto list = out.initMembers(static_cast<unsigned>(value.members.size()));
  for (unsigned i = 0; i < list.size(); ++i)
    fill(list[i], value.members[i]);
}

void fill(capnp::List<wire::LeaseRecord>::Builder out, const std::vector<lease_record>& value) {
  for (unsigned i = 0; i < out.size(); ++i) {
    out[i].setLease(value[i].id);
    out[i].setTtlMillis(static_cast<std::uint32_t>(value[i].ttl.count()));
    out[i].setVersion(value[i].version);
  }
}

struct fill_command {
  wire::LogEntry::Builder out;

  void operator()(const noop_command&) { out.setNoop(); }
  void operator()(const batch_command& what) {
    auto group = out.initBatch();
    auto list = group.initOperations(static_cast<unsigned>(what.operations.size()));
    for (unsigned i = 0; i < list.size(); ++i)
      codec_parts::fill(list[i], what.operations[i]);
    if (!what.leases.empty())
      fill(group.initLeases(static_cast<unsigned>(what.leases.size())), what.leases);
  }
  void operator()(const renew_command& what) {
    fill(out.initRenew(static_cast<unsigned>(what.leases.size())), what.leases);
  }
  void operator()(const end_lease_command& what) {
    auto group = out.initEndLease();
    group.setLease(what.lease);
    group.setVersion(what.version);
  }
};

void fill(capnp::List<wire::LogEntry>::Builder out, const std::vector<entry_ref>& value) {
  for (unsigned i = 0; i < out.size(); ++i) {
    out[i].setEpoch(value[i]->at.epoch);
    out[i].setIndex(value[i]->at.index);
    std::visit(fill_command{out[i]}, value[i]->what);
  }
}

std::size_t payload_of(const std::vector<entry_ref>& entries) noexcept {
  std::size_t total = 0;
  for (const auto& each : entries)
    total += each->payload;
  return total;
}

struct fill_body {
  wire::ReplicaMessage::Builder out;

  void operator()(const append_message& body) {
    auto group = out.initAppend();
    fill(group.initPrev(), body.prev);
    fill(group.initEntries(static_cast<unsigned>(body.entries.size())), body.entries);
    group.setCommit(body.commit);
    group.setConfirm(body.confirm);
  }
  void operator()(const append_reply& body) {
    auto group = out.initAppendReply();
    group.setMatch(body.match);
    group.setChecked(body.checked);
    group.setRejected(body.rejected);
    group.setConfirm(body.confirm);
  }
  void operator()(const snapshot_message& body) {
    auto group = out.initSnapshot();
    fill(group.initAt(), body.at);
    group.setRevision(body.index);
    group.setPart(body.part);
    group.setLast(body.last);
    auto list = group.initEntries(static_cast<unsigned>(body.entries.size()));
    for (unsigned i = 0; i < list.size(); ++i)
      codec_parts::fill(list[i], body.entries[i]);
    fill(group.initLeases(static_cast<unsigned>(body.leases.size())), body.leases);
  }
  void operator()(const snapshot_reply& body) {
    auto group = out.initSnapshotReply();
    fill(group.initAt(), body.at);
    group.setNext(body.next);
  }
  void operator()(const join_message&) { out.setJoin(); }
  void operator()(const take_over_message&) { out.setTakeOver(); }
  void operator()(const stale_reply&) { out.setStale(); }
};

// Reading.

member read_member(wire::Member::Reader in) {
  return {text(in.getNode(), limits::node_name_bytes), in.getIncarnation()};
}

slot_view read_view(wire::View::Reader in) {
  slot_view out{in.getEpoch(), read_member(in.getPrimary()), {}};
  const auto list = in.getMembers();
  out.members.reserve(read_size(list, limits::view_members));
  for (const auto who : list)
    out.members.push_back(read_member(who));
  return out;
}

log_position read_position(wire::Position::Reader in) {
  return {in.getEpoch(), in.getIndex()};
}

std::vector<lease_record> read_leases(capnp::List<wire::LeaseRecord>::Reader in) {
  std::vector<lease_record> out;
  out.reserve(read_size(in, limits::leases));
  for (const auto lease : in) {
    const std::chrono::milliseconds ttl{lease.getTtlMillis()};
    if (ttl > limits::longest_ttl)
      throw refused{store_error::invalid};
    out.push_back({lease.getLease(), ttl, lease.getVersion()});
  }
  return out;
}

command read_command(wire::LogEntry::Reader in) {
  switch (in.which()) {
  case wire::LogEntry::NOOP: return noop_command{};
  case wire::LogEntry::BATCH: {
    const auto group = in.getBatch();
    const auto list = group.getOperations();
    batch_command out;
    out.operations.reserve(read_size(list, limits::batch_operations));
    for (const auto op : list)
      out.operations.push_back(read_operation(op));
    if (const auto fault = check(out.operations))
      throw refused{*fault};
    out.leases = read_leases(group.getLeases());
    return out;
  }
  case wire::LogEntry::RENEW: return renew_command{read_leases(in.getRenew())};
  case wire::LogEntry::END_LEASE: return end_lease_command{in.getEndLease().getLease(), in.getEndLease().getVersion()};
  }
  throw refused{store_error::invalid};
}

std::vector<entry_ref> read_entries(capnp::List<wire::LogEntry>::Reader in) {
  std::vector<entry_ref> out;
  out.reserve(read_size(in, limits::log_entries));
  for (const auto each : in) {
    // Indices are added to and subtracted from.
    if (each.getIndex() == 0 || each.getIndex() > std::numeric_limits<log_index>::max() / 2)
      throw refused{store_error::invalid};
    auto what = read_command(each);
    const auto payload = payload_bytes(what);
    out.push_back(std::make_shared<log_entry>(log_entry{{each.getEpoch(), each.getIndex()}, std::move(what), payload}));
  }
  return out;
}

decltype(replica_message::body) read_body(wire::ReplicaMessage::Reader in) {
  switch (in.which()) {
  case wire::ReplicaMessage::APPEND: {
    const auto group = in.getAppend();
    return append_message{read_position(group.getPrev()), read_entries(group.getEntries()), group.getCommit(),
                          group.getConfirm()};
  }
  case wire::ReplicaMessage::APPEND_REPLY: {
    const auto group = in.getAppendReply();
    return append_reply{group.getMatch(), group.getChecked(), group.getRejected(), group.getConfirm()};
  }
  case wire::ReplicaMessage::SNAPSHOT: {
    const auto group = in.getSnapshot();
    snapshot_message out{read_position(group.getAt()), group.getRevision(), group.getPart(), group.getLast(), {}, {}};
    const auto list = group.getEntries();
    out.entries.reserve(read_size(list, limits::snapshot_entries));
    for (const auto row : list)
      out.entries.push_back(read_entry(row));
    out.leases = read_leases(group.getLeases());
    return out;
  }
  case wire::ReplicaMessage::SNAPSHOT_REPLY:
    return snapshot_reply{read_position(in.getSnapshotReply().getAt()), in.getSnapshotReply().getNext()};
  case wire::ReplicaMessage::JOIN: return join_message{};
  case wire::ReplicaMessage::TAKE_OVER: return take_over_message{};
  case wire::ReplicaMessage::STALE: return stale_reply{};
  }
  throw refused{store_error::invalid};
}

} // namespace

std::size_t payload_bytes(const replica_message& value) noexcept {
  // The message itself and its two members.
  const auto frame = 2 * framing_bytes + value.from.node.size() + value.to.node.size();
  if (const auto* append = std::get_if<append_message>(&value.body))
    return frame + payload_of(append->entries);
  if (const auto* part = std::get_if<snapshot_message>(&value.body))
    return frame + codec_parts::payload_of(part->entries) + part->entries.size() * framing_bytes +
           part->leases.size() * framing_bytes;
  return frame;
}

bytes encode(const std::vector<replica_message>& value) {
  std::size_t payload = 0;
  for (const auto& each : value)
    payload += payload_bytes(each);
  capnp::MallocMessageBuilder message{words_hint(value.size(), payload)};
  auto list = message.initRoot<wire::ReplicaMessages>().initMessages(static_cast<unsigned>(value.size()));
  for (unsigned i = 0; i < list.size(); ++i) {
    auto out = list[i];
    out.setSlot(value[i].slot);
    fill(out.initFrom(), value[i].from);
    fill(out.initTo(), value[i].to);
    out.setEpoch(value[i].epoch);
    std::visit(fill_body{out}, value[i].body);
  }
  return flatten(message);
}

bytes encode(const log_payload& value) {
  const auto* write = std::get_if<log_write>(&value);
  capnp::MallocMessageBuilder message{words_hint(1, write != nullptr ? payload_of(write->entries) : 0)};
  auto root = message.initRoot<wire::LogRecord>();
  if (write == nullptr) {
    fill(root.initInstall(), std::get<log_install>(value).at);
    return flatten(message);
  }
  auto group = root.initWrite();
  fill(group.initEntries(static_cast<unsigned>(write->entries.size())), write->entries);
  group.setTruncates(write->truncate_after.has_value());
  group.setTruncateTo(write->truncate_after.value_or(0));
  return flatten(message);
}

expected<std::vector<replica_message>, store_error> decode_replica_messages(byte_view in) {
  return decode<wire::ReplicaMessages, std::vector<replica_message>>(in, [](wire::ReplicaMessages::Reader root) {
    std::vector<replica_message> out;
    const auto list = root.getMessages();
    out.reserve(read_size(list, limits::replica_messages));
    for (const auto each : list)
      out.push_back({read_slot(each.getSlot()), read_member(each.getFrom()), read_member(each.getTo()), each.getEpoch(),
                     read_body(each)});
    return out;
  });
}

expected<log_payload, store_error> decode_log_payload(byte_view in) {
  return decode<wire::LogRecord, log_payload>(in, [](wire::LogRecord::Reader root) -> log_payload {
    switch (root.which()) {
    case wire::LogRecord::WRITE: {
      const auto group = root.getWrite();
      return log_write{group.getTruncates() ? std::optional{group.getTruncateTo()} : std::nullopt,
                       read_entries(group.getEntries())};
    }
    case wire::LogRecord::INSTALL: return log_install{read_position(root.getInstall())};
    }
    throw refused{store_error::invalid};
  });
}

bytes encode(const register_request& value) {
  capnp::MallocMessageBuilder message;
  auto root = message.initRoot<wire::RegisterRequest>();
  root.setSlot(value.slot);
  if (!value.wanted) {
    root.setGet();
    return flatten(message);
  }
  auto group = root.initSet();
  group.setExpected(value.expected);
  fill(group.initWanted(), *value.wanted);
  return flatten(message);
}

bytes encode(const set_outcome& value) {
  capnp::MallocMessageBuilder message;
  auto root = message.initRoot<wire::RegisterReply>();
  root.setOutcome(static_cast<std::uint8_t>(value.what));
  root.setVersion(value.now.version);
  fill(root.initView(), value.now.view);
  return flatten(message);
}

expected<register_request, store_error> decode_register_request(byte_view in) {
  return decode<wire::RegisterRequest, register_request>(
      in, [](wire::RegisterRequest::Reader root) -> register_request {
        if (!root.isSet())
          return {read_slot(root.getSlot()), 0, std::nullopt};
        return {read_slot(root.getSlot()), root.getSet().getExpected(), read_view(root.getSet().getWanted())};
      });
}

expected<set_outcome, store_error> decode_register_reply(byte_view in) {
  return decode<wire::RegisterReply, set_outcome>(in, [](wire::RegisterReply::Reader root) -> set_outcome {
    if (root.getOutcome() > static_cast<std::uint8_t>(set_outcome::kind::unknown))
      throw refused{store_error::invalid};
    return {static_cast<set_outcome::kind>(root.getOutcome()), {root.getVersion(), read_view(root.getView())}};
  });
}

} // namespace glocal::store
