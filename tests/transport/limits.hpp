#pragma once
// What both processes of the tests run with.

#include "runtime/transport.hpp"

namespace glocal::runtime::test {

/// Heartbeats quick enough for tests, limits long enough for a machine under load.
inline transport_limits process_limits(std::chrono::milliseconds silence_limit) {
  transport_limits limits;
  limits.heartbeat_interval = std::chrono::milliseconds{50};
  limits.silence_limit = silence_limit;
  limits.connect_timeout = std::chrono::milliseconds{5000};
  limits.backoff_min = std::chrono::milliseconds{10};
  limits.backoff_max = std::chrono::milliseconds{100};
  return limits;
}

} // namespace glocal::runtime::test
