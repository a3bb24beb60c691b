#include "store/etcd/etcd_store.hpp"

#include "store/contract_test.hpp"
#include "tests/etcd/etcd_cluster.hpp"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

using namespace glocal::store;
using glocal::test::etcd_cluster;
using namespace std::chrono_literals;

namespace {

/// A store over real etcd processes; time is real.
class etcd_store_fixture final : public contract_fixture {
public:
  explicit etcd_store_fixture(std::vector<std::string> endpoints, const std::string& cluster = "lab",
                              std::chrono::milliseconds deadline = 30s) {
    etcd_settings client;
    client.endpoints = std::move(endpoints);
    client.stream_time = 600s;
    etcd_store_settings settings;
    settings.cluster = cluster;
    settings.heartbeat_as = "here";
    settings.deadline = deadline;
    store_ = std::make_unique<etcd_store>(std::make_shared<etcd_client>(client), settings,
                                          [this](std::function<void()> what) {
                                            const std::lock_guard lock{mutex_};
                                            due_.push_back(std::move(what));
                                            arrived_.notify_one();
                                          });
  }
  ~etcd_store_fixture() override { store_.reset(); }

  store& subject() override { return *store_; }
  etcd_store& etcd() { return *store_; }

  void run_until(const std::function<bool()>& enough, std::chrono::milliseconds within = 60s) {
    const auto end = std::chrono::steady_clock::now() + within;
    while (!enough()) {
      REQUIRE(std::chrono::steady_clock::now() < end);
      run_for(20ms);
    }
  }
  /// What is due in this time, with its ticks.
  void run_for(std::chrono::milliseconds time) {
    const auto end = std::chrono::steady_clock::now() + time;
    for (;;) {
      if (std::chrono::steady_clock::now() >= next_tick_) {
        next_tick_ = std::chrono::steady_clock::now() + 200ms;
        store_->tick(std::chrono::steady_clock::now());
      }
      std::unique_lock lock{mutex_};
      if (!arrived_.wait_until(lock, std::min(end, next_tick_), [&] { return !due_.empty(); })) {
        if (std::chrono::steady_clock::now() >= end)
          return;
        continue;
      }
      const auto what = std::move(due_.front());
      due_.pop_front();
      lock.unlock();
      what();
    }
  }
  /// A change of a row of its own, asked for last, is heard of last: twice, as a watch that has just begun may be told
  /// in another order than others.
  void run_until_idle() override {
    if (!sentinel_)
      sentinel_ = store_->watch(table::user, "sentinel", [this](const watch_event& event) {
        if (event.what == watch_event::kind::put)
          heard_ = event.entry.value;
      });
    for (int i = 0; i < 2; ++i) {
      const auto mark = std::to_string(++marks_);
      bool put = false;
      store_->put(table::user, "sentinel", mark, 0, [&](const auto& result) { put = result && result->ok(); });
      run_until(
          [&] { return put && heard_ == mark && store_->open_operations() == 0 && store_->watches_not_live() == 0; });
    }
  }
  void advance(std::chrono::milliseconds by) override {
    run_for(by);
    run_until_idle();
  }

private:
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::deque<std::function<void()>> due_;
  std::unique_ptr<etcd_store> store_;
  std::chrono::steady_clock::time_point next_tick_{};
  std::optional<watch_id> sentinel_;
  std::string heard_;
  int marks_ = 0;
};

/// One etcd for all of this file's tests that need no more: a cluster name of its own keeps each apart.
etcd_cluster& one_etcd() {
  static etcd_cluster etcd{1};
  return etcd;
}
std::string new_cluster() {
  static int count = 0;
  return "lab" + std::to_string(++count);
}

} // namespace

TEST_CASE("a store on a real etcd keeps the contract of a store") {
  etcd_store_fixture fixture{one_etcd().endpoints(), new_cluster()};
  check_store_contract(fixture);
}
