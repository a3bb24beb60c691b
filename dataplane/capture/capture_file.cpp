#include "dataplane/capture/capture_file.hpp"

#include "dataplane/wire/headers.hpp"

#include <pcap/pcap.h>

namespace glocal::dataplane {
namespace {

/// Bytes of the link header before IP, and where its ethertype stands; SIZE_MAX: nowhere, IP tells itself.
struct link_shape {
  std::size_t header_bytes = 0, ethertype_offset = SIZE_MAX;
};

std::optional<link_shape> shape_of(int link) {
  switch (link) {
  case DLT_LINUX_SLL: return link_shape{16, 14};
  case DLT_LINUX_SLL2: return link_shape{20, 0};
  case DLT_RAW:
  case DLT_IPV4:
  case DLT_IPV6: return link_shape{0};
  case DLT_NULL:
  case DLT_LOOP: return link_shape{4};
  default: return std::nullopt;
  }
}

std::uint16_t ethertype_of(byte_view data, const link_shape& shape) {
  if (shape.ethertype_offset != SIZE_MAX)
    return load_be16(data.data() + shape.ethertype_offset);
  if (data.size() == shape.header_bytes)
    return 0;
  switch (load_u8(data.data() + shape.header_bytes) >> 4) {
  case 4: return ethertype::ipv4;
  case 6: return ethertype::ipv6;
  default: return 0;
  }
}

/// The packet behind an Ethernet header. A packet shorter than its link header becomes an empty frame.
bytes as_ethernet(byte_view data, const link_shape& shape) {
  if (data.size() < shape.header_bytes)
    return {};
  bytes out(ethernet_header_bytes);
  store_be16(out.data() + 12, ethertype_of(data, shape));
  const auto packet = data.subspan(shape.header_bytes);
  out.insert(out.end(), packet.begin(), packet.end());
  return out;
}

} // namespace

void capture_reader::closer::operator()(pcap* handle) const noexcept {
  ::pcap_close(handle);
}

capture_reader::capture_reader(pcap* handle) : handle_{handle}, link_{::pcap_datalink(handle)} {}

expected<capture_reader, std::string> capture_reader::open(const std::filesystem::path& file) {
  char error[PCAP_ERRBUF_SIZE] = "";
  auto* handle = ::pcap_open_offline_with_tstamp_precision(file.c_str(), PCAP_TSTAMP_PRECISION_NANO, error);
  if (handle == nullptr)
    return unexpected{std::string{error}};
  capture_reader out{handle};
  if (out.link_ != DLT_EN10MB && !shape_of(out.link_))
    return unexpected{"link type " + out.link_type() + " is not one of Ethernet, Linux cooked, raw IP and loopback"};
  return out;
}

expected<std::optional<captured_packet>, std::string> capture_reader::next() {
  pcap_pkthdr* header = nullptr;
  const unsigned char* data = nullptr;
  switch (::pcap_next_ex(handle_.get(), &header, &data)) {
  case 1: break;
  case PCAP_ERROR_BREAK: return std::optional<captured_packet>{};
  default: return unexpected{std::string{::pcap_geterr(handle_.get())}};
  }
  const auto view = std::as_bytes(std::span{data, header->caplen});
  captured_packet out;
  // With nanosecond precision tv_usec holds nanoseconds.
  out.time = std::chrono::seconds{header->ts.tv_sec} + std::chrono::nanoseconds{header->ts.tv_usec};
  const auto shape = shape_of(link_);
  out.frame = shape ? as_ethernet(view, *shape) : bytes{view.begin(), view.end()};
  out.wire_bytes = out.frame.size() + (header->len > header->caplen ? header->len - header->caplen : 0);
  return std::optional{std::move(out)};
}

std::string capture_reader::link_type() const {
  const auto* name = ::pcap_datalink_val_to_name(link_);
  return name == nullptr ? std::to_string(link_) : name;
}

void capture_writer::closer::operator()(pcap* handle) const noexcept {
  ::pcap_close(handle);
}
void capture_writer::closer::operator()(pcap_dumper* dumper) const noexcept {
  ::pcap_dump_close(dumper);
}

expected<capture_writer, std::string> capture_writer::create(const std::filesystem::path& file) {
  auto* handle = ::pcap_open_dead(DLT_EN10MB, 1 << 18);
  if (handle == nullptr)
    return unexpected{std::string{"out of memory"}};
  auto* dumper = ::pcap_dump_open(handle, file.c_str());
  capture_writer out{handle, dumper};
  if (dumper == nullptr)
    return unexpected{std::string{::pcap_geterr(handle)}};
  return out;
}

void capture_writer::write(byte_view frame, std::chrono::microseconds time) {
  pcap_pkthdr header{};
  header.ts.tv_sec = time.count() / 1'000'000;
  header.ts.tv_usec = time.count() % 1'000'000;
  header.caplen = header.len = static_cast<bpf_u_int32>(frame.size());
  ::pcap_dump(reinterpret_cast<unsigned char*>(dumper_.get()), &header,
              reinterpret_cast<const unsigned char*>(frame.data()));
}

} // namespace glocal::dataplane
