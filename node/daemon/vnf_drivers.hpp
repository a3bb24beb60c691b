#pragma once
// The drivers a glocald has, behind the interface the VNF host uses: a class's `driver` picks one.

#include "actors/edge/vnf_driver.hpp"
#include "node/config.hpp"
#include "node/drivers/netns_driver.hpp"

#include <filesystem>

namespace glocal::node {

class vnf_drivers final : public actors::vnf_driver {
public:
  /// @param config outlives this. @param records where the netns driver records what it owns.
  vnf_drivers(const cluster_config& config, std::filesystem::path records);

  [[nodiscard]] expected<actors::started_vnf, std::string> start(const model::vnf_instance& instance,
                                                                 const model::vnf_class& vnf_class) override;
  [[nodiscard]] expected<void, std::string> stop(const std::string& instance) override;
  [[nodiscard]] bool alive(const std::string& instance) const override { return netns_.alive(instance); }

  /// Stops whatever runs or an earlier process left. @error text for the operator.
  [[nodiscard]] expected<void, std::string> stop_all();

private:
  const cluster_config& config_;
  netns_driver netns_;
};

} // namespace glocal::node
