// A damaged log: whatever bytes are changed, recovery either says that the log is damaged or gives back a beginning of
// what was written, byte for byte; it invents nothing, and the log can be written to afterwards.
//
// Input: triples of (file, offset, value) that are applied to a good log of three segments.

#include "store/segment_log.hpp"
#include "store/unsafe_disk_test.hpp"

#include <cstdlib>

using namespace glocal;
using namespace glocal::store;

namespace {

constexpr segment_log_options options{4096, 1};

struct sample {
  unsafe_files files;
  std::vector<log_record> records;

  sample() {
    auto log = segment_log::open(std::make_unique<unsafe_disk>(files), 1, options, [](log_record) {});
    for (log_index i = 1; log->segment_count() < 3; ++i) {
      for (slot_id slot = 0; slot < 3; ++slot) {
        records.push_back({slot, i, bytes(40 * slot + i, static_cast<std::byte>(i))});
        log->append(slot, i, records.back().payload);
      }
      if (!log->sync())
        std::abort();
    }
  }
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const sample good;
  auto files = good.files;
  for (std::size_t i = 0; i + 4 <= size; i += 4) {
    auto file = files.files.begin();
    std::advance(file, data[i] % files.files.size());
    auto& contents = file->second.now;
    const auto at = (static_cast<std::size_t>(data[i + 1]) << 8 | data[i + 2]) % (contents.size() + 1);
    if (at == contents.size())
      contents.resize(data[i + 3] * 16u); // cut short, or longer
    else
      contents[at] = static_cast<std::byte>(data[i + 3]);
    if (contents.empty())
      contents.resize(1);
  }
  std::size_t found = 0;
  auto log = segment_log::open(std::make_unique<unsafe_disk>(files), 1, options, [&](const log_record& record) {
    if (found >= good.records.size() || !(record == good.records[found++]))
      std::abort();
  });
  if (!log) {
    if (log.error().message.empty())
      std::abort();
    return 0;
  }
  log->append(9, 1, bytes(10));
  if (!log->sync())
    std::abort();
  return 0;
}

extern "C" std::size_t glocal_fuzz_seed_input(std::size_t index, std::uint8_t* out, std::size_t capacity) {
  constexpr std::uint8_t inputs[][4] = {{0, 0, 0, 0}, {2, 0, 100, 1}, {1, 16, 0, 3}, {2, 0, 64, 255}};
  if (index >= std::size(inputs) || capacity < 4)
    return 0;
  std::copy_n(inputs[index], 4, out);
  return 4;
}
