#include "node/daemon/http_api.hpp"

#include "node/daemon/api_access.hpp"
#include "node/daemon/bounded_server.hpp"

#include <httplib.h>
#include <nlohmann/json.hpp>

namespace glocal::node {

/// Connections end before the streams that they may become.
struct http_api::server {
  event_streams streams;
  std::unique_ptr<bounded_server> local, tcp;
};

namespace {

constexpr auto json_type = "application/json";
constexpr auto event_type = "text/event-stream";
/// Of the text exposition format, version 0.0.4.
constexpr auto text_type = "text/plain; version=0.0.4; charset=utf-8";

std::string dumped(const nlohmann::json& value) {
  // Names and errors may come from peers: what is no UTF-8 in them is replaced, not an exception.
  return value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

void refuse(httplib::Response& response, const api_refusal& why) {
  response.status = why.status;
  nlohmann::json body{{"error", why.what()}};
  if (!why.code.empty())
    body["code"] = why.code;
  response.set_content(dumped(body), json_type);
}

/// What `make` does, or the answer to what it throws.
void answer(httplib::Response& response, const std::function<void()>& make) {
  try {
    make();
  } catch (const api_refusal& refusal) {
    refuse(response, refusal);
  } catch (const std::exception& failure) {
    response.status = 500;
    response.set_content(dumped({{"error", failure.what()}}), json_type);
  }
}

void answer(httplib::Response& response, const char* type, const std::function<std::string()>& make) {
  answer(response, [&] { response.set_content(make(), type); });
}

std::string reason_of(const httplib::Request& request, int status) {
  switch (status) {
  case 404: return request.path + ": no such resource";
  case 413:
    return "the body is too large; one of more than 8192 bytes needs the header Content-Type: application/json, too";
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
  for (const auto& [name, make] : handlers.get_call)
    get.push_back("/api/v1/" + name);
  for (const auto& [name, start] : handlers.stream)
    get.push_back("/api/v1/" + name);
  for (const auto& [path, make] : handlers.text)
    get.push_back(path);
  for (const auto& [name, act] : handlers.post)
    post.push_back("/api/v1/" + name);
  for (const auto& [name, act] : handlers.post_call)
    post.push_back("/api/v1/" + name);
  return dumped({{"get", get}, {"post", post}});
}

httplib::Server::Handler calling(const std::function<api_answer(const api_call&)>& call) {
  return [call](const httplib::Request& request, httplib::Response& response) {
    answer(response, [&] {
      const auto made = call({{request.params.begin(), request.params.end()}, request.body, {}});
      response.status = made.status;
      response.set_content(made.body, made.type);
    });
  };
}

httplib::Server::Handler
streaming(const std::function<void(const api_call&, const std::shared_ptr<event_stream>&)>& start,
          event_streams& streams) {
  return [start, &streams](const httplib::Request& request, httplib::Response& response) {
    if (request.method != "GET")
      return response.set_content("", event_type); // HEAD
    const auto stream = streams.open();
    if (!stream)
      return refuse(response, {503, "too many streams at once; try again", "overloaded"});
    answer(response, event_type, [&] {
      try {
        start({{request.params.begin(), request.params.end()}, {}, request.get_header_value("Last-Event-ID")}, stream);
      } catch (...) {
        streams.abandon(stream);
        throw;
      }
      bounded_server::hand_over(stream);
      return std::string{};
    });
  };
}

void add_routes(httplib::Server& http, const api_handlers& handlers, event_streams& streams) {
  for (const auto& [name, call] : handlers.get_call)
    http.Get("/api/v1/" + name, calling(call));
  for (const auto& [name, call] : handlers.post_call)
    http.Post("/api/v1/" + name, calling(call));
  for (const auto& [name, start] : handlers.stream)
    http.Get("/api/v1/" + name, streaming(start, streams));
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
        if (request.body.size() > http_api::max_post_bytes)
          throw api_refusal{413, "the body is larger than " + std::to_string(http_api::max_post_bytes) + " bytes"};
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
  http.set_post_routing_handler([](const httplib::Request&, httplib::Response& response) {
    if (response.status == 503)
      response.set_header("Retry-After", "1");
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
  server_->local = std::make_unique<bounded_server>(bounded_server::limits{}, &server_->streams);
  add_routes(*server_->local, handlers, server_->streams);
  if (tcp_) {
    server_->tcp = std::make_unique<bounded_server>(bounded_server::limits{}, &server_->streams);
    add_routes(*server_->tcp, handlers, server_->streams);
    guard(*server_->tcp, tcp_->token);
  }
}

http_api::~http_api() {
  server_.reset();
  std::error_code ignored;
  std::filesystem::remove(socket_, ignored);
}

expected<void, std::string> http_api::start() {
  if (auto listening = server_->local->start(socket_); !listening)
    return listening;
  if (tcp_) {
    const auto port = server_->tcp->start(tcp_->listen);
    if (!port)
      return unexpected{port.error()};
    tcp_port_ = *port;
  }
  return {};
}

} // namespace glocal::node
