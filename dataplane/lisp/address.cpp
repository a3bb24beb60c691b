#include "dataplane/lisp/address.hpp"

namespace glocal::lisp {

bool address::operator==(const address& other) const {
  return value == other.value;
}

address in_instance(std::uint32_t instance_id, address plain) {
  if (instance_id == 0)
    return plain;
  return instance_address{32, instance_id, std::move(plain)};
}

std::uint32_t instance_of(const address& eid) {
  const auto* instance = eid.get_if<instance_address>();
  return instance == nullptr ? 0 : instance->instance_id;
}

const address& without_instance(const address& eid) {
  const auto* instance = eid.get_if<instance_address>();
  return instance == nullptr ? eid : instance->inner;
}

eid_prefix make_eid(const ip_prefix& prefix, std::uint32_t instance_id) {
  return {in_instance(instance_id, prefix.address), prefix.length};
}

std::optional<ip_prefix> ip_prefix_of(const eid_prefix& eid) {
  const auto* ip = without_instance(eid.eid).get_if<ip_address>();
  if (ip == nullptr || eid.mask_length > ip->bits())
    return std::nullopt;
  const auto prefix = ip_prefix::make(*ip, eid.mask_length);
  if (prefix.address != *ip)
    return std::nullopt;
  return prefix;
}

eid_prefix make_flow_eid(const five_tuple& flow, std::uint32_t instance_id) {
  source_destination ends{flow.source.bits(), flow.destination.bits(), flow.source, flow.destination};
  application_data application{0,
                               flow.protocol,
                               {flow.source_port, flow.source_port},
                               {flow.destination_port, flow.destination_port},
                               std::move(ends)};
  return {in_instance(instance_id, std::move(application)), 0};
}

std::optional<five_tuple> flow_of(const eid_prefix& eid) {
  const auto* application = without_instance(eid.eid).get_if<application_data>();
  if (application == nullptr || application->local.low != application->local.high ||
      application->remote.low != application->remote.high)
    return std::nullopt;
  const auto* ends = application->inner.get_if<source_destination>();
  if (ends == nullptr)
    return std::nullopt;
  const auto* source = ends->source.get_if<ip_address>();
  const auto* destination = ends->destination.get_if<ip_address>();
  if (source == nullptr || destination == nullptr || source->family != destination->family ||
      ends->source_mask_length != source->bits() || ends->destination_mask_length != destination->bits())
    return std::nullopt;
  return five_tuple{*source, *destination, application->local.low, application->remote.low, application->protocol};
}

namespace {

std::string shown_list(const std::vector<address>& all, const char* between) {
  std::string out;
  for (const auto& one : all)
    out += (out.empty() ? "" : between) + to_string(one);
  return out;
}

std::string shown_ports(const port_range& range) {
  if (range.low == 0 && range.high == 0xffff)
    return "*";
  return std::to_string(range.low) + (range.low == range.high ? "" : "-" + std::to_string(range.high));
}

std::string shown(const no_address&) {
  return "-";
}
std::string shown(const ip_address& ip) {
  return to_string(ip);
}
std::string shown(const mac_address& mac) {
  return to_string(mac);
}
std::string shown(const distinguished_name& name) {
  return "'" + name.text + "'";
}
std::string shown(const afi_list& list) {
  return "(" + shown_list(list.items, ", ") + ")";
}
std::string shown(const instance_address& instance) {
  return "[" + std::to_string(instance.instance_id) + "]" + to_string(instance.inner);
}
std::string shown(const application_data& application) {
  if (const auto flow = flow_of({application, 0}))
    return to_string(*flow);
  return protocol_name(application.protocol) + " ports " + shown_ports(application.local) + " > " +
         shown_ports(application.remote) + " of " + to_string(application.inner);
}
std::string shown(const nat_traversal& nat) {
  return "NAT: ETR " + to_string(nat.private_etr) + " seen as " + to_string(nat.global_etr) + ":" +
         std::to_string(nat.etr_port) + " by " + to_string(nat.map_server) + ":" + std::to_string(nat.map_server_port) +
         ", RTRs (" + shown_list(nat.rtrs, ", ") + ")";
}
std::string shown(const explicit_locator_path& path) {
  std::string out;
  for (const auto& hop : path.hops)
    out += (out.empty() ? "" : " > ") + to_string(hop.rloc) + (hop.strict ? "!" : "") + (hop.probe ? "?" : "") +
           (hop.lookup ? "*" : "");
  return "path (" + out + ")";
}
std::string shown(const source_destination& ends) {
  return to_string(ends.source) + "/" + std::to_string(ends.source_mask_length) + " > " + to_string(ends.destination) +
         "/" + std::to_string(ends.destination_mask_length);
}
std::string shown(const replication_list& replication) {
  std::string out;
  for (const auto& entry : replication.entries)
    out += (out.empty() ? "" : ", ") + to_string(entry.rloc) + " at level " + std::to_string(entry.level);
  return "replicated to (" + out + ")";
}
std::string shown(const vendor_lcaf& vendor) {
  return "vendor " + std::to_string(vendor.oui) + " (" + std::to_string(vendor.body.size()) + " B)";
}
std::string shown(const opaque_lcaf& opaque) {
  return "lcaf " + std::to_string(opaque.type) + " (" + std::to_string(opaque.body.size()) + " B)";
}
template <class Kind>
std::string shown(const boxed<Kind>& box) {
  return shown(*box);
}

} // namespace

std::string to_string(const address& address) {
  return std::visit([](const auto& one) { return shown(one); }, address.value);
}

std::string to_string(const eid_prefix& prefix) {
  const bool has_length = without_instance(prefix.eid).get_if<ip_address>() != nullptr;
  return to_string(prefix.eid) + (has_length ? "/" + std::to_string(prefix.mask_length) : "");
}

} // namespace glocal::lisp
