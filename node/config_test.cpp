#include "node/config.hpp"

#include <catch2/catch.hpp>

#include <fstream>
#include <sstream>

namespace glocal::node {
namespace {

/// The smallest cluster that has everything; rows below break it in one place each.
const std::string sound = R"(cluster: lab
management: 10.255.0.0/24
underlay:
  mtu: 1700
  routers: [north, south]
  links: [{between: [north, south], subnet: 172.16.9.0/30}]
nodes:
  - name: west
    roles: [edge]
    control: 10.255.0.1:7400
    underlay: {router: north, rloc: 172.16.1.2/30, gateway: 172.16.1.1}
    attachments:
      - name: homes
        gateway: 10.1.0.1/24
        prefixes: [10.1.0.0/16]
        host: {name: alice, addresses: [10.1.0.7/24]}
  - name: east
    roles: [edge, store, mano]
    control: 10.255.0.2:7400
    underlay: {router: south, rloc: 172.16.2.2/30, gateway: 172.16.2.1}
    attachments:
      - {name: internet, gateway: 203.0.113.1/24, prefixes: [0.0.0.0/0], interface: eth1}
vnf_classes:
  - {name: firewall, setup: ["true"]}
instances:
  - {name: fw-1, class: firewall, node: east}
services:
  - name: web
    match: [{protocol: tcp, source: 10.1.0.0/16, destination_ports: [80, 8000-8080]}]
    chain: [firewall]
)";

std::string with(const std::string& from, const std::string& to) {
  auto text = sound;
  const auto at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

std::vector<std::string> errors_of(const std::string& text) {
  const auto loaded = load_cluster(text, "lab.yaml");
  std::vector<std::string> out;
  if (!loaded)
    for (const auto& what : loaded.error())
      out.push_back(to_string(what));
  return out;
}

struct row {
  std::string title, from, to;
  /// Position, a part of the message, a part of the help.
  struct line {
    std::string position, message, help;
  };
  std::vector<line> wanted;
};

void check(const std::vector<row>& rows) {
  for (const auto& row : rows) {
    INFO(row.title);
    const auto errors = errors_of(with(row.from, row.to));
    std::string all;
    for (const auto& error : errors)
      all += error + "\n";
    INFO(all);
    CHECK(errors.size() == row.wanted.size());
    for (std::size_t i = 0; i < errors.size() && i < row.wanted.size(); ++i) {
      CHECK_THAT(errors[i], Catch::StartsWith("lab.yaml:" + row.wanted[i].position + ": error: "));
      CHECK_THAT(errors[i], Catch::Contains(row.wanted[i].message));
      CHECK_THAT(errors[i], Catch::Contains("\n  help: ") && Catch::Contains(row.wanted[i].help));
    }
  }
}

} // namespace

TEST_CASE("a sound cluster file becomes values") {
  const auto loaded = load_cluster(sound, "lab.yaml");
  REQUIRE(loaded);
  const auto& lab = *loaded;
  CHECK(lab.name == "lab");
  CHECK(to_string(lab.management) == "10.255.0.0/24");
  REQUIRE(lab.nodes.size() == 2);
  CHECK(lab.nodes[1].roles == std::vector{role::edge, role::store, role::mano});
  CHECK(to_string(lab.nodes[0].control) == "10.255.0.1:7400");
  CHECK(to_string(lab.nodes[0].underlay->gateway) == "172.16.1.1");
  CHECK(lab.nodes[0].attachments[0].mtu == 1500);
  CHECK(lab.nodes[0].attachments[0].host->name == "alice");
  REQUIRE(lab.services.size() == 1);
  const auto& web = lab.services[0];
  CHECK(web.priority == 100);
  REQUIRE(web.matches.size() == 2); // one rule per listed range
  CHECK(web.matches[0].destination_ports == dataplane::l4_port_range{80, 80});
  CHECK(web.matches[1].destination_ports == dataplane::l4_port_range{8000, 8080});
  CHECK(web.matches[1].protocol == ip_protocol::tcp);
  CHECK(lab.file == "lab.yaml");
  CHECK(lab.match_lines == std::vector<std::vector<std::uint32_t>>{{29, 29}});
  CHECK(lab.instances[0].rloc == parse_ip("172.16.2.2").value());
  CHECK(lab.nodes_with(role::edge).size() == 2);
  CHECK(lab.instances_at("east").size() == 1);
  CHECK(lab.largest_attachment_mtu() == 1500);
}

TEST_CASE("a service decides without the store if it says so, or has no state to lose") {
  const auto affinity_of = [](const std::string& text) {
    const auto lab = load_cluster(text, "lab.yaml");
    REQUIRE(lab);
    return lab->services[0].affinity;
  };
  CHECK(affinity_of(sound) == model::affinity::strict);
  CHECK(affinity_of(with("setup: [\"true\"]", "stateful: false")) == model::affinity::provisional);
  CHECK(affinity_of(with("chain: [firewall]", "chain: [firewall]\n    affinity: provisional")) ==
        model::affinity::provisional);
}

TEST_CASE("absent settings are at their documented defaults") {
  const auto lab = load_cluster(sound, "lab.yaml");
  REQUIRE(lab);
  CHECK(lab->flow.idle_timeout == std::chrono::seconds{60});
  CHECK(lab->flow.closed_linger == std::chrono::seconds{30});
  CHECK(lab->flow.capacity == 65'536);
  CHECK(lab->flow.hold_timeout == std::chrono::seconds{2});
  CHECK(lab->poll == poll_mode::adaptive);
  CHECK(lab->store.slots == 256);
  CHECK(lab->store.lease_ttl == std::chrono::seconds{10});
}

TEST_CASE("durations have units") {
  for (const auto& [text, expected] :
       std::vector<std::pair<std::string, std::chrono::milliseconds>>{{"1500ms", std::chrono::milliseconds{1500}},
                                                                      {"90s", std::chrono::seconds{90}},
                                                                      {"2m", std::chrono::minutes{2}},
                                                                      {"1h", std::chrono::hours{1}}}) {
    const auto lab = load_cluster("flow: {idle_timeout: " + text + "}\n" + sound, "lab.yaml");
    REQUIRE(lab);
    CHECK(lab->flow.idle_timeout == expected);
  }
}

TEST_CASE("device names are deterministic, distinct and fit the kernel") {
  const auto lab =
      load_cluster(with("instances:\n", "instances:\n"
                                        "  - {name: a-firewall-of-the-very-long-name, class: firewall, node: east}\n"
                                        "  - {name: a-firewall-of-the-very-long-nam2, class: firewall, node: east}\n"),
                   "lab.yaml");
  REQUIRE_FALSE(lab); // 32 characters
  const auto longest =
      load_cluster(with("instances:\n", "instances:\n"
                                        "  - {name: firewall-of-the-very-long-nam-1, class: firewall, node: east}\n"
                                        "  - {name: firewall-of-the-very-long-nam-2, class: firewall, node: east}\n"),
                   "lab.yaml");
  REQUIRE(longest);
  const auto one = vnf_arm_interfaces(*longest, "firewall-of-the-very-long-nam-1");
  const auto two = vnf_arm_interfaces(*longest, "firewall-of-the-very-long-nam-2");
  CHECK(one.in.size() <= 15);
  CHECK(one.out.size() <= 15);
  CHECK(one.in != two.in);
  CHECK(one.out != two.out);
  CHECK(vnf_arm_interfaces(*longest, "fw-1").in == "fw-1-in");
  CHECK(vnf_arm_interfaces(*longest, "fw-1").out == "fw-1-out");
  CHECK(instance_index(*longest, "fw-1") == 2);
  CHECK(underlay_interface(*longest, "west") == "underlay0");
  CHECK(attachment_interface(*longest, "west", "homes") == "attach0");
  CHECK(attachment_interface(*longest, "east", "internet") == "eth1");
}

TEST_CASE("what is no YAML is reported where the parser stopped") {
  check({
      {"an open bracket", "[north, south]\n", "[north, south\n", {{"6:8", "not YAML", "brackets"}}},
      {"a tab as indentation", "  mtu: 1700", "\tmtu: 1700", {{"4:5", "not YAML", "indentation"}}},
      {"two documents", "nodes:", "---\nnodes:", {{"7:1", "second document", "remove the '---'"}}},
      {"an alias inside its own anchor",
       "[north, south]",
       "&loop [north, *loop]",
       {{"5:26", "inside its own anchor", "write the value out"}}},
  });
  CHECK(errors_of("") ==
        std::vector<std::string>{"lab.yaml:1:1: error: the file is empty\n  help: start with 'cluster: NAME'"});
  CHECK_THAT(errors_of("just words")[0], Catch::StartsWith("lab.yaml:1:1: error: a cluster file is keys and values"));
}

TEST_CASE("keys that are unknown, missing, repeated or of the wrong shape are reported") {
  check({
      {"a slip of the pen",
       "control: 10.255.0.1:7400",
       "contol: 10.255.0.1:7400",
       {{"8:5", "lacks the key 'control'", "add 'control: ...'"},
        {"10:5", "unknown key 'contol'", "did you mean 'control'?"}}},
      {"an unknown key far from any",
       "  mtu: 1700",
       "  zzzzz: 1700",
       {{"4:3", "unknown key 'zzzzz' in underlay", "keys: mtu, routers, links"}}},
      {"a second key",
       "cluster: lab",
       "cluster: lab\ncluster: lab2",
       {{"2:1", "'cluster' a second time, first in line 1", "keep one"}}},
      {"a list where a word goes",
       "cluster: lab",
       "cluster: [lab]",
       {{"1:10", "a name is a single value, here is a list", "one word"}}},
      {"a word where a list goes", "roles: [edge]", "roles: edge", {{"9:12", "roles is a list", "[a, b]"}}},
      {"nothing at all",
       "routers: [north, south]",
       "routers:",
       {{"5:3", "routers is a list, here is nothing", "remove the key"},
        {"6:22", "", ""},
        {"6:29", "", ""},
        {"11:24", "", ""},
        {"20:24", "", ""}}},
      {"a map as a key",
       "cluster: lab",
       "{a: b}: lab\ncluster: lab",
       {{"1:1", "a key is a single word", "key: value"}}},
  });
}

TEST_CASE("values out of range are reported with the range") {
  check({
      {"a number too small", "mtu: 1700", "mtu: 5", {{"4:8", "576 to 1900, not 5", "at least 576"}}},
      {"a number too large", "mtu: 1700", "mtu: 99999999999999999999999", {{"4:8", "576 to 1900", "at most 1900"}}},
      {"a number in quotes", "mtu: 1700", "mtu: \"1700\"", {{"4:8", "is a number, here is text", "remove the quotes"}}},
      {"a number with a unit", "mtu: 1700", "mtu: 1700B", {{"4:8", "'1700B'", "digits only"}}},
      {"a negative number", "mtu: 1700", "mtu: -1", {{"4:8", "'-1'", "write 576 or more"}}},
      {"a duration without unit",
       "nodes:",
       "flow: {idle_timeout: 60}\nnodes:",
       {{"7:22", "a duration with its unit", "write '60s' for seconds"}}},
      {"a duration too long", "nodes:", "flow: {idle_timeout: 25h}\nnodes:", {{"7:22", "1s to 24h", "at most 24h"}}},
      {"a duration that would wrap",
       "nodes:",
       "flow: {idle_timeout: 18446744073709551615h}\nnodes:",
       {{"7:22", "1s to 24h", "at most 24h"}}},
      {"a duration too short", "nodes:", "store: {lease_ttl: 5ms}\nnodes:", {{"7:20", "1s to 1h", "at least 1s"}}},
      {"an unknown choice",
       "nodes:",
       "poll: adaptve\nnodes:",
       {{"7:7", "unknown value 'adaptve'", "did you mean 'adaptive'?"}}},
      {"half of TLS",
       "nodes:",
       "security: {tls: maybe}\nnodes:",
       {{"7:17", "unknown value 'maybe'", "values: auto, on, off"}}},
      {"an unknown key of security",
       "nodes:",
       "security: {certificate: x}\nnodes:",
       {{"7:12", "unknown key 'certificate' in security", "did you mean 'certificates'?"}}},
      {"an unknown role", "roles: [edge]", "roles: [egde]", {{"9:13", "unknown value 'egde'", "did you mean 'edge'?"}}},
      {"a name with capitals and blanks",
       "cluster: lab",
       "cluster: My Lab",
       {{"1:10", "'My Lab' is no name", "write 'my-lab'"}}},
      {"a name too long",
       "cluster: lab",
       "cluster: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
       {{"1:10", "at most 31", "write 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'"}}},
      {"yes is not true", "setup: [\"true\"]", "stateful: yes", {{"24:32", "true or false, not 'yes'", "write true"}}},
      {"an empty command", "setup: [\"true\"]", "setup: [\"\"]", {{"24:30", "is empty", "write it out"}}},
      {"a device name too long",
       "interface: eth1",
       "interface: ethernet-the-first",
       {{"22:85", "no device name", "ip link"}}},
      {"an unknown driver",
       "setup: [\"true\"]",
       "driver: docker",
       {{"24:30", "unknown value 'docker'", "values: netns"}}},
  });
}

TEST_CASE("addresses that are none are reported with what was probably meant") {
  check({
      {"host bits in a prefix",
       "prefixes: [10.1.0.0/16]",
       "prefixes: [10.1.0.9/16]",
       {{"15:20", "bits set behind its length", "'10.1.0.0/16'"}}},
      {"a gateway without length",
       "gateway: 10.1.0.1/24",
       "gateway: 10.1.0.1",
       {{"14:18", "no address with the length", "'10.1.0.1/24'"}}},
      {"a gateway that is the subnet",
       "gateway: 10.1.0.1/24",
       "gateway: 10.1.0.0/24",
       {{"14:18", "the subnet itself", "host address"}}},
      {"a next hop with a length",
       "gateway: 172.16.1.1}",
       "gateway: 172.16.1.1/30}",
       {{"11:61", "no IPv4 or IPv6 address", "'172.16.1.1'"}}},
      {"a multicast next hop",
       "gateway: 172.16.1.1}",
       "gateway: 224.0.0.1}",
       {{"11:61", "no host's address", "unicast"}}},
      {"no port",
       "control: 10.255.0.1:7400",
       "control: 10.255.0.1",
       {{"10:14", "no address with a port", "'10.255.0.1:7400'"}}},
      {"port 0", "control: 10.255.0.1:7400", "control: 10.255.0.1:0", {{"10:14", "not 1 to 65535", "7400"}}},
      {"a name instead of an address",
       "control: 10.255.0.1:7400",
       "control: west:7400",
       {{"10:14", "no host's address with a port", "7400"}}},
      {"an API that everybody may ask",
       "    attachments:\n      - name: homes",
       "    api: {listen: 10.255.0.1:9100}\n    attachments:\n      - name: homes",
       {{"12:10", "10.255.0.1:9100 can be reached from other machines and asks for no token", "127.0.0.1:9100"}}},
      {"an API at every address",
       "    attachments:\n      - name: homes",
       "    api: {listen: \"[::]:9100\"}\n    attachments:\n      - name: homes",
       {{"12:10", "[::]:9100 can be reached", "token_file"}}},
      {"an API in the transport's place",
       "    attachments:\n      - name: homes",
       "    api: {listen: 0.0.0.0:7400, token_file: t}\n    attachments:\n      - name: homes",
       {{"12:19", "API and transport of 'west' on one port", "9100"}}},
      {"an API without a port",
       "    attachments:\n      - name: homes",
       "    api: {listen: 127.0.0.1}\n    attachments:\n      - name: homes",
       {{"12:19", "no address with a port", "'127.0.0.1:9100'"}}},
      {"a token that is none",
       "    attachments:\n      - name: homes",
       "    api: {listen: 0.0.0.0:9100, token_file: [a]}\n    attachments:\n      - name: homes",
       {{"12:45", "token_file is a single value", "text"}}},
      {"octets too large",
       "management: 10.255.0.0/24",
       "management: 10.256.0.0/24",
       {{"2:13", "no address prefix", "10.1.0.0/24"}}},
  });
}

TEST_CASE("names that refer to nothing are reported with the nearest one") {
  check({
      {"a router", "router: north,", "router: nroth,", {{"11:24", "no router 'nroth'", "did you mean 'north'?"}}},
      {"a link's end",
       "between: [north, south]",
       "between: [north, sout]",
       {{"6:29", "no router 'sout'", "did you mean 'south'?"},
        {"20:24", "no links lead from router 'south' to 'north'", "between"}}},
      {"an instance's class",
       "class: firewall,",
       "class: firewal,",
       {{"26:25", "no VNF class 'firewal'", "did you mean 'firewall'?"}, {"30:13", "has no instance", "instances"}}},
      {"an instance's node", "node: east}", "node: aest}", {{"26:41", "no node 'aest'", "did you mean 'east'?"}}},
      {"a chain's class",
       "chain: [firewall]",
       "chain: [optimiser]",
       {{"30:13", "no VNF class 'optimiser'", "VNF classes: firewall"}}},
      {"a tenant",
       "  - name: web\n",
       "  - name: web\n    tenant: 7\n",
       {{"29:13", "no attachment carries tenant 7", "tenant"}}},
  });
}

TEST_CASE("names, addresses and subnets that clash are reported") {
  check({
      {"two nodes of a name",
       "name: east",
       "name: west",
       {{"17:11", "'west' is already a node or router", "another name"}, {"26:41", "no node 'east'", ""}}},
      {"a host named as a node", "name: alice", "name: east", {{"17:11", "already", "another name"}}},
      {"an instance named as a host", "name: fw-1", "name: alice", {{"26:12", "already", "another name"}}},
      {"two control addresses",
       "control: 10.255.0.2:7400",
       "control: 10.255.0.1:7401",
       {{"19:14", "already the control address of 'west'", "own address"}}},
      {"a control address outside",
       "control: 10.255.0.2:7400",
       "control: 10.254.0.2:7400",
       {{"19:14", "outside the management subnet 10.255.0.0/24", "inside"}}},
      {"the broadcast address",
       "control: 10.255.0.2:7400",
       "control: 10.255.0.255:7400",
       {{"19:14", "broadcast", "another address"}}},
      {"an RLOC not in its gateway's subnet",
       "rloc: 172.16.2.2/30",
       "rloc: 172.16.3.2/30",
       {{"20:37", "not in one subnet", "one link subnet"}}},
      {"two equal RLOCs",
       "{router: south, rloc: 172.16.2.2/30, gateway: 172.16.2.1}",
       "{interface: eth0, rloc: 172.16.1.2/30, gateway: 172.16.1.1}",
       {{"20:39", "already the RLOC of 'west'", "its own RLOC"}}},
      {"two link subnets",
       "rloc: 172.16.2.2/30, gateway: 172.16.2.1",
       "rloc: 172.16.2.2/15, gateway: 172.16.2.1",
       {{"6:45", "overlaps 172.16.0.0/15 of the link of 'east'", "own range"}, {"11:37", "overlaps", ""}}},
      {"RLOCs of two IP versions",
       "rloc: 172.16.2.2/30, gateway: 172.16.2.1",
       "rloc: \"fd00::2/64\", gateway: \"fd00::1\"",
       {{"20:37", "both IP versions", "172.16.1.2"}}},
      {"a prefix inside another's",
       "prefixes: [0.0.0.0/0]",
       "prefixes: [203.0.113.0/24, 10.1.2.0/24]",
       {{"22:78", "10.1.2.0/24 overlaps 10.1.0.0/16 of attachment 'homes' of 'west'", "own range"}}},
      {"two default prefixes",
       "prefixes: [10.1.0.0/16]",
       "prefixes: [0.0.0.0/0]",
       {{"22:62", "0.0.0.0/0 overlaps 0.0.0.0/0", "own range"}}},
      {"a gateway outside the prefixes",
       "prefixes: [0.0.0.0/0]",
       "prefixes: [198.51.100.0/24]",
       {{"22:35", "not in the attachment's prefixes", "add it to 'prefixes'"}}},
      {"a host with the gateway's address",
       "addresses: [10.1.0.7/24]",
       "addresses: [10.1.0.1/24]",
       {{"16:41", "already an address of the gateway", "free address"}}},
      {"a host in another subnet",
       "addresses: [10.1.0.7/24]",
       "addresses: [10.2.0.7/24]",
       {{"16:41", "in no gateway's subnet", "10.1.0.0/24"}}},
      {"no room for encapsulation",
       "mtu: 1700",
       "mtu: 1599",
       {{"13:9", "leaves no room for encapsulation in the underlay's 1599", "at least 1600"},
        {"22:9", "MTU 1500", "at most 1499"}}},
  });
}

TEST_CASE("roles, ports and chains that make no sense are reported") {
  check({
      {"no MANO",
       "roles: [edge, store, mano]",
       "roles: [edge, store]",
       {{"8:3", "no node has the role 'mano'", "roles of a node"}}},
      {"two MANOs",
       "roles: [edge]",
       "roles: [edge, mano]",
       {{"18:12", "second node with the role 'mano'", "'west' has it"}}},
      {"a role twice", "roles: [edge]", "roles: [edge, edge]", {{"9:12", "role 'edge' twice", "once"}}},
      {"no role", "roles: [edge]", "roles: []", {{"9:12", "needs a role", "edge, store, mano"}}},
      {"a store with attachments",
       "roles: [edge]",
       "roles: [store]",
       {{"11:15", "only edges have an underlay port", "edge"}, {"13:7", "only edges have attachments", "edge"}}},
      {"an edge without underlay",
       "    underlay: {router: north, rloc: 172.16.1.2/30, gateway: 172.16.1.1}\n",
       "",
       {{"8:5", "an edge needs 'underlay'", "rloc"}}},
      {"both kinds of port",
       "router: north,",
       "router: north, interface: eth0,",
       {{"11:15", "both 'router' and 'interface'", "one machine"}}},
      {"an attachment to nothing",
       "        host: {name: alice, addresses: [10.1.0.7/24]}\n",
       "",
       {{"13:9", "neither 'host' nor 'interface'", "one machine"}}},
      {"an instance at a store",
       "roles: [edge, store, mano]",
       "roles: [store, mano]",
       {{"20:15", "", ""}, {"22:7", "", ""}, {"26:41", "'east' is no edge", "edges"}}},
      {"an empty chain", "chain: [firewall]", "chain: []", {{"30:12", "an empty chain", "order"}}},
      {"a class twice in a chain",
       "chain: [firewall]",
       "chain: [firewall, firewall]",
       {{"30:23", "twice in one chain", "once"}}},
      {"no match",
       "match: [{protocol: tcp, source: 10.1.0.0/16, destination_ports: [80, 8000-8080]}]",
       "match: []",
       {{"29:12", "matches nothing", "matches everything"}}},
      {"ports without protocol",
       "protocol: tcp, source",
       "source",
       {{"29:54", "needs a protocol that has ports", "protocol: tcp"}}},
      {"a range that ends before it starts",
       "8000-8080",
       "8080-8000",
       {{"29:74", "ends before it starts", "'8000-8080'"}}},
      {"a port too large", "8000-8080", "70000", {{"29:74", "'70000' is no port", "8000-8080"}}},
      {"two IP versions in a match",
       "source: 10.1.0.0/16,",
       "source: 10.1.0.0/16, destination: \"fd00::/8\",",
       {{"29:13", "different IP versions", "two matches"}}},
  });
  std::string chain;
  for (int i = 0; i < 17; ++i)
    chain += (i > 0 ? ", " : "") + std::string{"firewall"};
  CHECK_THAT(errors_of(with("chain: [firewall]", "chain: [" + chain + "]"))[0],
             Catch::Contains("a chain of 17 classes"));
}

TEST_CASE("paths in a file start where the file is; loopback needs no token") {
  const auto loaded = load_cluster(with("    attachments:\n      - name: homes",
                                        "    api: {listen: 10.255.0.1:9100, token_file: secrets/token}\n"
                                        "    attachments:\n      - name: homes"),
                                   "/etc/glocal/lab.yaml");
  REQUIRE(loaded);
  CHECK(loaded->nodes[0].api->token_file == "/etc/glocal/secrets/token");
  for (const auto* address : {"127.0.0.1:9100", "127.9.9.9:9100", "\"[::1]:9100\""}) {
    INFO(address);
    CHECK(load_cluster(with("    attachments:\n      - name: homes",
                            "    api: {listen: " + std::string{address} + "}\n    attachments:\n      - name: homes"),
                       "lab.yaml"));
  }
}

TEST_CASE("nodes speak TLS between machines, and where the file says so") {
  const auto tls = [](std::string text) {
    const auto loaded = load_cluster(text, "/etc/glocal/lab.yaml");
    REQUIRE(loaded);
    return loaded->uses_tls();
  };
  // `sound` has one attachment at a device of a real machine.
  CHECK(tls(sound));
  CHECK_FALSE(tls(with("nodes:", "security: {tls: off}\nnodes:")));
  const auto one_machine = with("interface: eth1", "host: {name: web, addresses: [203.0.113.9/24]}");
  CHECK_FALSE(tls(one_machine));
  CHECK(tls("security: {tls: on}\n" + one_machine));
  CHECK_FALSE(tls("security: {tls: auto}\n" + one_machine));
  CHECK(load_cluster(sound, "lab.yaml")->security.certificates == "/etc/glocal/tls");
  CHECK(load_cluster("security: {certificates: pki}\n" + sound, "/etc/glocal/lab.yaml")->security.certificates ==
        "/etc/glocal/pki");
}

TEST_CASE("a cluster without nodes says just that") {
  CHECK(errors_of("{cluster: lab, management: 10.0.0.0/24, underlay: {}, nodes: []}") ==
        std::vector<std::string>{"lab.yaml:1:62: error: a cluster needs nodes\n  help: add a node with the roles edge, "
                                 "store and mano"});
}

TEST_CASE("every error of a file is reported at once, in file order") {
  auto text = with("mtu: 1700", "mtu: 17");
  text.replace(text.find("edge]"), 5, "egde]");
  text.replace(text.find("chain: [firewall]"), 17, "chain: [fierwall]");
  const auto errors = errors_of(text);
  REQUIRE(errors.size() == 3);
  CHECK_THAT(errors[0], Catch::StartsWith("lab.yaml:4:8:"));
  CHECK_THAT(errors[1], Catch::StartsWith("lab.yaml:9:13:"));
  CHECK_THAT(errors[2], Catch::StartsWith("lab.yaml:30:13:"));
}

TEST_CASE("a hostile file costs bounded time and memory") {
  SECTION("aliases of aliases") {
    std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
    for (int i = 1; i < 10; ++i) {
      const auto name = "a" + std::to_string(i), below = "*a" + std::to_string(i - 1);
      bomb += name + ": &" + name + " [" + below;
      for (int j = 1; j < 10; ++j)
        bomb += ", " + below;
      bomb += "]\n";
    }
    CHECK_THAT(errors_of(bomb + sound)[0], Catch::Contains("aliases expanded"));
  }
  SECTION("a file too large") {
    CHECK_THAT(errors_of(sound + std::string(max_file_bytes, '#'))[0],
               Catch::StartsWith("lab.yaml: error: larger than 4 MiB"));
  }
  SECTION("brackets without end") {
    CHECK(errors_of("cluster: " + std::string(100'000, '[')).size() == 1);
  }
  SECTION("nothing but errors") {
    std::string text = "nodes:\n";
    for (int i = 0; i < 100'000; ++i)
      text += "  - {x: y}\n";
    CHECK(errors_of(text).size() == 1000);
  }
}

TEST_CASE("an alias stands for its value, and its mistake is one mistake") {
  auto text = with("control: 10.255.0.1:7400", "control: &here 10.255.0.1");
  text.replace(text.find("10.255.0.2:7400"), 15, "*here");
  CHECK(errors_of(text).size() == 1);
}

TEST_CASE("a file that cannot be read is an error of the whole file") {
  const auto loaded = load_cluster_file("/nonexistent/cluster.yaml");
  REQUIRE_FALSE(loaded);
  CHECK_THAT(to_string(loaded.error()[0]),
             Catch::StartsWith("/nonexistent/cluster.yaml: error: cannot be read: No such file"));
  CHECK_FALSE(load_cluster_file("/"));
}

TEST_CASE("the shipped cluster file is sound") {
  const auto figure3 = load_cluster_file(GLOCAL_SOURCE_DIR "/configs/figure3.yaml");
  if (!figure3)
    for (const auto& what : figure3.error())
      UNSCOPED_INFO(to_string(what));
  REQUIRE(figure3);
  CHECK(figure3->nodes_with(role::edge).size() == 4);
  CHECK(figure3->nodes_with(role::store).size() == 3);
  CHECK(figure3->instances_at("dc1").size() == 2);
  CHECK(figure3->instances_at("dc2").size() == 2);
}

} // namespace glocal::node
