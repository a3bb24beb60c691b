#pragma once
// The kinds of messages between nodes by name, for people and metrics.

#include "runtime/dead_letters.hpp"

#include <cstdint>
#include <string>

namespace glocal::node {

/// "store.batch_request"; a kind that no family of this version has is its number in hexadecimal, "0x0444".
[[nodiscard]] std::string kind_name(std::uint16_t kind);
/// That of a message between nodes, else what it is made of.
[[nodiscard]] std::string kind_of(const runtime::dead_letter& letter);

} // namespace glocal::node
