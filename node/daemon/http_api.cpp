#include "node/daemon/http_api.hpp"

#include "node/daemon/api_access.hpp"
#include "node/daemon/bounded_server.hpp"

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
  std::unique_ptr<bounded_server> tcp;
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

std::string reason_of(const httplib::Request& request, int status) {
  switch (status) {
  case 404: return request.path + ": no such resource";
  case 413: return "the body is larger than " + std::to_string(http_api::max_post_bytes) + " bytes";
  case 414: return "the address is too long";
  default: return "the request is not understood";
  }
}

std::string index_of(const api_handlers& handlers) {
  auto get = nlohmann::json::array(), post = nlohmann::json::array();
  for (const auto& [name, make] : handlers.get)
    get.push_back("/api/v1/" + name);
  for (const auto& [name, make] : handlers.get_written)
    get.push_back("/api/v1/" + name);
  for (const auto& [path, make] : handlers.text)
    get.push_back(path);
  for (const auto& [name, act] : handlers.post)
    post.push_back("/api/v1/" + name);
  return dumped({{"get", get}, {"post", post}});
}

void add_routes(httplib::Server& http, const api_handlers& handlers) {
  http.set_payload_max_length(http_api::max_post_bytes);
  http.Get("/api/v1/?", [index = index_of(handlers)](const httplib::Request&, httplib::Response& response) {
    response.set_content(index, json_type);
  });
  for (const auto& [name, make] : handlers.get)
    http.Get("/api/v1/" + name, [make = make](const httplib::Request&, httplib::Response& response) {
      answer(response, json_type, [&] { return dumped(make()); });
    });
  for (const auto& [name, make] : handlers.get_written)
    http.Get("/api/v1/" + name, [make = make](const httplib::Request& request, httplib::Response& response) {
      answer(response, json_type, [&] { return make({request.params.begin(), request.params.end()}); });
    });
  for (const auto& [name, act] : handlers.post)
    http.Post("/api/v1/" + name, [act = act](const httplib::Request& request, httplib::Response& response) {
      answer(response, json_type, [&] {
        const auto body = nlohmann::json::parse(request.body, nullptr, false);
        if (!body.is_object())
          throw api_refusal{400, "the body is no JSON object"};
        return dumped(act(body));
      });
    });
  for (const auto& [path, make] : handlers.text)
    http.Get(path, [make = make](const httplib::Request&, httplib::Response& response) {
      answer(response, text_type, make);
    });
  http.set_error_handler([](const httplib::Request& request, httplib::Response& response) {
    if (response.body.empty())
      response.set_content(dumped({{"error", reason_of(request, response.status)}}), json_type);
  });
}

void guard(httplib::Server& http, const std::string& token) {
  http.set_pre_routing_handler([token](const httplib::Request& request, httplib::Response& response) {
    const auto header = [&](const char* name) { return request.get_header_value(name); };
    const auto host = header("Host"), origin = header("Origin"), authorization = header("Authorization");
    const auto denial = deny({request.method, host, origin, authorization}, token);
    if (!denial)
      return httplib::Server::HandlerResponse::Unhandled;
    response.status = denial->status;
    if (denial->status == 401)
      response.set_header("WWW-Authenticate", "Bearer realm=\"glocal\"");
    response.set_content(dumped({{"error", denial->reason}}), json_type);
    return httplib::Server::HandlerResponse::Handled;
  });
}

} // namespace

http_api::http_api(std::filesystem::path socket, const api_handlers& handlers, std::optional<tcp_access> tcp)
    : socket_{std::move(socket)}, tcp_{std::move(tcp)}, server_{std::make_unique<server>()} {
  auto& http = server_->http;
  http.set_address_family(AF_UNIX);
  // The library's default is a thread per core and at least eight, for a socket that sees a request now and then.
  http.new_task_queue = [] { return new httplib::ThreadPool{2}; };
  add_routes(http, handlers);
  if (tcp_) {
    server_->tcp = std::make_unique<bounded_server>();
    add_routes(*server_->tcp, handlers);
    guard(*server_->tcp, tcp_->token);
  }
}

http_api::~http_api() {
  server_->tcp.reset();
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
  const bool bound = server_->http.bind_to_port(socket_.string(), 80);
  const auto why = errno;
  ::umask(former);
  if (!bound)
    return unexpected{"can't listen on " + socket_.string() + ": " + std::strerror(why)};
  server_->thread = std::thread{[this] { server_->http.listen_after_bind(); }};
  while (!server_->http.is_running())
    std::this_thread::yield();
  if (tcp_) {
    const auto port = server_->tcp->start(tcp_->listen);
    if (!port)
      return unexpected{port.error()};
    tcp_port_ = *port;
  }
  return {};
}

} // namespace glocal::node
