#include "node/daemon/http_api.hpp"

#include "node/daemon/api_access.hpp"
#include "node/daemon/bounded_server.hpp"
#include "node/launcher/node_client.hpp"
#include "node/process.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <filesystem>

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

namespace glocal::node {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using namespace std::chrono_literals;

const auto loopback = endpoint{*parse_ip("127.0.0.1"), 0};
constexpr const char* token = "a-token-of-some-length";

struct scratch {
  fs::path path;
  scratch() {
    std::string name = "/tmp/http_api_test.XXXXXX";
    path = ::mkdtemp(name.data());
  }
  ~scratch() { fs::remove_all(path); }
};

/// An API with one thing to read and one to change.
struct served {
  scratch directory;
  int changes = 0;
  http_api api;

  explicit served(std::string secret)
      : api{directory.path / "n.sock", handlers(), tcp_access{loopback, std::move(secret)}} {
    REQUIRE(api.start());
  }
  [[nodiscard]] std::string url(const std::string& path, const std::string& host = "127.0.0.1") const {
    return "http://" + host + ':' + std::to_string(api.tcp_port()) + path;
  }

private:
  api_handlers handlers() {
    api_handlers out;
    out.get["thing"] = [this] { return json{{"changes", changes}}; };
    out.post["thing"] = [this](const json&) {
      ++changes;
      return json::object();
    };
    out.text["/metrics"] = [] { return std::string{"x 1\n"}; };
    return out;
  }
};

struct answer {
  int status = 0;
  std::string head, body;
};

/// What curl, as anybody would call it, gets.
answer curl(std::vector<std::string> arguments) {
  std::vector<std::string> argv{"curl", "--silent", "--show-error", "--include", "--max-time", "20", "--noproxy", "*"};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  const auto done = run({.argv = argv, .timeout = 30s});
  REQUIRE(done);
  INFO(done->errors);
  REQUIRE(done->ok());
  const auto split = done->output.find("\r\n\r\n");
  REQUIRE(split != std::string::npos);
  return {std::stoi(done->output.substr(9, 3)), done->output.substr(0, split), done->output.substr(split + 4)};
}

std::string error_in(const answer& from) {
  const auto body = json::parse(from.body, nullptr, false);
  return body.is_object() ? body.value("error", "") : "";
}

/// A client that does as it likes.
class raw_client {
public:
  explicit raw_client(std::uint16_t port) : fd_{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)} {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0);
  }
  raw_client(const raw_client&) = delete;
  raw_client& operator=(const raw_client&) = delete;
  ~raw_client() { ::close(fd_); }

  void send(const std::string& text) const { (void)!::send(fd_, text.data(), text.size(), MSG_NOSIGNAL); }
  /// All there is until the other side ends.
  [[nodiscard]] std::string rest() const {
    std::string out;
    char buffer[4096];
    for (ssize_t got = 1; (got = ::read(fd_, buffer, sizeof buffer)) > 0;)
      out.append(buffer, static_cast<std::size_t>(got));
    return out;
  }

private:
  int fd_;
};

struct running_server {
  bounded_server http;
  std::uint16_t port = 0;
  explicit running_server(const bounded_server::limits& limits) : http{limits} {
    http.Get("/",
             [](const httplib::Request&, httplib::Response& response) { response.set_content("x", "text/plain"); });
    const auto started = http.start(loopback);
    REQUIRE(started);
    port = *started;
  }
};

} // namespace

