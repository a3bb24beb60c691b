#include "tools/glocal_store.hpp"

#include "base/base64.hpp"
#include "base/escape.hpp"
#include "node/launcher/node_client.hpp"
#include "tools/event_reader.hpp"
#include "tools/glocal_answers.hpp"
#include "tools/glocal_clusters.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <iostream>
#include <iterator>
#include <thread>

namespace glocal::cli {

using namespace std::chrono_literals;
using nlohmann::json;
using clock = std::chrono::steady_clock;

namespace {

constexpr auto retry_pause = 100ms;
/// A node says something at least every 10 s.
constexpr auto stream_silence = 25s;

std::chrono::milliseconds milliseconds_of(double seconds) {
  return std::chrono::milliseconds{static_cast<std::int64_t>(seconds * 1e3)};
}

/// Bytes of a field that is text or base64, as answers have it.
std::string bytes_of(const json& row, const char* name) {
  if (const auto& text = at(row, {name}); text.is_string())
    return text.get<std::string>();
  const auto& coded = at(row, {(std::string{name} + "_base64").c_str()});
  return coded.is_string() ? from_base64(coded.get<std::string>()).value_or("") : std::string{};
}

/// As a line shows it.
std::string shown(const std::string& bytes, bool base64) {
  if (base64)
    return to_base64(bytes);
  std::string out;
  append_escaped(out, bytes, escape_quotes::no);
  return out;
}

std::string field(const store_options& options, const char* name) {
  return options.base64 ? std::string{name} + "_base64" : std::string{name};
}

std::string query_of(const store_options& options) {
  return "?table=" + query_value(options.table) + (options.base64 ? "&encoding=base64" : "");
}

json body_of(const store_options& options, const std::string& key) {
  // Text that is no UTF-8 has no form in JSON.
  if (!options.base64 && !is_utf8(key))
    return {{"table", options.table}, {"key_base64", to_base64(key)}};
  return {{"table", options.table}, {field(options, "key"), key}};
}

void print_json(const json& value) {
  std::cout << value.dump(-1, ' ', false, json::error_handler_t::replace) << '\n';
}

int show_written(const store_options& options, const store_nodes::reply& reply) {
  if (reply.status == 409 || reply.status == 412) {
    if (options.format == output::json)
      print_json(reply.body);
    const auto& found = at(reply.body, {"found"});
    complain(cell(at(reply.body, {"error"})) +
             (found.is_object() ? " (version " + cell(at(found, {"version"})) + ")" : ""));
    return failed;
  }
  if (reply.status != 200)
    return complain_of(reply);
  if (options.format == output::json)
    print_json(reply.body);
  else if (const auto& version = at(reply.body, {"version"}); !version.is_null())
    std::cout << "version " << cell(version) << '\n';
  return done;
}

} // namespace

std::optional<store_nodes> store_nodes::find(const store_options& options, int& code) {
  const auto found = find_running(options.cluster);
  if (!found.state) {
    code = found.code;
    return std::nullopt;
  }
  auto nodes = nodes_meant(*found.state, options.node);
  if (!nodes || nodes->empty()) {
    code = usage;
    return std::nullopt;
  }
  return store_nodes{*found.state, std::move(*nodes), options.timeout_s};
}

std::filesystem::path store_nodes::socket() const {
  return socket_of(state_, name());
}

store_nodes::reply store_nodes::call(const std::string& target, const std::optional<std::string>& body, bool is_safe) {
  const auto end = clock::now() + milliseconds_of(timeout_s_);
  reply out;
  for (std::size_t tries = 1;; ++tries) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - clock::now());
    const auto said = node::call_node(socket(), target, body, std::max<std::chrono::milliseconds>(left, 50ms));
    out = {};
    if (said) {
      out.status = said->status;
      out.body = json::parse(said->body, nullptr, false);
      if (!out.body.is_object())
        out.body = {{"error", "node " + name() + " answers with what is no JSON object"}};
      out.unknown = said->status == 504;
      const bool may_repeat = said->status == 503 || (said->status == 504 && is_safe);
      if (!may_repeat)
        return out;
    } else {
      out.unknown = said.error() == node::call_failure::unknown;
      out.failure =
          "node " + name() +
          (out.unknown ? " did not answer: the outcome is unknown" : " can't be reached at " + socket().string());
      if (out.unknown && !is_safe)
        return out;
    }
    next();
    if (was_interrupted() || clock::now() + retry_pause >= end)
      return out;
    if (tries % nodes_.size() == 0)
      std::this_thread::sleep_for(retry_pause);
  }
}

