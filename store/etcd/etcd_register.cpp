#include "store/etcd/etcd_register.hpp"

#include "store/etcd/etcd_codec.hpp"

#include <atomic>
#include <random>
#include <utility>

namespace glocal::store {

/// Outlives the register while calls are under way.
struct etcd_register::shared {
  std::shared_ptr<etcd_client> client;
  std::string cluster, prefix;
  executor in_owner;
  /// Of the owner alone: whether callbacks may still run.
  bool alive = true;
  std::mt19937_64 names{std::uint64_t{std::random_device{}()} << 32 | std::random_device{}()};
  etcd_client::stream_id stream = 0;
  /// The etcd cluster that answered first; 0: none did.
  std::atomic<std::uint64_t> etcd_cluster{0};

  bool is_ours(std::uint64_t id) {
    std::uint64_t first = 0;
    return etcd_cluster.compare_exchange_strong(first, id) || first == id;
  }
};

etcd_register::etcd_register(std::shared_ptr<etcd_client> client, std::string cluster, executor in_owner)
    : shared_{std::make_shared<shared>()} {
  shared_->client = std::move(client);
  shared_->prefix = etcd::prefix_of(cluster);
  shared_->cluster = std::move(cluster);
  shared_->in_owner = std::move(in_owner);
}

etcd_register::~etcd_register() {
  shared_->alive = false;
  if (shared_->stream != 0)
    shared_->client->close(shared_->stream);
  shared_->client.reset(); // its thread holds `shared` in callbacks, and must not be the one that ends it
}

void etcd_register::get(slot_id slot, read_callback done) {
  auto key = etcd::key_of(shared_->cluster, slot);
  auto request = etcd::read_request(key);
  shared_->client->call("/v3/kv/range", std::move(request),
                        [self = shared_, key = std::move(key), done](std::optional<std::string> body) {
                          auto read = body ? etcd::decode_read(*body, key) : std::nullopt;
                          if (body && (!read || !self->is_ours(read->cluster)))
                            return false;
                          self->in_owner([self, read = std::move(read), done] {
                            if (self->alive)
                              done(read ? std::optional{read->value} : std::nullopt);
                          });
                          return true;
                        });
}

void etcd_register::compare_and_set(slot_id slot, std::uint64_t expected, slot_view wanted, set_callback done) {
  auto key = etcd::key_of(shared_->cluster, slot);
  auto value = etcd::encode_view(wanted, std::to_string(shared_->names()));
  auto request = etcd::set_request(key, expected, value);
  shared_->client->call("/v3/kv/txn", std::move(request),
                        [self = shared_, key = std::move(key), value = std::move(value), expected,
                         done](std::optional<std::string> body) {
                          auto set = body ? etcd::decode_set(*body, key, expected, value) : std::nullopt;
                          if (body && (!set || !self->is_ours(set->cluster)))
                            return false;
                          self->in_owner([self, outcome = set ? std::move(set->value) : set_outcome{}, done] {
                            if (self->alive)
                              done(outcome);
                          });
                          return true;
                        });
}

void etcd_register::watch(watch_callback on_change) {
  if (shared_->stream != 0)
    shared_->client->close(shared_->stream);
  // Of the client's thread alone.
  const auto next = std::make_shared<std::uint64_t>(0);
  const auto callback = std::make_shared<watch_callback>(std::move(on_change));
  shared_->stream = shared_->client->stream(
      "/v3/watch", [self = shared_, next] { return etcd::watch_request(self->prefix, *next); },
      [self = shared_, next, callback](std::string_view line) {
        auto heard = etcd::decode_watch(line, self->prefix);
        if (!heard || !self->is_ours(heard->cluster))
          return false;
        *next = heard->value.next;
        if (!heard->value.changes.empty())
          self->in_owner([self, callback, changes = std::move(heard->value.changes)] {
            for (const auto& [slot, value] : changes)
              if (self->alive)
                (*callback)(slot, value);
          });
        return *next != 0;
      });
}

} // namespace glocal::store
