#pragma once
// The most a TCP end says it takes in one segment, lowered to what the way carries, so that connections do not depend
// on path MTU discovery, which filters on the way break.
//
// Threading: pure functions. Sources: RFC 9293 section 3.7.1, RFC 6691, RFC 1624.

#include "dataplane/wire/parse.hpp"

namespace glocal::dataplane {

/// Lowers the MSS option of a TCP SYN so that whole segments fit IP packets of `most_ip_bytes`; checksum updated.
/// Leaves everything else, malformed options too, as it is. REQUIRES: `parsed` is of `frame`.
/// @return whether anything was changed.
bool clamp_mss(std::byte* frame, const parsed_packet& parsed, std::size_t most_ip_bytes) noexcept;

} // namespace glocal::dataplane
