#pragma once
// GET /api/v1/store/status: what one store node says of its slots, its log and its engine. `glocal store status` puts
// the nodes' reports together.

#include "runtime/observatory.hpp"
#include "store/types.hpp"

#include <string>
#include <vector>

namespace glocal::node {

/// JSON as text. A list of no slots where the node has not the role. @param etcd where the whole store is, for people;
/// empty when store nodes keep it.
[[nodiscard]] std::string store_report(const std::string& node, store::slot_id slot_count, const std::string& etcd,
                                       const std::vector<runtime::actor_record>& records);

} // namespace glocal::node
