#include "node/launcher/node_client.hpp"

#include <httplib.h>

#include <functional>

namespace glocal::node {
namespace {

expected<std::string, ask_error>
talk(const std::filesystem::path& socket, const std::string& target, std::chrono::milliseconds timeout,
     const std::function<httplib::Result(httplib::Client&, const httplib::Headers&)>& how) {
  httplib::Client client{socket.string()};
  client.set_address_family(AF_UNIX);
  client.set_connection_timeout(timeout);
  client.set_read_timeout(timeout);
  client.set_write_timeout(timeout);
  const auto answer = how(client, {{"Host", "glocal"}});
  if (!answer)
    return unexpected{
        ask_error{ask_error::kind::unreachable, 0, socket.string() + ": " + httplib::to_string(answer.error())}};
  if (answer->status != 200)
    return unexpected{ask_error{ask_error::kind::refused, answer->status,
                                target + ": HTTP status " + std::to_string(answer->status) +
                                    (answer->body.empty() ? "" : ": " + answer->body.substr(0, 400))}};
  return answer->body;
}

} // namespace

expected<std::string, ask_error> ask_node(const std::filesystem::path& socket, const std::string& target,
                                          std::chrono::milliseconds timeout) {
  return talk(socket, target, timeout, [&](auto& client, const auto& headers) { return client.Get(target, headers); });
}

expected<std::string, ask_error> tell_node(const std::filesystem::path& socket, const std::string& target,
                                           const std::string& body, std::chrono::milliseconds timeout) {
  return talk(socket, target, timeout, [&](auto& client, const auto& headers) {
    return client.Post(target, headers, body, "application/json");
  });
}

} // namespace glocal::node
