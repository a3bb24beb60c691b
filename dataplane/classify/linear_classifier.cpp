#include "dataplane/classify/linear_classifier.hpp"

namespace glocal::dataplane {

expected<classifier_ptr, build_error> linear_classifier::build(std::vector<rule> rules) {
  if (const auto error = find_build_error(rules))
    return unexpected{*error};
  return classifier_ptr{new linear_classifier{std::move(rules)}};
}

void linear_classifier::lookup(std::span<const packet_fields> keys, std::span<const rule*> out) const noexcept {
  for (std::size_t i = 0; i < keys.size(); ++i) {
    out[i] = nullptr;
    for (const auto& candidate : rules_)
      if (matches(candidate.match, keys[i]) && (out[i] == nullptr || candidate.priority > out[i]->priority))
        out[i] = &candidate;
  }
}

} // namespace glocal::dataplane
