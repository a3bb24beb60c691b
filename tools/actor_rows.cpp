#include "tools/actors_view.hpp"

#include <simdjson.h>

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

namespace glocal::cli {

using nlohmann::json;

namespace {

/// node and id: what tells an actor from its successor after a restart.
using identity = std::pair<std::string_view, std::uint64_t>;

template <class Member>
struct named {
  std::string_view name;
  Member member;
};
constexpr named<std::string actor_row::*> texts[] = {{"node", &actor_row::node},
                                                     {"kind", &actor_row::kind},
                                                     {"name", &actor_row::name},
                                                     {"last_error", &actor_row::last_error},
                                                     {"state_brief", &actor_row::state}};
constexpr named<std::uint64_t actor_row::*> wholes[] = {{"id", &actor_row::id},
                                                        {"parent", &actor_row::parent},
                                                        {"mailbox", &actor_row::mailbox},
                                                        {"mailbox_peak", &actor_row::mailbox_peak},
                                                        {"messages_in", &actor_row::messages_in},
                                                        {"messages_out", &actor_row::messages_out},
                                                        {"restarts", &actor_row::restarts}};
constexpr named<double actor_row::*> reals[] = {{"oldest_wait_s", &actor_row::oldest_wait_s},
                                                {"handling_p50_us", &actor_row::handling_p50_us},
                                                {"handling_p99_us", &actor_row::handling_p99_us},
                                                {"age_s", &actor_row::age_s}};

/// nullptr when there is none of that name.
template <class Member, std::size_t Count>
Member find(const named<Member> (&members)[Count], std::string_view name) noexcept {
  for (const auto& each : members)
    if (each.name == name)
      return each.member;
  return nullptr;
}

actor_row row_of(const simdjson::dom::object& actor) {
  actor_row out;
  for (const auto [key, value] : actor) {
    std::string_view text;
    std::uint64_t whole = 0;
    double real = 0;
    if (value.get(text) == simdjson::SUCCESS) {
      if (key == "parent_name")
        out.parent_name = text;
      else if (const auto member = find(texts, key))
        out.*member = text;
      continue;
    }
    if (value.get(whole) == simdjson::SUCCESS)
      if (const auto member = find(wholes, key)) {
        out.*member = whole;
        continue;
      }
    if (value.get(real) != simdjson::SUCCESS)
      continue;
    if (key == "messages_in_per_s")
      out.in_per_s = real;
    else if (key == "messages_out_per_s")
      out.out_per_s = real;
    else if (const auto member = find(reals, key))
      out.*member = real;
  }
  return out;
}

std::optional<double> rate(std::uint64_t before, std::uint64_t now, double seconds) {
  if (seconds <= 0)
    return std::nullopt;
  return (static_cast<double>(now) - static_cast<double>(before)) / seconds;
}

} // namespace

std::optional<actor_rows> parse_actors(std::string_view text, std::vector<std::string>* as_sent) {
  simdjson::dom::parser parser;
  simdjson::dom::object answer;
  if (parser.parse(text.data(), text.size()).get(answer) != simdjson::SUCCESS)
    return std::nullopt;
  actor_rows out;
  simdjson::dom::array actors;
  if (answer["actors"].get(actors) != simdjson::SUCCESS)
    return out;
  out.reserve(actors.size());
  for (const auto element : actors) {
    simdjson::dom::object actor;
    if (element.get(actor) != simdjson::SUCCESS)
      continue;
    out.push_back(row_of(actor));
    if (as_sent != nullptr) {
      out.back().place = as_sent->size();
      as_sent->push_back(simdjson::minify(actor));
    }
  }
  return out;
}

void sort_actors(actor_rows& rows) {
  std::stable_sort(rows.begin(), rows.end(), [](const actor_row& a, const actor_row& b) {
    return std::tie(a.node, a.name) < std::tie(b.node, b.name);
  });
}

void take_rates(const actor_rows& former, actor_rows& now) {
  std::map<identity, const actor_row*> before;
  for (const auto& actor : former)
    before.emplace(identity{actor.node, actor.id}, &actor);
  for (auto& actor : now) {
    const auto found = before.find({actor.node, actor.id});
    const auto* then = found == before.end() ? nullptr : found->second;
    const auto seconds = then == nullptr ? 0 : actor.age_s - then->age_s;
    actor.in_per_s = then == nullptr ? std::nullopt : rate(then->messages_in, actor.messages_in, seconds);
    actor.out_per_s = then == nullptr ? std::nullopt : rate(then->messages_out, actor.messages_out, seconds);
  }
}

std::vector<json> described_actors(const actor_rows& rows, const std::vector<std::string>& as_sent) {
  std::vector<json> out;
  out.reserve(rows.size());
  for (const auto& row : rows) {
    auto& actor = out.emplace_back(json::parse(as_sent.at(row.place)));
    actor["messages_in_per_s"] = row.in_per_s ? json(*row.in_per_s) : json();
    actor["messages_out_per_s"] = row.out_per_s ? json(*row.out_per_s) : json();
  }
  return out;
}

std::string actors_document(const std::vector<std::string>& actors, bool one_line) {
  const std::string_view between = one_line ? "," : ",\n";
  std::string out = one_line ? "{\"actors\":[" : "{\"actors\": [\n";
  std::size_t bytes = 32;
  for (const auto& actor : actors)
    bytes += actor.size() + between.size();
  out.reserve(bytes);
  for (const auto& actor : actors)
    (out += &actor == &actors.front() ? std::string_view{} : between) += actor;
  return out += one_line ? "]}\n" : "\n]}\n";
}

actor_rows busiest_actors(actor_rows actors, std::size_t rows) {
  std::stable_sort(actors.begin(), actors.end(), [](const actor_row& a, const actor_row& b) {
    return std::pair{a.in_per_s.value_or(0), a.mailbox} > std::pair{b.in_per_s.value_or(0), b.mailbox};
  });
  actors.resize(std::min(actors.size(), rows));
  return actors;
}

std::vector<std::string> actor_names(const actor_rows& actors) {
  std::vector<std::string> out;
  out.reserve(actors.size());
  for (const auto& actor : actors)
    out.push_back(actor.name);
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

} // namespace glocal::cli
