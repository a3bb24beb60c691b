#include "runtime/tls_context.hpp"

#include "runtime/tls_test_certificates.hpp"

#include <catch2/catch.hpp>

#include <filesystem>
#include <fstream>
#include <set>

#include <unistd.h>

namespace glocal::runtime {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using testing::since;
using testing::test_authority;

struct scratch {
  fs::path path;
  scratch() {
    std::string name = "/tmp/tls_context_test.XXXXXX";
    path = ::mkdtemp(name.data());
  }
  ~scratch() { fs::remove_all(path); }

  [[nodiscard]] tls_files files() const { return {path / "e1.crt", path / "e1.key", path / "ca.crt"}; }
  void write(const fs::path& file, const std::string& text, fs::perms mode = fs::perms{0600}) const {
    std::ofstream{file} << text;
    fs::permissions(file, mode);
  }
  void write(const tls_material& material) const {
    write(files().certificate, material.certificate, fs::perms{0644});
    write(files().key, material.key);
    write(files().authority, material.authority, fs::perms{0644});
  }
};

std::string problems(const tls_context::result& made) {
  std::string out;
  if (!made)
    for (const auto& one : made.error())
      out += to_string(one) + '\n';
  return out;
}

} // namespace

TEST_CASE("what an authority issues is loaded by the node it was issued for") {
  const scratch dir;
  const test_authority authority;
  dir.write(authority.material("e1.lab"));
  const auto made = tls_context::load(dir.files(), "e1", "lab");
  INFO(problems(made));
  REQUIRE(made);
  CHECK((*made)->cluster() == "lab");
  CHECK((*made)->not_after() > std::chrono::system_clock::now() + 23h);
  CHECK((*made)->not_after() < std::chrono::system_clock::now() + 25h);
}

TEST_CASE("an authority certifies no other, and no serial number comes twice") {
  const test_authority authority;
  const auto own = summarise_certificate(authority.authority().credentials().certificate);
  REQUIRE(own);
  CHECK(own->is_authority);
  CHECK_THAT(own->subject, Catch::StartsWith("CN = glocal authority of lab "));
  const auto issued = summarise_certificate(authority.material("e1.lab").certificate);
  REQUIRE(issued);
  CHECK_FALSE(issued->is_authority);
  CHECK(issued->names == std::vector<std::string>{"e1.lab"});
  CHECK(issued->issuer == own->subject);
  std::set<std::string> certificates;
  for (int i = 0; i < 20; ++i)
    CHECK(certificates.insert(authority.material("e1.lab").certificate).second);
}

TEST_CASE("an authority is opened again from its files, and only with its own key") {
  const test_authority authority, other;
  auto opened = tls_authority::from(authority.authority().credentials());
  REQUIRE(opened);
  const auto issued = opened->issue("e1.lab", testing::one_day());
  REQUIRE(issued);
  CHECK(tls_context::make({issued->certificate, issued->key, opened->credentials().certificate}, "e1", "lab"));
  auto mixed = authority.authority().credentials();
  mixed.key = other.authority().credentials().key;
  CHECK_THAT(tls_authority::from(mixed).error(), Catch::Contains("not that of its certificate"));
  const auto leaf = authority.material("e1.lab");
  CHECK_THAT(tls_authority::from({leaf.certificate, leaf.key}).error(), Catch::Contains("none of an authority"));
  CHECK_FALSE(tls_authority::from({"x", "y"}));
}

TEST_CASE("what is wrong with a node's files is said all at once, with file, reason and remedy") {
  const scratch dir;
  const test_authority authority, other;
  const auto files = dir.files();
  const auto good = authority.material("e1.lab");
  struct row {
    std::string title;
    std::function<void()> spoil;
    std::vector<std::string> wanted;
  };
  const std::vector<row> rows{
      {"nothing is there",
       [&] {
         for (const auto& file : {files.certificate, files.key, files.authority})
           fs::remove(file);
       },
       {files.authority.string() + ": cannot be read: No such file or directory; make it",
        files.certificate.string() + ": cannot be read", files.key.string() + ": cannot be read"}},
      {"a key others may read",
       [&] { fs::permissions(files.key, fs::perms{0644}); },
       {files.key.string() + ": is a secret that other users may read; run: chmod 600 " + files.key.string()}},
      {"a directory in place of a file",
       [&] {
         fs::remove(files.key);
         fs::create_directory(files.key);
       },
       {files.key.string() + ": is no regular file"}},
      {"the key of another node",
       [&] { dir.write(files.key, authority.material("e2.lab").key); },
       {files.key.string() + ": is not the key of " + files.certificate.string()}},
      {"the certificate of another node",
       [&] { dir.write(authority.material("e2.lab")); },
       {files.certificate.string() + ": certifies e2.lab, not e1.lab (node e1 of cluster lab); copy"}},
      {"the certificate of another cluster",
       [&] { dir.write(authority.material("e1.other")); },
       {"certifies e1.other, not e1.lab"}},
      {"another authority",
       [&] { dir.write(files.authority, other.authority().credentials().certificate); },
       {files.certificate.string() + ": was not signed by the authority in " + files.authority.string()}},
      {"no authority at all",
       [&] { dir.write(files.authority, good.certificate); },
       {files.authority.string() + ": holds a certificate of no authority"}},
      {"no PEM",
       [&] {
         for (const auto& file : {files.certificate, files.key, files.authority})
           dir.write(file, "nonsense");
       },
       {files.authority.string() + ": holds no certificate", files.certificate.string() + ": holds no certificate",
        files.key.string() + ": holds no private key"}},
      {"an expired certificate",
       [&] { dir.write(authority.material("e1.lab", since(-2h, -1h))); },
       {files.certificate.string() + ": expired on "}},
      {"a certificate of tomorrow",
       [&] { dir.write(authority.material("e1.lab", since(1h, 2h))); },
       {files.certificate.string() + ": is not valid before "}},
      {"an expired authority",
       [&] { dir.write(test_authority{since(-2h, -1h)}.material("e1.lab")); },
       {files.authority.string() + ": expired on "}},
      {"a file far too large",
       [&] { dir.write(files.certificate, std::string(max_small_file_bytes + 1, 'x')); },
       {files.certificate.string() + ": is larger than 256 KiB"}},
  };
  for (const auto& row : rows) {
    INFO(row.title);
    fs::remove_all(files.key);
    dir.write(good);
    REQUIRE(tls_context::load(files, "e1", "lab"));
    row.spoil();
    const auto made = tls_context::load(files, "e1", "lab");
    CHECK_FALSE(made);
    const auto said = problems(made);
    INFO(said);
    for (const auto& part : row.wanted)
      CHECK_THAT(said, Catch::Contains(part));
    CHECK(static_cast<std::size_t>(std::count(said.begin(), said.end(), '\n')) == row.wanted.size());
    CHECK_THAT(said, !Catch::Contains("PRIVATE KEY"));
  }
}

TEST_CASE("two authorities are believed while one takes over from the other") {
  const test_authority old_one, new_one;
  auto material = new_one.material("e1.lab");
  material.authority += old_one.authority().credentials().certificate;
  CHECK(tls_context::make(material, "e1", "lab"));
}

} // namespace glocal::runtime
