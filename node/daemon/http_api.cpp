#include "node/daemon/http_api.hpp"

#include <httplib.h>
#include <nlohmann/json.hpp>

#include <cerrno>
#include <cstring>
#include <thread>

#include <sys/stat.h>
#include <sys/un.h>

namespace glocal::node {

struct http_api::server {
  httplib::Server http;
  std::thread thread;
};

http_api::http_api(std::filesystem::path socket, std::map<std::string, handler> handlers)
    : socket_{std::move(socket)}, server_{std::make_unique<server>()} {
  auto& http = server_->http;
  http.set_address_family(AF_UNIX);
  // The library's default is a thread per core and at least eight, for a socket that sees a request now and then.
  http.new_task_queue = [] { return new httplib::ThreadPool{2}; };
  for (auto& [name, make] : handlers)
    http.Get("/api/v1/" + name, [make = std::move(make)](const httplib::Request&, httplib::Response& response) {
      try {
        response.set_content(make().dump(), "application/json");
      } catch (const std::exception& failure) {
        response.status = 500;
        response.set_content(nlohmann::json{{"error", failure.what()}}.dump(), "application/json");
      }
    });
  http.set_error_handler([](const httplib::Request& request, httplib::Response& response) {
    if (response.body.empty())
      response.set_content(nlohmann::json{{"error", request.path + ": no such resource"}}.dump(), "application/json");
  });
}

http_api::~http_api() {
  server_->http.stop();
  if (server_->thread.joinable())
    server_->thread.join();
  std::error_code ignored;
  std::filesystem::remove(socket_, ignored);
}

expected<void, std::string> http_api::start() {
  if (socket_.native().size() >= sizeof(sockaddr_un{}.sun_path))
    return unexpected{socket_.string() + " is longer than a socket's path may be"};
  std::error_code ignored;
  std::filesystem::remove(socket_, ignored);
  const auto former = ::umask(0177);
  // A Unix socket has no port; the library wants one that is not 0.
  const bool bound = server_->http.bind_to_port(socket_.string().c_str(), 80);
  const auto why = errno;
  ::umask(former);
  if (!bound)
    return unexpected{"can't listen on " + socket_.string() + ": " + std::strerror(why)};
  server_->thread = std::thread{[this] { server_->http.listen_after_bind(); }};
  while (!server_->http.is_running())
    std::this_thread::yield();
  return {};
}

} // namespace glocal::node
