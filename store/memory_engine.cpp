#include "store/memory_engine.hpp"

namespace glocal::store {
namespace {

struct apply_to {
  memory_disk::slot_data& slot;

  void operator()(const put_entry& change) const {
    slot.entries.insert_or_assign({change.entry.table, change.entry.key}, change.entry);
  }
  void operator()(const erase_entry& change) const { slot.entries.erase({change.table, change.key}); }
  void operator()(const put_lease& change) const { slot.leases.insert_or_assign(change.lease.id, change.lease); }
  void operator()(const erase_lease& change) const { slot.leases.erase(change.id); }
};

} // namespace

expected<void, engine_failure> memory_engine::write(std::span<const slot_write> writes, bool sync) {
  if (disk_->broken)
    return unexpected{engine_failure{"the disk is broken"}};
  for (const auto& write : writes) {
    auto& slot = disk_->slots[write.slot];
    slot.index = write.index;
    slot.at = write.at;
    for (const auto& change : write.mutations)
      std::visit(apply_to{slot}, change);
  }
  ++disk_->writes;
  disk_->syncs += sync;
  return {};
}

expected<void, engine_failure> memory_engine::apply(std::span<const slot_write> writes) {
  return write(writes, false);
}

expected<void, engine_failure> memory_engine::flush() {
  if (disk_->broken)
    return unexpected{engine_failure{"the disk is broken"}};
  ++disk_->syncs;
  return {};
}

expected<void, engine_failure> memory_engine::replace(slot_id slot, const slot_image& image) {
  if (disk_->broken)
    return unexpected{engine_failure{"the disk is broken"}};
  auto& data = disk_->slots[slot];
  data = {image.index, image.at, {}, {}};
  for (const auto& row : image.entries)
    data.entries.insert_or_assign({row.table, row.key}, row);
  for (const auto& lease : image.leases)
    data.leases.insert_or_assign(lease.id, lease);
  return {};
}

expected<slot_image, engine_failure> memory_engine::load(slot_id slot) {
  const auto& data = disk_->slots[slot];
  slot_image image{data.index, {}, {}, data.at};
  for (const auto& [key, row] : data.entries)
    image.entries.push_back(row);
  for (const auto& [id, lease] : data.leases)
    image.leases.push_back(lease);
  return image;
}

expected<std::vector<entry>, engine_failure> memory_engine::scan(slot_id slot, table from, std::string_view prefix,
                                                                 std::string_view after, std::size_t limit) {
  const auto& rows = disk_->slots[slot].entries;
  std::vector<entry> out;
  for (auto at = after.empty() ? rows.lower_bound({from, std::string{prefix}})
                               : rows.upper_bound({from, std::string{after}});
       at != rows.end() && out.size() < limit && at->first.first == from && at->first.second.starts_with(prefix); ++at)
    out.push_back(at->second);
  return out;
}

} // namespace glocal::store
