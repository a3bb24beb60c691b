#include "store/hash_ring.hpp"

#include <catch2/catch.hpp>

#include <map>
#include <set>

using namespace glocal;
using namespace glocal::store;

namespace {

std::vector<ring_node> nodes(std::size_t count, std::size_t domains = 0) {
  std::vector<ring_node> out;
  for (std::size_t i = 0; i < count; ++i)
    out.push_back({"s" + std::to_string(i + 1), domains == 0 ? "" : "rack" + std::to_string(i % domains)});
  return out;
}

std::map<node_name, std::size_t> primaries(const hash_ring& ring) {
  std::map<node_name, std::size_t> out;
  for (slot_id slot = 0; slot < ring.slot_count(); ++slot)
    ++out[ring.owners(slot, 1)->front()];
  return out;
}

} // namespace

TEST_CASE("no node is primary of more than the bound above the mean, and none of far less") {
  for (const std::size_t count : {1, 2, 3, 5, 8, 16}) {
    const auto ring = *hash_ring::make(nodes(count));
    const double mean = 256.0 / static_cast<double>(count);
    INFO(count << " nodes");
    const auto loads = primaries(ring);
    CHECK(loads.size() == count);
    for (const auto& [node, load] : loads) {
      CHECK(static_cast<double>(load) <= mean * hash_ring::load_bound + 1);
      CHECK(static_cast<double>(load) >= mean * 0.5);
    }
  }
}

TEST_CASE("all machines place alike, whatever order the nodes are listed in") {
  auto listed = nodes(5);
  const auto ring = *hash_ring::make(listed);
  std::reverse(listed.begin(), listed.end());
  const auto other = *hash_ring::make(listed);
  for (slot_id slot = 0; slot < ring.slot_count(); ++slot)
    REQUIRE(*ring.owners(slot, 3) == *other.owners(slot, 3));
}

TEST_CASE("owners are distinct, in distinct failure domains while there are enough") {
  const auto ring = *hash_ring::make(nodes(6, 3));
  for (slot_id slot = 0; slot < ring.slot_count(); ++slot) {
    const auto owners = *ring.owners(slot, 4);
    CHECK(std::set(owners.begin(), owners.end()).size() == 4);
    std::set<std::string> domains;
    for (std::size_t i = 0; i < 3; ++i)
      for (const auto& node : ring.nodes())
        if (node.name == owners[i])
          domains.insert(node.failure_domain);
    CHECK(domains.size() == 3);
  }
}

TEST_CASE("more replicas only append") {
  const auto ring = *hash_ring::make(nodes(5, 2));
  for (slot_id slot = 0; slot < ring.slot_count(); ++slot) {
    const auto three = *ring.owners(slot, 3);
    const auto five = *ring.owners(slot, 5);
    CHECK(std::equal(three.begin(), three.end(), five.begin()));
    CHECK(three.front() == ring.nodes()[ring.primary(slot)].name);
  }
}

TEST_CASE("a node that joins or leaves moves little more than its share") {
  for (const std::size_t count : {3, 4, 8}) {
    const auto before = *hash_ring::make(nodes(count));
    const auto after = *hash_ring::make(nodes(count + 1));
    std::size_t moved = 0, moved_elsewhere = 0;
    for (slot_id slot = 0; slot < before.slot_count(); ++slot) {
      const auto was = before.owners(slot, 1)->front(), is = after.owners(slot, 1)->front();
      moved += was != is;
      moved_elsewhere += was != is && is != "s" + std::to_string(count + 1);
    }
    INFO(count << " nodes and one more: " << moved << " moved, " << moved_elsewhere << " between old nodes");
    const double share = 256.0 / static_cast<double>(count + 1);
    CHECK(static_cast<double>(moved) <= share * 1.5);
    CHECK(moved_elsewhere <= 256 / 6);
  }
}

TEST_CASE("placement without nodes, with two of one name, or with too few is refused") {
  CHECK(hash_ring::make({}).error() == placement_error::no_nodes);
  CHECK(hash_ring::make({{"a"}, {"a"}}).error() == placement_error::duplicate_node);
  CHECK(hash_ring::make(nodes(2))->owners(0, 3).error() == placement_error::too_few_nodes);
}

TEST_CASE("keys spread evenly over slots, and tables do not share placement") {
  std::vector<std::size_t> loads(default_slot_count);
  std::size_t same = 0;
  constexpr int keys = 100'000;
  for (int i = 0; i < keys; ++i) {
    const auto key = "flow" + std::to_string(i);
    ++loads[slot_of(table::flows, key)];
    same += slot_of(table::flows, key) == slot_of(table::paths, key);
  }
  const auto mean = keys / default_slot_count;
  for (const auto load : loads) {
    CHECK(load > static_cast<std::size_t>(mean) * 7 / 10);
    CHECK(load < static_cast<std::size_t>(mean) * 13 / 10);
  }
  CHECK(same < keys / 100);
}

TEST_CASE("placement of keys never changes: these slots are on disks") {
  CHECK(slot_of(table::flows, "flow") == 80);
  CHECK(slot_of(table::paths, "0000a0") == 54);
}
