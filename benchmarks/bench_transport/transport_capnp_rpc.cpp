// The same bytes by Cap'n Proto's own RPC: no actors, one thread on each side.

#include "benchmarks/bench_transport/transport_rival.hpp"

#include "benchmarks/bench_transport/rpc_echo.capnp.h"

#include <capnp/ez-rpc.h>
#include <kj/async-io.h>

#include <deque>
#include <iostream>

namespace glocal::bench {
namespace {

using clock = std::chrono::steady_clock;

class echo_server final : public wire::Echo::Server {
  kj::Promise<void> echo(EchoContext context) override {
    context.getResults().setBody(context.getParams().getBody());
    return kj::READY_NOW;
  }
  kj::Promise<void> put(PutContext) override { return kj::READY_NOW; }
};

class capnp_rival : public rival {
public:
  explicit capnp_rival(std::uint16_t port) : to_{std::make_unique<connection>(port)} {}

  std::vector<std::uint64_t> round_trips(std::size_t bytes, std::size_t count) override {
    std::vector<std::uint64_t> times;
    times.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
      const auto begin = clock::now();
      auto request = to_->echo.echoRequest();
      request.initBody(static_cast<unsigned>(bytes));
      request.send().wait(to_->wait);
      times.push_back(static_cast<std::uint64_t>((clock::now() - begin).count()));
    }
    return times;
  }

  /// Calls without a result: there is no one-way message.
  double one_way(std::size_t bytes, std::size_t count) override {
    std::deque<kj::Promise<void>> under_way;
    const auto begin = clock::now();
    for (std::size_t i = 0; i < count; ++i) {
      if (under_way.size() == rpc_window) {
        under_way.front().wait(to_->wait);
        under_way.pop_front();
      }
      auto request = to_->echo.putRequest();
      request.initBody(static_cast<unsigned>(bytes));
      under_way.push_back(request.send().ignoreResult());
    }
    for (auto& each : under_way)
      each.wait(to_->wait);
    const std::chrono::duration<double> took = clock::now() - begin;
    return static_cast<double>(count) / took.count();
  }

private:
  struct connection {
    explicit connection(std::uint16_t port)
        : client{"127.0.0.1", port}, echo{client.getMain<wire::Echo>()}, wait{client.getWaitScope()} {}
    capnp::EzRpcClient client;
    wire::Echo::Client echo;
    kj::WaitScope& wait;
  };
  // Behind a pointer: its destructor may throw, ours must not.
  const std::unique_ptr<connection> to_;
};

} // namespace

void serve_capnp_rpc() {
  capnp::EzRpcServer server{kj::heap<echo_server>(), "127.0.0.1", 0};
  auto& wait = server.getWaitScope();
  std::cout << server.getPort().wait(wait) << std::endl;
  auto input = server.getLowLevelIoProvider().wrapInputFd(0);
  char c = 0;
  while (input->tryRead(&c, 1, 1).wait(wait) > 0) {
  }
}

std::unique_ptr<rival> connect_capnp_rpc(std::uint16_t port) {
  return std::make_unique<capnp_rival>(port);
}

} // namespace glocal::bench
