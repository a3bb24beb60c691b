#include "node/process.hpp"

#include <catch2/catch.hpp>

#include <unistd.h>

namespace glocal::node {

using namespace std::chrono_literals;

TEST_CASE("a command's output, errors and status come back") {
  const auto done = run({.argv = {"sh", "-c", "cat; echo oops >&2; exit 3"}, .input = "hello"});
  REQUIRE(done);
  CHECK(done->output == "hello");
  CHECK(done->errors == "oops\n");
  CHECK(done->status == 3);
}

TEST_CASE("arguments reach the program as they are, without a shell") {
  const auto done = run({.argv = {"printf", "%s|", "a b", "$HOME", "'", ""}});
  REQUIRE(done);
  CHECK(done->output == "a b|$HOME|'||");
}

TEST_CASE("a program that does not exist is an error that names it") {
  const auto done = run({.argv = {"no-such-program-here", "x"}});
  REQUIRE_FALSE(done);
  CHECK(done.error().what == process_error::kind::not_started);
  CHECK_THAT(done.error().message, Catch::Contains("no-such-program-here x"));
}

TEST_CASE("a command over its time is killed with its children") {
  const auto done = run({.argv = {"sh", "-c", "echo $$ >&2; sleep 100 & wait"}, .timeout = 200ms});
  REQUIRE_FALSE(done);
  CHECK(done.error().what == process_error::kind::timed_out);
  const auto colon = done.error().message.rfind(": ");
  CHECK_FALSE(identify(std::stoi(done.error().message.substr(colon + 2))));
}

TEST_CASE("a command is done when it exits, whoever still holds its output") {
  const auto before = std::chrono::steady_clock::now();
  const auto done = run({.argv = {"sh", "-c", "sleep 5 & echo $!"}, .timeout = 4s});
  REQUIRE(done);
  CHECK(std::chrono::steady_clock::now() - before < 4s);
  (void)run({.argv = {"kill", done->output.substr(0, done->output.find('\n'))}});
}

TEST_CASE("large output neither blocks the child nor fills memory") {
  const auto done = run({.argv = {"sh", "-c", "head -c 3000000 /dev/zero"}});
  REQUIRE(done);
  CHECK(done->output.size() == max_captured_bytes);
}

TEST_CASE("death by a signal is a status as shells have it") {
  const auto done = run({.argv = {"sh", "-c", "kill -9 $$"}});
  REQUIRE(done);
  CHECK(done->status == 137);
}

TEST_CASE("a checked command's failure carries what it said") {
  const auto done = run_checked({.argv = {"sh", "-c", "echo 'no such thing' >&2; exit 1"}});
  REQUIRE_FALSE(done);
  CHECK_THAT(done.error().message, Catch::EndsWith("status 1: no such thing"));
}

TEST_CASE("a process is identified by pid and start time") {
  const auto self = identify(::getpid());
  REQUIRE(self);
  CHECK(alive(*self));
  CHECK_FALSE(alive({self->pid, self->start_time + 1}));
  CHECK_FALSE(alive({}));
}

} // namespace glocal::node
