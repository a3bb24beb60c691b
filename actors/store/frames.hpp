#pragma once
// Values of the store's protocol (store/codec.hpp, store/replica_codec.hpp) as messages of the transport.

#include "runtime/transport.hpp"
#include "store/codec.hpp"
#include "store/replica_codec.hpp"

#include <cstdint>

namespace glocal::actors {

template <class Value>
[[nodiscard]] runtime::wire_message frame(store::frame_kind kind, const Value& value) {
  return runtime::make_message(static_cast<std::uint16_t>(kind), store::encode(value));
}

} // namespace glocal::actors
