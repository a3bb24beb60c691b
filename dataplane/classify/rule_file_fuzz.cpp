// Rule files: any bytes are refused or make a classifier that answers.

#include "dataplane/classify/rule_file.hpp"

#include "base/hash.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

#include <unistd.h>

using namespace glocal;
using namespace glocal::dataplane;

namespace {

constexpr std::size_t header_bytes = 64, checksum_at = 56;

expected<forest_classifier::loader, rule_file_error> read(std::span<const std::uint8_t> file) {
  return read_rules([file](void* into, std::size_t size) mutable {
    if (size > file.size())
      return false;
    std::memcpy(into, file.data(), size);
    file = file.subspan(size);
    return true;
  });
}

/// With checksums made right, so that what stands behind them is reached. A small file's parts are those of the format.
std::vector<std::uint8_t> with_checksums(std::span<const std::uint8_t> file) {
  std::vector<std::uint8_t> out{file.begin(), file.end()};
  if (out.size() < header_bytes + 8)
    return out;
  const auto header_sum = hash_bytes(out.data(), checksum_at);
  std::memcpy(&out[checksum_at], &header_sum, 8);
  std::array<std::uint64_t, 5> counts{};
  std::memcpy(counts.data(), &out[16], sizeof counts);
  const auto [rules, slots_v4, slots_v6, templates_v4, templates_v6] = counts;
  std::uint64_t sum = 0;
  std::size_t at = header_bytes;
  const auto add = [&](std::uint64_t count, std::size_t bytes, bool together) {
    if (count > out.size())
      return;
    for (std::uint64_t left = together ? (count > 0 ? 1 : 0) : count; left > 0; --left) {
      const auto size = together ? count * bytes : bytes;
      if (at + size + 8 > out.size())
        return;
      sum = hash_bytes(&out[at], size, sum);
      at += size;
    }
  };
  add(rules, 16, true);
  add(templates_v4, 32, false);
  add(templates_v6, 64, false);
  add(slots_v4, 32, true);
  add(slots_v6, 64, true);
  std::memcpy(&out[at], &sum, 8);
  return out;
}

void use(std::span<const std::uint8_t> file) {
  auto loaded = read(file);
  if (!loaded) {
    if (loaded.error().message.empty())
      std::abort();
    return;
  }
  const auto built = loaded->finish();
  if (!built)
    return;
  packet_fields packet;
  for (std::size_t i = 0; i < 32; ++i) {
    packet.destination.octets[i % 4] = file[i * 7 % file.size()];
    packet.destination.family = i % 2 == 0 ? ip_family::v4 : ip_family::v6;
    const auto id = (*built)->lookup(packet);
    if (id != no_rule && id >= (*built)->size())
      std::abort();
  }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0)
    return 0;
  use({data, size});
  use(with_checksums({data, size}));
  return 0;
}

extern "C" std::size_t glocal_fuzz_seed_input(std::size_t index, std::uint8_t* out, std::size_t capacity) {
  if (index > 1)
    return 0;
  std::vector<rule> rules(3);
  rules[0].match.destination = ip_prefix::make(ip_address::v4(0x0a000000), 8);
  rules[1].match.source = ip_prefix::make({{0x20, 1, 0xd, 0xb8}, ip_family::v6}, 32);
  rules[2].match.destination_ports = {80, 443};
  if (index == 1)
    rules.resize(1);
  const auto path = (std::filesystem::temp_directory_path() / ("glocal-fuzz-" + std::to_string(::getpid()))).string();
  if (!save_rules(*forest_classifier::build(rules).value(), path))
    std::abort();
  std::ifstream stream{path, std::ios::binary};
  const std::string bytes{std::istreambuf_iterator<char>{stream}, {}};
  std::filesystem::remove(path);
  const auto size = std::min(capacity, bytes.size());
  std::memcpy(out, bytes.data(), size);
  return size;
}
