#include "store/etcd/etcd_register.hpp"

#include "store/register_contract_test.hpp"
#include "tests/etcd/etcd_cluster.hpp"
#include "tests/etcd/liar.hpp"

#include <condition_variable>
#include <deque>
#include <mutex>

using namespace glocal::store;
using glocal::test::etcd_cluster;
using glocal::test::liar;
using namespace std::chrono_literals;
using kind = set_outcome::kind;

namespace {

const member a{"a", 1}, b{"b", 1};

class etcd_fixture final : public register_fixture {
public:
  explicit etcd_fixture(std::vector<std::string> endpoints, const std::string& cluster = "lab",
                        std::chrono::milliseconds deadline = 60s) {
    etcd_settings settings;
    settings.endpoints = std::move(endpoints);
    settings.deadline = deadline;
    register_ = std::make_unique<etcd_register>(std::make_shared<etcd_client>(settings), cluster,
                                                [this](std::function<void()> what) {
                                                  const std::lock_guard lock{mutex_};
                                                  due_.push_back(std::move(what));
                                                  arrived_.notify_one();
                                                });
  }
  ~etcd_fixture() override { register_.reset(); }

  config_register& subject() override { return *register_; }
  void run_until(const std::function<bool()>& enough) override {
    while (!enough()) {
      std::unique_lock lock{mutex_};
      // Only to end a test that hangs; every call has its own, shorter, bound.
      REQUIRE(arrived_.wait_for(lock, 120s, [&] { return !due_.empty(); }));
      const auto what = std::move(due_.front());
      due_.pop_front();
      lock.unlock();
      what();
    }
  }

private:
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::deque<std::function<void()>> due_;
  std::unique_ptr<etcd_register> register_;
};

} // namespace

TEST_CASE("a register in three real etcd processes keeps the contract of a register") {
  etcd_cluster etcd;
  etcd_fixture fixture{etcd.endpoints()};
  check_register_contract(fixture);
}

TEST_CASE("a register outlives any one etcd process, killed or standing still, and not the loss of most") {
  etcd_cluster etcd;
  etcd_fixture fixture{etcd.endpoints()};
  auto value = set_register(fixture, 1, 0, {1, a, {a}}).now;
  const auto go_on = [&] {
    const auto outcome = set_register(fixture, 1, value.version, {value.view.epoch + 1, b, {a, b}});
    REQUIRE(outcome.what == kind::done);
    value = outcome.now;
    CHECK(read_register(fixture, 1) == value);
  };
  for (std::size_t i = 0; i < 3; ++i) {
    INFO("process " << i << " stands still");
    etcd.at(i).stop();
    go_on();
    etcd.at(i).resume();
    go_on();
  }
  etcd.at(0).kill();
  go_on();
  etcd.at(1).stop();
  {
    etcd_fixture hasty{etcd.endpoints(), "lab", 1500ms};
    CHECK_FALSE(read_register(hasty, 1));
    CHECK(set_register(hasty, 1, value.version, {9, a, {a}}).what == kind::unknown);
  }
  etcd.at(1).resume();
  // It may have happened, and may happen yet: only a compare-and-set on the same version is definite.
  const auto now = set_register(fixture, 1, value.version, {10, b, {b}});
  CHECK(now.what != kind::unknown);
  CHECK(now.now.version > value.version);
}

TEST_CASE("a compare-and-set whose reply is lost is found again to be done") {
  etcd_cluster etcd{1};
  etcd_fixture straight{etcd.endpoints()};
  REQUIRE(read_register(straight, 1)); // it is up
  liar loses{etcd.endpoints()[0], [](auto& out) { out.status = 503; }};
  etcd_fixture fixture{{loses.endpoint(), etcd.endpoints()[0]}};
  const auto outcome = set_register(fixture, 1, 0, {1, a, {a}});
  CHECK(loses.asked == 1);
  CHECK(outcome.what == kind::done);
  CHECK(read_register(straight, 1) == outcome.now);
}

TEST_CASE("garbage, too much, and another cluster's answers are refused and the next endpoint asked") {
  etcd_cluster etcd{1}, other{1};
  etcd_fixture straight{etcd.endpoints()}, elsewhere{other.endpoints()};
  const auto truth = set_register(straight, 1, 0, {1, a, {a}}).now;
  REQUIRE(set_register(elsewhere, 1, 0, {1, b, {b}}).what == kind::done);
  const std::function<void(httplib::Response&)> lies[] = {
      [](auto& out) { out.body = "<html>"; }, [](auto& out) { out.body = "{}"; },
      [](auto& out) { out.body.assign(std::size_t{9} << 20, '['); },
      [](auto& out) { out.body = R"({"header":{"cluster_id":"7","revision":"1"},"kvs":[{}]})"; }};
  for (const auto& lie : lies) {
    liar lying{etcd.endpoints()[0], lie};
    etcd_fixture fixture{{lying.endpoint(), etcd.endpoints()[0]}};
    CHECK(read_register(fixture, 1) == truth);
    CHECK(lying.asked == 1);
  }
  // The first read pins the cluster; then its endpoint fails, and the other cluster's is not believed.
  std::atomic<bool> down = false;
  liar front{etcd.endpoints()[0], [&](auto& out) { out.status = down ? 503 : 200; }};
  etcd_fixture fixture{{front.endpoint(), other.endpoints()[0]}, "lab", 1500ms};
  CHECK(read_register(fixture, 1) == truth);
  down = true;
  CHECK_FALSE(read_register(fixture, 1));
}

TEST_CASE("clusters that share an etcd do not share registers") {
  etcd_cluster etcd{1};
  etcd_fixture lab{etcd.endpoints(), "lab"}, field{etcd.endpoints(), "field"};
  REQUIRE(set_register(lab, 1, 0, {1, a, {a}}).what == kind::done);
  CHECK(read_register(field, 1)->version == 0);
}

TEST_CASE("a register may go while its calls are under way") {
  etcd_cluster etcd{1};
  bool called = false;
  {
    etcd_fixture fixture{etcd.endpoints()};
    fixture.subject().get(1, [&](const auto&) { called = true; });
    fixture.subject().watch([&](auto, const auto&) { called = true; });
  }
  CHECK_FALSE(called);
}
