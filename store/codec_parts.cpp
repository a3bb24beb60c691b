#include "store/codec_parts.hpp"

namespace glocal::store::codec_parts {

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

namespace {

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

} // namespace

void fill(wire::Operation::Builder out, const operation& value) {
  out.setTable(static_cast<std::uint8_t>(table_of(value)));
  out.setKey(data_of(key_of(value)));
  out.setLease(lease_of(value));
  std::visit(fill_operation{out}, value);
}

std::size_t payload_of(const std::vector<entry>& entries) {
  std::size_t total = 0;
  for (const auto& row : entries)
    total += payload_bytes(row);
  return total;
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

} // namespace glocal::store::codec_parts
