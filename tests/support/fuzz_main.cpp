// A main() around LLVMFuzzerTestOneInput for compilers without libFuzzer: mutates a corpus under a fixed seed.
// Failing input replays with the printed line.

#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include <unistd.h>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
/// Optional: well-formed inputs to start from, one per index; empty ends the list.
extern "C" __attribute__((weak)) std::size_t glocal_fuzz_seed_input(std::size_t index, std::uint8_t* out,
                                                                    std::size_t capacity);

namespace {

using input = std::vector<std::uint8_t>;
constexpr std::size_t max_input_bytes = 4096;

std::uint64_t current_run = 0, seed = 1;
const char* program = "";

void say_how_to_replay(int) {
  char line[256];
  const int length =
      std::snprintf(line, sizeof line, "\nfuzz failure; replay with: %s --seed %llu --runs %llu\n", program,
                    static_cast<unsigned long long>(seed), static_cast<unsigned long long>(current_run + 1));
  (void)!write(2, line, static_cast<std::size_t>(length));
  std::signal(SIGABRT, SIG_DFL);
  std::abort();
}

std::vector<input> starting_points(const std::string& corpus) {
  std::vector<input> out{input{}};
  if (glocal_fuzz_seed_input != nullptr) {
    input buffer(max_input_bytes);
    for (std::size_t i = 0;; ++i) {
      const auto size = glocal_fuzz_seed_input(i, buffer.data(), buffer.size());
      if (size == 0)
        break;
      out.emplace_back(buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(size));
    }
  }
  if (!corpus.empty())
    for (const auto& file : std::filesystem::directory_iterator{corpus}) {
      std::ifstream stream{file.path(), std::ios::binary};
      out.emplace_back(std::istreambuf_iterator<char>{stream}, std::istreambuf_iterator<char>{});
    }
  return out;
}

void mutate(input& data, std::mt19937_64& random) {
  const auto steps = 1 + random() % 8;
  for (std::uint64_t i = 0; i < steps; ++i) {
    const auto at = data.empty() ? 0 : random() % data.size();
    switch (random() % 7) {
    case 0:
      if (!data.empty())
        data[at] ^= static_cast<std::uint8_t>(1u << random() % 8);
      break;
    case 1:
      if (!data.empty())
        data[at] = static_cast<std::uint8_t>(random());
      break;
    case 2:
      if (!data.empty())
        data[at] = random() % 2 ? 0xff : 0x00;
      break;
    case 3: data.resize(random() % (data.size() + 1)); break;
    case 4:
      if (data.size() < max_input_bytes)
        data.insert(data.begin() + static_cast<std::ptrdiff_t>(at), static_cast<std::uint8_t>(random()));
      break;
    case 5:
      if (!data.empty())
        data.erase(data.begin() + static_cast<std::ptrdiff_t>(at));
      break;
    default:
      if (data.size() >= at + 2) {
        const std::uint16_t edges[] = {0, 1, 0x7fff, 0x8000, 0xffff, static_cast<std::uint16_t>(data.size())};
        const auto value = edges[random() % std::size(edges)];
        data[at] = static_cast<std::uint8_t>(value >> 8);
        data[at + 1] = static_cast<std::uint8_t>(value);
      }
    }
  }
}

} // namespace

int main(int argc, char** argv) {
  program = argv[0];
  std::uint64_t runs = 20000;
  std::string corpus;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string option = argv[i];
    if (option == "--seed")
      seed = std::strtoull(argv[i + 1], nullptr, 10);
    else if (option == "--runs")
      runs = std::strtoull(argv[i + 1], nullptr, 10);
    else if (option == "--corpus")
      corpus = argv[i + 1];
    else {
      std::fprintf(stderr, "usage: %s [--seed N] [--runs N] [--corpus DIR]\n", argv[0]);
      return 2;
    }
  }
  std::signal(SIGABRT, say_how_to_replay);
  std::signal(SIGSEGV, say_how_to_replay);
  const auto starts = starting_points(corpus);
  for (const auto& start : starts)
    LLVMFuzzerTestOneInput(start.data(), start.size());
  std::mt19937_64 random{seed};
  for (current_run = 0; current_run < runs; ++current_run) {
    auto data = starts[random() % starts.size()];
    mutate(data, random);
    // An exact-size heap block, so that AddressSanitizer sees one byte too far.
    const std::vector<std::uint8_t> exact(data.begin(), data.end());
    LLVMFuzzerTestOneInput(exact.data(), exact.size());
  }
  std::printf("fuzz ok: seed %llu, %llu runs, %zu starting points\n", static_cast<unsigned long long>(seed),
              static_cast<unsigned long long>(runs), starts.size());
}
