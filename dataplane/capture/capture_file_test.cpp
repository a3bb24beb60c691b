#include "dataplane/capture/capture_file.hpp"
#include "dataplane/wire/testing/packet_builder.hpp"

#include <catch2/catch.hpp>

#include <fstream>

#include <unistd.h>

namespace glocal::dataplane {
namespace {

using namespace testing;

class scratch_file {
public:
  scratch_file() {
    const auto descriptor = ::mkstemp(name_);
    REQUIRE(descriptor >= 0);
    ::close(descriptor);
  }
  ~scratch_file() { ::unlink(name_); }
  scratch_file(const scratch_file&) = delete;
  scratch_file& operator=(const scratch_file&) = delete;
  [[nodiscard]] const char* name() const { return name_; }
  void fill(std::string_view hex) const {
    const auto data = from_hex(hex);
    std::ofstream{name_, std::ios::binary}.write(reinterpret_cast<const char*>(data.data()),
                                                 static_cast<std::streamsize>(data.size()));
  }

private:
  char name_[32] = "/tmp/glocal-capture.XXXXXX";
};

const bytes& ip_packet() {
  static const auto packet = [] {
    const auto frame = packet_builder{}.ip("10.0.0.1", "10.0.0.2").udp(4342, 4342).payload("x").build();
    return bytes{frame.begin() + ethernet_header_bytes, frame.end()};
  }();
  return packet;
}

std::string le32(std::size_t value) {
  bytes raw(4);
  store_be32(raw.data(), __builtin_bswap32(static_cast<std::uint32_t>(value)));
  return to_hex(raw);
}

/// A pcap file with one packet of `link` and `header` before the IP packet.
std::string pcap_of(std::size_t link, const std::string& header) {
  const auto length = from_hex(header).size() + ip_packet().size();
  return "d4c3b2a1 02000400 00000000 00000000 00000400" + le32(link) + "01000000 02000000" + le32(length) +
         le32(length) + header + to_hex(ip_packet());
}

} // namespace

TEST_CASE("packets of all spoken link types come as Ethernet frames") {
  const struct {
    const char* name;
    std::size_t link;
    std::string header;
  } rows[] = {
      {"Ethernet", 1, "020000000001 020000000002 0800"},
      {"Linux cooked v1", 113, "0000 0001 0006 0200000000010000 0800"},
      {"Linux cooked v2", 276, "0800 0000 00000001 0001 00 06 0200000000010000"},
      {"raw IP", 101, ""},
      {"BSD loopback", 0, "02000000"},
  };
  for (const auto& row : rows) {
    INFO(row.name);
    const scratch_file file;
    file.fill(pcap_of(row.link, row.header));
    auto reader = capture_reader::open(file.name());
    REQUIRE(reader);
    const auto packet = reader->next();
    REQUIRE(packet);
    REQUIRE(packet->has_value());
    CHECK((*packet)->time == std::chrono::seconds{1} + std::chrono::microseconds{2});
    const auto& frame = (*packet)->frame;
    CHECK((*packet)->wire_bytes == frame.size());
    CHECK(to_string(parsed(frame).tuple) == "udp 10.0.0.1:4342 > 10.0.0.2:4342");
    const auto end = reader->next();
    REQUIRE(end);
    CHECK_FALSE(end->has_value());
  }
}

TEST_CASE("what is no capture, is cut short or of another link is refused with a reason") {
  const scratch_file file;
  file.fill("00010203");
  CHECK_FALSE(capture_reader::open(file.name()));
  CHECK_FALSE(capture_reader::open("/no/such/file"));
  file.fill(pcap_of(127, "00"));
  auto other = capture_reader::open(file.name());
  REQUIRE_FALSE(other);
  CHECK(other.error().find("IEEE802_11_RADIO is not one of") != std::string::npos);
  const auto whole = pcap_of(101, "");
  file.fill(std::string_view{whole}.substr(0, whole.size() - 4));
  auto cut = capture_reader::open(file.name());
  REQUIRE(cut);
  CHECK_FALSE(cut->next());
}

TEST_CASE("what was written is read") {
  const scratch_file file;
  const auto frame = packet_builder{}.ip("2001:db8::1", "2001:db8::2").udp(1, 2).build();
  {
    auto writer = capture_writer::create(file.name());
    REQUIRE(writer);
    writer->write(frame, std::chrono::microseconds{1'000'002});
  }
  auto reader = capture_reader::open(file.name());
  REQUIRE(reader);
  CHECK(reader->link_type() == "EN10MB");
  const auto packet = reader->next();
  REQUIRE(packet);
  REQUIRE(packet->has_value());
  CHECK((*packet)->frame == frame);
}

} // namespace glocal::dataplane
