// Hostile frames into a configured edge, mixed with answers of its agent, traces, probes and the passing of time.
// Whatever comes: no byte is touched outside its buffer, no buffer is lost (the bench aborts on a leak), and every
// packet that entered was sent, dropped under a reason, or is held.

#include "dataplane/switch/testing/bench.hpp"

#include <cstdlib>
#include <cstring>

using namespace glocal;
using namespace glocal::dataplane;
using namespace glocal::dataplane::testing;

namespace {

constexpr port_id host = 0, under = 1, in_arm = 2, out_arm = 3;

path_program path_of(std::uint32_t id) {
  return {id, {local_hop(in_arm, out_arm), remote_hop("192.0.2.1")}};
}

void configure(bench& it) {
  it.order(add_port{attachment(host, "10.1.0.1/16")});
  it.order(add_port{underlay(under, "192.0.1.1/24", "192.0.1.254")});
  it.order(add_port{arm(in_arm, port_kind::vnf_in, "169.254.1.1/30", "169.254.1.2")});
  it.order(add_port{arm(out_arm, port_kind::vnf_out, "169.254.2.1/30", "169.254.2.2")});
  it.order(set_known_rlocs{{parse_ip("192.0.2.1").value()}});
  it.order(set_classifier{http_service()});
  it.order(set_mappings{
      eid_table::make({local_route("10.1.0.0/16", host), remote_route("0.0.0.0/0", "192.0.2.1")}).value()});
  introduce(it, host, "10.1.0.7", "10.1.0.1");
  introduce(it, under, "192.0.1.254", "192.0.1.1");
}

/// Answers all packet-ins, in a way that depends on `choice`.
void answer(bench& it, std::uint8_t choice) {
  for (const auto& each : it.events()) {
    const auto* asked = std::get_if<packet_in>(&each);
    if (asked == nullptr)
      continue;
    if (choice % 4 == 0)
      it.order(refuse{asked->hold, refuse::verdict::drop, drop_reason::store_unavailable});
    else if (choice % 4 == 1)
      it.order(refuse{asked->hold, refuse::verdict::pass});
    else if (asked->reason == packet_in_reason::path_miss)
      it.order(set_path{path_of(path_of_spi(asked->spi))});
    else {
      it.order(set_path{path_of(100)});
      it.order(install_flow{.tenant = asked->tenant,
                            .forward = choice % 4 == 2 ? asked->tuple : asked->tuple.reversed(),
                            .path = 100,
                            .owner = true,
                            .hold = asked->hold});
    }
  }
}

std::vector<bytes> starting_points() {
  const auto request = packet_builder{}.ip("10.1.0.7", "203.0.113.9").tcp(51514, 80, tcp_flag::syn).build();
  std::vector<bytes> frames{request, packet_builder{}.ip("10.1.0.7", "203.0.113.9").udp(5000, 53).build(),
                            packet_builder{}.ip("2001:db8::7", "2001:db8::9").tcp(1, 80).build(),
                            packet_builder{}.ip("10.1.0.7", "10.1.0.1").echo_request(1).build(),
                            arp_request(host_mac, "10.1.0.7", "10.1.0.1")};
  for (const bool has_nsh : {false, true}) {
    packet_buffer inner{request};
    const auto through = make_tunnel(has_nsh ? lisp_gpe_nsh() : lisp(), parse_ip("192.0.2.1").value(),
                                     parse_ip("192.0.1.1").value(), edge_mac, host_mac, under, 1600);
    if (!encapsulate(inner.view, through, {.spi = has_nsh ? 100u : 0u, .si = 255, .has_nsh = has_nsh}, parsed(request)))
      frames.push_back(inner.frame());
  }
  packet_buffer traced{request};
  const auto through = make_tunnel(lisp_gpe_nsh(), parse_ip("192.0.2.1").value(), parse_ip("192.0.1.1").value(),
                                   edge_mac, host_mac, under, 1600);
  if (!encapsulate(traced.view, through, {.spi = 100, .si = 255, .has_nsh = true, .trace = 7}, parsed(request)))
    frames.push_back(traced.frame());
  return frames;
}

/// Starts a trace, or asks what would become of `frame`.
void trace(bench& it, std::uint8_t operation, std::uint8_t choice, const bytes& frame) {
  if ((operation & 0x8c) == 0x84) {
    trace_session session;
    session.packets = 1 + choice;
    session.until_ns = it.now_ns + 1'000'000'000;
    session.drops_only = (choice & 1) != 0;
    session.anywhere = (choice & 2) != 0;
    it.order(start_trace{session});
  }
  if ((operation & 0x8c) == 0x88 && frame.size() <= max_probe_bytes) {
    const auto held = it.channel.statistics().held_now.value();
    it.order(probe{9, static_cast<port_id>(operation % 4), {frame.begin(), frame.end()}});
    if (it.channel.statistics().held_now.value() != held)
      std::abort();
  }
  std::vector<trace_record> records(64);
  while (it.channel.poll_traces(records) > 0)
    continue;
}

} // namespace

