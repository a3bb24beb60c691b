#pragma once
// The name of a port of one edge: the one word every folder of the data plane shares.

#include <cstdint>

namespace glocal::dataplane {

/// Identifies a port of one edge: attachment, VNF arm or underlay. Unique within the edge, small, dense.
using port_id = std::uint16_t;

} // namespace glocal::dataplane
