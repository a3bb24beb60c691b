#include "node/credentials.hpp"

#include <catch2/catch.hpp>

#include <filesystem>
#include <fstream>

#include <unistd.h>

namespace glocal::node {
namespace {

namespace fs = std::filesystem;

struct scratch {
  fs::path path;
  scratch() {
    std::string name = "/tmp/credentials_test.XXXXXX";
    path = ::mkdtemp(name.data());
  }
  ~scratch() { fs::remove_all(path); }
};

} // namespace

TEST_CASE("a token is one long word that only its owner may read") {
  const scratch dir;
  const auto file = (dir.path / "token").string();
  const auto write = [&](const std::string& text) {
    std::ofstream{file} << text;
    fs::permissions(file, fs::perms{0600});
  };
  CHECK_THAT(to_string(read_api_token(file).error()), Catch::StartsWith(file + ": cannot be read: No such file"));
  write("0123456789abcdef\n");
  CHECK(*read_api_token(file) == "0123456789abcdef");
  fs::permissions(file, fs::perms{0640});
  CHECK_THAT(to_string(read_api_token(file).error()), Catch::EndsWith("run: chmod 600 " + file));
  for (const std::string wrong :
       {"", "\n", "short", "0123456789 abcdef", "0123456789abcde\xff", "0123456789abcdef\nmore"}) {
    INFO(wrong);
    write(wrong);
    const auto read = read_api_token(file);
    REQUIRE_FALSE(read);
    CHECK_THAT(to_string(read.error()), Catch::Contains("holds no token") && Catch::Contains("openssl rand"));
    CHECK((wrong.size() < 3 || to_string(read.error()).find(wrong) == std::string::npos));
  }
  write(std::string(max_token_chars + 1, 'x'));
  CHECK_FALSE(read_api_token(file));
}

namespace {

std::string error_of(const expected<void, file_problem>& done) {
  return done ? std::string{} : to_string(done.error());
}

constexpr std::chrono::days day{1};

cluster_config lab(const fs::path& certificates) {
  cluster_config config;
  config.name = "lab";
  config.security = {tls_mode::on, certificates.string()};
  for (const auto* name : {"e1", "e2"})
    config.nodes.emplace_back().name = name;
  return config;
}

fs::perms mode_of(const fs::path& file) {
  return fs::status(file).permissions();
}

} // namespace

TEST_CASE("an authority issues what nodes can use, and keys are their owner's") {
  const scratch dir;
  const auto pki = dir.path / "pki";
  const auto config = lab(pki);
  REQUIRE(error_of(make_authority(pki, "lab", day)).empty());
  CHECK(mode_of(pki) == fs::perms{0700});
  CHECK(mode_of(pki / "ca.key") == fs::perms{0600});
  CHECK(problems_of_files(config, "e1").size() == 2); // no certificate, no key
  REQUIRE(error_of(issue_certificate(pki, "e1", "lab", day, false)).empty());
  CHECK(problems_of_files(config, "e1").empty());
  CHECK(mode_of(pki / "e1.key") == fs::perms{0600});
  CHECK(mode_of(pki / "e1.crt") == fs::perms{0644});
  CHECK_THAT(certificate_expiry(config, "e1"), Catch::EndsWith("UTC (in 0 days: renew it soon)"));
  CHECK(certificate_expiry(config, "e2").empty());
  // Exactly these files.
  CHECK(std::distance(fs::directory_iterator{pki}, fs::directory_iterator{}) == 4);
}

TEST_CASE("what is there is not replaced unless asked for") {
  const scratch dir;
  REQUIRE(error_of(make_authority(dir.path, "lab", day)).empty());
  CHECK_THAT(error_of(make_authority(dir.path, "lab", day)), Catch::Contains("ca.key: is there already"));
  REQUIRE(error_of(issue_certificate(dir.path, "e1", "lab", day, false)).empty());
  const auto before = *read_small_file(dir.path / "e1.crt", secrecy::open);
  CHECK_THAT(error_of(issue_certificate(dir.path, "e1", "lab", day, false)),
             Catch::EndsWith("replace it with --renew"));
  CHECK(*read_small_file(dir.path / "e1.crt", secrecy::open) == before);
  REQUIRE(error_of(issue_certificate(dir.path, "e1", "lab", day, true)).empty());
  CHECK(*read_small_file(dir.path / "e1.crt", secrecy::open) != before);
  CHECK(problems_of_files(lab(dir.path), "e1").empty());
}

TEST_CASE("without an authority nothing is issued, and the error says what to do") {
  const scratch dir;
  CHECK_THAT(error_of(issue_certificate(dir.path, "e1", "lab", day, false)), Catch::Contains("glocal certs init"));
  REQUIRE(error_of(make_authority(dir.path, "lab", day)).empty());
  fs::permissions(dir.path / "ca.key", fs::perms{0644});
  CHECK_THAT(error_of(issue_certificate(dir.path, "e1", "lab", day, false)), Catch::Contains("chmod 600"));
  CHECK_THAT(error_of(make_authority(dir.path / "no" / "parent", "lab", day)), Catch::Contains("No such file"));
}

TEST_CASE("a cluster on one machine gets a certificate for each node and keeps no key to make more") {
  const scratch dir;
  const auto config = lab(dir.path / "tls");
  REQUIRE(error_of(make_cluster_certificates(dir.path / "tls", config)).empty());
  CHECK(problems_of_files(config, "e1").empty());
  CHECK(problems_of_files(config, "e2").empty());
  CHECK_FALSE(fs::exists(dir.path / "tls" / "ca.key"));
}

TEST_CASE("files are looked at only where they are needed") {
  const scratch dir;
  auto config = lab(dir.path);
  config.security.tls = tls_mode::off;
  CHECK(problems_of_files(config, "e1").empty());
  config.nodes[0].api = api_config{{}, (dir.path / "token").string()};
  const auto problems = problems_of_files(config, "e1");
  REQUIRE(problems.size() == 1);
  CHECK(problems[0].file == dir.path / "token");
  CHECK(problems_of_files(config, "e2").empty());
}

} // namespace glocal::node
