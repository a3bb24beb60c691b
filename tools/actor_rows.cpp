#include "tools/actors_view.hpp"

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

namespace glocal::cli {

using nlohmann::json;

namespace {

/// node and id: what tells an actor from its successor after a restart.
using identity = std::pair<std::string_view, std::uint64_t>;

/// Fills rows from {"actors": [{...}, ...]}; what is elsewhere, deeper or of another type passes by.
class row_reader final : public json::json_sax_t {
public:
  [[nodiscard]] actor_rows take() { return std::move(rows_); }
  [[nodiscard]] bool is_object() const noexcept { return is_object_; }

  bool null() override { return value(); }
  bool boolean(bool) override { return value(); }
  bool number_integer(number_integer_t number) override { return real(static_cast<double>(number)); }
  bool number_unsigned(number_unsigned_t number) override {
    if (at_member())
      if (const auto found = find(wholes, key_); found != nullptr)
        row_.*found = number;
    return real(static_cast<double>(number));
  }
  bool number_float(number_float_t number, const string_t&) override { return real(number); }
  bool string(string_t& text) override {
    if (at_member()) {
      if (key_ == "parent_name")
        row_.parent_name = std::move(text);
      else if (const auto found = find(texts, key_); found != nullptr)
        row_.*found = std::move(text);
    }
    return value();
  }
  bool binary(binary_t&) override { return value(); }

  bool start_object(std::size_t) override {
    if (depth_ == 0)
      is_object_ = true;
    if (depth_ == 2 && in_actors_) {
      row_ = {};
      row_.place = place_;
    }
    ++depth_;
    return true;
  }
  bool key(string_t& name) override {
    if (depth_ == 1) {
      in_actors_ = name == "actors";
      // Said twice, the last word counts.
      if (in_actors_) {
        rows_.clear();
        place_ = 0;
      }
    } else if (depth_ == 3)
      key_.swap(name);
    return true;
  }
  bool end_object() override {
    --depth_;
    if (depth_ == 2 && in_actors_)
      rows_.push_back(std::move(row_));
    return value();
  }
  bool start_array(std::size_t) override {
    // An array in the array is an actor as little as a number is.
    is_row_ = depth_ != 2;
    ++depth_;
    return true;
  }
  bool end_array() override {
    --depth_;
    return value();
  }
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception&) override { return false; }

private:
  template <class Member>
  struct named {
    std::string_view name;
    Member member;
  };
  template <class Member, std::size_t Count>
  static Member find(const named<Member> (&members)[Count], std::string_view name) noexcept {
    for (const auto& each : members)
      if (each.name == name)
        return each.member;
    return nullptr;
  }
  static constexpr named<std::string actor_row::*> texts[] = {{"node", &actor_row::node},
                                                              {"kind", &actor_row::kind},
                                                              {"name", &actor_row::name},
                                                              {"last_error", &actor_row::last_error},
                                                              {"state_brief", &actor_row::state}};
  static constexpr named<std::uint64_t actor_row::*> wholes[] = {{"id", &actor_row::id},
                                                                 {"parent", &actor_row::parent},
                                                                 {"mailbox", &actor_row::mailbox},
                                                                 {"mailbox_peak", &actor_row::mailbox_peak},
                                                                 {"messages_in", &actor_row::messages_in},
                                                                 {"messages_out", &actor_row::messages_out},
                                                                 {"restarts", &actor_row::restarts}};
  static constexpr named<double actor_row::*> reals[] = {{"oldest_wait_s", &actor_row::oldest_wait_s},
                                                         {"handling_p50_us", &actor_row::handling_p50_us},
                                                         {"handling_p99_us", &actor_row::handling_p99_us},
                                                         {"age_s", &actor_row::age_s}};

  /// Within an actor, and not in what it has inside.
  [[nodiscard]] bool at_member() const noexcept { return depth_ == 3 && in_actors_ && is_row_; }
  bool real(double number) {
    if (at_member()) {
      if (key_ == "messages_in_per_s")
        row_.in_per_s = number;
      else if (key_ == "messages_out_per_s")
        row_.out_per_s = number;
      else if (const auto found = find(reals, key_); found != nullptr)
        row_.*found = number;
    }
    return value();
  }
  /// A value is over; in the array of actors it had a place.
  bool value() noexcept {
    if (depth_ == 2 && in_actors_) {
      ++place_;
      is_row_ = true;
    }
    return true;
  }

  actor_rows rows_;
  actor_row row_;
  std::string key_;
  std::size_t depth_ = 0, place_ = 0;
  bool is_object_ = false, in_actors_ = false, is_row_ = true;
};

std::optional<double> rate(std::uint64_t before, std::uint64_t now, double seconds) {
  if (seconds <= 0)
    return std::nullopt;
  return (static_cast<double>(now) - static_cast<double>(before)) / seconds;
}

} // namespace

std::optional<actor_rows> parse_actors(std::string_view text) {
  row_reader reader;
  if (!json::sax_parse(text, &reader) || !reader.is_object())
    return std::nullopt;
  return reader.take();
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

json described_actors(const actor_rows& rows, json actors) {
  auto out = json::array();
  for (const auto& row : rows) {
    if (row.place >= actors.size())
      continue;
    auto& actor = actors[row.place];
    actor["messages_in_per_s"] = row.in_per_s ? json(*row.in_per_s) : json();
    actor["messages_out_per_s"] = row.out_per_s ? json(*row.out_per_s) : json();
    out.push_back(std::move(actor));
  }
  return out;
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
