#include "store/codec.hpp"

#include "schema/store.capnp.h"

#include <capnp/message.h>
#include <capnp/serialize.h>
#include <kj/exception.h>

#include <cstdint>
#include <exception>

namespace glocal::store {
namespace {

// Building.

capnp::Data::Reader data_of(std::string_view text) {
  return {reinterpret_cast<const kj::byte*>(text.data()), text.size()};
}

/// Words a message of `payload` bytes in `structs` structures will about need: one segment, so one allocation.
unsigned words_hint(std::size_t structs, std::size_t payload) {
  return static_cast<unsigned>(16 + structs * 16 + payload / sizeof(capnp::word));
}

bytes flatten(capnp::MallocMessageBuilder& message) {
  bytes out(capnp::computeSerializedSizeInWords(message) * sizeof(capnp::word));
  kj::ArrayOutputStream stream{{reinterpret_cast<kj::byte*>(out.data()), out.size()}};
  capnp::writeMessage(stream, message);
  return out;
}

void fill(wire::Entry::Builder out, const entry& value) {
  out.setTable(static_cast<std::uint8_t>(value.table));
  out.setKey(data_of(value.key));
  out.setValue(data_of(value.value));
  out.setVersion(value.version);
  out.setLease(value.lease);
}

struct fill_operation {
  wire::Operation::Builder out;

