#include "node/backup/backup_directory.hpp"

#include "base/sha256.hpp"
#include "node/process.hpp"

#include <catch2/catch.hpp>

#include <cstdlib>
#include <fstream>

namespace glocal::node {
namespace {

namespace fs = std::filesystem;

struct scratch {
  fs::path path;
  scratch() {
    std::string name = "/tmp/backup_test.XXXXXX";
    path = ::mkdtemp(name.data());
  }
  ~scratch() { fs::remove_all(path); }

  [[nodiscard]] fs::path backup() const { return path / "b"; }
  void change(const std::string& file, const std::string& from, const std::string& to) const {
    std::ifstream in{backup() / file};
    std::string text{std::istreambuf_iterator<char>{in}, {}};
    const auto at = text.find(from);
    REQUIRE(at != std::string::npos);
    std::ofstream{backup() / file} << text.replace(at, from.size(), to);
  }
  /// So that only what was changed is wrong.
  void sum_again() const {
    std::ofstream sums{backup() / "SHA256SUMS"};
    for (const auto* file : {"slot-0000.jsonl", "slot-0001.jsonl", "manifest.json"}) {
      std::ifstream in{backup() / file};
      sums << sha256_hex(std::string{std::istreambuf_iterator<char>{in}, {}}) << "  " << file << '\n';
    }
  }
};

const std::string first = R"({"slot":0,"revision":7,"epoch":1,"index":9,"leases":1,"entries":1}
{"lease":"00000000000000aa","ttl_ms":5000}
{"table":"user","key_base64":"YQ==","value_base64":"Yg==","version":7,"lease":"00000000000000aa"}
)";
const std::string second = "{\"slot\":1,\"revision\":0,\"epoch\":1,\"index\":1,\"leases\":0,\"entries\":0}\n";

void write_backup(const scratch& where) {
  backup_manifest head;
  head.cluster = "lab";
  head.slot_count = 2;
  head.created = "2026-01-31T12:00:00Z";
  auto writer = backup_writer::create(where.backup(), head);
  REQUIRE(writer);
  REQUIRE(writer->add(0, first));
  REQUIRE(writer->add(1, second));
  CHECK_FALSE(fs::exists(where.backup()));
  REQUIRE(writer->finish());
}

std::string refusal_of(const scratch& where) {
  const auto opened = backup_reader::open(where.backup());
  return opened ? "" : opened.error();
}

} // namespace

TEST_CASE("what was written is read again") {
  const scratch where;
  write_backup(where);
  CHECK_FALSE(fs::exists(where.path / "b.partial"));
  const auto reader = backup_reader::open(where.backup());
  REQUIRE(reader);
  CHECK(reader->manifest().cluster == "lab");
  CHECK(reader->manifest().entries() == 1);
  CHECK(reader->manifest().slots[0].revision == 7);
  std::vector<backup_lease> leases;
  std::vector<backup_row> rows;
  for (const auto& slot : reader->manifest().slots)
    REQUIRE(reader->read(
        slot, [&](const auto& lease) { return leases.push_back(lease), true; },
        [&](const auto& row) { return rows.push_back(row), true; }));
  REQUIRE(leases.size() == 1);
  CHECK(leases[0].ttl_ms == 5000);
  REQUIRE(rows.size() == 1);
  CHECK(rows[0].table == "user");
  CHECK(rows[0].key == "YQ==");
  CHECK(rows[0].lease == leases[0].id);
  // With the tool everybody has.
  const auto summed =
      run({.argv = {"sh", "-c", "cd " + where.backup().string() + " && sha256sum -c --strict --quiet SHA256SUMS"}});
  REQUIRE(summed);
  CHECK(summed->ok());
}

TEST_CASE("a backup that breaks off leaves nothing, and none is written over another") {
  const scratch where;
  {
    auto writer = backup_writer::create(where.backup(), {});
    REQUIRE(writer);
    CHECK_FALSE(backup_writer::create(where.backup(), {}));
    REQUIRE(writer->add(0, first));
  }
  CHECK(fs::is_empty(where.path));
  write_backup(where);
  const auto again = backup_writer::create(where.backup(), {});
  REQUIRE_FALSE(again);
  CHECK_THAT(again.error(), Catch::Contains("there already"));
}

TEST_CASE("what a node gave of a slot must be whole, and of that slot") {
  const scratch where;
  auto writer = backup_writer::create(where.backup(), {});
  REQUIRE(writer);
  CHECK_FALSE(writer->add(1, first));
  CHECK_FALSE(writer->add(0, first.substr(0, first.size() - 1)));
  CHECK_FALSE(writer->add(0, first.substr(0, first.find("{\"table"))));
  CHECK_FALSE(writer->add(0, ""));
  CHECK_FALSE(writer->add(0, "nonsense\n"));
  CHECK(writer->add(0, first));
}

TEST_CASE("a damaged backup is refused with the file's name") {
  struct row {
    std::string title, file, from, to;
    bool summed;
    std::string expected;
  };
  const std::vector<row> rows{
      {"a row", "slot-0000.jsonl", "Yg==", "Yw==", false, "slot-0000.jsonl: its checksum"},
      {"the manifest", "manifest.json", "\"lab\"", "\"lob\"", false, "manifest.json: its checksum"},
      {"a newer format", "manifest.json", "\"format\": 1", "\"format\": 2", true,
       "of format 2; this program reads up to 1"},
      {"no manifest", "manifest.json", "\"format\"", "\"farmat\"", true, "no manifest of a backup"},
      {"a slot too few", "manifest.json", "\"slot_count\": 2", "\"slot_count\": 3", true, "every slot"},
      {"another path", "manifest.json", "slot-0001.jsonl", "../slot-0001.jsonl", true, "slot 1 is not whole"},
      {"checksums", "SHA256SUMS", "  slot", " slot", false, "not what sha256sum writes"},
  };
  for (const auto& each : rows) {
    INFO(each.title);
    const scratch where;
    write_backup(where);
    where.change(each.file, each.from, each.to);
    if (each.summed)
      where.sum_again();
    CHECK_THAT(refusal_of(where), Catch::Contains(each.expected));
  }
  const scratch where;
  CHECK_THAT(refusal_of(where), Catch::Contains("is no backup"));
  write_backup(where);
  fs::remove(where.backup() / "slot-0001.jsonl");
  CHECK_THAT(refusal_of(where), Catch::Contains("slot-0001.jsonl can't be read"));
}

TEST_CASE("a line that is none is said with its number") {
  const scratch where;
  write_backup(where);
  where.change("slot-0000.jsonl", "\"table\"", "\"tobel\"");
  where.sum_again();
  const auto reader = backup_reader::open(where.backup());
  REQUIRE(reader);
  const auto read = reader->read(
      reader->manifest().slots[0], [](const auto&) { return true; }, [](const auto&) { return true; });
  REQUIRE_FALSE(read);
  CHECK_THAT(read.error(), Catch::EndsWith("slot-0000.jsonl:3: not a line of a backup"));
}

} // namespace glocal::node
