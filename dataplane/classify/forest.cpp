#include "dataplane/classify/forest.hpp"

#include "base/hash.hpp"

namespace glocal::dataplane {

template <std::size_t Words>
std::size_t template_table<Words>::hash::operator()(const packed_words<Words>& mask) const noexcept {
  return hash_bytes(&mask, sizeof mask);
}

template <std::size_t Words>
std::size_t shape_table<Words>::hash::operator()(const node_shape<Words>& shape) const noexcept {
  const auto masks = hash_bytes(shape.mask.data(), sizeof shape.mask);
  return masks ^
         (shape.kept | shape.kept_below << 8 | shape.max_open << 16 | shape.split << 24) * 0x9e3779b97f4a7c15ULL;
}

namespace {

/// The number of `wanted` in a table of at most `limit`, where it is put when new.
template <class Value, class Ids>
std::optional<std::uint32_t> intern_in(huge_memory& memory, Ids& ids, const Value& wanted, std::size_t limit) {
  const auto found = ids.find(wanted);
  if (found != ids.end())
    return found->second;
  if (ids.size() == limit)
    return {};
  if (memory.data() == nullptr) {
    auto reserved = huge_memory::reserve(limit * sizeof(Value));
    // Pages nobody wrote cost nothing.
    if (!reserved || !reserved->grow(limit * sizeof(Value)))
      return {};
    memory = std::move(*reserved);
  }
  const auto id = static_cast<std::uint32_t>(ids.size());
  reinterpret_cast<Value*>(memory.data())[id] = wanted;
  ids.emplace(wanted, id);
  return id;
}

} // namespace

template <std::size_t Words>
std::optional<std::uint32_t> template_table<Words>::intern(const packed_words<Words>& mask) {
  return intern_in(memory_, ids_, mask, max_templates);
}

template <std::size_t Words>
std::optional<std::uint32_t> shape_table<Words>::intern(const node_shape<Words>& shape) {
  return intern_in(memory_, ids_, shape, max_shapes);
}

template class template_table<4>;
template class template_table<8>;
template class shape_table<4>;
template class shape_table<8>;

} // namespace glocal::dataplane
