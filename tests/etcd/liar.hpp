#pragma once
// An HTTP server between a client and an etcd that changes what the etcd answers.

#include <httplib.h>

#include <atomic>
#include <functional>
#include <string>
#include <thread>

namespace glocal::test {

/// Stands in front of an etcd: passes requests on and answers something else.
class liar {
public:
  liar(const std::string& real, std::function<void(httplib::Response&)> lie) {
    server_.Post(".*", [this, real, lie = std::move(lie)](const httplib::Request& request, httplib::Response& out) {
      httplib::Client client{real};
      if (const auto said = client.Post(request.path.c_str(), request.body, "application/json"))
        out.body = said->body;
      ++asked;
      lie(out);
    });
    port_ = server_.bind_to_any_port("127.0.0.1");
    thread_ = std::thread{[this] { server_.listen_after_bind(); }};
  }
  ~liar() {
    while (!server_.is_running())
      std::this_thread::yield();
    server_.stop();
    thread_.join();
  }
  [[nodiscard]] std::string endpoint() const { return "http://127.0.0.1:" + std::to_string(port_); }
  std::atomic<int> asked{0};

private:
  httplib::Server server_;
  int port_ = 0;
  std::thread thread_;
};

} // namespace glocal::test
