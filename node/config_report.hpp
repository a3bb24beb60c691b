#pragma once
// Collects what is wrong with one cluster file. Shared by the two passes over it: config_load.cpp turns YAML into
// values, config_check.cpp looks at how the values fit together.

#include "node/config.hpp"
#include "node/yaml_tree.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace glocal::node {

/// A file with more errors than this has one; the rest would not be read.
inline constexpr std::size_t max_diagnostics = 1000;

/// Length of a prefix the first pass could not read, or that is absent: 0 would be the default route.
inline constexpr std::uint8_t unreadable_length = 0xff;

class config_report {
public:
  config_report(const yaml_tree& tree, const std::string& file) : tree_{tree}, file_{file} {}

  /// @return false, for `return report.error(...)`.
  bool error(const yaml_value& where, std::string message, std::string suggestion = {});
  /// At `path`, or at what is nearest to it in the file.
  bool error(const yaml_path& path, std::string message, std::string suggestion = {}) {
    return error(tree_.nearest(path), std::move(message), std::move(suggestion));
  }

  [[nodiscard]] bool full() const noexcept { return found_.size() >= max_diagnostics; }
  /// In file order.
  [[nodiscard]] std::vector<diagnostic> take();

private:
  const yaml_tree& tree_;
  const std::string& file_;
  std::vector<diagnostic> found_;
};

/// For messages: in quotes, cut to a readable length, without control characters.
[[nodiscard]] std::string quoted(std::string_view text);

/// `did you mean 'x'?` for the one of `known` that is a slip away from `word`, else `known keys: a, b, c`.
[[nodiscard]] std::string suggest(std::string_view word, const std::vector<std::string_view>& known,
                                  std::string_view what);

/// Second pass: everything that takes more than one value to judge. Values the first pass could not read are at their
/// defaults and are passed over, so that one mistake is reported once.
void check_config(const cluster_config& config, config_report& report);

} // namespace glocal::node
