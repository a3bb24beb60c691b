#pragma once
// `policy` of a service: a policy's name, or its name with parameters (docs/cluster-file.md, docs/policies.md).

#include "actors/policy/settings.hpp"
#include "node/config_report.hpp"

namespace glocal::node {

/// Reports what is wrong with each value by itself. That the instances in `weights` exist is `check_config`'s.
void read_policy(const yaml_tree& tree, config_report& report, const yaml_value& v, policy::settings& out);

} // namespace glocal::node
