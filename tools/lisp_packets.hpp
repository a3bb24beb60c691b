#pragma once
// Captured packets as LISP messages, control and data: what `glocal lisp decode` shows of each. Pure.

#include "base/net.hpp"
#include "dataplane/capture/capture_file.hpp"

#include <nlohmann/json.hpp>

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace glocal::cli {

/// A shared secret to verify with, of one site or of any.
struct site_key {
  std::optional<ip_prefix> site;
  std::string secret;
};
/// `192.168.0.0/16=secret`, or the secret alone.
[[nodiscard]] site_key parse_site_key(std::string_view text);

/// What was seen in a capture, for the last line and the exit code.
struct packet_counts {
  std::size_t packets = 0, control = 0, data = 0;
  /// LISP by its port, and not to be read.
  std::size_t malformed = 0;
  /// Not looked at: cut by the capture's snapshot length, and IP fragments.
  std::size_t cut = 0, fragments = 0;
  /// Verdicts on authentication data, by their text.
  std::map<std::string, std::size_t> verdicts;
  std::map<std::string, std::size_t> types;

  [[nodiscard]] std::size_t lisp() const noexcept { return control + data + malformed; }
};

class packet_describer {
public:
  explicit packet_describer(std::vector<site_key> keys) : keys_{std::move(keys)} {}

  /// The packet, as an object with `number`, `time`, `source`, `destination` and one of `message`, `data` and `error`;
  /// null when it is not LISP.
  [[nodiscard]] nlohmann::ordered_json describe(const dataplane::captured_packet& packet);
  /// A control message by itself.
  [[nodiscard]] nlohmann::ordered_json describe_control(byte_view message);
  /// The payload of a data packet by itself.
  [[nodiscard]] nlohmann::ordered_json describe_data(byte_view payload);

  [[nodiscard]] const packet_counts& counts() const noexcept { return counts_; }

private:
  [[nodiscard]] nlohmann::ordered_json message_of(byte_view message);
  [[nodiscard]] std::string verdict_on(byte_view message, const nlohmann::ordered_json& shown) const;
  [[nodiscard]] nlohmann::ordered_json malformed(std::string why, byte_view payload);

  std::vector<site_key> keys_;
  packet_counts counts_;
};

/// One packet for people: a line that says what it is, then its fields.
[[nodiscard]] std::string packet_text(const nlohmann::ordered_json& packet);
[[nodiscard]] nlohmann::ordered_json to_json(const packet_counts& counts);
/// `13 packets: 9 control messages (Map-Request 2, ...), 4 data, 1 malformed`
[[nodiscard]] std::string summary_text(const packet_counts& counts);

} // namespace glocal::cli
