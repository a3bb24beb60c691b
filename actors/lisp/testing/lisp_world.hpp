#pragma once
// Map-Servers over one store in memory, in virtual time, and what xTRs say to them. For tests.

#include "actors/lisp/store_driver.hpp"
#include "actors/model/codec.hpp"
#include "actors/model/keys.hpp"
#include "store/local_store.hpp"
#include "store/memory_engine.hpp"

#include <deque>
#include <memory>

namespace glocal::lisp::testing {

using namespace std::chrono_literals;

inline ip_address ip(std::string_view text) {
  return parse_ip(text).value();
}
inline ip_prefix prefix(std::string_view text) {
  return parse_prefix(text).value();
}

inline constexpr std::string_view branch_secret = "secret", tenant_secret = "another secret";

/// Sites `branch` (192.168.0.0/16, fd00::/16; OOR), `strict` (198.51.100.0/24 only; increasing nonces), `seven`
/// (instance 7, 172.16.0.0/12) and `modern` (203.0.113.0/24; all we speak).
inline map_server_settings settings_of(std::string node) {
  map_server_settings out;
  out.node = std::move(node);
  out.seed = 1;
  site branch;
  branch.name = "branch";
  branch.prefixes = {prefix("192.168.0.0/16"), prefix("fd00::/16")};
  branch.accept_more_specifics = true;
  branch.keys = {{0, std::string{branch_secret}}};
  branch.profile = &oor_profile();
  site strict;
  strict.name = "strict";
  strict.prefixes = {prefix("198.51.100.0/24")};
  strict.keys = {{3, std::string{branch_secret}, std::bitset<4>{0b1100}}};
  strict.replay = replay_rule::increasing;
  strict.profile = &full_profile();
  site seven;
  seven.name = "seven";
  seven.instance_id = 7;
  seven.prefixes = {prefix("172.16.0.0/12")};
  seven.accept_more_specifics = true;
  seven.keys = {{0, std::string{tenant_secret}}};
  seven.profile = &oor_profile();
  site modern;
  modern.name = "modern";
  modern.prefixes = {prefix("203.0.113.0/24")};
  modern.accept_more_specifics = true;
  modern.keys = {{0, std::string{branch_secret}}};
  modern.profile = &full_profile();
  modern.site_id = 42;
  out.sites = {branch, strict, seven, modern};
  return out;
}

inline locator locator_at(std::string_view rloc, std::uint8_t priority = 1) {
  locator out;
  out.priority = priority;
  out.weight = 100;
  out.local = out.reachable = true;
  out.rloc = ip(rloc);
  return out;
}

inline mapping_record record_of(std::string_view eid, std::vector<locator> locators, std::uint32_t instance = 0) {
  mapping_record out;
  out.ttl_minutes = 10;
  out.authoritative = true;
  out.eid = make_eid(prefix(eid), instance);
  out.locators = std::move(locators);
  return out;
}

/// What OOR sends: full-length HMAC-SHA-1 under key 0.
inline const auth_method oor_method{algorithm::hmac_sha1_96, 0, true};

inline map_register register_of(std::vector<mapping_record> records, std::uint64_t nonce = 1) {
  map_register out;
  out.proxy_reply = out.want_notify = true;
  out.nonce = nonce;
  out.records = std::move(records);
  return out;
}

inline map_request request_for(std::string_view eid, std::string_view itr, std::string_view source_eid = "192.168.1.0",
                               std::uint64_t nonce = 99) {
  map_request out;
  out.nonce = nonce;
  if (!source_eid.empty())
    out.source_eid = ip(source_eid);
  out.itr_rlocs = {ip(itr)};
  const auto wanted = prefix(eid);
  out.records = {{false, make_eid(wanted)}};
  return out;
}

inline bytes encapsulated(const map_request& inner, std::string_view source = "192.168.1.0",
                          std::string_view destination = "192.168.2.0", std::uint16_t port = control_port) {
  encapsulated_message out;
  out.source = ip(source);
  out.destination = ip(destination);
  out.source_port = port;
  out.message = encode(inner).value();
  return encode(out).value();
}

class world {
public:
  struct node {
    std::unique_ptr<map_server> server;
    std::unique_ptr<store_driver> driver;
    std::vector<datagram> sent;
    bool alive = true;
  };

