#include "store/read_cache.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <deque>
#include <map>
#include <random>
#include <set>
#include <utility>
#include <vector>

using namespace glocal::store;

namespace {

using event_kind = enum watch_event::kind;

constexpr auto of = table::paths;

entry row(const std::string& key, revision version, std::string value = "v", lease_id lease = 0) {
  return {of, key, std::move(value), version, lease};
}
watch_event put(entry what) {
  const auto at = what.version;
  return {event_kind::put, std::move(what), 0, at};
}
watch_event erased(const std::string& key, revision at) {
  return {event_kind::erase, {of, key, {}, at, 0}, 0, at};
}

struct fixture {
  read_cache cache;

  explicit fixture(const cache_options& options = {4, 1 << 20}) : cache{options} {
    cache.follow(of, {.what = event_kind::live});
  }
  void read(const entry& found) {
    const auto id = cache.begin_read(of, found.key);
    const op_result result{op_code::ok, found};
    cache.end_read(id, &result);
  }
  [[nodiscard]] revision version(const std::string& key) {
    const auto* found = cache.find(of, key);
    return found == nullptr ? 0 : found->version;
  }
};

} // namespace

TEST_CASE_METHOD(fixture, "what was read is found, and follows the watch") {
  CHECK(version("a") == 0);
  read(row("a", 5));
  CHECK(version("a") == 5);
  cache.follow(of, put(row("a", 7, "w")));
  CHECK(cache.find(of, "a")->value == "w");
  cache.follow(of, put(row("a", 6))); // told again
  CHECK(version("a") == 7);
  cache.follow(of, erased("a", 7)); // of what was there before it
  CHECK(version("a") == 7);
  cache.follow(of, erased("a", 8));
  CHECK(version("a") == 0);
  CHECK(cache.size() == 0);
  CHECK(cache.bytes() == 0);
  CHECK(cache.count(of).hits == 4);
  CHECK(cache.count(of).misses == 2);
}

TEST_CASE_METHOD(fixture, "what a watch tells and nobody read takes no room") {
  cache.follow(of, put(row("a", 5)));
  CHECK(cache.size() == 0);
}

TEST_CASE_METHOD(fixture, "a read that its key's change overtakes fills nothing") {
  const op_result old{op_code::ok, row("a", 5)};
  const auto by_put = cache.begin_read(of, "a");
  cache.follow(of, put(row("a", 6)));
  cache.end_read(by_put, &old);
  CHECK(version("a") == 0);
  const auto by_erase = cache.begin_read(of, "a");
  cache.follow(of, erased("a", 7));
  cache.end_read(by_erase, &old);
  CHECK(version("a") == 0);
}

TEST_CASE_METHOD(fixture, "a suspect table gives nothing; a stream that goes on makes it right again") {
  read(row("a", 5));
  cache.follow(of, {.what = event_kind::suspect});
  CHECK(version("a") == 0);
  CHECK(cache.count(of).suspect == 1);
  cache.follow(of, put(row("a", 6)));
  cache.follow(of, {.what = event_kind::live});
  CHECK(version("a") == 6);
}

TEST_CASE_METHOD(fixture, "a table that missed changes begins anew, and other tables do not") {
  read(row("a", 5));
  cache.follow(table::instances, {.what = event_kind::live});
  const auto id = cache.begin_read(table::instances, "i");
  const op_result result{op_code::ok, entry{table::instances, "i", "v", 3, 0}};
  cache.end_read(id, &result);
  cache.follow(of, {.what = event_kind::resync});
  cache.follow(of, {.what = event_kind::live});
  CHECK(version("a") == 0);
  CHECK(cache.find(table::instances, "i") != nullptr);
}

TEST_CASE_METHOD(fixture, "a writer reads what it wrote, whatever the watch has still to tell") {
  read(row("a", 5));
  const put_op write{of, "a", "w"};
  cache.begin_write(write);
  CHECK(version("a") == 0); // a read now is to come behind the write
  const op_result done{op_code::ok, row("a", 7, "w")};
  cache.end_write(write, &done);
  cache.follow(of, put(row("a", 6)));
  CHECK(cache.find(of, "a")->value == "w");

  const erase_op removal{of, "a", {}};
  cache.begin_write(removal);
  const op_result gone{};
  cache.end_write(removal, &gone);
  cache.follow(of, put(row("a", 7, "w")));
  CHECK(version("a") == 0);

  // Whether it happened is not known: nor is what the key has.
  read(row("a", 9));
  cache.begin_write(write);
  cache.end_write(write, nullptr);
  CHECK(version("a") == 0);
}

