#include "dataplane/lisp/testing/captured_messages.hpp"

#include "dataplane/capture/capture_file.hpp"
#include "dataplane/wire/parse.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace glocal::lisp::testing {
namespace {

[[noreturn]] void give_up(const std::string& why) {
  std::fprintf(stderr, "captures of LISP messages: %s\n", why.c_str());
  std::abort();
}

void add_messages_of(const std::filesystem::path& file, std::vector<captured_message>& out) {
  auto reader = dataplane::capture_reader::open(file);
  if (!reader)
    give_up(reader.error());
  for (int number = 1;; ++number) {
    const auto packet = reader->next();
    if (!packet)
      give_up(packet.error());
    if (!packet->has_value())
      return;
    const auto& frame = (*packet)->frame;
    dataplane::parsed_packet parsed;
    if (dataplane::parse(frame, parsed) || parsed.tuple.protocol != ip_protocol::udp ||
        (parsed.tuple.destination_port != control_port && parsed.tuple.source_port != control_port))
      continue;
    const auto payload = byte_view{frame}.subspan(parsed.payload_offset, parsed.payload_length);
    const auto where = file.filename().string() + ", packet " + std::to_string(number);
    out.push_back({where, {payload.begin(), payload.end()}});
    if (const auto decoded = decode(payload))
      if (const auto* outer = std::get_if<encapsulated_message>(&*decoded))
        out.push_back({where + ", inside", outer->message});
  }
}

} // namespace

std::vector<captured_message> captured_messages() {
  std::vector<std::filesystem::path> files;
  for (const auto& file : std::filesystem::directory_iterator{GLOCAL_LISP_CAPTURES})
    files.push_back(file.path());
  std::sort(files.begin(), files.end());
  std::vector<captured_message> out;
  for (const auto& file : files)
    add_messages_of(file, out);
  return out;
}

} // namespace glocal::lisp::testing
