#include "actors/model/codec.hpp"

#include "schema/mano.capnp.h"
#include "schema/model.capnp.h"

#include <capnp/message.h>
#include <capnp/serialize.h>

#include <cstring>
#include <limits>

namespace glocal::model {
namespace {

/// A value of a table is at most 256 KiB; reading may visit each word a few times, no more.
constexpr std::uint64_t traversal_limit_words = 4 * ((std::uint64_t{256} << 10) / sizeof(capnp::word));
constexpr int nesting_limit = 8;

/// Thrown and caught inside this file only, beside kj::Exception: the bytes are Cap'n Proto but not one of our values.
struct malformed {};

void write(schema::IpAddress::Builder out, const ip_address& value) {
  out.setOctets(kj::arrayPtr(value.octets.data(), value.is_v4() ? 4 : 16));
}

ip_address read(schema::IpAddress::Reader in) {
  const auto octets = in.getOctets();
  ip_address out;
  if (octets.size() == 16)
    out.family = ip_family::v6;
  else if (octets.size() != 4)
    throw malformed{};
  std::memcpy(out.octets.data(), octets.begin(), octets.size());
  return out;
}

void write(schema::IpPrefix::Builder out, const ip_prefix& value) {
  write(out.initAddress(), value.address);
  out.setLength(value.length);
}

ip_prefix read(schema::IpPrefix::Reader in) {
  const auto address = read(in.getAddress());
  if (in.getLength() > address.bits())
    throw malformed{};
  return ip_prefix::make(address, in.getLength());
}

void write(schema::FiveTuple::Builder out, const five_tuple& value) {
  write(out.initSource(), value.source);
  write(out.initDestination(), value.destination);
  out.setSourcePort(value.source_port);
  out.setDestinationPort(value.destination_port);
  out.setProtocol(value.protocol);
}

five_tuple read(schema::FiveTuple::Reader in) {
  five_tuple out;
  out.source = read(in.getSource());
  out.destination = read(in.getDestination());
  if (out.source.family != out.destination.family)
    throw malformed{};
  out.source_port = in.getSourcePort();
  out.destination_port = in.getDestinationPort();
  out.protocol = in.getProtocol();
  return out;
}

template <class Signed, class T>
Signed any_or(const std::optional<T>& value) {
  return value ? static_cast<Signed>(*value) : Signed{-1};
}

template <class T, class Signed>
std::optional<T> optional_number(Signed value) {
  if (value < 0)
    return std::nullopt;
  if (value > static_cast<Signed>(std::numeric_limits<T>::max()))
    throw malformed{};
  return static_cast<T>(value);
}

void write(schema::RuleMatch::Builder out, const dataplane::rule_match& value) {
  out.setInPort(any_or<std::int32_t>(value.in_port));
  out.setVlan(any_or<std::int32_t>(value.vlan));
  if (value.source)
    write(out.initSource(), *value.source);
  if (value.destination)
    write(out.initDestination(), *value.destination);
  out.setProtocol(any_or<std::int16_t>(value.protocol));
  out.setDscp(any_or<std::int16_t>(value.dscp));
  out.setSourcePortLow(value.source_ports.low);
  out.setSourcePortHigh(value.source_ports.high);
  out.setDestinationPortLow(value.destination_ports.low);
  out.setDestinationPortHigh(value.destination_ports.high);
  out.setTcpFlagsValue(value.tcp_flags_value);
  out.setTcpFlagsMask(value.tcp_flags_mask);
  out.setIcmpType(any_or<std::int16_t>(value.icmp_type));
}

dataplane::rule_match read(schema::RuleMatch::Reader in) {
  dataplane::rule_match out;
  out.in_port = optional_number<dataplane::port_id>(in.getInPort());
  out.vlan = optional_number<std::uint16_t>(in.getVlan());
  if (in.hasSource())
    out.source = read(in.getSource());
  if (in.hasDestination())
    out.destination = read(in.getDestination());
  out.protocol = optional_number<std::uint8_t>(in.getProtocol());
  out.dscp = optional_number<std::uint8_t>(in.getDscp());
  out.source_ports = {in.getSourcePortLow(), in.getSourcePortHigh()};
  out.destination_ports = {in.getDestinationPortLow(), in.getDestinationPortHigh()};
  out.tcp_flags_value = in.getTcpFlagsValue();
  out.tcp_flags_mask = in.getTcpFlagsMask();
  out.icmp_type = optional_number<std::uint8_t>(in.getIcmpType());
  return out;
}

/// With its length, so that a NUL inside does not cut it.
capnp::Text::Reader text(const std::string& value) {
  return {value.c_str(), value.size()};
}

std::string read(capnp::Text::Reader in) {
  return {in.begin(), in.size()};
}

capnp::Data::Reader data(const std::string& value) {
  return {reinterpret_cast<const kj::byte*>(value.data()), value.size()};
}

std::string read(capnp::Data::Reader in) {
  return {reinterpret_cast<const char*>(in.begin()), in.size()};
}

void write(capnp::List<capnp::Text>::Builder out, const std::vector<std::string>& value) {
  for (unsigned i = 0; i < value.size(); ++i)
    out.set(i, text(value[i]));
}

std::vector<std::string> read(capnp::List<capnp::Text>::Reader in) {
  std::vector<std::string> out;
  out.reserve(in.size());
  for (const auto text : in)
    out.push_back(read(text));
  return out;
}

void write(schema::VnfClass::Builder out, const vnf_class& value) {
  out.setName(text(value.name));
  out.setDriver(text(value.driver));
  out.setStateful(value.stateful);
  write(out.initSetup(static_cast<unsigned>(value.setup.size())), value.setup);
  out.setCapacity(value.capacity);
}

vnf_class read(schema::VnfClass::Reader in) {
  return {read(in.getName()), read(in.getDriver()), in.getStateful(), read(in.getSetup()), in.getCapacity()};
}

void write(schema::VnfInstance::Builder out, const vnf_instance& value) {
  out.setName(text(value.name));
  out.setVnfClass(text(value.vnf_class));
  out.setNode(text(value.node));
  write(out.initRloc(), value.rloc);
  out.setCapacity(value.capacity);
}

vnf_instance read(schema::VnfInstance::Reader in) {
  return {read(in.getName()), read(in.getVnfClass()), read(in.getNode()), read(in.getRloc()), in.getCapacity()};
}

void write(schema::PolicyParameters::Builder out, const policy::settings& value) {
  out.setChoices(value.choices);
  out.setSample(value.sample);
  out.setSpreadPercent(value.spread_percent);
  out.setServiceUs(value.service_us);
  out.setSpillPercent(value.spill_percent);
  out.setLatencyWeight(value.latency_weight);
  out.setLoadWeight(value.load_weight);
  out.setLocalityWeight(value.locality_weight);
  auto weights = out.initWeights(static_cast<unsigned>(value.weights.size()));
  for (unsigned i = 0; i < value.weights.size(); ++i) {
    weights[i].setInstance(text(value.weights[i].instance));
    weights[i].setWeight(value.weights[i].weight);
  }
  out.setReuse(static_cast<std::uint8_t>(value.reuse));
  out.setReuseForMs(static_cast<std::uint32_t>(value.reuse_for.count()));
}

policy::settings read(schema::PolicyParameters::Reader in) {
  policy::settings out;
  out.choices = in.getChoices();
  out.sample = in.getSample();
  out.spread_percent = in.getSpreadPercent();
  out.service_us = in.getServiceUs();
  out.spill_percent = in.getSpillPercent();
  out.latency_weight = in.getLatencyWeight();
  out.load_weight = in.getLoadWeight();
  out.locality_weight = in.getLocalityWeight();
  for (const auto weight : in.getWeights())
    out.weights.push_back({read(weight.getInstance()), weight.getWeight()});
  if (in.getReuse() > static_cast<std::uint8_t>(policy::last_similarity))
    throw malformed{};
  out.reuse = static_cast<policy::similarity>(in.getReuse());
  out.reuse_for = std::chrono::milliseconds{in.getReuseForMs()};
  return out;
}

void write(schema::Service::Builder out, const service& value) {
  out.setName(text(value.name));
  out.setTenant(value.tenant);
  out.setPriority(value.priority);
  auto matches = out.initMatches(static_cast<unsigned>(value.matches.size()));
  for (unsigned i = 0; i < value.matches.size(); ++i)
    write(matches[i], value.matches[i]);
  write(out.initChain(static_cast<unsigned>(value.chain.size())), value.chain);
  out.setPolicy(static_cast<std::uint8_t>(value.policy.kind));
  write(out.initPolicyParameters(), value.policy);
  out.setOnStoreLoss(static_cast<std::uint8_t>(value.on_store_loss));
  out.setAffinity(static_cast<std::uint8_t>(value.affinity));
}

service read(schema::Service::Reader in) {
  service out;
  out.name = read(in.getName());
  out.tenant = in.getTenant();
  out.priority = in.getPriority();
  for (const auto match : in.getMatches())
    out.matches.push_back(read(match));
  out.chain = read(in.getChain());
  if (in.getPolicy() > static_cast<std::uint8_t>(policy::last_kind) ||
      in.getOnStoreLoss() > static_cast<std::uint8_t>(fallback::pass) ||
      in.getAffinity() > static_cast<std::uint8_t>(affinity::provisional))
    throw malformed{};
  out.policy = read(in.getPolicyParameters());
  out.policy.kind = static_cast<policy::kind>(in.getPolicy());
  out.on_store_loss = static_cast<fallback>(in.getOnStoreLoss());
  out.affinity = static_cast<affinity>(in.getAffinity());
  return out;
}

void write(schema::ServicePath::Builder out, const service_path& value) {
  out.setId(value.id);
  out.setService(text(value.service));
  write(out.initInstances(static_cast<unsigned>(value.instances.size())), value.instances);
}

service_path read(schema::ServicePath::Reader in) {
  return {in.getId(), read(in.getService()), read(in.getInstances())};
}

void write(schema::FlowRecord::Builder out, const flow_record& value) {
  out.setService(text(value.service));
  out.setInitiator(text(value.initiator));
  out.setPath(value.path);
  write(out.initForward(), value.forward);
  out.setTenant(value.tenant);
}

flow_record read(schema::FlowRecord::Reader in) {
  return {read(in.getService()), read(in.getInitiator()), in.getPath(), read(in.getForward()), in.getTenant()};
}

void write(schema::InstanceStatus::Builder out, const instance_status& value) {
  out.setInstance(text(value.instance));
  out.setVnfClass(text(value.vnf_class));
  out.setIncarnation(value.incarnation);
  out.setSequence(value.sequence);
  out.setHealthy(value.healthy);
  out.setFlows(value.flows);
  out.setPackets(value.packets);
  out.setBytes(value.bytes);
  out.setRatePps(value.rate_pps);
}

instance_status read(schema::InstanceStatus::Reader in) {
  return {read(in.getInstance()), read(in.getVnfClass()), in.getIncarnation(), in.getSequence(), in.getHealthy(),
          in.getFlows(),          in.getPackets(),        in.getBytes(),       in.getRatePps()};
}

void write(schema::ClassDigest::Builder out, const class_digest& value) {
  out.setHand(value.hand);
  out.setHands(value.hands);
  out.setVnfClass(text(value.vnf_class));
  auto candidates = out.initCandidates(static_cast<unsigned>(value.candidates.size()));
  for (unsigned i = 0; i < value.candidates.size(); ++i) {
    const auto& candidate = value.candidates[i];
    candidates[i].setInstance(text(candidate.instance));
    candidates[i].setNode(text(candidate.node));
    write(candidates[i].initRloc(), candidate.rloc);
    candidates[i].setFlows(candidate.flows);
    candidates[i].setRatePps(candidate.rate_pps);
    candidates[i].setCapacity(candidate.capacity);
  }
}

class_digest read(schema::ClassDigest::Reader in) {
  class_digest out;
  out.vnf_class = read(in.getVnfClass());
  out.hand = in.getHand();
  out.hands = in.getHands();
  if (in.getCandidates().size() > class_digest::max_candidates || out.hand >= out.hands)
    throw malformed{};
  for (const auto candidate : in.getCandidates())
    out.candidates.push_back({read(candidate.getInstance()), read(candidate.getNode()), read(candidate.getRloc()),
                              candidate.getFlows(), candidate.getRatePps(), candidate.getCapacity()});
  return out;
}

void write(schema::LinkState::Builder out, const link_state& value) {
  out.setFrom(text(value.from));
  out.setTo(text(value.to));
  out.setDelayUs(value.delay_us);
  out.setLoss(value.loss);
}

link_state read(schema::LinkState::Reader in) {
  return {read(in.getFrom()), read(in.getTo()), in.getDelayUs(), in.getLoss()};
}

void write(schema::LispRegistration::Builder out, const lisp_registration& value) {
  out.setSite(text(value.site));
  out.setRegistrant(data(value.registrant));
  out.setRecord(data(value.record));
  auto rlocs = out.initRlocs(static_cast<unsigned>(value.rlocs.size()));
  for (unsigned i = 0; i < value.rlocs.size(); ++i)
    write(rlocs[i], value.rlocs[i]);
  write(out.initSource(), value.source);
  out.setNonce(value.nonce);
  out.setKeyId(value.key_id);
  out.setAlgorithm(value.algorithm);
  out.setFullSha1(value.full_sha1);
  out.setProxyReply(value.proxy_reply);
  out.setMerge(value.merge);
  out.setWantNotify(value.want_notify);
}

lisp_registration read(schema::LispRegistration::Reader in) {
  lisp_registration out;
  out.site = read(in.getSite());
  out.registrant = read(in.getRegistrant());
  out.record = read(in.getRecord());
  for (const auto rloc : in.getRlocs())
    out.rlocs.push_back(read(rloc));
  out.source = read(in.getSource());
  out.nonce = in.getNonce();
  out.key_id = in.getKeyId();
  out.algorithm = in.getAlgorithm();
  out.full_sha1 = in.getFullSha1();
  out.proxy_reply = in.getProxyReply();
  out.merge = in.getMerge();
  out.want_notify = in.getWantNotify();
  return out;
}

void write(schema::EidMapping::Builder out, const eid_mapping& value) {
  out.setTenant(value.tenant);
  write(out.initEid(), value.eid);
  out.setNode(text(value.node));
  write(out.initRloc(), value.rloc);
  if (value.registration)
    write(out.initRegistration(), *value.registration);
}

eid_mapping read(schema::EidMapping::Reader in) {
  eid_mapping out{in.getTenant(), read(in.getEid()), read(in.getNode()), read(in.getRloc())};
  if (in.hasRegistration())
    out.registration = read(in.getRegistration());
  return out;
}

void write(schema::LispSubscription::Builder out, const lisp_subscription& value) {
  out.setTenant(value.tenant);
  write(out.initEid(), value.eid);
  out.setXtr(data(value.xtr));
  out.setSite(text(value.site));
  write(out.initRloc(), value.rloc);
  out.setNonce(value.nonce);
  out.setServer(text(value.server));
}

lisp_subscription read(schema::LispSubscription::Reader in) {
  if (in.getXtr().size() != lisp_subscription::xtr_bytes)
    throw malformed{};
  return {in.getTenant(),     read(in.getEid()), read(in.getXtr()),   read(in.getSite()),
          read(in.getRloc()), in.getNonce(),     read(in.getServer())};
}

void write(schema::InstantiateRequest::Builder out, const instantiate_request& value) {
  write(out.initInstance(), value.instance);
  write(out.initVnfClass(), value.vnf_class);
}

instantiate_request read(schema::InstantiateRequest::Reader in) {
  return {read(in.getInstance()), read(in.getVnfClass())};
}

void write(schema::TerminateRequest::Builder out, const terminate_request& value) {
  out.setInstance(text(value.instance));
}

terminate_request read(schema::TerminateRequest::Reader in) {
  return {read(in.getInstance())};
}

void write(schema::LifecycleReply::Builder out, const lifecycle_reply& value) {
  if (value.done)
    write(out.initDone(), *value.done);
  else
    out.setFailed(text(value.failure));
}

lifecycle_reply read(schema::LifecycleReply::Reader in) {
  if (in.isDone())
    return {read(in.getDone()), {}};
  return {std::nullopt, read(in.getFailed())};
}

template <class Schema, class T>
std::string to_bytes(const T& value) {
  capnp::MallocMessageBuilder message;
  write(message.initRoot<Schema>(), value);
  const auto words = capnp::messageToFlatArray(message);
  const auto chars = words.asChars();
  return {chars.begin(), chars.size()};
}

template <class Schema>
auto from_bytes(std::string_view bytes) -> std::optional<decltype(read(std::declval<typename Schema::Reader>()))> {
  if (bytes.empty() || bytes.size() % sizeof(capnp::word) != 0)
    return std::nullopt;
  // A string's bytes need not lie on a word boundary; Cap'n Proto reads words.
  auto words = kj::heapArray<capnp::word>(bytes.size() / sizeof(capnp::word));
  std::memcpy(words.asBytes().begin(), bytes.data(), bytes.size());
  try {
    capnp::FlatArrayMessageReader message{words, {traversal_limit_words, nesting_limit}};
    if (message.getEnd() != words.end())
      return std::nullopt;
    return read(message.getRoot<Schema>());
  } catch (const kj::Exception&) {
    return std::nullopt;
  } catch (const malformed&) {
    return std::nullopt;
  }
}

} // namespace

#define GLOCAL_MODEL_CODEC(type, schema_type)                                                                          \
  std::string encode(const type& value) {                                                                              \
    return to_bytes<schema::schema_type>(value);                                                                       \
  }                                                                                                                    \
  template <>                                                                                                          \
  std::optional<type> decode<type>(std::string_view bytes) {                                                           \
    return from_bytes<schema::schema_type>(bytes);                                                                     \
  }

GLOCAL_MODEL_CODEC(vnf_class, VnfClass)
GLOCAL_MODEL_CODEC(vnf_instance, VnfInstance)
GLOCAL_MODEL_CODEC(service, Service)
GLOCAL_MODEL_CODEC(service_path, ServicePath)
GLOCAL_MODEL_CODEC(flow_record, FlowRecord)
GLOCAL_MODEL_CODEC(instance_status, InstanceStatus)
GLOCAL_MODEL_CODEC(class_digest, ClassDigest)
GLOCAL_MODEL_CODEC(link_state, LinkState)
GLOCAL_MODEL_CODEC(eid_mapping, EidMapping)
GLOCAL_MODEL_CODEC(lisp_subscription, LispSubscription)
GLOCAL_MODEL_CODEC(instantiate_request, InstantiateRequest)
GLOCAL_MODEL_CODEC(terminate_request, TerminateRequest)
GLOCAL_MODEL_CODEC(lifecycle_reply, LifecycleReply)

#undef GLOCAL_MODEL_CODEC

} // namespace glocal::model
