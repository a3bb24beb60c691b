#pragma once
// The nouns of the system as values: services, VNF classes, instances, paths and flows.
// Their place in the global state is DESIGN section 3's table; their wire form is actors/model/codec.hpp.

#include "actors/policy/settings.hpp"
#include "base/net.hpp"
#include "dataplane/classify/rule.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace glocal::model {

using tenant_id = std::uint32_t;

/// 24-bit NSH service path identifier (RFC 8300 section 2.3). A path owns an even id; the odd one above it is its
/// reverse direction, because both directions of a connection cross the same instances in opposite order.
using path_id = std::uint32_t;

/// What happens to a flow that cannot be decided because the store does not answer.
enum class fallback : std::uint8_t { drop, pass };

/// Whether new flows of a service are decided while the store does not answer (DESIGN section 3, "Partition").
enum class affinity : std::uint8_t {
  /// No: `on_store_loss` speaks. No flow ever has two chains.
  strict,
  /// Yes, on paths known before, and published when the store is back: the first published decision wins, and an edge
  /// whose decision lost moves the flow.
  provisional
};

/// A VNF class: what can be instantiated, in the spirit of an ETSI VNFD.
struct vnf_class {
  std::string name;
  /// Who makes an instance: "netns" (a namespace that forwards, plus `setup`) or "static" (ports already there).
  std::string driver = "netns";
  bool stateful = true;
  /// Shell commands run inside a new instance's namespace, in order; a failing one fails the instantiation.
  std::vector<std::string> setup;
  /// Connections an instance carries well; 0 is unknown.
  std::uint32_t capacity = 0;

  bool operator==(const vnf_class&) const = default;
};

/// One running (or wanted) instance of a class, at one node. Identity (`name`) apart from location (`node`, `rloc`).
struct vnf_instance {
  std::string name;
  std::string vnf_class;
  std::string node;
  ip_address rloc;
  /// Connections it carries well; 0 is unknown.
  std::uint32_t capacity = 0;

  bool operator==(const vnf_instance&) const = default;
};

/// A service: which packets, through which classes, chosen how (an ETSI NSD's forwarding graph, in one record).
struct service {
  std::string name;
  tenant_id tenant = 0;
  /// Higher wins among all services of an edge.
  std::uint32_t priority = 0;
  std::vector<dataplane::rule_match> matches;
  /// VNF classes in the order the initiator's packets cross them.
  std::vector<std::string> chain;
  /// How instances are chosen for a new flow.
  glocal::policy::settings policy;
  fallback on_store_loss = fallback::drop;
  model::affinity affinity = model::affinity::strict;

  bool operator==(const service&) const = default;
};

/// A chain of instances under an id (table `paths`).
struct service_path {
  path_id id = 0;
  std::string service;
  std::vector<std::string> instances;

  bool operator==(const service_path&) const = default;
};

/// The decision for one connection (table `flows`): write-once while the initiator's lease lives.
struct flow_record {
  std::string service;
  /// Edge that decided.
  std::string initiator;
  path_id path = 0;
  /// The tuple as the initiator's first packet had it: the forward direction.
  five_tuple forward;
  tenant_id tenant = 0;

  bool operator==(const flow_record&) const = default;
};

/// Published by an instance's monitor (table `status`): one writer, the higher (incarnation, sequence) wins.
struct instance_status {
  std::string instance;
  std::string vnf_class;
  std::uint64_t incarnation = 0, sequence = 0;
  bool healthy = false;
  std::uint64_t flows = 0;
  std::uint64_t packets = 0, bytes = 0;
  /// Packets per second over the last reporting period.
  double rate_pps = 0;

  bool operator==(const instance_status&) const = default;
};

/// What deciders watch (table `digests`): candidates of one class, least loaded first.
struct class_digest {
  static constexpr std::size_t max_candidates = 64;
  struct candidate {
    std::string instance, node;
    ip_address rloc;
    std::uint64_t flows = 0;
    double rate_pps = 0;
    /// As of its instance; 0 is unknown.
    std::uint32_t capacity = 0;

    bool operator==(const candidate&) const = default;
  };
  std::string vnf_class;
  std::vector<candidate> candidates;
  /// A class with more instances is dealt into hands of at most `max_candidates`: which this is, and of how many.
  std::uint32_t hand = 0, hands = 1;

  bool operator==(const class_digest&) const = default;
};

/// What an edge measured on the way to another (table `links`).
struct link_state {
  std::string from, to;
  /// One way.
  double delay_us = 0;
  /// Share of lost probes, 0 to 1.
  double loss = 0;

  bool operator==(const link_state&) const = default;
};

/// What a LISP site said of an EID in a Map-Register.
struct lisp_registration {
  std::string site;
  /// Who said it: bytes of an xTR-ID, or of an address.
  std::string registrant;
  /// The EID record, as a Map-Reply of it alone (RFC 9301 section 5.4).
  std::string record;
  /// Its locators that are plain addresses.
  std::vector<ip_address> rlocs;
  /// Where it came from, and how it was authenticated: so are Map-Notifies to there.
  ip_address source;
  std::uint64_t nonce = 0;
  std::uint8_t key_id = 0, algorithm = 0;
  bool full_sha1 = false;
  bool proxy_reply = false, merge = false, want_notify = false;

  bool operator==(const lisp_registration&) const = default;
};

/// EID prefix → locator (table `mappings`, the LISP database).
struct eid_mapping {
  tenant_id tenant = 0;
  ip_prefix eid;
  /// Empty for a site that is none of our edges.
  std::string node;
  /// Unspecified when no locator is a plain address.
  ip_address rloc;
  /// Absent on an edge's own.
  std::optional<lisp_registration> registration{};

  bool operator==(const eid_mapping&) const = default;
};

/// An xTR that is to be told of changes of an EID (table `subscriptions`, RFC 9437).
struct lisp_subscription {
  /// Bytes of xTR-ID and Site-ID.
  static constexpr std::size_t xtr_bytes = 24;
  tenant_id tenant = 0;
  ip_prefix eid;
  std::string xtr;
  /// Whose keys authenticate what it is told.
  std::string site;
  ip_address rloc;
  /// Of the last Map-Notify about it.
  std::uint64_t nonce = 0;
  /// The node that tells it.
  std::string server;

  bool operator==(const lisp_subscription&) const = default;
};

} // namespace glocal::model