int complain_of(const store_nodes::reply& reply) {
  if (was_interrupted())
    return interrupted;
  complain(reply.status == 0 ? reply.failure : cell(at(reply.body, {"error"})));
  switch (reply.status) {
  case 0:
  case 503:
  case 504: return unreachable;
  case 404: return no_match;
  case 400:
  case 413: return usage;
  default: return failed;
  }
}

int store_get(const store_options& options, const std::string& key, bool raw) {
  int code = done;
  auto nodes = store_nodes::find(options, code);
  if (!nodes)
    return code;
  const auto reply =
      nodes->call("/api/v1/store/get" + query_of(options) + '&' + field(options, "key") + '=' + query_value(key),
                  std::nullopt, true);
  if (reply.status != 200)
    return complain_of(reply);
  if (options.format == output::json) {
    print_json(reply.body);
    return done;
  }
  const auto value = bytes_of(reply.body, "value");
  std::cout << (options.base64 ? to_base64(value) : value);
  if (!raw)
    std::cout << '\n';
  return done;
}

int store_put(const store_options& options, const store_put_options& what) {
  int code = done;
  auto nodes = store_nodes::find(options, code);
  if (!nodes)
    return code;
  auto value = what.value;
  if (value == "-")
    value.assign(std::istreambuf_iterator<char>{std::cin}, {});
  auto body = body_of(options, what.key);
  if (options.base64 && what.value != "-")
    body["value_base64"] = value;
  else if (is_utf8(value))
    body["value"] = value;
  else
    body["value_base64"] = to_base64(value);
  std::string verb = "put";
  if (what.if_absent)
    verb = "put-if-absent";
  if (what.if_revision) {
    verb = "compare-and-set";
    body["expected"] = *what.if_revision;
  }
  return show_written(options, nodes->call("/api/v1/store/" + verb, body.dump(), false));
}

int store_erase(const store_options& options, const std::string& key, std::optional<std::uint64_t> if_revision) {
  int code = done;
  auto nodes = store_nodes::find(options, code);
  if (!nodes)
    return code;
  auto body = body_of(options, key);
  if (if_revision)
    body["expected"] = *if_revision;
  return show_written(options, nodes->call("/api/v1/store/erase", body.dump(), false));
}

int store_scan(const store_options& options, const store_scan_options& what) {
  int code = done;
  auto nodes = store_nodes::find(options, code);
  if (!nodes)
    return code;
  watch_signals();
  constexpr std::size_t page = 1000;
  std::string continuation;
  std::size_t left = what.limit == 0 ? ~std::size_t{0} : what.limit;
  std::size_t seen = 0;
  do {
    const auto target = "/api/v1/store/scan" + query_of(options) + '&' + field(options, "prefix") + '=' +
                        query_value(what.prefix) + "&limit=" + std::to_string(std::min(page, left)) +
                        (continuation.empty() ? "" : "&continuation=" + continuation);
    const auto reply = nodes->call(target, std::nullopt, true);
    if (reply.status != 200)
      return complain_of(reply);
    for (const auto& row : list(at(reply.body, {"entries"}))) {
      ++seen;
      --left;
      if (options.format == output::json) {
        print_json(row);
        continue;
      }
      std::cout << shown(bytes_of(row, "key"), options.base64);
      if (!what.only_keys)
        std::cout << '\t' << cell(at(row, {"version"})) << '\t' << shown(bytes_of(row, "value"), options.base64);
      std::cout << '\n';
    }
    const auto& next = at(reply.body, {"continuation"});
    continuation = next.is_string() ? next.get<std::string>() : std::string{};
    if (!std::cout.flush())
      return failed; // whoever read it has gone: `| head`
    if (was_interrupted())
      return interrupted;
  } while (!continuation.empty() && left > 0);
  return seen > 0 ? done : no_match;
}

