#pragma once
// TLS on the connections of the TCP transport: one tls_session for each.
//
// A peer is believed to be a node when its certificate names it (`objection`, asked when the peer has said hello). A
// peer without TLS is told so without TLS, so that both sides log what is wrong.

#include "runtime/stream_filter.hpp"
#include "runtime/tls_context.hpp"

#include <memory>
#include <string>

namespace glocal::runtime {

/// @param self this node's name, for what peers are told. REQUIRES: `context` is not null.
[[nodiscard]] stream_filter_factory tls_filters(std::shared_ptr<const tls_context> context, const std::string& self);

} // namespace glocal::runtime
