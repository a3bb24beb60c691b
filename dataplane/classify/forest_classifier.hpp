#pragma once
// The classifier of the data plane: a forest (forest.hpp) for IPv4 and one for IPv6, built from a whole list.
//
// Flat in the number of rules: from a hundred to a hundred million a packet touches a handful of cache lines, and a
// burst asks for all of them at once. Packets create no state. A rule without a prefix stands in both forests.

#include "dataplane/classify/forest_tuning.hpp"
#include "dataplane/classify/lookup_kernel.hpp"
#include "dataplane/classify/rule_order.hpp"

namespace glocal::dataplane {

/// The rules of one family while a list is read.
template <std::size_t Words>
struct packed_rules {
  huge_memory memory;
  std::size_t count = 0;

  [[nodiscard]] bool append(const packed_words<Words>& rule);
  /// Makes room for so many more behind those there are.
  [[nodiscard]] bool reserve(std::size_t more);
  [[nodiscard]] std::span<packed_words<Words>> all() const noexcept {
    return {reinterpret_cast<packed_words<Words>*>(memory.data()), count};
  }
};

struct classifier_options {
  /// Absent: tuned on packets drawn from the rules.
  std::optional<forest_options> forest;
  /// Bytes a rule may take, that tuning keeps to.
  double max_rule_bytes = 200;
  /// Bound on the memory of each forest.
  std::size_t max_bytes = std::size_t{64} << 30;
};

class forest_classifier final : public classifier {
public:
  /// @error build_error of any code.
  [[nodiscard]] static expected<std::shared_ptr<const forest_classifier>, build_error>
  build(std::span<const rule> rules, const classifier_options& options = {});

  using classifier::lookup;
  void lookup(std::span<const packet_fields> keys, std::span<rule_id> out) const noexcept override {
    lookup_in(0, keys, out);
  }
  [[nodiscard]] rule_outcome outcome(rule_id id) const noexcept override { return outcomes()[id]; }
  [[nodiscard]] std::size_t size() const noexcept override { return rules_; }

  /// For callers that keep packets packed: saves what packing costs.
  void lookup(std::span<const packed_v4> keys, std::span<rule_id> out) const noexcept {
    kernel_.v4(view<4>(), keys.data(), out.data(), keys.size());
  }
  void lookup(std::span<const packed_v6> keys, std::span<rule_id> out) const noexcept {
    kernel_.v6(view<8>(), keys.data(), out.data(), keys.size());
  }

  template <std::size_t Words>
  [[nodiscard]] forest_view<Words> view(unsigned plane = 0) const noexcept;

  /// Looks up with another kernel from now on. REQUIRES: nobody looks up meanwhile.
  void use(const lookup_kernel& kernel) noexcept { kernel_ = kernel; }
  [[nodiscard]] const lookup_kernel& kernel() const noexcept { return kernel_; }

  /// What the rules take in memory, everything counted.
  [[nodiscard]] std::size_t bytes() const noexcept;
  [[nodiscard]] page_kind pages() const noexcept { return v4_.arena.pages(); }
  [[nodiscard]] const forest_options& tuned() const noexcept { return v4_.options; }
  [[nodiscard]] std::size_t shapes() const noexcept { return v4_.shapes.size() + v6_.shapes.size(); }

  /// Reads a list rule by rule, for lists too large to be held as `rule` values.
  class loader {
  public:
    explicit loader(const classifier_options& options = {}) : options_{options} {}
    [[nodiscard]] expected<void, build_error> add(const rule& added);
    [[nodiscard]] std::size_t size() const noexcept { return count_; }
    /// The loader is used up.
    [[nodiscard]] expected<std::shared_ptr<const forest_classifier>, build_error> finish();

  private:
    friend struct rule_file_access;

    [[nodiscard]] bool reserve_outcomes(std::size_t more);

    classifier_options options_;
    std::size_t count_ = 0;
    huge_memory outcomes_;
    packed_rules<4> v4_;
    packed_rules<8> v6_;
    template_table<4> templates_v4_;
    template_table<8> templates_v6_;
  };

private:
  friend class rule_table;
  friend struct rule_file_access;

  explicit forest_classifier(const classifier_options& options) : v4_{options.max_bytes}, v6_{options.max_bytes} {}

  template <std::size_t Words>
  [[nodiscard]] const forest<Words>& of_family() const noexcept {
    if constexpr (Words == 4)
      return v4_;
    else
      return v6_;
  }
  void lookup_in(unsigned plane, std::span<const packet_fields> keys, std::span<rule_id> out) const noexcept;
  template <std::size_t Words>
  [[nodiscard]] std::optional<build_error> grow(forest<Words>& into, packed_rules<Words>& rules,
                                                const classifier_options& options);
  [[nodiscard]] rule_outcome* outcomes() const noexcept { return reinterpret_cast<rule_outcome*>(outcomes_.data()); }

  forest<4> v4_;
  forest<8> v6_;
  huge_memory outcomes_;
  priority_classes classes_;
  /// Whether equal classes mean equal priorities.
  bool exact_ = true;
  std::size_t rules_ = 0;
  lookup_kernel kernel_ = lookup_kernels().front();
};

} // namespace glocal::dataplane
