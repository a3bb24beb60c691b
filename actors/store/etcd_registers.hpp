#pragma once
// The configuration register in etcd as store nodes use it: each node's register_actor has a store::etcd_register of
// its own, all over one client.

#include "actors/store/register_actor.hpp"
#include "store/etcd/etcd_client.hpp"

#include <memory>
#include <string>

namespace glocal::actors {

/// @param cluster keeps clusters apart that share an etcd.
[[nodiscard]] register_factory register_in_etcd(std::shared_ptr<store::etcd_client> client, std::string cluster);

} // namespace glocal::actors
