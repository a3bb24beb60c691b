#include "tools/lisp_json.hpp"

#include <algorithm>
#include <cstdio>

namespace glocal::cli {
namespace {

using json = nlohmann::ordered_json;
using namespace lisp;

json names_of(std::initializer_list<std::pair<bool, const char*>> flags) {
  auto out = json::array();
  for (const auto& [set, name] : flags)
    if (set)
      out.push_back(name);
  return out;
}

/// `address` under `name`, with its parts when it has any.
void put_address(json& into, const std::string& name, const address& address) {
  into[name] = to_string(address);
  if (auto fields = lcaf_fields(address); !fields.is_null())
    into[name + "_fields"] = std::move(fields);
}

void put_eid(json& into, const eid_prefix& eid) {
  into["eid"] = to_string(eid);
  if (auto fields = lcaf_fields(eid.eid); !fields.is_null())
    into["eid_fields"] = std::move(fields);
}

json ports(const port_range& range) {
  return json{{"low", range.low}, {"high", range.high}};
}

json entry(const char* name, const address& address) {
  json out;
  put_address(out, name, address);
  return out;
}

json fields(const afi_list& list) {
  auto items = json::array();
  for (const auto& item : list.items)
    items.push_back(entry("address", item));
  return json{{"lcaf", "afi-list"}, {"items", items}};
}
json fields(const instance_address& instance) {
  json out{
      {"lcaf", "instance-id"}, {"instance_id", instance.instance_id}, {"iid_mask_length", instance.iid_mask_length}};
  put_address(out, "address", instance.inner);
  return out;
}
json fields(const application_data& application) {
  json out{{"lcaf", "application-data"},
           {"tos", application.tos},
           {"protocol", protocol_name(application.protocol)},
           {"local_ports", ports(application.local)},
           {"remote_ports", ports(application.remote)}};
  put_address(out, "address", application.inner);
  return out;
}
json fields(const nat_traversal& nat) {
  json out{{"lcaf", "nat-traversal"}, {"map_server_port", nat.map_server_port}, {"etr_port", nat.etr_port}};
  put_address(out, "global_etr", nat.global_etr);
  put_address(out, "map_server", nat.map_server);
  put_address(out, "private_etr", nat.private_etr);
  auto rtrs = json::array();
  for (const auto& rtr : nat.rtrs)
    rtrs.push_back(to_string(rtr));
  out["rtrs"] = rtrs;
  return out;
}
json fields(const explicit_locator_path& path) {
  auto hops = json::array();
  for (const auto& hop : path.hops) {
    auto one = entry("rloc", hop.rloc);
    one["flags"] = names_of({{hop.lookup, "lookup"}, {hop.probe, "probe"}, {hop.strict, "strict"}});
    hops.push_back(std::move(one));
  }
  return json{{"lcaf", "explicit-locator-path"}, {"hops", hops}};
}
json fields(const source_destination& ends) {
  json out{{"lcaf", "source-destination"}};
  put_address(out, "source", ends.source);
  out["source_mask_length"] = ends.source_mask_length;
  put_address(out, "destination", ends.destination);
  out["destination_mask_length"] = ends.destination_mask_length;
  return out;
}
json fields(const replication_list& replication) {
  auto entries = json::array();
  for (const auto& one : replication.entries) {
    auto shown = entry("rloc", one.rloc);
    shown["level"] = one.level;
    entries.push_back(std::move(shown));
  }
  return json{{"lcaf", "replication-list"}, {"entries", entries}};
}
json fields(const vendor_lcaf& vendor) {
  char oui[16];
  std::snprintf(oui, sizeof oui, "%06x", vendor.oui);
  return json{{"lcaf", "vendor"}, {"oui", oui}, {"body", hex_text(vendor.body)}};
}
json fields(const opaque_lcaf& opaque) {
  return json{
      {"lcaf", opaque.type}, {"flags", opaque.flags}, {"reserved2", opaque.reserved2}, {"body", hex_text(opaque.body)}};
}
template <class Kind>
json fields(const boxed<Kind>& box) {
  return fields(*box);
}
template <class Plain>
json fields(const Plain&) {
  return nullptr;
}

std::string algorithm_name(std::uint8_t id) {
  switch (id) {
  case algorithm::none: return "none";
  case algorithm::hmac_sha1_96: return "HMAC-SHA-1-96";
  case algorithm::hmac_sha256_128: return "HMAC-SHA-256-128";
  case algorithm::hmac_sha256_128_hkdf: return "HMAC-SHA-256-128+HKDF-SHA256";
  default: return std::to_string(id);
  }
}

json shown(const authentication& auth) {
  return json{{"key_id", auth.key_id}, {"algorithm", algorithm_name(auth.algorithm_id)}, {"data", hex_text(auth.data)}};
}

json shown(const std::vector<mapping_record>& records) {
  auto out = json::array();
  for (const auto& record : records)
    out.push_back(to_json(record));
  return out;
}

void put_identity(json& into, const std::optional<xtr_identity>& identity) {
  if (!identity)
    return;
  into["xtr_id"] = hex_text(std::as_bytes(std::span{identity->xtr_id}));
  into["site_id"] = nonce_text(identity->site_id);
}

void put(json& out, const map_request& message) {
  out["flags"] = names_of({{message.authoritative, "authoritative"},
                           {message.own_mapping.has_value(), "map-data-present"},
                           {message.probe, "probe"},
                           {message.smr, "smr"},
                           {message.pitr, "pitr"},
                           {message.smr_invoked, "smr-invoked"},
                           {message.identity.has_value(), "xtr-id-present"},
                           {message.local_xtr, "local-xtr"},
                           {message.dont_reply_mapping, "dont-map-reply"}});
  out["nonce"] = nonce_text(message.nonce);
  put_address(out, "source_eid", message.source_eid);
  auto rlocs = json::array();
  for (const auto& rloc : message.itr_rlocs)
    rlocs.push_back(to_string(rloc));
  out["itr_rlocs"] = rlocs;
  auto records = json::array();
  for (const auto& record : message.records) {
    json one;
    put_eid(one, record.eid);
    one["notify"] = record.notify;
    records.push_back(std::move(one));
  }
  out["records"] = records;
  if (message.own_mapping)
    out["own_mapping"] = to_json(*message.own_mapping);
  put_identity(out, message.identity);
}

void put(json& out, const map_reply& message) {
  out["flags"] =
      names_of({{message.probe, "probe"}, {message.echo_nonce, "echo-nonce"}, {!message.security.empty(), "security"}});
  out["nonce"] = nonce_text(message.nonce);
  out["records"] = shown(message.records);
  if (!message.security.empty())
    out["security"] = hex_text(message.security);
}

void put(json& out, const map_register& message) {
  out["flags"] = names_of({{message.proxy_reply, "proxy-reply"},
                           {message.security_capable, "security-capable"},
                           {message.identity.has_value(), "xtr-id-present"},
                           {message.eid_notify, "eid-notify"},
                           {message.use_ttl, "use-ttl"},
                           {message.merge, "merge"},
                           {message.mobile_node, "mobile-node"},
                           {message.want_notify, "want-map-notify"}});
  out["nonce"] = nonce_text(message.nonce);
  out["authentication"] = shown(message.auth);
  out["records"] = shown(message.records);
  put_identity(out, message.identity);
}

void put(json& out, const notification& message) {
  out["flags"] = names_of({{message.identity.has_value(), "xtr-id-present"}});
  out["nonce"] = nonce_text(message.nonce);
  out["authentication"] = shown(message.auth);
  out["records"] = shown(message.records);
  put_identity(out, message.identity);
}

void put(json& out, const info_message& message) {
  out["type"] = message.is_reply ? "Info-Reply" : "Info-Request";
  out["nonce"] = nonce_text(message.nonce);
  out["authentication"] = shown(message.auth);
  out["ttl_minutes"] = message.ttl_minutes;
  put_eid(out, message.eid);
  if (!message.nat.is_none())
    put_address(out, "nat", message.nat);
}

void put(json& out, const encapsulated_message& message) {
  out["flags"] = names_of({{message.ddt_originated, "ddt-originated"},
                           {message.to_etr, "to-etr"},
                           {message.to_map_server, "to-map-server"}});
  out["inner_source"] = to_string(message.source);
  out["inner_source_port"] = message.source_port;
  out["inner_destination"] = to_string(message.destination);
  out["inner_destination_port"] = message.destination_port;
  out["inner_hop_limit"] = message.hop_limit;
  out["inner_checksum"] = !message.odd_checksum ? "right" : *message.odd_checksum == 0 ? "none" : "wrong";
}

bool is_list_of_objects(const json& value) {
  return value.is_array() && !value.empty() && value.front().is_object();
}

std::string scalar_text(const json& value) {
  if (value.is_string())
    return value.get<std::string>();
  if (value.is_boolean())
    return value.get<bool>() ? "yes" : "no";
  return value.dump();
}

std::string line_text(const json& value) {
  if (!value.is_array())
    return scalar_text(value);
  std::string out;
  for (const auto& item : value)
    out += (out.empty() ? "" : ", ") + scalar_text(item);
  return out.empty() ? "-" : out;
}

/// `ttl_minutes` as `ttl minutes`.
std::string label(std::string key) {
  for (auto& c : key)
    if (c == '_')
      c = ' ';
  return key;
}

} // namespace

std::string hex_text(byte_view data, std::size_t most) {
  constexpr const char* digits = "0123456789abcdef";
  std::string out;
  for (const auto byte : data.first(std::min(most, data.size()))) {
    out += digits[std::to_integer<unsigned>(byte) >> 4];
    out += digits[std::to_integer<unsigned>(byte) & 15];
  }
  return out + (data.size() > most ? "..." : "");
}

std::string nonce_text(std::uint64_t nonce) {
  char out[20];
  std::snprintf(out, sizeof out, "0x%016llx", static_cast<unsigned long long>(nonce));
  return out;
}

json lcaf_fields(const address& address) {
  return std::visit([](const auto& one) { return fields(one); }, address.value);
}

json to_json(const mapping_record& record) {
  json out;
  put_eid(out, record.eid);
  out["ttl_minutes"] = record.ttl_minutes;
  out["action"] = lisp::to_string(record.action);
  out["authoritative"] = record.authoritative;
  out["map_version"] = record.map_version;
  auto locators = json::array();
  for (const auto& locator : record.locators) {
    json one;
    put_address(one, "rloc", locator.rloc);
    one["priority"] = locator.priority;
    one["weight"] = locator.weight;
    one["multicast_priority"] = locator.multicast_priority;
    one["multicast_weight"] = locator.multicast_weight;
    one["flags"] = names_of({{locator.local, "local"}, {locator.probed, "probed"}, {locator.reachable, "reachable"}});
    locators.push_back(std::move(one));
  }
  out["locators"] = locators;
  return out;
}

json to_json(const control_message& message) {
  json out{{"type", lisp::to_string(type_of(message))}};
  std::visit([&](const auto& one) { put(out, one); }, message);
  return out;
}

std::string tree_text(const json& object, std::size_t indentation) {
  std::string out;
  const std::string indent(indentation, ' ');
  for (const auto& [key, value] : object.items()) {
    if (value.is_object()) {
      out += indent + label(key) + ":\n" + tree_text(value, indentation + 2);
    } else if (is_list_of_objects(value)) {
      std::size_t number = 0;
      for (const auto& item : value)
        out += indent + label(key) + " " + std::to_string(++number) + ":\n" + tree_text(item, indentation + 2);
    } else {
      out += indent + label(key) + ": " + line_text(value) + "\n";
    }
  }
  return out;
}

} // namespace glocal::cli
