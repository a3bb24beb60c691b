@0xd1a5f6f0c3b84e21;
# Values of the global state's tables (DESIGN section 3) as they lie in the store and cross nodes.
# Fields are only ever added; their numbers never change meaning.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("glocal::schema");

struct IpAddress {
  # 4 or 16 bytes, network order.
  octets @0 :Data;
}

struct IpPrefix {
  address @0 :IpAddress;
  length @1 :UInt8;
}

struct FiveTuple {
  source @0 :IpAddress;
  destination @1 :IpAddress;
  sourcePort @2 :UInt16;
  destinationPort @3 :UInt16;
  protocol @4 :UInt8;
}

struct RuleMatch {
  # -1 in an optional number means "any".
  inPort @0 :Int32 = -1;
  vlan @1 :Int32 = -1;
  source @2 :IpPrefix;
  destination @3 :IpPrefix;
  protocol @4 :Int16 = -1;
  dscp @5 :Int16 = -1;
  sourcePortLow @6 :UInt16;
  sourcePortHigh @7 :UInt16 = 65535;
  destinationPortLow @8 :UInt16;
  destinationPortHigh @9 :UInt16 = 65535;
  tcpFlagsValue @10 :UInt8;
  tcpFlagsMask @11 :UInt8;
  icmpType @12 :Int16 = -1;
}

struct VnfClass {
  name @0 :Text;
  driver @1 :Text;
  stateful @2 :Bool;
  setup @3 :List(Text);
  capacity @4 :UInt32;
}

struct VnfInstance {
  name @0 :Text;
  vnfClass @1 :Text;
  node @2 :Text;
  rloc @3 :IpAddress;
  capacity @4 :UInt32;
}

struct Service {
  name @0 :Text;
  tenant @1 :UInt32;
  priority @2 :UInt32;
  matches @3 :List(RuleMatch);
  chain @4 :List(Text);
  policy @5 :UInt8;
  onStoreLoss @6 :UInt8;
  policyParameters @7 :PolicyParameters;
  # Absent: defaults.
  affinity @8 :UInt8;
}

struct PolicyParameters {
  choices @0 :UInt32 = 2;
  sample @1 :UInt32;
  spreadPercent @2 :UInt32 = 5;
  serviceUs @3 :UInt32 = 50;
  spillPercent @4 :UInt32 = 80;
  latencyWeight @5 :UInt32 = 10;
  loadWeight @6 :UInt32 = 10;
  localityWeight @7 :UInt32 = 1;
  weights @8 :List(InstanceWeight);
  reuse @9 :UInt8;
  reuseForMs @10 :UInt32 = 10000;

  struct InstanceWeight {
    instance @0 :Text;
    weight @1 :UInt32;
  }
}

struct ServicePath {
  id @0 :UInt32;
  service @1 :Text;
  instances @2 :List(Text);
}

struct FlowRecord {
  service @0 :Text;
  initiator @1 :Text;
  path @2 :UInt32;
  forward @3 :FiveTuple;
  tenant @4 :UInt32;
}

struct InstanceStatus {
  instance @0 :Text;
  vnfClass @1 :Text;
  incarnation @2 :UInt64;
  sequence @3 :UInt64;
  healthy @4 :Bool;
  flows @5 :UInt64;
  packets @6 :UInt64;
  bytes @7 :UInt64;
  ratePps @8 :Float64;
}

struct ClassDigest {
  vnfClass @0 :Text;
  candidates @1 :List(Candidate);
  hand @2 :UInt32;
  hands @3 :UInt32 = 1;

  struct Candidate {
    instance @0 :Text;
    node @1 :Text;
    rloc @2 :IpAddress;
    flows @3 :UInt64;
    ratePps @4 :Float64;
    capacity @5 :UInt32;
  }
}

struct LinkState {
  from @0 :Text;
  to @1 :Text;
  delayUs @2 :Float64;
  loss @3 :Float64;
}

struct EidMapping {
  eid @0 :IpPrefix;
  node @1 :Text;
  rloc @2 :IpAddress;
  tenant @3 :UInt32;
  registration @4 :LispRegistration;
  # Absent: an edge's own.
}

struct LispRegistration {
  site @0 :Text;
  registrant @1 :Data;
  record @2 :Data;
  rlocs @3 :List(IpAddress);
  source @4 :IpAddress;
  nonce @5 :UInt64;
  keyId @6 :UInt8;
  algorithm @7 :UInt8;
  fullSha1 @8 :Bool;
  proxyReply @9 :Bool;
  merge @10 :Bool;
  wantNotify @11 :Bool;
}

struct LispSubscription {
  tenant @0 :UInt32;
  eid @1 :IpPrefix;
  xtr @2 :Data;
  # xTR-ID and Site-ID, 24 bytes.
  site @3 :Text;
  rloc @4 :IpAddress;
  nonce @5 :UInt64;
  server @6 :Text;
}
