// Whatever a capture holds can be shown, as text and as JSON, and a query takes nothing for its answer that is none.

#include "dataplane/lisp/testing/captured_messages.hpp"
#include "dataplane/lisp/testing/sample_messages.hpp"
#include "tools/lisp_packets.hpp"
#include "tools/lisp_query.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>

using namespace glocal;
using namespace glocal::cli;

namespace {

void require(bool holds) {
  if (!holds)
    std::abort();
}

void show(const nlohmann::ordered_json& packet) {
  require(packet.is_null() || (!packet_text(packet).empty() && !packet.dump().empty()));
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto input = std::as_bytes(std::span{data, size});
  packet_describer describer{{{std::nullopt, "secret"}, {parse_prefix("10.0.0.0/8").value(), "other"}}};
  show(describer.describe_control(input));
  show(describer.describe_data(input));
  show(describer.describe({std::chrono::nanoseconds{1}, {input.begin(), input.end()}, size}));
  require(describer.counts().lisp() >= 2 && !summary_text(describer.counts()).empty());

  query asked;
  asked.eid = parse_query_eid("192.168.1.7").value();
  if (size >= 12)
    asked.nonce = load_be64(input.data() + 4);
  const auto answer = read_answer(input, asked);
  if (answer.what == query_answer::kind::mapping) {
    answered_query answered;
    answered.asked = asked;
    answered.reply = answer.reply;
    require(!answer_text(answered).empty() && !to_json(answered).dump().empty());
  }
  (void)parse_query_eid({reinterpret_cast<const char*>(data), size});
  (void)parse_udp_endpoint({reinterpret_cast<const char*>(data), size}, 4342);
  return 0;
}

extern "C" std::size_t glocal_fuzz_seed_input(std::size_t index, std::uint8_t* out, std::size_t capacity) {
  static const auto inputs = [] {
    std::vector<bytes> all;
    for (auto& one : lisp::testing::captured_messages())
      all.push_back(std::move(one.message));
    for (const auto& one : lisp::testing::sample_messages())
      all.push_back(lisp::encode(one.message).value());
    for (const std::string_view text :
         {"[7]tcp 10.1.0.7:51514 > 203.0.113.9:80", "2001:db8::/32", "[2001:db8::1]:4342"}) {
      const auto view = std::as_bytes(std::span{text});
      all.emplace_back(view.begin(), view.end());
    }
    return all;
  }();
  if (index >= inputs.size())
    return 0;
  const auto size = std::min(capacity, inputs[index].size());
  std::memcpy(out, inputs[index].data(), size);
  return size;
}
