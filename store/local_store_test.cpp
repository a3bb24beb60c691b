#include "store/local_store.hpp"

#include "store/contract_test.hpp"
#include "store/memory_engine.hpp"
#include "store/rocksdb_engine.hpp"
#include "store/temporary_directory_test.hpp"

using namespace glocal;
using namespace glocal::store;
using namespace std::chrono_literals;

namespace {

constexpr slot_id few_slots = 16;

class local_fixture final : public contract_fixture {
public:
  explicit local_fixture(std::unique_ptr<engine> disk) : store_{*local_store::open(std::move(disk), few_slots)} {}
  glocal::store::store& subject() override { return *store_; }
  void run_until_idle() override { store_->run_until_idle(); }
  void advance(std::chrono::milliseconds by) override {
    store_->advance(by);
    store_->run_until_idle();
  }

private:
  std::unique_ptr<local_store> store_;
};

} // namespace

TEST_CASE("local_store over memory keeps the contract of a store") {
  local_fixture fixture{std::make_unique<memory_engine>()};
  check_store_contract(fixture);
}

TEST_CASE("local_store over RocksDB keeps the contract of a store") {
  const temporary_directory directory;
  local_fixture fixture{*open_rocksdb(directory.path(), {"test", few_slots})};
  check_store_contract(fixture);
}

TEST_CASE("what was acknowledged is there after a restart, and leases have their full time again") {
  const auto disk = std::make_shared<memory_disk>();
  revision version = 0;
  {
    local_fixture before{std::make_unique<memory_engine>(disk)};
    contract_probe probe{before};
    REQUIRE_FALSE(probe.grant(7, 10s));
    version = probe.execute(put_op{table::flows, "f", "v", 7})->found->version;
    REQUIRE(probe.execute(put_op{table::paths, "p", "v"})->ok());
    before.advance(9s);
  }
  local_fixture after{std::make_unique<memory_engine>(disk)};
  contract_probe probe{after};
  CHECK(probe.execute(get_op{table::flows, "f"})->found == entry{table::flows, "f", "v", version, 7});
  after.advance(9s);
  CHECK(probe.value(table::flows, "f") == "v");
  after.advance(2s);
  CHECK(probe.value(table::flows, "f").empty());
  CHECK(probe.value(table::paths, "p") == "v");
}

TEST_CASE("a broken disk makes requests fail and never a false acknowledgement") {
  const auto disk = std::make_shared<memory_disk>();
  local_fixture fixture{std::make_unique<memory_engine>(disk)};
  contract_probe probe{fixture};
  REQUIRE(probe.execute(put_op{table::paths, "p", "1"})->ok());
  disk->broken = true;
  CHECK(probe.execute(put_op{table::paths, "p", "2"}).error() == store_error::unavailable);
  CHECK(probe.execute(get_op{table::paths, "p"}).error() == store_error::unavailable);
}
