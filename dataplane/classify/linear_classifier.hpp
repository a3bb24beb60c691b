#pragma once
// The oracle: tries every rule. Slow, and so short that it is right by reading it; the others are compared with it.

#include "dataplane/classify/classifier.hpp"

namespace glocal::dataplane {

class linear_classifier final : public classifier {
public:
  /// @error build_error::too_many_rules, contradictory_rule.
  [[nodiscard]] static expected<classifier_ptr, build_error> build(std::vector<rule> rules);

  using classifier::lookup;
  /// Cost: O(rules) a packet.
  void lookup(std::span<const packet_fields> keys, std::span<rule_id> out) const noexcept override;
  [[nodiscard]] rule_outcome outcome(rule_id id) const noexcept override {
    return {rules_[id].cookie, rules_[id].action, rules_[id].priority};
  }
  [[nodiscard]] std::size_t size() const noexcept override { return rules_.size(); }

private:
  explicit linear_classifier(std::vector<rule> rules) : rules_{std::move(rules)} {}

  std::vector<rule> rules_;
};

} // namespace glocal::dataplane
