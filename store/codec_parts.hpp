#pragma once
// What the store's codecs share: how messages are built and flattened, how hostile ones are read, and the structures of
// schema/store.capnp that more than one family carries. For *codec*.cpp only: it includes the generated types.

#include "base/bytes.hpp"
#include "base/expected.hpp"
#include "schema/store.capnp.h"
#include "store/types.hpp"

#include <capnp/message.h>
#include <capnp/serialize.h>
#include <kj/exception.h>

#include <cstdint>
#include <exception>
#include <string>
#include <string_view>
#include <vector>

namespace glocal::store::codec_parts {

// Building.

[[nodiscard]] capnp::Data::Reader data_of(std::string_view text);
/// Words a message of `payload` bytes in `structs` structures will about need: one segment, so one allocation.
[[nodiscard]] unsigned words_hint(std::size_t structs, std::size_t payload);
[[nodiscard]] bytes flatten(capnp::MallocMessageBuilder& message);
void fill(wire::Entry::Builder out, const entry& value);
void fill(wire::Operation::Builder out, const operation& value);
[[nodiscard]] std::size_t payload_of(const std::vector<entry>& entries);

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

template <class List>
std::size_t read_size(const List& list, std::size_t limit) {
  if (list.size() > limit)
    throw refused{store_error::too_large};
  return list.size();
}

[[nodiscard]] std::string text(capnp::Data::Reader in, std::size_t limit);
[[nodiscard]] table read_table(std::uint8_t in);
[[nodiscard]] slot_id read_slot(std::uint16_t in);
[[nodiscard]] store_error read_error(std::uint8_t in);
[[nodiscard]] entry read_entry(wire::Entry::Reader in);
[[nodiscard]] operation read_operation(wire::Operation::Reader in);

} // namespace glocal::store::codec_parts
