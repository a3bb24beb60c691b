#pragma once
// A YAML document with the position of every value, bounded before anyone walks it.
//
// Invariants: at most `max_file_values` values after aliases are expanded, at most yaml-cpp's 500 levels deep, no alias
// inside its own anchor: so a recursive walk ends, and ends soon. Immutable after parsing.
// Only yaml_tree.cpp knows yaml-cpp.

#include "base/expected.hpp"
#include "node/config.hpp"

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace glocal::node {

struct yaml_value {
  enum class kind : std::uint8_t { null, scalar, sequence, map };

  kind what = kind::null;
  /// Written in quotes or as a block: text, even when it looks like a number.
  bool quoted = false;
  /// From 1.
  std::uint32_t line = 1, column = 1;
  std::string text;
  /// Elements of a sequence; of a map keys and values in turn, duplicates included. Indices into the tree.
  std::vector<std::uint32_t> children;
};

/// One step down a document: a map's key or a sequence's index.
using yaml_step = std::variant<std::string_view, std::size_t>;
using yaml_path = std::vector<yaml_step>;

class yaml_tree {
public:
  [[nodiscard]] const yaml_value& root() const noexcept { return values_[root_]; }
  [[nodiscard]] const yaml_value& at(std::uint32_t index) const noexcept { return values_[index]; }
  /// Value of the first `key` of a map; null when `map` is none or has it not.
  [[nodiscard]] const yaml_value* find(const yaml_value& map, std::string_view key) const noexcept;
  /// What stands at `path`, or as deep as the document goes that way. Cost: a scan of each map on the way.
  [[nodiscard]] const yaml_value& nearest(const yaml_path& path) const noexcept;

private:
  friend class tree_builder;
  std::vector<yaml_value> values_;
  std::uint32_t root_ = 0;
};

/// The one document in `text`. The error is the first one: a YAML parser can't go on behind it.
[[nodiscard]] expected<yaml_tree, diagnostic> parse_yaml(std::string_view text, const std::string& file);

} // namespace glocal::node
