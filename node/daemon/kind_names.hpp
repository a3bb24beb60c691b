#pragma once
// The kinds of messages between nodes by name, for people and metrics.

#include <cstdint>
#include <string>

namespace glocal::node {

/// "store.batch_request"; a kind that no family of this version has is its number in hexadecimal, "0x0444".
[[nodiscard]] std::string kind_name(std::uint16_t kind);

} // namespace glocal::node
