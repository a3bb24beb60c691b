#pragma once
// The section `store` of a cluster file. Read by config_load.cpp, checked by config_check.cpp.

#include "node/config_report.hpp"

namespace glocal::node {

void read_store(const yaml_tree& tree, config_report& report, const yaml_value& section, store_settings& out);
/// Whether there are nodes for the copies, and what the register needs of the nodes.
void check_store(const cluster_config& config, config_report& report);

} // namespace glocal::node
