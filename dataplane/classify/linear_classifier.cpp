#include "dataplane/classify/linear_classifier.hpp"

namespace glocal::dataplane {

expected<classifier_ptr, build_error> linear_classifier::build(std::vector<rule> rules) {
  if (const auto error = find_build_error(rules))
    return unexpected{*error};
  return classifier_ptr{new linear_classifier{std::move(rules)}};
}

void linear_classifier::lookup(std::span<const packet_fields> keys, std::span<rule_id> out) const noexcept {
  for (std::size_t i = 0; i < keys.size(); ++i) {
    out[i] = no_rule;
    for (rule_id id = 0; id < rules_.size(); ++id)
      if (matches(rules_[id].match, keys[i]) && (out[i] == no_rule || rules_[id].priority > rules_[out[i]].priority))
        out[i] = id;
  }
}

} // namespace glocal::dataplane