TEST_CASE("who may ask over TCP") {
  struct row {
    std::string title;
    api_caller caller;
    std::string token;
    int status;
  };
  const std::string right = std::string{"Bearer "} + token, longer = right + "x", twice = right + token,
                    capitals = std::string{"bEARER   "} + token, basic = std::string{"Basic "} + token;
  const std::vector<row> rows{
      {"no token is set, this machine reads", {"GET", "127.0.0.1:9100", "", ""}, "", 0},
      {"by name", {"GET", "localhost:9100", "", ""}, "", 0},
      {"by its IPv6 address", {"GET", "[::1]:9100", "", ""}, "", 0},
      {"without port", {"HEAD", "LOCALHOST", "", ""}, "", 0},
      {"a page this API itself would serve", {"GET", "localhost:9100", "http://localhost:9100", ""}, "", 0},
      {"no token is set, this machine writes", {"POST", "127.0.0.1:9100", "", ""}, "", 403},
      {"another name for 127.0.0.1: DNS rebinding", {"GET", "evil.example:9100", "", ""}, "", 403},
      {"a name that begins well", {"GET", "localhost.evil.example", "", ""}, "", 403},
      {"an address that begins well", {"GET", "127.0.0.1.evil.example", "", ""}, "", 403},
      {"brackets left open", {"GET", "[::1", "", ""}, "", 403},
      {"something behind brackets", {"GET", "[::1]evil", "", ""}, "", 403},
      {"no host at all", {"GET", "", "", ""}, "", 403},
      {"a web page of another site", {"GET", "127.0.0.1:9100", "http://evil.example", ""}, "", 403},
      {"a web page from a file", {"GET", "127.0.0.1:9100", "null", ""}, "", 403},
      {"the token", {"POST", "n1.example", "http://evil.example", right}, token, 0},
      {"the scheme in other letters", {"GET", "", "", capitals}, token, 0},
      {"no token", {"GET", "127.0.0.1", "", ""}, token, 401},
      {"a token too short", {"GET", "127.0.0.1", "", "Bearer a-token"}, token, 401},
      {"a token too long", {"GET", "127.0.0.1", "", longer}, token, 401},
      {"the token twice", {"GET", "127.0.0.1", "", twice}, token, 401},
      {"another token", {"GET", "127.0.0.1", "", "Bearer b-token-of-some-length"}, token, 401},
      {"an empty token", {"GET", "127.0.0.1", "", "Bearer "}, token, 401},
      {"another scheme", {"GET", "127.0.0.1", "", basic}, token, 401},
      {"no scheme", {"GET", "127.0.0.1", "", token}, token, 401},
  };
  for (const auto& row : rows) {
    INFO(row.title);
    const auto denied = deny(row.caller, row.token);
    CHECK((denied ? denied->status : 0) == row.status);
    CHECK((!denied || !denied->reason.empty()));
    CHECK((!denied || denied->reason.find(token) == std::string::npos));
  }
  CHECK_FALSE(same_secret("", ""));
}

TEST_CASE("curl with the token reads and changes; without it, it is told what to show") {
  served node{token};
  const std::string bearer = std::string{"Authorization: Bearer "} + token;
  const auto without = curl({node.url("/api/v1/thing")});
  CHECK(without.status == 401);
  CHECK_THAT(without.head, Catch::Contains("WWW-Authenticate: Bearer"));
  CHECK_THAT(without.head, Catch::Contains("Content-Type: application/json"));
  CHECK_THAT(error_in(without), Catch::Contains("Authorization: Bearer"));
  CHECK(curl({"-H", "Authorization: Bearer wrong", node.url("/api/v1/thing")}).status == 401);
  CHECK(curl({node.url("/metrics")}).status == 401);
  CHECK(curl({node.url("/no/such/page")}).status == 401);
  CHECK(curl({"-d", "{}", node.url("/api/v1/thing")}).status == 401);
  CHECK(node.changes == 0);
  CHECK(curl({"-H", bearer, "-d", "{}", node.url("/api/v1/thing")}).status == 200);
  CHECK(node.changes == 1);
  CHECK(json::parse(curl({"-H", bearer, node.url("/api/v1/thing")}).body) == json{{"changes", 1}});
  CHECK(curl({"-H", bearer, node.url("/metrics")}).body == "x 1\n");
  const auto missing = curl({"-H", bearer, node.url("/no/such/page")});
  CHECK(missing.status == 404);
  CHECK(error_in(missing) == "/no/such/page: no such resource");
  const auto large = curl({"-H", bearer, "-H", "Expect:", "-d", std::string(5000, ' '), node.url("/api/v1/thing")});
  CHECK(large.status == 413);
  CHECK(error_in(large) == "the body is larger than 4096 bytes");
  // The socket is as it was.
  CHECK(ask_node(node.directory.path / "n.sock", "/api/v1/thing", 5s));
}

TEST_CASE("without a token, curl on this machine reads") {
  served node{""};
  CHECK(curl({node.url("/api/v1/thing")}).status == 200);
  CHECK(curl({node.url("/metrics", "localhost")}).status == 200);
  const auto posted = curl({"-d", "{}", node.url("/api/v1/thing")});
  CHECK(posted.status == 403);
  CHECK_THAT(error_in(posted), Catch::Contains("only reads") && Catch::Contains("token_file"));
  CHECK(node.changes == 0);
  const auto rebound = curl({"-H", "Host: evil.example", node.url("/api/v1/thing")});
  CHECK(rebound.status == 403);
  CHECK_THAT(error_in(rebound), Catch::Contains("localhost"));
  CHECK(curl({"-H", "Origin: http://evil.example", node.url("/api/v1/thing")}).status == 403);
  CHECK(tell_node(node.directory.path / "n.sock", "/api/v1/thing", "{}", 5s));
  CHECK(node.changes == 1);
}