  explicit world(std::vector<std::string> names = {"l1"}) : world{names, [](map_server_settings&) {}} {}
  template <class Change>
  world(std::vector<std::string> names, Change change)
      : table{std::move(store::local_store::open(std::make_unique<store::memory_engine>(), 8).value())} {
    for (const auto& name : names) {
      auto settings = settings_of(name);
      change(settings);
      add(std::move(settings));
    }
  }

  void add(map_server_settings settings) {
    const auto name = settings.node;
    auto& made = *(nodes[name] = std::make_unique<node>());
    made.server = std::make_unique<map_server>(std::move(settings));
    made.driver = std::make_unique<store_driver>(
        *made.server, *table, [this] { return now; },
        [&made](std::vector<datagram>&& datagrams) {
          if (made.alive)
            std::move(datagrams.begin(), datagrams.end(), std::back_inserter(made.sent));
        });
    made.driver->watch();
    // What the actor does: its presence hangs on its lease.
    const auto lease = hash_text(name);
    table->grant_lease(lease, 10s, [](auto) {});
    table->put(store::table::subscriptions, model::keys::lisp_server(name), "", lease, [](auto) {});
    table->run_until_idle();
  }

  /// A datagram reaches `name`; what it leads to is done. @return what the node sent.
  std::vector<datagram> receive(const std::string& name, bytes payload, std::string_view from = "10.0.3.2",
                                std::uint16_t port = control_port, std::string_view local = "10.0.2.2") {
    auto& at = *nodes.at(name);
    effects out;
    at.server->receive({{ip(from), port}, ip(local), std::move(payload)}, now, out);
    at.driver->carry_out(std::move(out));
    table->run_until_idle();
    return std::exchange(at.sent, {});
  }
  std::vector<datagram> receive(bytes payload, std::string_view from = "10.0.3.2") {
    return receive("l1", std::move(payload), from);
  }
  std::vector<datagram> registered(const map_register& message, std::string_view from = "10.0.3.2",
                                   std::string_view secret = branch_secret, const auth_method& method = oor_method,
                                   const std::string& at = "l1") {
    return receive(at, encode_signed(message, secret, method).value(), from);
  }

  /// Time passes in ticks; leases of living nodes are renewed.
  void advance(std::chrono::milliseconds by) {
    for (std::chrono::milliseconds passed{0}; passed < by; passed += 100ms) {
      now += 100ms;
      table->advance(100ms);
      for (auto& [name, one] : nodes) {
        if (!one->alive)
          continue;
        table->renew_lease(hash_text(name), [](auto) {});
        effects out;
        one->server->tick(now, out);
        one->driver->carry_out(std::move(out));
      }
      table->run_until_idle();
    }
  }
  /// As kill -9 does: it says nothing more, and its lease runs out.
  void kill(const std::string& name) {
    nodes.at(name)->alive = false;
    nodes.at(name)->driver->unwatch();
  }

  std::vector<datagram> sent(const std::string& name = "l1") { return std::exchange(nodes.at(name)->sent, {}); }
  [[nodiscard]] map_server& server(const std::string& name = "l1") { return *nodes.at(name)->server; }
  [[nodiscard]] std::uint64_t refused(refusal why, const std::string& name = "l1") {
    return server(name).counters()[why];
  }

  std::unique_ptr<store::local_store> table;
  std::map<std::string, std::unique_ptr<node>> nodes;
  map_server::time_point now{1000s};
};

/// The only datagram, as the message it is; aborts the test otherwise.
template <class Message>
Message only(const std::vector<datagram>& sent) {
  if (sent.size() != 1)
    throw std::runtime_error{std::to_string(sent.size()) + " datagrams instead of one"};
  return std::get<Message>(decode(sent.front().payload).value());
}

} // namespace glocal::lisp::testing
