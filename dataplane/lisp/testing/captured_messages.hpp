#pragma once
// The control messages of the captures in testing/captures: recorded between Open Overlay Router 1.3 nodes (xTR,
// Map-Server, RTR) in network namespaces. For tests.

#include "dataplane/lisp/message.hpp"

#include <string>
#include <vector>

namespace glocal::lisp::testing {

/// The shared secret of the recorded sites.
inline constexpr std::string_view captured_secret = "password";

struct captured_message {
  /// `05-elp-rtr.pcap, packet 3`; for the message inside an encapsulated one `..., inside`.
  std::string where;
  bytes message;
};

/// All of them, those inside encapsulated messages too. Aborts when the captures are not there.
[[nodiscard]] std::vector<captured_message> captured_messages();

} // namespace glocal::lisp::testing
