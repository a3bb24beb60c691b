// Hostile bytes at every decoder of schema/model.capnp and schema/mano.capnp: nothing may crash, and what is accepted
// encodes to something that means the same.

#include "actors/model/codec.hpp"
#include "actors/model/codec_samples_test.hpp"

#include <cstdlib>
#include <cstring>

using namespace glocal;
using namespace glocal::model;

namespace {

/// Bytes are compared, not values: a rate may be NaN, which equals nothing.
template <class T>
void check(std::string_view in) {
  const auto first = decode<T>(in);
  if (!first)
    return;
  const auto written = encode(*first);
  const auto second = decode<T>(written);
  if (!second || encode(*second) != written)
    std::abort();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view in{reinterpret_cast<const char*>(data), size};
  check<vnf_class>(in);
  check<vnf_instance>(in);
  check<service>(in);
  check<service_path>(in);
  check<flow_record>(in);
  check<instance_status>(in);
  check<class_digest>(in);
  check<link_state>(in);
  check<eid_mapping>(in);
  check<lisp_subscription>(in);
  check<instantiate_request>(in);
  check<terminate_request>(in);
  check<lifecycle_reply>(in);
  return 0;
}

extern "C" std::size_t glocal_fuzz_seed_input(std::size_t index, std::uint8_t* out, std::size_t capacity) {
  const auto inputs = std::apply([](const auto&... value) { return std::array{encode(value)...}; }, samples::all());
  if (index >= inputs.size() || inputs[index].size() > capacity)
    return 0;
  std::memcpy(out, inputs[index].data(), inputs[index].size());
  return inputs[index].size();
}
