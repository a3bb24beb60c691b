#pragma once
// Packets of capture files (pcap and pcapng), whatever the link they were captured on, as Ethernet frames: one parser
// serves all.
//
// Spoken link types: Ethernet, Linux cooked v1 and v2, raw IP, BSD loopback. Where the link has no Ethernet header, one
// with zero addresses is made. Files are hostile input; libpcap bounds what it reads.
//
// Threading: one thread per open file. A resource: moves, does not copy.

#include "base/bytes.hpp"
#include "base/expected.hpp"

#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

// As libpcap names its handles.
struct pcap;
struct pcap_dumper;

namespace glocal::dataplane {

struct captured_packet {
  /// Since 1970-01-01 00:00 UTC.
  std::chrono::nanoseconds time{0};
  bytes frame;
  /// As long as it was; more than `frame` has when the capture was cut (snapshot length).
  std::size_t wire_bytes = 0;
};

class capture_reader {
public:
  /// @error what libpcap says, or that the link type is not spoken.
  [[nodiscard]] static expected<capture_reader, std::string> open(const std::filesystem::path& file);
  /// Nothing at the end. @error a damaged file; there is no going on then.
  [[nodiscard]] expected<std::optional<captured_packet>, std::string> next();
  /// `EN10MB`, `LINUX_SLL2`, as libpcap names them.
  [[nodiscard]] std::string link_type() const;

private:
  struct closer {
    void operator()(pcap* handle) const noexcept;
  };
  explicit capture_reader(pcap* handle);

  std::unique_ptr<pcap, closer> handle_;
  int link_ = 0;
};

/// Writes Ethernet frames in the pcap format.
class capture_writer {
public:
  /// @error the file cannot be made.
  [[nodiscard]] static expected<capture_writer, std::string> create(const std::filesystem::path& file);
  void write(byte_view frame, std::chrono::microseconds time);

private:
  struct closer {
    void operator()(pcap* handle) const noexcept;
    void operator()(pcap_dumper* dumper) const noexcept;
  };
  capture_writer(pcap* handle, pcap_dumper* dumper) : handle_{handle}, dumper_{dumper} {}

  std::unique_ptr<pcap, closer> handle_;
  std::unique_ptr<pcap_dumper, closer> dumper_;
};

} // namespace glocal::dataplane
