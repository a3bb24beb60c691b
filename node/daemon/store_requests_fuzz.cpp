// Whatever a client sends to the store's API becomes operations within the limits, or a refusal with a reason; and what
// was understood can be answered.

#include "node/daemon/store_requests.hpp"

#include <nlohmann/json.hpp>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string_view>

namespace {

using namespace glocal;
using namespace glocal::node;

constexpr store::slot_id slots = 8;

/// An input: a byte that says which request, then its body, or its query as `name=value` lines.
struct sample {
  std::uint8_t which;
  std::string_view text;
};
constexpr sample samples[] = {
    {0, R"({"table":"user","key":"a","value_base64":"AP8=","lease":"ff","timeout_ms":50})"},
    {1, R"({"operations":[{"operation":"get","table":"user","key":"a"},{"operation":"erase","table":"flows",)"
        R"("key_base64":"AA==","expected":3},{"operation":"compare-and-set","table":"paths","key":"p","value":"v",)"
        R"("expected":0}],"encoding":"base64"})"},
    {2, "table=user\nprefix=a\nlimit=10\ncontinuation=AAE\nencoding=base64"},
    {3, "table=user\nprefix=a\nfrom=AQABAgMEBQYH"},
    {3, "table=user\nkey=a\nfrom=41"},
    {4, R"({"ttl_ms":1000,"lease":"00000000000000ff"})"},
    {5, "table=user\nkey_base64=AP8="},
};

api_query query_of(std::string_view text) {
  api_query out;
  while (!text.empty()) {
    const auto line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    const auto split = std::min(line.find('='), line.size());
    out.emplace(line.substr(0, split), line.substr(std::min(split + 1, line.size())));
  }
  return out;
}

void must(bool holds) {
  if (!holds)
    std::abort();
}

void check(const store_request& request) {
  must(!store::check(request.operations));
  must(request.manner.within.count() > 0 && request.manner.within.count() <= 10'000);
  std::vector<store::op_result> results;
  for (const auto& op : request.operations)
    results.push_back({store::op_code::ok, store::entry{table_of(op), key_of(op), key_of(op), 1, lease_of(op)}});
  must(nlohmann::json::parse(answer_of(results, request.manner.form).body, nullptr, false).is_object());
}

void ask(unsigned which, std::string_view text) {
  switch (which % 6) {
  case 0:
    for (const auto* verb : {"put", "put-if-absent", "compare-and-set", "erase"})
      try {
        check(parse_write(verb, text));
      } catch (const api_refusal& why) {
        must(why.status >= 400 && why.status < 500 && why.what()[0] != '\0');
      }
    break;
  case 1: check(parse_batch(text)); break;
  case 2: must(parse_scan(query_of(text)).limit > 0); break;
  case 3: {
    const auto watch = parse_watch(query_of(text), {}, slots);
    must(watch.from.empty() || watch.from.size() == (watch.one_key ? 1u : slots));
    if (!watch.from.empty())
      must(parse_watch({{"table", "user"},
                        watch.one_key ? std::pair<const std::string, std::string>{"key", "k"}
                                      : std::pair<const std::string, std::string>{"prefix", ""}},
                       position_token(watch.from), slots)
               .from.size() == watch.from.size());
    break;
  }
  case 4: (void)parse_lease(text, true); break;
  case 5: check(parse_get(query_of(text))); break;
  }
}

} // namespace

extern "C" std::size_t glocal_fuzz_seed_input(std::size_t index, std::uint8_t* out, std::size_t capacity) {
  if (index >= std::size(samples) || samples[index].text.size() + 1 > capacity)
    return 0;
  const auto& [which, text] = samples[index];
  out[0] = which;
  std::memcpy(out + 1, text.data(), text.size());
  return text.size() + 1;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0)
    return 0;
  try {
    ask(data[0], {reinterpret_cast<const char*>(data) + 1, size - 1});
  } catch (const api_refusal& why) {
    must(why.status >= 400 && why.status < 500 && why.what()[0] != '\0');
  }
  return 0;
}
