#pragma once
// Condenses table `status` into table `digests`: per VNF class the healthy instances, least loaded first, dealt into
// hands of at most class_digest::max_candidates (actors/policy/deal.hpp). This is what edges watch, one hand each, so
// that 10,000 instances do not talk to 1,000 edges.
//
// One per store node; it writes the digests whose key's slot this node owns, about once a second while something
// changes. Locations come from table `instances`. Nothing runs while nothing changes.

#include "actors/model/model.hpp"
#include "actors/store/actor_store.hpp"
#include "runtime/observed.hpp"
#include "store/hash_ring.hpp"

#include <chrono>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace glocal::actors {

struct digest_settings {
  std::shared_ptr<const store::hash_ring> ring;
  /// This node's name in the ring.
  std::string node;
  /// From the first change to the write; what changes meanwhile is in it.
  std::chrono::milliseconds pace{1000};
  /// The first digest of a class is what the first flows wait for, so it is written sooner.
  std::chrono::milliseconds first_pace{50};
};

class digest_actor final : public runtime::observed_actor {
public:
  /// @param client this node's store_client.
  digest_actor(caf::actor_config& config, digest_settings settings, caf::actor client);

  caf::behavior make_behavior() override;
  [[nodiscard]] runtime::state_entries state_summary() const override;

private:
  struct class_state {
    std::map<std::string, model::instance_status> instances; ///< by key in table `status`
    std::vector<std::string> written;                        ///< encoded, by hand; empty before the first write
    std::uint64_t deals = 0;
  };

  void on_status(const store::watch_event& event);
  void on_instance(const store::watch_event& event);
  void mark(const std::string& vnf_class);
  void publish();
  /// Writes the hands that changed, and erases those that are no more.
  void publish(const std::string& vnf_class, class_state& state);
  [[nodiscard]] std::vector<model::class_digest> digests_of(const std::string& vnf_class,
                                                            const class_state& state) const;
  [[nodiscard]] bool ours(const std::string& vnf_class) const;

  const digest_settings settings_;
  actor_store store_;
  std::map<std::string, class_state> classes_;
  std::map<std::string, model::vnf_instance> instances_;
  std::set<std::string> dirty_;
  bool publish_pending_ = false;
  std::uint64_t written_ = 0, failures_ = 0;
};

} // namespace glocal::actors