TEST_CASE_METHOD(fixture, "a lease that is revoked takes its entries along") {
  read(row("a", 5, "v", 42));
  const auto id = cache.begin_read(of, "b");
  cache.forget_all();
  cache.follow(of, put(row("a", 6, "v", 42)));
  CHECK(version("a") == 0);
  const op_result old{op_code::ok, row("b", 4, "v", 42)};
  cache.end_read(id, &old);
  CHECK(version("b") == 0);
}

TEST_CASE_METHOD(fixture, "the least recently used goes first, by number and by bytes") {
  for (const char* key : {"a", "b", "c", "d"})
    read(row(key, 1));
  CHECK(version("a") == 1);
  read(row("e", 1));
  CHECK(cache.size() == 4);
  CHECK(cache.evictions() == 1);
  CHECK(version("b") == 0);
  CHECK(version("a") == 1);

  const auto one = read_cache::cost(row("a", 1, std::string(1000, 'v')));
  fixture narrow{cache_options{100, 2 * one}};
  for (const char* key : {"a", "b", "c"})
    narrow.read(row(key, 1, std::string(1000, 'v')));
  CHECK(narrow.cache.size() == 2);
  CHECK(narrow.version("a") == 0);
  narrow.cache.follow(of, put(row("c", 2, std::string(1001, 'v')))); // what is there grows
  CHECK(narrow.cache.size() == 1);
  narrow.read(row("d", 1, std::string(3000, 'v'))); // larger than all
  CHECK(narrow.cache.bytes() <= 2 * one);
  CHECK(narrow.version("d") == 0);
}

namespace {

/// A store whose reads and writes take their time, a watch that is late, breaks, resumes and resynchronises, and a
/// cache between them and a client; every hit is checked.
class world {
public:
  explicit world(unsigned seed) : random_{seed}, cache_{{3, 3 * read_cache::cost(row("key0", 1, "value 1000"))}} {}

  void step() {
    switch (below(40)) {
    case 0:
    case 1: change(any_key(), below(4) != 0 ? std::optional{below(3)} : std::nullopt); break;
    case 2:
    case 3:
    case 4: deliver(); break;
    case 5:
    case 6: look(any_key()); break;
    case 7: begin_write(); break;
    case 8: execute_one(); break;
    case 9: answer_one(); break;
    case 10: below(4) == 0 ? break_stream() : deliver(); break;
    case 11: connected_ ? revoke() : connect(); break;
    case 12:
    case 13:
    case 14:
    case 15: execute_one(); break;
    case 16:
    case 17:
    case 18:
    case 19: answer_one(); break;
    case 20:
    case 21: deliver(); break;
    default: look(any_key()); break;
    }
    REQUIRE(cache_.size() <= 3);
    REQUIRE(cache_.bytes() <= 3 * read_cache::cost(row("key0", 1, "value 1000")));
  }
  [[nodiscard]] std::uint64_t hits() const { return cache_.count(of).hits; }

private:
  /// Under way at once; with more, hardly a key would be without one.
  static constexpr std::size_t most_calls = 4;
  struct call {
    std::optional<operation> write{};
    std::string key{};
    read_cache::read_id read = 0;
    bool executed = false;
    revision at = 0;
    op_result result{};
  };

  std::size_t below(std::size_t bound) { return static_cast<std::size_t>(random_() % bound); }
  std::string any_key() { return "key" + std::to_string(below(6)); }

  /// At the store: a put under one of some leases, or an erasure.
  revision change(const std::string& key, std::optional<lease_id> lease) {
    if (!lease && !truth_.contains(key))
      return now_;
    ++now_;
    changed_[key].push_back(now_);
    if (lease) {
      truth_[key] = row(key, now_, "value " + std::to_string(now_), *lease);
      written_[now_] = truth_[key];
      history_.push_back(put(truth_[key]));
    } else {
      truth_.erase(key);
      history_.push_back(erased(key, now_));
    }
    return now_;
  }

