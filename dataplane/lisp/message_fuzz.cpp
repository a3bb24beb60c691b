// Control messages from anybody: nothing is read outside the input, what was understood is said again in the same
// words, and authentication of anything is an answer and no crash.

#include "dataplane/lisp/authentication.hpp"
#include "dataplane/lisp/testing/captured_messages.hpp"
#include "dataplane/lisp/testing/sample_messages.hpp"

#include <algorithm>
#include <cstdlib>

using namespace glocal;
using namespace glocal::lisp;

namespace {

void require(bool holds) {
  if (!holds)
    std::abort();
}

void check(byte_view input) {
  (void)verify(input, "secret");
  const auto message = decode(input);
  if (!message) {
    require(message.error().offset <= input.size() && !to_string(message.error()).empty());
    return;
  }
  const auto written = encode(*message);
  require(written.has_value() && written->size() == input.size());
  const auto again = decode(*written);
  require(again.has_value() && *again == *message);
  for (const auto* receiver : {&oor_profile(), &plain_profile()})
    if (const auto sent = encode(*message, *receiver))
      require(*sent == *written);
  if (const auto* outer = std::get_if<encapsulated_message>(&*message))
    check(outer->message);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  check(std::as_bytes(std::span{data, size}));
  return 0;
}

extern "C" std::size_t glocal_fuzz_seed_input(std::size_t index, std::uint8_t* out, std::size_t capacity) {
  static const auto inputs = [] {
    std::vector<bytes> all;
    for (auto& one : lisp::testing::captured_messages())
      all.push_back(std::move(one.message));
    for (const auto& one : lisp::testing::sample_messages())
      all.push_back(encode(one.message).value());
    return all;
  }();
  if (index >= inputs.size())
    return 0;
  const auto size = std::min(capacity, inputs[index].size());
  std::copy_n(reinterpret_cast<const std::uint8_t*>(inputs[index].data()), size, out);
  return size;
}
