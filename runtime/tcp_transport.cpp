#include "runtime/tcp_transport.hpp"

#include "runtime/router.hpp"
#include "runtime/sockets.hpp"
#include "runtime/tcp_network.hpp"

#include <caf/all.hpp>

namespace glocal::runtime {
namespace {

class tcp_router : public router {
public:
  tcp_router(caf::actor_config& cfg, std::shared_ptr<switchboard> board, tcp_network& network)
      : router{cfg, std::move(board)}, network_{network} {}

  caf::behavior make_behavior() override {
    return interface().or_else([this](add_peer_atom, const std::string& node, const std::string& host,
                                      std::uint16_t port) { network_.set_address(node, host, port); });
  }

protected:
  void stop_network() override { network_.stop(); }

private:
  tcp_network& network_;
};

} // namespace

expected<tcp_transport, std::string> spawn_tcp_transport(caf::actor_system& system,
                                                         const tcp_transport_options& options) {
  const auto listener = start_listening(options.listen_host, options.listen_port);
  if (!listener)
    return unexpected{"can't listen on " + options.listen_host + ':' + std::to_string(options.listen_port) + ": " +
                      listener.error()};
  const auto board = switchboard::make(system, options.self, options.directory, options.limits);
  auto owned = std::make_unique<tcp_network>(*board, listener->fd, options.make_filter);
  auto& network = *owned;
  board->use(std::move(owned));
  const auto router = system.spawn<tcp_router>(board, std::ref(network));
  board->report_to(router);
  for (const auto& peer : options.peers)
    network.set_address(peer.node, peer.host, peer.port);
  network.start();
  return tcp_transport{{router, options.self.node, options.directory, board}, listener->port};
}

} // namespace glocal::runtime