/// Input: steps of {operation, choice, length of frame (16 bits), frame}; the last frame takes what is left.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  auto config = bench::small();
  config.flows = 32;
  bench it{config};
  configure(it);
  const auto& counts = it.channel.statistics();
  std::uint64_t entered = 0;
  while (size >= 4) {
    const auto operation = data[0], choice = data[1];
    const auto length = std::min<std::size_t>(static_cast<std::size_t>(data[2] << 8 | data[3]) % 2048, size - 4);
    bytes frame(length);
    if (length > 0)
      std::memcpy(frame.data(), data + 4, length);
    data += 4 + length;
    size -= 4 + length;
    trace(it, operation, choice, frame);
    ++entered;
    it.receive(operation % 4, frame);
    if (operation & 0x10)
      it.receive(operation % 4, frame), ++entered;
    if (operation & 0x20)
      answer(it, choice);
    if (operation & 0x40)
      it.advance(std::chrono::milliseconds{choice * 8});
    if ((operation & 0x8f) == 0x8f)
      it.order(remove_port{static_cast<port_id>(choice % 4)});
    (void)it.sent();
    if (it.sink.live() != counts.held_now.value())
      std::abort();
  }
  // Solicitations were sent without having entered; the two ARP requests of configure() entered and were answered.
  std::uint64_t dropped = 0;
  for (const auto& each : counts.drops)
    dropped += each.value();
  if (dropped + counts.held_now.value() > entered + 2)
    std::abort();
  return 0;
}

extern "C" std::size_t glocal_fuzz_seed_input(std::size_t index, std::uint8_t* out, std::size_t capacity) {
  // Every starting frame alone, then pairs of an overlay arrival and what a function gives back.
  static const auto frames = starting_points();
  if (index >= 3 * frames.size())
    return 0;
  std::size_t used = 0;
  const auto append = [&](std::uint8_t operation, std::uint8_t choice, const bytes& frame) {
    if (used + 4 + frame.size() > capacity)
      return;
    out[used++] = operation;
    out[used++] = choice;
    out[used++] = static_cast<std::uint8_t>(frame.size() >> 8);
    out[used++] = static_cast<std::uint8_t>(frame.size());
    std::memcpy(out + used, frame.data(), frame.size());
    used += frame.size();
  };
  const auto& frame = frames[index % frames.size()];
  if (index >= 2 * frames.size()) {
    append(0x84, static_cast<std::uint8_t>(index), frames[0]); // a trace, of all or of drops
    append(0x88, 0, frame);
  }
  append(static_cast<std::uint8_t>(0x30 | (index % frames.size() >= 5 ? under : host)), 2, frame);
  if (index >= frames.size()) {
    append(0x70 | out_arm, 3, frames[0]);
    append(0x30 | under, 2, frames.back());
    append(0x30 | out_arm, 2, frames[0]);
  }
  return used;
}
