// How a service module follows the state its policy decides from: the edge's hand of a large class, and links.
#include "actors/edge/edge_world_test.hpp"
#include "actors/policy/deal.hpp"

#include <catch2/catch.hpp>

using namespace glocal;
using namespace glocal::actors;
using namespace glocal::actors::testing;

namespace {

/// The instance the next flow gets.
std::string decided(world& w) {
  static int port = 1000;
  const auto tuple = "tcp 10.1.0.7:" + std::to_string(++port) + " > 203.0.113.9:80";
  w.raise(tuple);
  w.pass(100ms);
  const auto record = w.published(tuple);
  if (!record)
    return "none";
  const auto path = w.execute(store::get_op{store::table::paths, model::keys::path(record->path)}).found;
  return model::decode<model::service_path>(path->value)->instances.at(0);
}

model::class_digest hand(std::uint32_t which, std::uint32_t of, const std::string& instance,
                         const std::string& node = "dc") {
  return {"firewall", {{instance, node, rloc_of_dc, 0, 0}}, which, of};
}

} // namespace

TEST_CASE("of a class that is dealt into hands an edge decides from its own, once it is there") {
  world w;
  w.publish_service();
  std::uint32_t hands = 3;
  while (policy::hand_of("e1", hands) == 0)
    ++hands;
  const auto own = policy::hand_of("e1", hands);
  const auto publish = [&](std::uint32_t which, std::uint32_t of, const std::string& instance) {
    w.put(store::table::digests, model::keys::digest("firewall", which), model::encode(hand(which, of, instance)));
    w.pass(100ms);
  };
  publish(0, hands, "first");
  CHECK(decided(w) == "first");
  publish(own, hands, "own");
  CHECK(decided(w) == "own");
  publish(own == 1 ? 2 : 1, hands, "another's");
  publish(0, hands, "first-again");
  CHECK(decided(w) == "own");
  // The class shrank: there is one hand again.
  publish(0, 1, "only");
  CHECK(decided(w) == "only");
  publish(own, hands, "of the past");
  CHECK(decided(w) == "only");
}

TEST_CASE("measured links reach a policy that weighs them") {
  world w;
  w.web.policy = policy::kind::lowest_latency;
  w.publish_service();
  model::class_digest two{"firewall", {{"near", "dc1", rloc_of_dc, 0, 0}, {"far", "dc2", rloc_of_dc, 0, 0}}};
  w.put(store::table::digests, "firewall", model::encode(two));
  const auto measure = [&](const std::string& to, double delay_us) {
    w.put(store::table::links, model::keys::link("e1", to), model::encode(model::link_state{"e1", to, delay_us, 0}));
    w.pass(100ms);
  };
  measure("dc1", 200);
  measure("dc2", 9000);
  CHECK(decided(w) == "near");
  measure("dc1", 50'000);
  CHECK(decided(w) == "far");
  // Nobody measures any more: what is left is the other link's, which then is neutral.
  w.execute(store::erase_op{store::table::links, model::keys::link("e1", "dc1"), {}});
  measure("dc2", 60'000);
  measure("dc1", 40'000);
  CHECK(decided(w) == "near");
}
