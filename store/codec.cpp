#include "store/codec.hpp"

#include "store/codec_parts.hpp"

namespace glocal::store {
namespace {

using namespace codec_parts;

op_result read_result(wire::OpResult::Reader in) {
  if (in.getCode() > static_cast<std::uint8_t>(op_code::no_such_lease))
    throw refused{store_error::invalid};
  op_result out{static_cast<op_code>(in.getCode())};
  if (in.hasEntry())
    out.found = read_entry(in.getEntry());
  return out;
}

watch_record read_record(wire::WatchRecord::Reader in) {
  const auto kind = in.getKind();
  if (kind < static_cast<std::uint8_t>(watch_record::kind::put) ||
      kind > static_cast<std::uint8_t>(watch_record::kind::compacted))
    throw refused{store_error::invalid};
  return {static_cast<watch_record::kind>(kind), read_slot(in.getSlot()), in.getRevision(), read_entry(in.getEntry())};
}

/// More records than this do not fit a frame anyway.
constexpr std::size_t max_records = 16384;
/// Watches one client may have open at one node.
constexpr std::size_t max_streams = 4096;

} // namespace

bytes encode(const batch& value) {
  std::size_t payload = 0;
  for (const auto& op : value)
    payload += payload_bytes(op);
  capnp::MallocMessageBuilder message{words_hint(value.size(), payload)};
  auto list = message.initRoot<wire::BatchRequest>().initOperations(static_cast<unsigned>(value.size()));
  for (unsigned i = 0; i < list.size(); ++i)
    fill(list[i], value[i]);
  return flatten(message);
}

bytes encode(const node_batch_reply& value) {
  std::size_t payload = 0;
  if (value)
    for (const auto& result : value->results)
      payload += result.found ? payload_bytes(*result.found) : 0;
  capnp::MallocMessageBuilder message{words_hint(value ? value->results.size() + value->faults.size() : 0, payload)};
  auto root = message.initRoot<wire::BatchReply>();
  if (!value) {
    root.setError(static_cast<std::uint8_t>(value.error()));
    return flatten(message);
  }
  if (!value->faults.empty()) {
    auto faults = root.initFaults(static_cast<unsigned>(value->faults.size()));
    for (unsigned i = 0; i < faults.size(); ++i) {
      faults[i].setSlot(value->faults[i].slot);
      faults[i].setError(static_cast<std::uint8_t>(value->faults[i].why));
      faults[i].setPrimary(data_of(value->faults[i].primary));
    }
  }
  auto list = root.initResults(static_cast<unsigned>(value->results.size()));
  for (unsigned i = 0; i < list.size(); ++i) {
    const auto& result = value->results[i];
    list[i].setCode(static_cast<std::uint8_t>(result.code));
    if (result.found)
      fill(list[i].initEntry(), *result.found);
  }
  return flatten(message);
}

bytes encode(const scan_request& value) {
  capnp::MallocMessageBuilder message;
  auto root = message.initRoot<wire::ScanRequest>();
  root.setTable(static_cast<std::uint8_t>(value.from));
  root.setPrefix(data_of(value.prefix));
  root.setLimit(value.limit);
  root.setSlot(value.slot);
  root.setAfter(data_of(value.after));
  return flatten(message);
}

bytes encode(const scan_reply& value) {
  capnp::MallocMessageBuilder message{value ? words_hint(value->entries.size(), payload_of(value->entries))
                                            : words_hint(0, 0)};
  auto root = message.initRoot<wire::ScanReply>();
  if (!value) {
    root.setError(static_cast<std::uint8_t>(value.error()));
    return flatten(message);
  }
  auto page = root.initPage();
  auto list = page.initEntries(static_cast<unsigned>(value->entries.size()));
  for (unsigned i = 0; i < list.size(); ++i)
    fill(list[i], value->entries[i]);
  page.setMore(value->more);
  page.setSlot(value->slot);
  page.setAfter(data_of(value->after));
  return flatten(message);
}

bytes encode(const lease_request& value) {
  capnp::MallocMessageBuilder message;
  auto root = message.initRoot<wire::LeaseRequest>();
  root.setLease(value.lease);
  root.setTtlMillis(static_cast<std::uint32_t>(value.ttl.count()));
  root.setAction(static_cast<std::uint8_t>(value.action));
  return flatten(message);
}

namespace {

template <class List>
void fill_slots(List out, const std::vector<slot_id>& value) {
  for (unsigned i = 0; i < out.size(); ++i)
    out.set(i, value[i]);
}

template <class List>
std::vector<slot_id> read_slots(const List& in) {
  std::vector<slot_id> out;
  out.reserve(read_size(in, limits::slots));
  for (const auto slot : in)
    out.push_back(read_slot(slot));
  return out;
}

} // namespace

bytes encode(const node_lease_reply& value) {
  capnp::MallocMessageBuilder message{words_hint(1, 2 * value.slots.size())};
  auto root = message.initRoot<wire::LeaseReply>();
  root.setError(value.reply ? 0 : static_cast<std::uint8_t>(value.reply.error()));
  fill_slots(root.initSlots(static_cast<unsigned>(value.slots.size())), value.slots);
  return flatten(message);
}

bytes encode(const node_watch_reply& value) {
  capnp::MallocMessageBuilder message{words_hint(1, 2 * value.refused.size())};
  auto root = message.initRoot<wire::WatchReply>();
  root.setError(value.reply ? 0 : static_cast<std::uint8_t>(value.reply.error()));
  fill_slots(root.initRefused(static_cast<unsigned>(value.refused.size())), value.refused);
  return flatten(message);
}

bytes encode(const watch_request& value) {
  capnp::MallocMessageBuilder message{words_hint(value.resume.size(), value.prefix.size() + 2 * value.slots.size())};
  auto root = message.initRoot<wire::WatchRequest>();
  root.setSubscription(value.subscription);
  root.setTable(static_cast<std::uint8_t>(value.of));
  root.setPrefix(data_of(value.prefix));
  auto list = root.initResume(static_cast<unsigned>(value.resume.size()));
  for (unsigned i = 0; i < list.size(); ++i) {
    list[i].setSlot(value.resume[i].slot);
    list[i].setRevision(value.resume[i].at);
  }
  fill_slots(root.initSlots(static_cast<unsigned>(value.slots.size())), value.slots);
  return flatten(message);
}

bytes encode(const watch_cancel& value) {
  capnp::MallocMessageBuilder message;
  message.initRoot<wire::WatchCancel>().setSubscription(value.subscription);
  return flatten(message);
}

bytes encode(const watch_events& value) {
  std::size_t payload = 0;
  for (const auto& record : value.records)
    payload += payload_bytes(record.entry);
  capnp::MallocMessageBuilder message{words_hint(value.records.size(), payload)};
  auto root = message.initRoot<wire::WatchEvents>();
  root.setSubscription(value.subscription);
  root.setSequence(value.sequence);
  auto list = root.initRecords(static_cast<unsigned>(value.records.size()));
  for (unsigned i = 0; i < list.size(); ++i) {
    const auto& record = value.records[i];
    list[i].setSlot(record.slot);
    list[i].setRevision(record.at);
    list[i].setKind(static_cast<std::uint8_t>(record.what));
    fill(list[i].initEntry(), record.entry);
  }
  return flatten(message);
}

bytes encode(const watch_progress& value) {
  capnp::MallocMessageBuilder message{words_hint(value.streams.size(), 0)};
  auto list = message.initRoot<wire::WatchProgress>().initStreams(static_cast<unsigned>(value.streams.size()));
  for (unsigned i = 0; i < list.size(); ++i) {
    list[i].setSubscription(value.streams[i].subscription);
    list[i].setSequence(value.streams[i].sequence);
  }
  return flatten(message);
}

expected<batch, store_error> decode_batch(byte_view in) {
  return decode<wire::BatchRequest, batch>(in, [](wire::BatchRequest::Reader root) {
    const auto list = root.getOperations();
    batch out;
    out.reserve(read_size(list, limits::batch_operations));
    for (const auto op : list)
      out.push_back(read_operation(op));
    if (const auto fault = check(out))
      throw refused{*fault};
    return out;
  });
}

expected<node_batch_reply, store_error> decode_batch_reply(byte_view in) {
  return decode<wire::BatchReply, node_batch_reply>(in, [](wire::BatchReply::Reader root) -> node_batch_reply {
    if (root.isError())
      return unexpected{read_error(root.getError())};
    const auto list = root.getResults();
    batch_outcome out;
    out.results.reserve(read_size(list, limits::batch_operations));
    for (const auto result : list)
      out.results.push_back(read_result(result));
    const auto faults = root.getFaults();
    out.faults.reserve(read_size(faults, limits::slots));
    for (const auto fault : faults)
      out.faults.push_back({read_slot(fault.getSlot()), read_error(fault.getError()),
                            text(fault.getPrimary(), limits::node_name_bytes)});
    return out;
  });
}

expected<scan_request, store_error> decode_scan_request(byte_view in) {
  return decode<wire::ScanRequest, scan_request>(in, [](wire::ScanRequest::Reader root) {
    return scan_request{read_table(root.getTable()), text(root.getPrefix(), limits::key_bytes), root.getLimit(),
                        read_slot(root.getSlot()), text(root.getAfter(), limits::key_bytes)};
  });
}

expected<scan_reply, store_error> decode_scan_reply(byte_view in) {
  return decode<wire::ScanReply, scan_reply>(in, [](wire::ScanReply::Reader root) -> scan_reply {
    if (root.isError())
      return unexpected{read_error(root.getError())};
    const auto page = root.getPage();
    scan_part out;
    const auto list = page.getEntries();
    out.entries.reserve(read_size(list, limits::scan_page_entries));
    for (const auto row : list)
      out.entries.push_back(read_entry(row));
    out.more = page.getMore();
    out.slot = read_slot(page.getSlot());
    out.after = text(page.getAfter(), limits::key_bytes);
    return out;
  });
}

expected<lease_request, store_error> decode_lease_request(byte_view in) {
  return decode<wire::LeaseRequest, lease_request>(in, [](wire::LeaseRequest::Reader root) {
    const lease_request out{root.getLease(), std::chrono::milliseconds{root.getTtlMillis()},
                            static_cast<lease_action>(root.getAction())};
    if (out.lease == 0 || out.action < lease_action::grant || out.action > lease_action::revoke)
      throw refused{store_error::invalid};
    if (out.action == lease_action::grant && (out.ttl < limits::shortest_ttl || out.ttl > limits::longest_ttl))
      throw refused{store_error::invalid};
    return out;
  });
}

expected<node_lease_reply, store_error> decode_lease_reply(byte_view in) {
  return decode<wire::LeaseReply, node_lease_reply>(in, [](wire::LeaseReply::Reader root) {
    node_lease_reply out;
    if (root.getError() != 0)
      out.reply = unexpected{read_error(root.getError())};
    out.slots = read_slots(root.getSlots());
    return out;
  });
}

expected<watch_request, store_error> decode_watch_request(byte_view in) {
  return decode<wire::WatchRequest, watch_request>(in, [](wire::WatchRequest::Reader root) {
    watch_request out{
        root.getSubscription(), read_table(root.getTable()), text(root.getPrefix(), limits::key_bytes), {}, {}};
    const auto list = root.getResume();
    out.resume.reserve(read_size(list, limits::slots));
    for (const auto point : list)
      out.resume.push_back({read_slot(point.getSlot()), point.getRevision()});
    out.slots = read_slots(root.getSlots());
    return out;
  });
}

expected<node_watch_reply, store_error> decode_watch_reply(byte_view in) {
  return decode<wire::WatchReply, node_watch_reply>(in, [](wire::WatchReply::Reader root) {
    node_watch_reply out;
    if (root.getError() != 0)
      out.reply = unexpected{read_error(root.getError())};
    out.refused = read_slots(root.getRefused());
    return out;
  });
}

expected<watch_cancel, store_error> decode_watch_cancel(byte_view in) {
  return decode<wire::WatchCancel, watch_cancel>(
      in, [](wire::WatchCancel::Reader root) { return watch_cancel{root.getSubscription()}; });
}

expected<watch_events, store_error> decode_watch_events(byte_view in) {
  return decode<wire::WatchEvents, watch_events>(in, [](wire::WatchEvents::Reader root) {
    watch_events out{root.getSubscription(), root.getSequence(), {}};
    const auto list = root.getRecords();
    out.records.reserve(read_size(list, max_records));
    for (const auto record : list)
      out.records.push_back(read_record(record));
    return out;
  });
}

expected<watch_progress, store_error> decode_watch_progress(byte_view in) {
  return decode<wire::WatchProgress, watch_progress>(in, [](wire::WatchProgress::Reader root) {
    watch_progress out;
    const auto list = root.getStreams();
    out.streams.reserve(read_size(list, max_streams));
    for (const auto stream : list)
      out.streams.push_back({stream.getSubscription(), stream.getSequence()});
    return out;
  });
}

} // namespace glocal::store
