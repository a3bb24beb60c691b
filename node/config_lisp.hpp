#pragma once
// The section `lisp` of a cluster file: sites of the Map-Server. Read by config_load.cpp, checked by config_check.cpp.

#include "node/config_report.hpp"

#include <string>

namespace glocal::node {

/// @param directory relative paths start there.
void read_lisp(const yaml_tree& tree, config_report& report, const yaml_value& section, const std::string& directory,
               lisp_config& out);
/// What the sites mean to each other and to the edges' prefixes.
void check_lisp(const cluster_config& config, config_report& report);

} // namespace glocal::node
