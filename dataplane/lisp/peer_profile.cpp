#include "dataplane/lisp/peer_profile.hpp"

#include "dataplane/lisp/address.hpp"

#include <initializer_list>

namespace glocal::lisp {
namespace {

std::bitset<256> types(std::initializer_list<std::uint8_t> list) {
  std::bitset<256> out;
  for (const auto type : list)
    out.set(type);
  return out;
}

} // namespace

const peer_profile& full_profile() noexcept {
  static const peer_profile full{
      "full", std::bitset<256>{}.set(), std::bitset<256>{}.set(), true, true, true, true, true, true};
  return full;
}

const peer_profile& oor_profile() noexcept {
  static const peer_profile oor{
      "oor", types({lcaf_type::instance_id}),
      types({lcaf_type::explicit_locator_path, lcaf_type::replication_list, lcaf_type::nat_traversal})};
  return oor;
}

const peer_profile& plain_profile() noexcept {
  static const peer_profile plain{"plain", types({lcaf_type::instance_id}), {}};
  return plain;
}

const peer_profile* find_profile(std::string_view name) noexcept {
  for (const auto* one : {&full_profile(), &oor_profile(), &plain_profile()})
    if (one->name == name)
      return one;
  return nullptr;
}

} // namespace glocal::lisp
