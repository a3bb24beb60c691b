// Rules as text, from a file or a user: any bytes are refused or read back as the same match.

#include "dataplane/classify/rule_text.hpp"

#include <cstdlib>
#include <cstring>

using namespace glocal::dataplane;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto match = parse_rule_match({reinterpret_cast<const char*>(data), size});
  if (!match) {
    if (match.error().offset > size || match.error().message.empty())
      std::abort();
    return 0;
  }
  const auto again = parse_rule_match(to_string(*match));
  if (find_contradiction(*match) || !again || *again != *match)
    std::abort();
  if (find_contradiction(match->mirrored()))
    std::abort();
  return 0;
}

extern "C" std::size_t glocal_fuzz_seed_input(std::size_t index, std::uint8_t* out, std::size_t capacity) {
  constexpr std::string_view inputs[] = {
      "any",
      "src=10.1.0.0/16,proto=tcp,dport=80",
      "in_port=3,vlan=0,src=2001:db8::/32,dst=::/0,proto=udp,dscp=46,sport=53,dport=0-1023",
      "proto=tcp,tcp_flags=0x02/0x12",
      "icmp_type=8",
  };
  if (index >= std::size(inputs))
    return 0;
  const auto size = std::min(capacity, inputs[index].size());
  std::memcpy(out, inputs[index].data(), size);
  return size;
}
