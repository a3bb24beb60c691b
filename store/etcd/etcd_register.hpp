#pragma once
// A configuration register in etcd: linearizable, and there as long as most of its members are.
//
// A reply that is lost is asked for again within the call's time: the same compare-and-set is sent to the next
// endpoint, and what it finds says whether the first one happened. Only when nobody answers is the outcome unknown.
// Answers of another etcd cluster than the first one heard of are refused: two clusters would be two truths.
// Threading: config_register's; many share one client.

#include "store/etcd/etcd_client.hpp"
#include "store/register.hpp"

#include <memory>
#include <string>

namespace glocal::store {

class etcd_register final : public config_register {
public:
  /// Has a function run in the owner's context, later, in the order of the calls; called on any thread.
  using executor = std::function<void(std::function<void()>)>;

  etcd_register(std::shared_ptr<etcd_client> client, std::string cluster, executor in_owner);
  ~etcd_register() override;

  void get(slot_id slot, read_callback done) override;
  void compare_and_set(slot_id slot, std::uint64_t expected, slot_view wanted, set_callback done) override;
  void watch(watch_callback on_change) override;

private:
  struct shared;
  std::shared_ptr<shared> shared_;
};

} // namespace glocal::store
