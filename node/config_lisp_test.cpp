#include "node/config.hpp"

#include <catch2/catch.hpp>

namespace glocal::node {
namespace {

/// A sound cluster with this after `lisp: `, in line 4.
std::string with_lisp(const std::string& section, const std::string& roles = "edge, store, mano, lisp",
                      const std::string& more = "") {
  return "cluster: lab\nmanagement: 10.255.0.0/24\nunderlay: {routers: [r]}\nlisp: " + section + R"(
nodes:
  - name: west
    roles: [)" +
         roles + R"(]
    control: 10.255.0.1:7400
    underlay: {router: r, rloc: 172.16.1.2/30, gateway: 172.16.1.1}
    attachments: [{name: homes, gateway: 10.1.0.1/24, host: {name: alice, addresses: [10.1.0.7/24]}}]
)" + more;
}

std::string errors_of(const std::string& text) {
  const auto loaded = load_cluster(text, "lab.yaml");
  std::string out;
  if (!loaded)
    for (const auto& one : loaded.error())
      out += to_string(one) + "\n";
  return out;
}

} // namespace

TEST_CASE("a LISP site has prefixes, keys and rules, with defaults for all that is safe") {
  const auto loaded = load_cluster(
      with_lisp(
          "{registration_lifetime: 60s, rate_limit: {per_source: 50}, sites: [\n"
          "  {name: branch, prefixes: [192.168.0.0/16, 'fd00::/16'], keys: [{secret: word}]},\n"
          "  {name: other, tenant: 7, prefixes: [172.16.0.0/12], accept_more_specifics: true, proxy_reply: always,\n"
          "   replay: increasing-nonce, profile: oor, site_id: 42,\n"
          "   keys: [{id: 3, secret_file: key, algorithms: [sha1, sha256]}]}]}",
          "edge, store, mano, lisp", "    lisp: {listen: [10.255.0.1, 'fd00::1']}\n"),
      "/etc/lab.yaml");
  if (!loaded)
    FAIL(to_string(loaded.error().front()));
  const auto& lisp = loaded->lisp;
  CHECK(lisp.registration_lifetime == std::chrono::seconds{60});
  CHECK((lisp.per_source == 50 && lisp.per_eid == 1));
  REQUIRE(lisp.sites.size() == 2);
  const auto& branch = lisp.sites[0];
  CHECK((branch.name == "branch" && branch.tenant == 0 && branch.prefixes.size() == 2));
  CHECK((!branch.accept_more_specifics && !branch.increasing_nonce && branch.proxy == lisp_proxy::as_asked));
  CHECK((branch.profile == "plain" && branch.keys[0].secret == "word" && branch.keys[0].id == 0));
  CHECK(branch.keys[0].algorithms == std::vector<std::uint8_t>{1, 2, 3});
  const auto& other = lisp.sites[1];
  CHECK((other.tenant == 7 && other.accept_more_specifics && other.increasing_nonce));
  CHECK((other.proxy == lisp_proxy::always && other.profile == "oor" && other.site_id == 42u));
  CHECK((other.keys[0].id == 3 && other.keys[0].secret_file == "/etc/key"));
  CHECK(other.keys[0].algorithms == std::vector<std::uint8_t>{1, 2});
  CHECK(loaded->nodes[0].lisp_listen.size() == 2);
}

TEST_CASE("limits of LISP sources can be switched off") {
  const auto loaded = load_cluster(with_lisp("{rate_limit: off}"), "lab.yaml");
  REQUIRE(loaded);
  CHECK((loaded->lisp.per_source == 0 && loaded->lisp.per_eid == 0));
}

TEST_CASE("what is wrong with LISP sites is reported where it is") {
  const auto site = [](const std::string& text) { return with_lisp("{sites: [{" + text + "}]}"); };
  const struct {
    const char* what;
    std::string text;
    const char* where;
    const char* message;
  } rows[] = {
      {"no keys", site("name: a, prefixes: [192.168.0.0/16]"), "4:16", "keys"},
      {"no secret", site("name: a, prefixes: [192.168.0.0/16], keys: [{id: 1}]"), "4:61", "without a secret"},
      {"two secrets", site("name: a, prefixes: [192.168.0.0/16], keys: [{secret: x, secret_file: y}]"), "4:61",
       "both 'secret' and 'secret_file'"},
      {"host bits", site("name: a, prefixes: [192.168.0.1/16], keys: [{secret: x}]"), "4:37", "192.168.0.1/16"},
      {"an unknown profile", site("name: a, prefixes: [192.168.0.0/16], keys: [{secret: x}], profile: cisco"), "4:84",
       "unknown value 'cisco'"},
      {"an unknown algorithm", site("name: a, prefixes: [192.168.0.0/16], keys: [{secret: x, algorithms: [md5]}]"),
       "4:86", "unknown value 'md5'"},
      {"a key id twice", site("name: a, prefixes: [192.168.0.0/16], keys: [{secret: x}, {secret: y}]"), "4:74",
       "key id 0 twice"},
      {"an edge's prefix", site("name: a, prefixes: [10.1.0.0/25], keys: [{secret: x}]"), "4:37",
       "overlaps 10.1.0.0/24 of attachment 'homes' of 'west'"},
      {"overlapping sites",
       with_lisp("{sites: [{name: a, prefixes: [192.168.0.0/16], keys: [{secret: x}]}, {name: b, prefixes: "
                 "[192.168.1.0/24], keys: [{secret: x}]}]}"),
       "4:97", "overlaps 192.168.0.0/16 of site 'a'"},
      {"no node serves",
       with_lisp("{sites: [{name: a, prefixes: [192.168.0.0/16], keys: [{secret: x}]}]}", "edge, store, mano"), "4:15",
       "no node has the role 'lisp'"},
      {"listening without the role", with_lisp("{}", "edge, store, mano", "    lisp: {listen: 10.255.0.1}\n"), "11:11",
       "without the role 'lisp'"},
      {"a rate of nothing", with_lisp("{rate_limit: {per_eid: 0}}"), "4:30", "per_eid"},
  };
  for (const auto& row : rows) {
    INFO(row.what);
    const auto errors = errors_of(row.text);
    CHECK_THAT(errors, Catch::Contains("lab.yaml:" + std::string{row.where} + ": error: "));
    CHECK_THAT(errors, Catch::Contains(row.message));
    CHECK(std::count(errors.begin(), errors.end(), '\n') <= 2);
  }
}

} // namespace glocal::node
