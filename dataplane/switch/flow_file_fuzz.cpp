// Flow files: any bytes behind a header that is right, and any header, lead to flows and paths that are sound or to
// none.

#include "dataplane/switch/flow_table.hpp"

#include "base/hash.hpp"

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <vector>

#include <unistd.h>

using namespace glocal;
using namespace glocal::dataplane;

namespace {

constexpr std::size_t flows = 4, paths = 2;
constexpr std::size_t flow_records_at = 8192, path_records_at = 12288;
constexpr std::size_t flow_body_bytes = 88, path_body_bytes = 360;

const flow_file_config& config() {
  static const flow_file_config out{
      (std::filesystem::temp_directory_path() / ("glocal-flow-fuzz-" + std::to_string(::getpid()))).string(), 1};
  return out;
}

/// A file with a sealed flow and a sealed path.
const std::vector<char>& good_file() {
  static const auto out = [] {
    std::filesystem::remove(config().path);
    {
      flow_file file{config(), flows, paths};
      flow_identity identity;
      identity.forward = {ip_address::v4(0x0a00'0001), ip_address::v4(0x0a00'0002), 1, 2, ip_protocol::tcp};
      identity.idle_ns = 60'000'000'000;
      identity.path = 100;
      file.write_flow(0, identity, flow::kind::on_path, 3);
      file.write_flow(3, identity, flow::kind::by_eid, flow::no_account);
      file.write_path(1, {100, {{true, 1, 2, {}}}}, 1);
    }
    std::ifstream stream{config().path, std::ios::binary};
    return std::vector<char>{std::istreambuf_iterator<char>{stream}, {}};
  }();
  return out;
}

void use(const std::vector<char>& bytes) {
  std::ofstream{config().path, std::ios::binary | std::ios::trunc}.write(bytes.data(),
                                                                         static_cast<std::streamsize>(bytes.size()));
  flow_file file{config(), flows, paths};
  switch_config sizes;
  sizes.flows = flows;
  sizes.hash_key = 1;
  auto counted = std::make_unique<counters>();
  flow_table table{sizes, *counted, file};
  for (std::uint32_t i = 0; i < paths && file.cold() == cold_start::no; ++i)
    if (const auto stored = file.read_path(i); stored && !is_valid(stored->program))
      std::abort();
  const auto [known, lost] = table.restore(1'000'000'000, [](std::uint32_t id) { return id == 100 ? 1 : none; });
  if (known + lost > flows || known != table.size())
    std::abort();
  for (std::uint32_t i = 0; i < table.high_water(); ++i)
    if (table[i].what != flow::kind::free)
      table.remove(i);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // Pairs of (offset, byte) over a good file; then, if the first byte is odd, seals made right for what came of it.
  auto bytes = good_file();
  for (std::size_t i = 1; i + 2 < size; i += 3) {
    const auto at = (std::size_t{data[i]} << 8 | data[i + 1]) % (path_records_at + 2 * path_body_bytes);
    bytes[at < bytes.size() ? at : 0] = static_cast<char>(data[i + 2]);
  }
  if (size > 0 && data[0] % 2 == 1) {
    for (std::size_t i = 0; i < flows; ++i) {
      auto* record = &bytes[flow_records_at + i * (flow_body_bytes + 8)];
      const auto seal = static_cast<std::uint32_t>(hash_bytes(record + 8, flow_body_bytes)) | 1;
      std::memcpy(record, &seal, sizeof seal);
    }
    for (std::size_t i = 0; i < paths; ++i) {
      auto* record = &bytes[path_records_at + i * (path_body_bytes + 4)];
      const auto seal = static_cast<std::uint32_t>(hash_bytes(record + 4, path_body_bytes)) | 1;
      std::memcpy(record, &seal, sizeof seal);
    }
    const auto sum = hash_bytes(bytes.data(), 80);
    std::memcpy(&bytes[80], &sum, sizeof sum);
  }
  use(bytes);
  std::filesystem::remove(config().path);
  return 0;
}

extern "C" std::size_t glocal_fuzz_seed_input(std::size_t index, std::uint8_t* out, std::size_t capacity) {
  if (index > 1 || capacity < 4)
    return 0;
  const std::array<std::uint8_t, 4> seed{static_cast<std::uint8_t>(index), 0x20, 0x2c, 4};
  std::memcpy(out, seed.data(), seed.size());
  return seed.size();
}