  void deliver() {
    if (!connected_)
      return;
    if (snapshot_due_)
      return below(8) == 0 ? take_snapshot() : void();
    if (!repair_.empty()) {
      cache_.follow(of, repair_.front());
      live_ = repair_.front().what == event_kind::live;
      snapshot_due_ = repair_.front().what == event_kind::resync;
      repair_.pop_front();
      if (live_)
        delivered_ = next_;
      return;
    }
    if (next_ == history_.size())
      return;
    const auto& event = history_[next_++];
    if (event.what == event_kind::put)
      known_.insert(event.entry.key);
    else
      known_.erase(event.entry.key);
    cache_.follow(of, event);
    delivered_ = next_;
  }
  void break_stream() {
    if (!connected_)
      return;
    connected_ = live_ = snapshot_due_ = false;
    repair_.clear();
    next_ = delivered_;
    cache_.follow(of, {.what = event_kind::suspect});
  }
  void connect() {
    connected_ = true;
    if (below(2) == 0) { // goes on where it broke off
      for (; next_ < history_.size(); ++next_) {
        repair_.push_back(history_[next_]);
        history_[next_].what == event_kind::put ? (void)known_.insert(history_[next_].entry.key)
                                                : (void)known_.erase(history_[next_].entry.key);
      }
      repair_.push_back({.what = event_kind::live});
    } else {
      repair_.push_back({.what = event_kind::resync});
    }
  }
  /// After a resync, some time later.
  void take_snapshot() {
    snapshot_due_ = false;
    for (const auto& [key, there] : truth_)
      repair_.push_back(put(there));
    for (const auto& key : known_)
      if (!truth_.contains(key))
        repair_.push_back(erased(key, now_));
    known_.clear();
    for (const auto& [key, there] : truth_)
      known_.insert(key);
    next_ = history_.size();
    repair_.push_back({.what = event_kind::live});
  }

  void look(const std::string& key) {
    if (const auto* found = cache_.find(of, key))
      return check(*found);
    if (calls_.size() < most_calls)
      calls_.push_back({std::nullopt, key, cache_.begin_read(of, key)});
  }
  void begin_write() {
    if (calls_.size() >= most_calls)
      return;
    const auto key = any_key();
    operation op = put_op{of, key, "", below(3)};
    if (below(3) == 0)
      op = erase_op{of, key, {}};
    cache_.begin_write(op);
    calls_.push_back({op, key});
  }
  void execute_one() {
    if (calls_.empty())
      return;
    auto& one = calls_[below(calls_.size())];
    if (std::exchange(one.executed, true))
      return;
    if (one.write && std::holds_alternative<erase_op>(*one.write)) {
      one.result.code = truth_.contains(one.key) ? op_code::ok : op_code::not_found;
      change(one.key, std::nullopt);
    } else {
      if (one.write)
        change(one.key, lease_of(*one.write));
      const auto there = truth_.find(one.key);
      one.result = there == truth_.end() ? op_result{op_code::not_found, {}} : op_result{op_code::ok, there->second};
    }
    one.at = now_;
  }
  void answer_one() {
    if (calls_.empty())
      return;
    const auto at = calls_.begin() + static_cast<std::ptrdiff_t>(below(calls_.size()));
    const auto one = *at;
    if (!one.executed && below(8) != 0)
      return;
    calls_.erase(at); // not executed: it fails
    const auto* result = one.executed && below(8) != 0 ? &one.result : nullptr;
    if (one.write)
      cache_.end_write(*one.write, result);
    else
      cache_.end_read(one.read, result);
    if (result != nullptr)
      seen_[one.key] = std::max(seen_[one.key], one.at);
  }
  void revoke() {
    if (below(8) != 0)
      return;
    const auto lease = 1 + below(2);
    std::vector<std::string> gone;
    for (const auto& [key, there] : truth_)
      if (there.lease == lease)
        gone.push_back(key);
    for (const auto& key : gone)
      seen_[key] = change(key, std::nullopt);
    cache_.forget_all();
  }

  void check(const entry& found) {
    REQUIRE(live_);
    REQUIRE(written_.at(found.version) == found);
    const auto& changes = changed_.at(found.key);
    const auto next = std::upper_bound(changes.begin(), changes.end(), found.version);
    if (next == changes.end())
      return;
    INFO(found.key << " at " << found.version << ", changed at " << *next);
    REQUIRE(*next > delivered_); // a change has the number of its place in history_, from 1
    REQUIRE(*next > seen_[found.key]);
  }

  std::mt19937 random_;
  read_cache cache_;
  // The store.
  revision now_ = 0;
  std::map<std::string, entry> truth_;
  std::map<revision, entry> written_;
  std::map<std::string, std::vector<revision>> changed_;
  std::vector<watch_event> history_;
  // The watch: what of history_ it has taken, and what was delivered; what repairs it; the keys it knows.
  bool connected_ = false, live_ = false, snapshot_due_ = false;
  std::size_t next_ = 0, delivered_ = 0;
  std::deque<watch_event> repair_;
  std::set<std::string> known_;
  // The client.
  std::vector<call> calls_;
  std::map<std::string, revision> seen_;
};

} // namespace

TEST_CASE("no hit is older than what the watch delivered, or than what its client read or wrote") {
  std::uint64_t hits = 0;
  for (unsigned seed = 0; seed < 300; ++seed) {
    INFO("seed " << seed);
    world one{seed};
    for (int i = 0; i < 3000; ++i)
      one.step();
    hits += one.hits();
  }
  CHECK(hits > 10'000);
}
