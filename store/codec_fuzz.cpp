// Hostile bytes at every decoder of the store: nothing may crash, and what is accepted is within the limits and encodes
// to something that decodes to the same.

#include "store/codec.hpp"
#include "store/codec_samples_test.hpp"
#include "store/placement.hpp"

#include <cstdlib>
#include <cstring>

using namespace glocal;
using namespace glocal::store;

namespace {

template <class Decode>
void check(byte_view in, Decode decode) {
  const auto first = decode(in);
  if (!first)
    return;
  const auto second = decode(encode(*first));
  if (!second)
    std::abort();
  if constexpr (requires { *first == *second; })
    if (!(*first == *second))
      std::abort();
}

/// Messages that share their entries have no ==: their bytes are compared.
template <class Decode>
void check_bytes(byte_view in, Decode decode) {
  const auto first = decode(in);
  if (!first)
    return;
  const auto second = decode(encode(*first));
  if (!second || encode(*first) != encode(*second))
    std::abort();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const byte_view in{reinterpret_cast<const std::byte*>(data), size};
  check(in, decode_batch);
  check(in, decode_batch_reply);
  check(in, decode_scan_request);
  check(in, decode_scan_reply);
  check(in, decode_lease_request);
  check_bytes(in, decode_lease_reply);
  check(in, decode_watch_request);
  check_bytes(in, decode_watch_reply);
  check(in, decode_watch_cancel);
  check(in, decode_watch_events);
  check(in, decode_watch_progress);
  check_bytes(in, decode_replica_messages);
  check_bytes(in, decode_log_payload);
  check(in, decode_register_request);
  check_bytes(in, decode_register_reply);
  check(in, decode_placement);
  return 0;
}

extern "C" std::size_t glocal_fuzz_seed_input(std::size_t index, std::uint8_t* out, std::size_t capacity) {
  std::vector<bytes> inputs = {encode(samples::operations),
                               encode(samples::results),
                               encode(samples::refusal),
                               encode(samples::scan),
                               encode(samples::page),
                               encode(samples::lease),
                               encode(samples::watch),
                               encode(samples::cancel),
                               encode(samples::events),
                               encode(samples::progress),
                               encode(node_watch_reply{unexpected{store_error::unavailable}, {1, 7}})};
  for (const auto& message : samples::messages())
    inputs.push_back(encode(std::vector<replica_message>{message}));
  inputs.push_back(encode(samples::messages()));
  inputs.push_back(encode(samples::register_read));
  inputs.push_back(encode(samples::register_set));
  inputs.push_back(encode(samples::register_outcome));
  for (const auto& payload : samples::log_payloads())
    inputs.push_back(encode(payload));
  inputs.push_back(encode(placement{{"s4"}, true, {{"s1", "s2"}, {"s2", "s3"}}, {{1, {"s2", "s4"}}}}));
  if (index >= inputs.size() || inputs[index].size() > capacity)
    return 0;
  std::memcpy(out, inputs[index].data(), inputs[index].size());
  return inputs[index].size();
}
