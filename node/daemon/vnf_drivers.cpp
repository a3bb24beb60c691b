#include "node/daemon/vnf_drivers.hpp"

namespace glocal::node {
namespace {

dataplane::port_config arm_port(const std::string& instance, const vnf_arm& arm, bool out, std::uint16_t mtu) {
  dataplane::port_config port;
  port.name = instance + (out ? ".out" : ".in");
  port.kind = out ? dataplane::port_kind::vnf_out : dataplane::port_kind::vnf_in;
  port.device = "af_packet:" + arm.interface;
  port.mac = arm.edge_mac;
  // The arm's subnet is a /30 of the two addresses.
  port.addresses = {{arm.edge_address, 30}};
  port.peer_v4 = arm.vnf_address;
  port.mtu = mtu;
  return port;
}

} // namespace

vnf_drivers::vnf_drivers(const cluster_config& config, std::filesystem::path records)
    : config_{config}, netns_{std::move(records)} {}

expected<actors::started_vnf, std::string> vnf_drivers::start(const model::vnf_instance& instance,
                                                              const model::vnf_class& vnf_class) {
  if (vnf_class.driver != "netns")
    return unexpected{"class " + vnf_class.name + " asks for driver '" + vnf_class.driver + "'; this node has: netns"};
  if (config_.find_instance(instance.name) == nullptr)
    return unexpected{"instance " + instance.name + " is not in this node's cluster file"};
  const auto interfaces = vnf_arm_interfaces(config_, instance.name);
  instance_spec spec;
  spec.name = instance.name;
  spec.setup = vnf_class.setup;
  spec.in_interface = interfaces.in;
  spec.out_interface = interfaces.out;
  spec.index = instance_index(config_, instance.name);
  spec.mtu = config_.largest_attachment_mtu();
  auto started = netns_.start(spec);
  if (!started)
    return unexpected{started.error().message};
  return actors::started_vnf{arm_port(instance.name, started->in, false, spec.mtu),
                             arm_port(instance.name, started->out, true, spec.mtu)};
}

expected<void, std::string> vnf_drivers::stop(const std::string& instance) {
  auto stopped = netns_.stop(instance);
  if (!stopped)
    return unexpected{stopped.error().message};
  return {};
}

expected<void, std::string> vnf_drivers::stop_all() {
  auto stopped = netns_.stop_all();
  if (!stopped)
    return unexpected{stopped.error().message};
  return {};
}

} // namespace glocal::node
