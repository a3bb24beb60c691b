#pragma once
// What keeps a veth end's frames as they are on a wire: no 64 KB super-frames, no checksums left for a device to fill
// in, no VLAN tag beside the frame. A data plane that takes frames from one wants it at both ends.

#include <string>
#include <vector>

namespace glocal::node {

/// The command; cost: one process.
[[nodiscard]] inline std::vector<std::string> offloads_off(const std::string& interface) {
  std::vector<std::string> out{"ethtool", "-K", interface};
  for (const auto* feature : {"tx", "rx", "sg", "tso", "gso", "gro", "rxvlan", "txvlan"})
    out.insert(out.end(), {feature, "off"});
  return out;
}

} // namespace glocal::node
