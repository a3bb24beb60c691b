#include "tools/event_reader.hpp"

#include <catch2/catch.hpp>

using namespace glocal::cli;

TEST_CASE("events are the same however their stream is cut") {
  const std::string stream = ": hello\n\nevent: put\nid: 7\ndata: {\"a\":1}\n\nevent: live\r\ndata: {}\r\n\r\n"
                             "data: one\ndata:two\n\nevent: nothing\n\nid:\ndata\n\n";
  const std::vector<server_event> expected{
      {"put", "{\"a\":1}", "7"}, {"live", "{}", "7"}, {"", "one\ntwo", "7"}, {"", "", ""}};
  for (std::size_t cut = 1; cut <= stream.size(); ++cut) {
    event_reader reader;
    std::vector<server_event> seen;
    for (std::size_t at = 0; at < stream.size(); at += cut)
      for (auto& event : reader.feed(std::string_view{stream}.substr(at, cut)))
        seen.push_back(std::move(event));
    INFO("pieces of " << cut);
    CHECK(seen == expected);
    CHECK_FALSE(reader.is_broken());
  }
}

TEST_CASE("an event without end breaks the reader, not the reader's memory") {
  event_reader reader;
  const std::string piece(std::size_t{1} << 16, 'x');
  for (int i = 0; i < 64; ++i)
    CHECK(reader.feed(piece).empty());
  CHECK(reader.is_broken());
  CHECK(reader.feed("\n\ndata: late\n\n").empty());
}
