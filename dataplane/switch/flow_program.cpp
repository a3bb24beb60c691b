#include "dataplane/switch/flow_program.hpp"

namespace glocal::dataplane {

const path_hop* hop_at(const path_program& path, path_step step) noexcept {
  const auto count = path.hops.size();
  if (step.position >= count)
    return nullptr;
  return &path.hops[step.way == direction::forward ? step.position : count - 1 - step.position];
}

flow_program flow_program::make(std::uint32_t tenant, const five_tuple& forward, const path_program& path,
                                const eid_table& eids) noexcept {
  const auto* initiator = eids.lookup(tenant, forward.source);
  const auto* responder = eids.lookup(tenant, forward.destination);
  flow_program program;
  program.add_direction(direction::forward, tenant, path, initiator, responder);
  program.add_direction(direction::reverse, tenant, path, responder, initiator);
  return program;
}

void flow_program::add_direction(direction way, std::uint32_t tenant, const path_program& path, const eid_route* source,
                                 const eid_route* destination) noexcept {
  const auto add = [&](place where, std::size_t position) {
    entries_[count_++] = {where, {way, static_cast<std::uint8_t>(position)}};
  };
  const auto egress = path.hops.size();
  bool came_from_here = source != nullptr && source->is_local();
  if (came_from_here)
    add(place::port(tenant, source->port), 0);
  for (std::size_t k = 0; k <= egress; ++k) {
    const auto* hop = hop_at(path, {way, static_cast<std::uint8_t>(k)});
    const bool served_here = hop != nullptr ? hop->local : destination != nullptr && destination->is_local();
    if (served_here && !came_from_here)
      add(place::path(tenant, spi_of(path.id, way), static_cast<std::uint8_t>(initial_service_index - k)), k);
    if (served_here && hop != nullptr)
      add(place::port(tenant, way == direction::forward ? hop->out_arm : hop->in_arm), k + 1);
    came_from_here = served_here;
  }
}

} // namespace glocal::dataplane