  void operator()(const get_op&) { out.setGet(); }
  void operator()(const put_op& op) { out.setPut(data_of(op.value)); }
  void operator()(const put_if_absent_op& op) { out.setPutIfAbsent(data_of(op.value)); }
  void operator()(const compare_and_set_op& op) {
    auto group = out.initCompareAndSet();
    group.setExpected(op.expected);
    group.setValue(data_of(op.value));
  }
  void operator()(const erase_op& op) {
    if (op.expected)
      out.setEraseVersion(*op.expected);
    else
      out.setErase();
  }
};

std::size_t payload_of(const std::vector<entry>& entries) {
  std::size_t total = 0;
  for (const auto& row : entries)
    total += payload_bytes(row);
  return total;
}

// Reading.

/// Says why a well-formed message is refused all the same; caught by `decode` below.
struct refused {
  store_error why;
};

/// Runs `read(root)` on the message in `in`; whatever goes wrong becomes a store_error.
template <class Root, class Value, class Read>
expected<Value, store_error> decode(byte_view in, Read&& read) {
  if (in.size() % sizeof(capnp::word) != 0 || in.empty())
    return unexpected{store_error::invalid};
  try {
    bytes aligned;
    if (reinterpret_cast<std::uintptr_t>(in.data()) % sizeof(capnp::word) != 0) {
      aligned.assign(in.begin(), in.end()); // operator new aligns to 16
      in = aligned;
    }
    const auto count = in.size() / sizeof(capnp::word);
    const auto* words = reinterpret_cast<const capnp::word*>(in.data());
    capnp::ReaderOptions options;
    // Each word of an honest message is visited a few times at most; pointers that share targets hit this bound.
    options.traversalLimitInWords = 4 * count + 64;
    options.nestingLimit = 8;
    capnp::FlatArrayMessageReader message{{words, count}, options};
    return read(message.getRoot<Root>());
  } catch (const refused& fault) {
    return unexpected{fault.why};
  } catch (const kj::Exception&) {
    return unexpected{store_error::invalid};
  } catch (const std::exception&) {
    return unexpected{store_error::invalid};
  }
}

std::string text(capnp::Data::Reader in, std::size_t limit) {
  if (in.size() > limit)
    throw refused{store_error::too_large};
  return {reinterpret_cast<const char*>(in.begin()), in.size()};
}

table read_table(std::uint8_t in) {
  for (const auto candidate : all_tables)
    if (static_cast<std::uint8_t>(candidate) == in)
      return candidate;
  throw refused{store_error::invalid};
}

slot_id read_slot(std::uint16_t in) {
  if (in >= limits::slots)
    throw refused{store_error::invalid};
  return in;
}

store_error read_error(std::uint8_t in) {
  if (in < static_cast<std::uint8_t>(store_error::unavailable) ||
      in > static_cast<std::uint8_t>(store_error::overloaded))
    throw refused{store_error::invalid};
  return static_cast<store_error>(in);
}

template <class List>
std::size_t read_size(const List& list, std::size_t limit) {
  if (list.size() > limit)
    throw refused{store_error::too_large};
  return list.size();
}

entry read_entry(wire::Entry::Reader in) {
  return {read_table(in.getTable()), text(in.getKey(), limits::key_bytes), text(in.getValue(), limits::value_bytes),
          in.getVersion(), in.getLease()};
}

operation read_operation(wire::Operation::Reader in) {
  const auto where = read_table(in.getTable());
  auto key = text(in.getKey(), limits::key_bytes);
  const auto lease = in.getLease();
  switch (in.which()) {
  case wire::Operation::GET: return get_op{where, std::move(key)};
  case wire::Operation::PUT: return put_op{where, std::move(key), text(in.getPut(), limits::value_bytes), lease};
  case wire::Operation::PUT_IF_ABSENT:
    return put_if_absent_op{where, std::move(key), text(in.getPutIfAbsent(), limits::value_bytes), lease};
  case wire::Operation::COMPARE_AND_SET: {
    const auto group = in.getCompareAndSet();
    return compare_and_set_op{where, std::move(key), text(group.getValue(), limits::value_bytes), group.getExpected(),
                              lease};
  }
  case wire::Operation::ERASE: return erase_op{where, std::move(key), std::nullopt};
  case wire::Operation::ERASE_VERSION: return erase_op{where, std::move(key), in.getEraseVersion()};
  }
  throw refused{store_error::invalid};
}

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
  for (unsigned i = 0; i < list.size(); ++i) {
    auto out = list[i];
    out.setTable(static_cast<std::uint8_t>(table_of(value[i])));
    out.setKey(data_of(key_of(value[i])));
    out.setLease(lease_of(value[i]));
    std::visit(fill_operation{out}, value[i]);
  }
  return flatten(message);
}

bytes encode(const batch_reply& value) {
  std::size_t payload = 0;
  if (value)
    for (const auto& result : *value)
      payload += result.found ? payload_bytes(*result.found) : 0;
  capnp::MallocMessageBuilder message{words_hint(value ? value->size() : 0, payload)};
  auto root = message.initRoot<wire::BatchReply>();
  if (!value) {
    root.setError(static_cast<std::uint8_t>(value.error()));
    return flatten(message);
  }
  auto list = root.initResults(static_cast<unsigned>(value->size()));
  for (unsigned i = 0; i < list.size(); ++i) {
    const auto& result = (*value)[i];
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

bytes encode(const expected<void, store_error>& value) {
  // LeaseReply and WatchReply have one layout: an error that is 0 when there is none.
  capnp::MallocMessageBuilder message;
  message.initRoot<wire::LeaseReply>().setError(value ? 0 : static_cast<std::uint8_t>(value.error()));
  return flatten(message);
}

bytes encode(const watch_request& value) {
  capnp::MallocMessageBuilder message{words_hint(value.resume.size(), value.prefix.size())};
  auto root = message.initRoot<wire::WatchRequest>();
  root.setSubscription(value.subscription);
  root.setTable(static_cast<std::uint8_t>(value.of));
  root.setPrefix(data_of(value.prefix));
  auto list = root.initResume(static_cast<unsigned>(value.resume.size()));
  for (unsigned i = 0; i < list.size(); ++i) {
    list[i].setSlot(value.resume[i].slot);
    list[i].setRevision(value.resume[i].at);
  }
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

expected<batch_reply, store_error> decode_batch_reply(byte_view in) {
  return decode<wire::BatchReply, batch_reply>(in, [](wire::BatchReply::Reader root) -> batch_reply {
    if (root.isError())
      return unexpected{read_error(root.getError())};
    const auto list = root.getResults();
    std::vector<op_result> out;
    out.reserve(read_size(list, limits::batch_operations));
    for (const auto result : list)
      out.push_back(read_result(result));
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

expected<lease_reply, store_error> decode_lease_reply(byte_view in) {
  return decode<wire::LeaseReply, lease_reply>(in, [](wire::LeaseReply::Reader root) -> lease_reply {
    if (root.getError() != 0)
      return unexpected{read_error(root.getError())};
    return {};
  });
}

expected<watch_request, store_error> decode_watch_request(byte_view in) {
  return decode<wire::WatchRequest, watch_request>(in, [](wire::WatchRequest::Reader root) {
    watch_request out{
        root.getSubscription(), read_table(root.getTable()), text(root.getPrefix(), limits::key_bytes), {}};
    const auto list = root.getResume();
    out.resume.reserve(read_size(list, limits::slots));
    for (const auto point : list)
      out.resume.push_back({read_slot(point.getSlot()), point.getRevision()});
    return out;
  });
}

expected<watch_reply, store_error> decode_watch_reply(byte_view in) {
  return decode_lease_reply(in);
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
