#include "dataplane/switch/path_program.hpp"

#include <bitset>

namespace glocal::dataplane {

bool is_valid(const path_program& path) noexcept {
  if ((path.id & 1u) != 0 || path.id > max_spi || path.hops.size() > max_path_hops)
    return false;
  std::bitset<max_ports> arms;
  for (const auto& hop : path.hops) {
    const bool good = hop.local ? hop.in_arm < max_ports && hop.out_arm < max_ports && hop.in_arm != hop.out_arm
                                : !hop.rloc.is_unspecified() && !hop.rloc.is_multicast();
    if (!good)
      return false;
    // An instance twice on one path would leave its arms with two meanings.
    if (hop.local && (arms.test(hop.in_arm) || arms.test(hop.out_arm)))
      return false;
    if (hop.local)
      arms.set(hop.in_arm).set(hop.out_arm);
  }
  return true;
}

} // namespace glocal::dataplane
