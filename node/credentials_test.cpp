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

} // namespace glocal::node
