#include "node/daemon/api_access.hpp"

#include "node/config.hpp"

#include <algorithm>

namespace glocal::node {
namespace {

constexpr std::string_view bearer = "bearer";

bool equal_ignoring_case(std::string_view text, std::string_view lower) {
  return text.size() == lower.size() && std::equal(text.begin(), text.end(), lower.begin(), [](char a, char b) {
           return ('A' <= a && a <= 'Z' ? static_cast<char>(a - 'A' + 'a') : a) == b;
         });
}

/// The token of an Authorization header; empty when it is of another scheme.
std::string_view bearer_token(std::string_view authorization) {
  if (authorization.size() <= bearer.size() || !equal_ignoring_case(authorization.substr(0, bearer.size()), bearer) ||
      authorization[bearer.size()] != ' ')
    return {};
  authorization.remove_prefix(bearer.size());
  const auto begin = authorization.find_first_not_of(' ');
  return begin == std::string_view::npos ? std::string_view{} : authorization.substr(begin);
}

} // namespace

bool same_secret(std::string_view secret, std::string_view shown) noexcept {
  if (secret.empty())
    return false;
  // volatile: the compiler must not find out that the loop could end early.
  volatile unsigned char difference = secret.size() == shown.size() ? 0 : 1;
  for (std::size_t i = 0, j = 0; i < shown.size(); ++i) {
    difference = static_cast<unsigned char>(difference | (shown[i] ^ secret[j]));
    j = j + 1 < secret.size() ? j + 1 : 0;
  }
  return difference == 0;
}

bool means_this_machine(std::string_view host) {
  if (host.starts_with('[')) {
    const auto end = host.find(']');
    if (end == std::string_view::npos || (end + 1 < host.size() && host[end + 1] != ':'))
      return false;
    const auto address = parse_ip(host.substr(1, end - 1));
    return address && endpoint{*address, 0}.is_loopback();
  }
  const auto name = host.substr(0, host.find(':'));
  if (equal_ignoring_case(name, "localhost"))
    return true;
  const auto address = parse_ip(name);
  return address && endpoint{*address, 0}.is_loopback();
}

std::optional<api_denial> deny(const api_caller& caller, std::string_view token) {
  if (!token.empty()) {
    const auto shown = bearer_token(caller.authorization);
    if (same_secret(token, shown))
      return std::nullopt;
    return api_denial{401, shown.empty() ? "show the node's token: Authorization: Bearer TOKEN" : "the token is wrong"};
  }
  if (!means_this_machine(caller.host))
    return api_denial{403, "without a token this API answers to 127.0.0.1, [::1] and localhost only, as the Host "
                           "header names them"};
  // What a web page sends from a browser on this machine names its own site here.
  if (!caller.origin.empty() && caller.origin != "http://" + std::string{caller.host})
    return api_denial{403, "without a token this API does not answer to web pages of other sites"};
  if (caller.method != "GET" && caller.method != "HEAD")
    return api_denial{403, "without a token this API only reads; set 'token_file' in the cluster file, or use the "
                           "node's Unix socket"};
  return std::nullopt;
}

} // namespace glocal::node
