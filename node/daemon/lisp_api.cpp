#include "node/daemon/lisp_api.hpp"

#include "actors/model/codec.hpp"
#include "actors/model/keys.hpp"
#include "base/secret_file.hpp"
#include "dataplane/lisp/peer_profile.hpp"

#include <nlohmann/json.hpp>

namespace glocal::node {

using nlohmann::json;

namespace {

expected<std::string, std::string> secret_of(const lisp_key_config& key) {
  if (key.secret_file.empty())
    return key.secret;
  auto read = read_small_file(key.secret_file, secrecy::secret);
  if (!read)
    return unexpected{to_string(read.error())};
  // An editor's last newline is not part of it.
  while (!read->empty() && (read->back() == '\n' || read->back() == '\r'))
    read->pop_back();
  if (read->empty())
    return unexpected{key.secret_file + ": no secret in it; write one line"};
  return std::move(*read);
}

lisp::proxy_rule rule_of(lisp_proxy rule) {
  switch (rule) {
  case lisp_proxy::as_asked: return lisp::proxy_rule::as_asked;
  case lisp_proxy::always: return lisp::proxy_rule::always;
  case lisp_proxy::never: return lisp::proxy_rule::never;
  }
  return lisp::proxy_rule::as_asked;
}

/// An xTR-ID, or the address that stands for one.
std::string registrant_text(const std::string& octets) {
  std::string out;
  for (const unsigned char octet : octets) {
    constexpr std::string_view digits = "0123456789abcdef";
    out += digits[octet >> 4];
    out += digits[octet & 15];
  }
  return out;
}

} // namespace

expected<lisp::map_server_settings, std::string> lisp_settings_of(const cluster_config& config, const std::string& node,
                                                                  std::uint64_t seed) {
  lisp::map_server_settings out;
  out.node = node;
  out.seed = seed;
  out.limits = {config.lisp.per_source, config.lisp.per_eid};
  out.registration_lifetime = config.lisp.registration_lifetime;
  for (const auto& written : config.lisp.sites) {
    lisp::site site;
    site.name = written.name;
    site.instance_id = written.tenant;
    site.prefixes = written.prefixes;
    site.accept_more_specifics = written.accept_more_specifics;
    site.proxy = rule_of(written.proxy);
    site.replay = written.increasing_nonce ? lisp::replay_rule::increasing : lisp::replay_rule::none;
    site.profile = lisp::find_profile(written.profile);
    site.site_id = written.site_id;
    for (const auto& key : written.keys) {
      auto secret = secret_of(key);
      if (!secret)
        return unexpected{"the key of LISP site " + written.name + ": " + secret.error()};
      lisp::site_key made{key.id, std::move(*secret), {}};
      for (const auto algorithm : key.algorithms)
        made.algorithms.set(algorithm);
      site.keys.push_back(std::move(made));
    }
    out.sites.push_back(std::move(site));
  }
  return out;
}

json registrations_json(const std::vector<store::entry>& mappings) {
  json rows = json::array();
  for (const auto& entry : mappings) {
    const auto mapping = model::decode<model::eid_mapping>(entry.value);
    if (!mapping)
      continue;
    json row{{"tenant", mapping->tenant}, {"eid", to_string(mapping->eid)}, {"version", entry.version}};
    if (const auto& registered = mapping->registration) {
      const auto record = lisp::unpack_record(registered->record);
      row["site"] = registered->site;
      row["registrant"] = registrant_text(registered->registrant);
      row["source"] = to_string(registered->source);
      row["proxy_reply"] = registered->proxy_reply;
      row["merge"] = registered->merge;
      row["ttl_minutes"] = record ? json(record->ttl_minutes) : json();
      json locators = json::array();
      if (record)
        for (const auto& one : record->locators)
          locators.push_back({{"rloc", lisp::to_string(one.rloc)}, {"priority", one.priority}, {"weight", one.weight}});
      row["locators"] = std::move(locators);
    } else {
      row["node"] = mapping->node;
      row["locators"] = json::array({{{"rloc", to_string(mapping->rloc)}, {"priority", 1}, {"weight", 100}}});
    }
    rows.push_back(std::move(row));
  }
  return {{"registrations", std::move(rows)}};
}

json subscribers_json(const std::vector<store::entry>& subscriptions) {
  json rows = json::array(), servers = json::array();
  for (const auto& entry : subscriptions) {
    if (entry.key.starts_with(model::keys::all_lisp_servers)) {
      servers.push_back(entry.key.substr(model::keys::all_lisp_servers.size()));
      continue;
    }
    if (const auto one = model::decode<model::lisp_subscription>(entry.value))
      rows.push_back({{"tenant", one->tenant},
                      {"eid", to_string(one->eid)},
                      {"xtr", registrant_text(one->xtr)},
                      {"site", one->site},
                      {"rloc", to_string(one->rloc)},
                      {"nonce", one->nonce},
                      {"server", one->server}});
  }
  return {{"subscribers", std::move(rows)}, {"servers", std::move(servers)}};
}

expected<store::operation, std::string> mapping_operation(const json& body) {
  constexpr std::uint32_t greatest_instance = 0xffffff, ttl_minutes = 10;
  constexpr std::size_t most_locators = 32;
  model::eid_mapping mapping;
  const auto eid = parse_prefix(body.value("eid", ""));
  if (!eid)
    return unexpected{"'" + body.value("eid", "") + "' is no prefix; write for example 192.168.9.0/24"};
  mapping.eid = *eid;
  mapping.tenant = body.value("tenant", std::uint32_t{0});
  if (mapping.tenant > greatest_instance)
    return unexpected{std::string{"an instance id has 24 bits"}};
  auto key = model::keys::mapping(mapping.tenant, mapping.eid);
  const auto rlocs = body.value("rlocs", std::vector<std::string>{});
  if (rlocs.empty())
    return store::operation{store::erase_op{store::table::mappings, std::move(key), {}}};
  if (rlocs.size() > most_locators)
    return unexpected{std::string{"more than 32 locators"}};
  auto& registered = mapping.registration.emplace();
  // No site has a name with a blank.
  registered.site = "(operator)";
  registered.proxy_reply = true;
  lisp::mapping_record record;
  record.ttl_minutes = ttl_minutes;
  record.eid = lisp::make_eid(mapping.eid, mapping.tenant);
  for (const auto& text : rlocs) {
    const auto rloc = parse_ip(text);
    if (!rloc || rloc->is_unspecified() || rloc->is_multicast())
      return unexpected{"'" + text + "' is no locator's address"};
    lisp::locator one;
    one.priority = static_cast<std::uint8_t>(record.locators.size() + 1);
    one.weight = 100;
    one.reachable = true;
    one.rloc = *rloc;
    record.locators.push_back(one);
    registered.rlocs.push_back(*rloc);
  }
  mapping.rloc = registered.rlocs.front();
  registered.record = lisp::pack_record(record);
  return store::operation{store::put_op{store::table::mappings, std::move(key), model::encode(mapping), 0}};
}

json requesters_json(const actors::lisp_requesters& requesters) {
  json rows = json::array();
  for (const auto& one : requesters.rows)
    rows.push_back({{"eid", one.eid}, {"rloc", one.rloc}, {"own_eid", one.own_eid}, {"left_s", one.left.count()}});
  return {{"requesters", std::move(rows)}, {"total", requesters.total}};
}

} // namespace glocal::node