namespace {

/// A watch over one stream after the other.
class watching {
public:
  watching(const store_options& options, const store_watch_options& what)
      : options_{options}, what_{what}, id_{what.from}, end_{what.seconds > 0
                                                                 ? clock::now() + milliseconds_of(what.seconds)
                                                                 : clock::time_point::max()} {}

  int run(store_nodes& nodes) {
    auto failing_since = clock::now();
    while (!over()) {
      event_reader reader;
      bool heard = false;
      const auto said = node::stream_node(
          nodes.socket(), target(), stream_silence,
          [&](std::string_view piece) {
            heard = true;
            for (const auto& event : reader.feed(piece))
              if (!show(event))
                return false;
            return !reader.is_broken();
          },
          [&] { return !over(); });
      if (over())
        break;
      if (code_ != done)
        return code_;
      if (heard)
        failing_since = clock::now();
      const bool refused = said && said->status != 200;
      if (refused && said->status != 503) {
        complain(cell(at(json::parse(said->body, nullptr, false), {"error"})));
        return said->status == 400 || said->status == 413 ? usage : failed;
      }
      note("the stream from " + nodes.name() + " ended; going on at another node");
      if (clock::now() - failing_since > milliseconds_of(options_.timeout_s)) {
        complain("no node has given a stream for " + std::to_string(static_cast<int>(options_.timeout_s)) + " s");
        return unreachable;
      }
      nodes.next();
      std::this_thread::sleep_for(retry_pause);
    }
    return was_interrupted() ? interrupted : done;
  }

private:
  [[nodiscard]] bool over() const {
    return was_interrupted() || clock::now() >= end_ || (what_.count > 0 && changes_ >= what_.count);
  }
  [[nodiscard]] std::string target() const {
    return "/api/v1/store/watch" + query_of(options_) +
           (what_.key.empty() ? '&' + field(options_, "prefix") + '=' + query_value(what_.prefix)
                              : '&' + field(options_, "key") + '=' + query_value(what_.key)) +
           (id_.empty() ? "" : "&from=" + query_value(id_));
  }
  void note(const std::string& text) const {
    if (options_.format == output::table)
      std::cerr << "glocal: " << text << '\n';
  }

  /// False ends the stream.
  bool show(const server_event& event) {
    const auto data = json::parse(event.data, nullptr, false);
    const bool change = event.name == "put" || event.name == "erase";
    if (event.name == "compacted" && !what_.from.empty() && id_ == what_.from) {
      complain(cell(at(data, {"error"})));
      code_ = failed;
      return false;
    }
    id_ = event.id;
    if (change)
      ++changes_;
    if (options_.format == output::json) {
      auto line = data.is_object() ? data : json::object();
      line["event"] = event.name;
      if (!event.id.empty() && (event.name == "live" || event.name == "position" || change))
        line["id"] = event.id;
      print_json(line);
    } else if (event.name == "put") {
      std::cout << "put\t" << shown(bytes_of(data, "key"), options_.base64) << '\t' << cell(at(data, {"version"}))
                << '\t' << shown(bytes_of(data, "value"), options_.base64) << '\n';
    } else if (event.name == "erase") {
      std::cout << "erase\t" << shown(bytes_of(data, "key"), options_.base64) << '\n';
    } else if (event.name == "live") {
      note("live: what follows are changes");
    } else if (event.name == "suspect") {
      note("suspect: a store node is silent, so changes may be late");
    } else if (event.name == "resync" || event.name == "compacted") {
      note("resync: changes were missed, the rows follow again");
    } else if (event.name == "lost") {
      note(cell(at(data, {"error"})));
    }
    if (!std::cout.flush()) {
      code_ = failed; // whoever read it has gone: `| head`
      return false;
    }
    return !over();
  }

  const store_options& options_;
  const store_watch_options& what_;
  std::string id_;
  const clock::time_point end_;
  std::size_t changes_ = 0;
  int code_ = done;
};

} // namespace

int store_watch(const store_options& options, const store_watch_options& what) {
  int code = done;
  auto nodes = store_nodes::find(options, code);
  if (!nodes)
    return code;
  watch_signals();
  return watching{options, what}.run(*nodes);
}

} // namespace glocal::cli
