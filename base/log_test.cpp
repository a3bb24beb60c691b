#include "base/escape.hpp"
#include "base/log.hpp"

#include <spdlog/details/log_msg.h>
#include <spdlog/formatter.h>

#include <catch2/catch.hpp>

namespace glocal {
namespace {

/// Within a microsecond of a known moment.
std::string line_of(log_format format, const std::string& text) {
  spdlog::details::log_msg message{spdlog::source_loc{}, "dc1", spdlog::level::info, text};
  message.time = std::chrono::system_clock::time_point{std::chrono::microseconds{1'700'000'000'000'042}};
  spdlog::memory_buf_t out;
  make_log_formatter(format)->format(message, out);
  return {out.data(), out.size()};
}

struct running_actor {
  explicit running_actor(running_actor_source source) { name_running_actors_by(source); }
  ~running_actor() { name_running_actors_by(nullptr); }
};

std::string_view switch_runs() noexcept {
  return "edge/dc1/switch";
}

} // namespace

TEST_CASE("a line of JSON has time, level, node and message, and the actor when there is one") {
  CHECK(line_of(log_format::json, "ready") ==
        "{\"time\":\"2023-11-14T22:13:20.000042Z\",\"level\":\"info\",\"node\":\"dc1\",\"message\":\"ready\"}\n");
  const running_actor runs{switch_runs};
  CHECK_THAT(line_of(log_format::json, "ready"),
             Catch::Contains("\"node\":\"dc1\",\"actor\":\"edge/dc1/switch\",\"message\":\"ready\"}\n"));
}

TEST_CASE("a line of text has them too, and an actor's name once") {
  CHECK_THAT(line_of(log_format::text, "ready"), Catch::EndsWith(".000042 info [dc1] ready\n"));
  const running_actor runs{switch_runs};
  CHECK_THAT(line_of(log_format::text, "ready"), Catch::EndsWith(" info [dc1] edge/dc1/switch: ready\n"));
  CHECK_THAT(line_of(log_format::text, "edge/dc1/switch: ready"),
             Catch::EndsWith(" info [dc1] edge/dc1/switch: ready\n"));
  CHECK_THAT(line_of(log_format::text, "edge/dc1/switches"), Catch::EndsWith("edge/dc1/switch: edge/dc1/switches\n"));
}

TEST_CASE("nothing in a message begins a line, ends a string or is no UTF-8") {
  CHECK_THAT(line_of(log_format::text, "a\nb\x1b[0m \xff \xc3\xa4"),
             Catch::EndsWith("[dc1] a\\nb\\u001b[0m \xef\xbf\xbd \xc3\xa4\n"));
  CHECK_THAT(line_of(log_format::json, "say \"x\" \\ \n\t\xc3"),
             Catch::EndsWith("\"message\":\"say \\\"x\\\" \\\\ \\n\\u0009\xef\xbf\xbd\"}\n"));
}

TEST_CASE("what is no UTF-8 is replaced byte by byte: cut, overlong, surrogate, beyond Unicode") {
  const auto escaped = [](std::string_view text) {
    std::string out;
    append_json_string(out, text);
    return out;
  };
  const std::string no = "\xef\xbf\xbd";
  CHECK(escaped("\xe2\x82\xac \xf0\x9f\x98\x80") == "\"\xe2\x82\xac \xf0\x9f\x98\x80\"");
  CHECK(escaped("\xe2\x82") == '"' + no + no + '"');
  CHECK(escaped("\xc0\xaf") == '"' + no + no + '"');
  CHECK(escaped("\xe0\x80\xaf") == '"' + no + no + no + '"');
  CHECK(escaped("\xed\xa0\x80") == '"' + no + no + no + '"');
  CHECK(escaped("\xf4\x90\x80\x80") == '"' + no + no + no + no + '"');
  CHECK(escaped(std::string_view{"a\0b", 3}) == "\"a\\u0000b\"");
  CHECK(escaped("") == "\"\"");
}

} // namespace glocal
