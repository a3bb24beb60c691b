// lisp decode: captures and single messages, field by field.

#include "dataplane/lisp/message.hpp"
#include "tools/glocal_clusters.hpp"
#include "tools/lisp_packets.hpp"

#include <cctype>
#include <iostream>

namespace glocal::cli {
namespace {

namespace fs = std::filesystem;
using json = nlohmann::ordered_json;

/// Digits in pairs; blanks, colons and a leading 0x are free, as other tools print them.
std::optional<bytes> parse_hex(std::string_view text) {
  if (text.starts_with("0x") || text.starts_with("0X"))
    text.remove_prefix(2);
  std::string digits;
  for (const char c : text) {
    if (std::isxdigit(static_cast<unsigned char>(c)) != 0)
      digits += c;
    else if (c != ' ' && c != ':' && c != '\n' && c != '\t')
      return std::nullopt;
  }
  if (digits.empty() || digits.size() % 2 != 0)
    return std::nullopt;
  bytes out;
  for (std::size_t i = 0; i < digits.size(); i += 2)
    out.push_back(static_cast<std::byte>(std::stoul(digits.substr(i, 2), nullptr, 16)));
  return out;
}

/// Prints packets as they come, so that captures of any size and pipes that do not end are no trouble.
class packet_printer {
public:
  explicit packet_printer(output format) : format_{format} {
    if (format_ == output::json)
      std::cout << "{\"packets\": [";
  }
  void print(const json& packet) {
    if (format_ == output::json)
      std::cout << (first_ ? "\n" : ",\n") << packet.dump();
    else
      std::cout << (first_ ? "" : "\n") << packet_text(packet);
    first_ = false;
    std::cout.flush();
  }
  void finish(const packet_counts& counts) {
    if (format_ == output::json)
      std::cout << (first_ ? "" : "\n") << "],\n\"summary\": " << to_json(counts).dump() << "}\n";
    else
      std::cout << (first_ ? "" : "\n") << summary_text(counts);
  }

private:
  output format_;
  bool first_ = true;
};

int code_of(const packet_counts& counts) {
  return counts.lisp() == 0 ? no_match : counts.malformed > 0 ? partial : done;
}

int decode_capture(const std::string& file, packet_describer& describer, output format) {
  auto reader = dataplane::capture_reader::open(file);
  if (!reader) {
    complain(file + ": " + reader.error());
    return failed;
  }
  watch_signals();
  packet_printer printer{format};
  bool damaged = false;
  while (!was_interrupted()) {
    const auto packet = reader->next();
    if (!packet) {
      complain(file + ": damaged after " + std::to_string(describer.counts().packets) + " packets: " + packet.error());
      damaged = true;
      break;
    }
    if (!packet->has_value())
      break;
    if (const auto shown = describer.describe(**packet); !shown.is_null())
      printer.print(shown);
  }
  printer.finish(describer.counts());
  return was_interrupted() ? interrupted : damaged ? partial : code_of(describer.counts());
}

} // namespace

int lisp_decode(const lisp_decode_options& options) {
  std::vector<site_key> keys;
  for (const auto& text : options.keys)
    keys.push_back(parse_site_key(text));
  packet_describer describer{std::move(keys)};
  std::error_code failure;
  if (options.what == "-" || fs::exists(options.what, failure))
    return decode_capture(options.what, describer, options.format);
  const auto message = parse_hex(options.what);
  if (!message) {
    complain("'" + options.what.substr(0, 80) + "' is neither a file nor hexadecimal digits in pairs");
    return usage;
  }
  packet_printer printer{options.format};
  printer.print(options.is_data ? describer.describe_data(*message) : describer.describe_control(*message));
  printer.finish(describer.counts());
  return code_of(describer.counts());
}

} // namespace glocal::cli
