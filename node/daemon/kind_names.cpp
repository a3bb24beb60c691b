#include "node/daemon/kind_names.hpp"

#include "actors/edge/vnf_host.hpp"
#include "runtime/frame.hpp"
#include "store/codec.hpp"

#include <cstdio>

namespace glocal::node {

std::string kind_name(std::uint16_t kind) {
  using store::frame_kind;
  switch (static_cast<frame_kind>(kind)) {
  case frame_kind::batch_request: return "store.batch_request";
  case frame_kind::batch_reply: return "store.batch_reply";
  case frame_kind::scan_request: return "store.scan_request";
  case frame_kind::scan_reply: return "store.scan_reply";
  case frame_kind::lease_request: return "store.lease_request";
  case frame_kind::lease_reply: return "store.lease_reply";
  case frame_kind::watch_request: return "store.watch_request";
  case frame_kind::watch_reply: return "store.watch_reply";
  case frame_kind::watch_cancel: return "store.watch_cancel";
  case frame_kind::watch_events: return "store.watch_events";
  case frame_kind::watch_progress: return "store.watch_progress";
  case frame_kind::replica_messages: return "store.replica_messages";
  case frame_kind::register_request: return "store.register_request";
  case frame_kind::register_reply: return "store.register_reply";
  }
  switch (kind) {
  case runtime::control_kinds::hello: return "transport.hello";
  case runtime::control_kinds::hello_refused: return "transport.hello_refused";
  case runtime::control_kinds::heartbeat: return "transport.heartbeat";
  case actors::mano_kind::instantiate: return "mano.instantiate";
  case actors::mano_kind::terminate: return "mano.terminate";
  case actors::mano_kind::lifecycle_reply: return "mano.lifecycle_reply";
  default: break;
  }
  char text[8];
  std::snprintf(text, sizeof text, "0x%04x", static_cast<unsigned>(kind));
  return text;
}

std::string kind_of(const runtime::dead_letter& letter) {
  return letter.type.empty() ? kind_name(letter.kind) : letter.type;
}

} // namespace glocal::node