TEST_CASE("what there is to ask is listed") {
  served node{""};
  const auto listed = json::parse(curl({node.url("/api/v1")}).body);
  CHECK(listed == json{{"get", {"/api/v1/thing", "/metrics"}}, {"post", {"/api/v1/thing"}}});
}

TEST_CASE("one connection serves several requests") {
  running_server server{{}};
  const auto url = "http://127.0.0.1:" + std::to_string(server.port) + "/";
  const auto done = run({.argv = {"curl", "--silent", "--noproxy", "*", "-w", "%{num_connects}\n", url, url, url}});
  REQUIRE(done);
  CHECK(done->output == "x1\nx0\nx0\n");
}

TEST_CASE("a request that does not come whole in time is ended") {
  bounded_server::limits limits;
  limits.request_time = 30ms;
  running_server server{limits};
  const raw_client slow{server.port};
  slow.send("GET / HTTP/1.1\r\nHost: x\r\nX-");
  CHECK_THAT(slow.rest(), Catch::StartsWith("HTTP/1.1 408 ") && Catch::EndsWith("in time\"}"));
  const raw_client none{server.port};
  none.send("G");
  CHECK_THAT(none.rest(), Catch::StartsWith("HTTP/1.1 408 "));
}

TEST_CASE("a connection that asks nothing is ended") {
  bounded_server::limits limits;
  limits.idle_time = 30ms;
  running_server server{limits};
  const raw_client idle{server.port};
  CHECK(idle.rest().empty());
}

TEST_CASE("a request without end is ended") {
  running_server server{{}};
  const raw_client endless{server.port};
  endless.send("GET / HTTP/1.1\r\n");
  for (int i = 0; i < 40; ++i)
    endless.send("X-" + std::string(1000, 'x') + ": y\r\n");
  CHECK_THAT(endless.rest(), Catch::Contains("HTTP/1.1 431 "));
  const raw_client line{server.port};
  line.send(std::string(100'000, 'x'));
  CHECK_THAT(line.rest(), Catch::Contains("HTTP/1.1 431 "));
}

TEST_CASE("garbage is answered with 400, as JSON") {
  served node{token};
  const raw_client client{node.api.tcp_port()};
  client.send("nonsense\r\n\r\n");
  CHECK_THAT(client.rest(), Catch::StartsWith("HTTP/1.1 400 ") && Catch::Contains("not understood"));
}

TEST_CASE("connections beyond the limit are told so, and those within it are served") {
  bounded_server::limits limits;
  limits.threads = 2;
  limits.max_connections = 3;
  running_server server{limits};
  const raw_client first{server.port}, second{server.port}, third{server.port};
  const raw_client fourth{server.port};
  CHECK_THAT(fourth.rest(), Catch::StartsWith("HTTP/1.1 503 ") && Catch::Contains("too many connections"));
  first.send("GET / HTTP/1.1\r\nConnection: close\r\n\r\n");
  CHECK_THAT(first.rest(), Catch::StartsWith("HTTP/1.1 200 "));
  third.send("GET / HTTP/1.1\r\nConnection: close\r\n\r\n");
  CHECK_THAT(third.rest(), Catch::StartsWith("HTTP/1.1 200 "));
}

TEST_CASE("the end waits for no client") {
  bounded_server::limits limits;
  limits.request_time = limits.idle_time = 24h;
  auto server = std::make_unique<running_server>(limits);
  const raw_client idle{server->port}, slow{server->port};
  slow.send("GET /");
  server.reset();
  (void)idle.rest();
  (void)slow.rest();
}

TEST_CASE("a port that is taken is said so") {
  running_server server{{}};
  bounded_server second;
  const auto started = second.start({loopback.address, server.port});
  REQUIRE_FALSE(started);
  CHECK(started.error() ==
        "the API can't listen on 127.0.0.1:" + std::to_string(server.port) + ": Address already in use");
}

} // namespace glocal::node
