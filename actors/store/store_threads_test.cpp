// The store as a node runs it: threads, detached disks, RocksDB.

#include "actors/store/actor_store.hpp"
#include "actors/store/process_register.hpp"
#include "actors/store/store_client.hpp"
#include "actors/store/store_node.hpp"
#include "runtime/in_memory_network.hpp"
#include "runtime/system.hpp"
#include "store/rocksdb_engine.hpp"
#include "store/temporary_directory_test.hpp"

#include <catch2/catch.hpp>

#include <future>
#include <memory>

using namespace glocal;
using namespace glocal::actors;
using namespace std::chrono_literals;
using store::table;

namespace {

constexpr store::slot_id slots = 16;
constexpr int writes = 500;

/// Puts `writes` keys one call each, all at once, and says how many of them succeeded; or counts what a scan finds.
class worker final : public runtime::observed_actor {
public:
  worker(caf::actor_config& config, caf::actor client, std::promise<int>& done)
      : runtime::observed_actor{config, "worker", "worker"}, store_{*this, std::move(client), {.deadline = 20s}},
        done_{done} {}

  caf::behavior make_behavior() override {
    return caf::message_handler{
        [this](caf::put_atom) {
          for (int i = 0; i < writes; ++i)
            store_.put(table::paths, "key" + std::to_string(i), "value", 0, [this](const auto& result) {
              succeeded_ += result && result->ok();
              if (++answered_ == writes)
                done_.set_value(succeeded_);
            });
        },
        [this](caf::get_atom) {
          store_.scan(table::paths, "key", 0, "", [this](const auto& page) {
            done_.set_value(page ? static_cast<int>(page->entries.size()) : -1);
          });
        },
    }
        .or_else(store_.handler());
  }

private:
  actor_store store_;
  std::promise<int>& done_;
  int answered_ = 0, succeeded_ = 0;
};

/// One process of one store node: starts it over `directory`, lets a worker do one thing, stops everything.
template <class What>
int live_once(const std::filesystem::path& directory, const std::shared_ptr<process_register::values>& registers,
              What what, runtime::state_entries* disk_state = nullptr) {
  auto engine = store::open_rocksdb(directory / "state", {"test", slots});
  REQUIRE(engine);
  runtime::system_config config{{.node = "s1"}};
  caf::actor_system system{config};
  runtime::in_memory_network network;
  const auto directory_of_actors = std::make_shared<runtime::directory>();
  auto transport = network.spawn_router(system, {"s1", "test", 1}, directory_of_actors);
  const auto ring = std::make_shared<const store::hash_ring>(*store::hash_ring::make({{"s1", ""}}, slots));

  store_node_settings node_settings;
  node_settings.ring = ring;
  node_settings.config_register = process_register::factory(registers);
  store_storage storage;
  storage.engine = std::move(*engine);
  storage.slot_count = slots;
  storage.open_log = [directory] { return store::open_log_directory(directory / "log"); };
  auto node = system.spawn<store_node>(node_settings, transport, storage);
  directory_of_actors->add(std::string{store_node_name}, node);
  store_client_settings client_settings;
  client_settings.ring = ring;
  auto client = system.spawn<store_client>(client_settings, transport);
  directory_of_actors->add(std::string{store_client_name}, client);

  std::promise<int> done;
  auto result = done.get_future();
  auto user = system.spawn<worker>(client, done);
  caf::anon_send(user, what);
  const bool finished = result.wait_for(60s) == std::future_status::ready;
  if (disk_state != nullptr) {
    config.observatory().refresh();
    // The disk answers between two messages; asking the node's actors in turn is as good as waiting.
    for (int i = 0; i < 10'000 && disk_state->empty(); ++i) {
      for (const auto& record : config.observatory().snapshot())
        if (record.kind == "store log")
          *disk_state = record.state;
      std::this_thread::yield();
    }
  }
  directory_of_actors->clear();
  for (auto* actor : {&user, &client, &node, &transport.router}) {
    CHECK(runtime::stop_and_wait(system, *actor, 10s));
    *actor = {};
  }
  REQUIRE(finished);
  return result.get();
}

} // namespace

TEST_CASE("what is acknowledged under load is on disk after a restart, with fewer syncs than writes") {
  const store::temporary_directory directory;
  // One node asks it, one after the other of its lives.
  const auto registers = std::make_shared<process_register::values>();
  runtime::state_entries disk;
  CHECK(live_once(directory.path(), registers, caf::put_atom::value, &disk) == writes);
  for (const auto& [name, value] : disk)
    if (name == "syncs") {
      CHECK(std::stoi(value) > 0);
      CHECK(std::stoi(value) < writes);
    }
  CHECK(live_once(directory.path(), registers, caf::get_atom::value) == writes);
}
