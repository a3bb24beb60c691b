// kill -9 of a process that writes its flow file without pause, at points nobody chose: what is read afterwards is
// whole.

#include "base/hash.hpp"
#include "dataplane/switch/flow_file.hpp"
#include "tests/support/child_process.hpp"

#include <catch2/catch.hpp>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <random>

#include <unistd.h>

using namespace glocal;
using namespace glocal::dataplane;

namespace {

constexpr std::size_t flows = 8, paths = 4;

/// Everything in a flow follows from one number, so that a mixture of two is seen.
flow_identity flow_of(std::uint64_t number) {
  flow_identity out;
  const auto word = static_cast<std::uint32_t>(hash_bytes(&number, sizeof number));
  out.forward = {ip_address::v4(word), ip_address::v4(~word), static_cast<std::uint16_t>(word),
                 static_cast<std::uint16_t>(word >> 16), static_cast<std::uint8_t>(word)};
  out.tenant = word & 0xff'ffff;
  out.cookie = number;
  out.idle_ns = number * 3;
  out.hard_ns = number * 5;
  out.created_ns = number * 7;
  out.path = word & 0xff'fffe;
  out.owner = number % 2 == 0;
  return out;
}

path_program path_of(std::uint64_t number) {
  const auto word = static_cast<std::uint32_t>(hash_bytes(&number, sizeof number)) & 0xff'fffe;
  path_program out{word, {}};
  for (std::size_t i = 0; i <= number % max_path_hops; ++i)
    out.hops.push_back({false, no_port, no_port, ip_address::v4(0x0a00'0000 + word)});
  return out;
}

std::uint64_t seed_of_run() {
  const auto* given = std::getenv("GLOCAL_SEED");
  return given != nullptr ? std::strtoull(given, nullptr, 10) : 7;
}

/// Where the writer, which is this program again, finds its file.
constexpr const char* file_variable = "GLOCAL_FLOW_FILE";
/// What it says every 64 records, in the midst of writing.
constexpr const char* progress = "writing";

} // namespace

TEST_CASE("the writer", "[.writer]") {
  const auto* path = std::getenv(file_variable);
  REQUIRE(path != nullptr);
  flow_file file{{path, 1}, flows, paths};
  std::mt19937_64 random{seed_of_run()};
  for (std::uint64_t i = 0;; ++i) {
    const auto number = random() >> 16;
    const auto index = static_cast<std::uint32_t>(random() % flows);
    if (random() % 8 == 0)
      file.erase_flow(index);
    else
      file.write_flow(index, flow_of(number), flow::kind::on_path, static_cast<std::uint16_t>(number % 512));
    if (random() % 4 == 0)
      file.write_path(static_cast<std::uint32_t>(random() % paths), path_of(number), 1);
    if (i % 64 == 63) {
      std::puts(progress);
      std::fflush(stdout);
    }
  }
}

TEST_CASE("no torn record is read from the flow file of a writer that was killed") {
  const auto seed = seed_of_run();
  INFO("GLOCAL_SEED=" << seed);
  std::mt19937_64 random{seed};
  const auto path = std::filesystem::temp_directory_path() / ("glocal-crash-" + std::to_string(::getpid()));
  const flow_file_config config{path.string(), 1};
  ::setenv(file_variable, path.c_str(), 1);
  std::size_t read = 0, unsealed = 0;
  for (int life = 0; life < 150; ++life) {
    ::setenv("GLOCAL_SEED", std::to_string(random()).c_str(), 1);
    {
      test::child_process writer{test::this_program, {"[.writer]"}};
      // It goes on writing while its word is on the way: where it is killed, nobody chooses.
      for (auto words = 1 + random() % 32; words > 0;)
        if (writer.read_line() == progress) // else Catch's greeting
          --words;
      writer.kill();
    }

    flow_file file{config, flows, paths};
    REQUIRE(file.cold() == cold_start::no);
    REQUIRE(file.flows_to_read() == flows);
    for (std::uint32_t i = 0; i < flows; ++i) {
      const auto stored = file.read_flow(i);
      if (!stored) {
        ++unsealed;
        continue;
      }
      ++read;
      const auto wanted = flow_of(stored->identity.cookie);
      CHECK(stored->identity.forward == wanted.forward);
      CHECK(stored->identity.tenant == wanted.tenant);
      CHECK(stored->identity.idle_ns == wanted.idle_ns);
      CHECK(stored->identity.hard_ns == wanted.hard_ns);
      CHECK(stored->identity.created_ns == wanted.created_ns);
      CHECK(stored->identity.path == wanted.path);
      CHECK(stored->identity.owner == wanted.owner);
      CHECK(stored->account == stored->identity.cookie % 512);
    }
    for (std::uint32_t i = 0; i < paths; ++i)
      if (const auto stored = file.read_path(i))
        for (const auto& hop : stored->program.hops)
          CHECK(hop.rloc.v4_value() == 0x0a00'0000 + stored->program.id);
  }
  CHECK(read > 0);
  CHECK(unsealed > 0);
  std::filesystem::remove(path);
}
