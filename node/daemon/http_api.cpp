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

namespace {

constexpr auto json_type = "application/json";
/// Of the text exposition format, version 0.0.4.
constexpr auto text_type = "text/plain; version=0.0.4; charset=utf-8";

std::string dumped(const nlohmann::json& value) {
  // Names and errors may come from peers: what is no UTF-8 in them is replaced, not an exception.
  return value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

/// The answer of `make`, or of what it throws.
void answer(httplib::Response& response, const char* type, const std::function<std::string()>& make) {
  try {
    response.set_content(make(), type);
    return;
  } catch (const api_refusal& refusal) {
    response.status = refusal.status;
    response.set_content(dumped({{"error", refusal.what()}}), json_type);
  } catch (const std::exception& failure) {
    response.status = 500;
    response.set_content(dumped({{"error", failure.what()}}), json_type);
  }
}

} // namespace

http_api::http_api(std::filesystem::path socket, api_handlers handlers)
    : socket_{std::move(socket)}, server_{std::make_unique<server>()} {
  auto& http = server_->http;
  http.set_address_family(AF_UNIX);
  // The library's default is a thread per core and at least eight, for a socket that sees a request now and then.
  http.new_task_queue = [] { return new httplib::ThreadPool{2}; };
  http.set_payload_max_length(max_post_bytes);
  for (auto& [name, make] : handlers.get)
    http.Get("/api/v1/" + name, [make = std::move(make)](const httplib::Request&, httplib::Response& response) {
      answer(response, json_type, [&] { return dumped(make()); });
    });
  for (auto& [name, act] : handlers.post)
    http.Post("/api/v1/" + name, [act = std::move(act)](const httplib::Request& request, httplib::Response& response) {
      answer(response, json_type, [&] {
        const auto body = nlohmann::json::parse(request.body, nullptr, false);
        if (!body.is_object())
          throw api_refusal{400, "the body is no JSON object"};
        return dumped(act(body));
      });
    });
  for (auto& [path, make] : handlers.text)
    http.Get(path, [make = std::move(make)](const httplib::Request&, httplib::Response& response) {
      answer(response, text_type, make);
    });
  http.set_error_handler([](const httplib::Request& request, httplib::Response& response) {
    if (response.body.empty())
      response.set_content(dumped({{"error", request.path + ": no such resource"}}), json_type);
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
