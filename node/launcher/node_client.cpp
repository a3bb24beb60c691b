#include "node/launcher/node_client.hpp"

#include <httplib.h>

namespace glocal::node {

expected<std::string, ask_error> ask_node(const std::filesystem::path& socket, const std::string& target,
                                          std::chrono::milliseconds timeout) {
  httplib::Client client{socket.string()};
  client.set_address_family(AF_UNIX);
  client.set_connection_timeout(timeout);
  client.set_read_timeout(timeout);
  client.set_write_timeout(timeout);
  const auto answer = client.Get(target, {{"Host", "glocal"}});
  if (!answer)
    return unexpected{
        ask_error{ask_error::kind::unreachable, 0, socket.string() + ": " + httplib::to_string(answer.error())}};
  if (answer->status != 200)
    return unexpected{ask_error{ask_error::kind::refused, answer->status,
                                target + ": HTTP status " + std::to_string(answer->status) +
                                    (answer->body.empty() ? "" : ": " + answer->body.substr(0, 400))}};
  return answer->body;
}

} // namespace glocal::node
