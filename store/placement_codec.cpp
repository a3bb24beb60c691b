// A placement as the value of its row: names once, then numbers.

#include "store/codec_parts.hpp"
#include "store/placement.hpp"

#include <algorithm>
#include <map>
#include <utility>

namespace glocal::store {
namespace {

using namespace codec_parts;
using number_list = capnp::List<std::uint16_t>;

/// The place of each name among all names.
class name_table {
public:
  explicit name_table(const placement& value) {
    add(value.drained);
    for (const auto& copies : value.slots)
      add(copies);
    for (const auto& move : value.moves)
      add(move.from);
    std::uint16_t next = 0;
    for (auto& [name, place] : places_)
      place = next++;
  }
  [[nodiscard]] const std::map<node_name, std::uint16_t>& places() const noexcept { return places_; }
  void fill(number_list::Builder out, const copy_list& from) const {
    for (unsigned i = 0; i < out.size(); ++i)
      out.set(i, places_.at(from[i]));
  }

private:
  void add(const copy_list& names) {
    for (const auto& name : names)
      places_[name] = 0;
  }
  std::map<node_name, std::uint16_t> places_;
};

copy_list read(number_list::Reader in, const copy_list& names) {
  copy_list out;
  for (const auto place : in) {
    if (place >= names.size() || std::ranges::find(out, names[place]) != out.end())
      throw refused{store_error::invalid};
    out.push_back(names[place]);
  }
  return out;
}

} // namespace

bytes encode(const placement& value) {
  const name_table names{value};
  capnp::MallocMessageBuilder message{
      words_hint(value.slots.size() + names.places().size() + value.moves.size(), 8 * value.slots.size())};
  auto root = message.initRoot<wire::Placement>();
  auto nodes = root.initNodes(static_cast<unsigned>(names.places().size()));
  for (const auto& [name, place] : names.places())
    nodes.set(place, data_of(name));
  names.fill(root.initDrained(static_cast<unsigned>(value.drained.size())), value.drained);
  root.setEvening(value.evening);
  auto slots = root.initSlots(static_cast<unsigned>(value.slots.size()));
  for (unsigned slot = 0; slot < slots.size(); ++slot)
    names.fill(slots.init(slot, static_cast<unsigned>(value.slots[slot].size())), value.slots[slot]);
  auto moves = root.initMoves(static_cast<unsigned>(value.moves.size()));
  for (unsigned i = 0; i < moves.size(); ++i) {
    moves[i].setSlot(value.moves[i].slot);
    names.fill(moves[i].initFrom(static_cast<unsigned>(value.moves[i].from.size())), value.moves[i].from);
  }
  return flatten(message);
}

expected<placement, store_error> decode_placement(byte_view in) {
  return decode<wire::Placement, placement>(in, [](wire::Placement::Reader root) -> expected<placement, store_error> {
    const auto check = [](bool good) {
      if (!good)
        throw refused{store_error::invalid};
    };
    copy_list names;
    for (const auto name : root.getNodes()) {
      names.emplace_back(reinterpret_cast<const char*>(name.begin()), name.size());
      check(!names.back().empty() && (names.size() < 2 || names[names.size() - 2] < names.back()));
    }
    placement out;
    out.drained = read(root.getDrained(), names);
    check(std::ranges::is_sorted(out.drained));
    out.evening = root.getEvening();
    for (const auto copies : root.getSlots()) {
      out.slots.push_back(read(copies, names));
      check(!out.slots.back().empty());
    }
    for (const auto move : root.getMoves()) {
      check(move.getSlot() < out.slots.size() && (out.moves.empty() || out.moves.back().slot < move.getSlot()));
      out.moves.push_back({move.getSlot(), read(move.getFrom(), names)});
    }
    return out;
  });
}

} // namespace glocal::store
