#include "runtime/dead_letters.hpp"

namespace glocal::runtime {

void dead_letters::count(dead_letter letter) {
  for (auto* name : {&letter.from, &letter.to, &letter.type})
    if (name->size() > max_name_bytes)
      name->resize(max_name_bytes);
  const std::scoped_lock lock{mutex_};
  if (counts_.size() >= max_keys && !counts_.contains(letter))
    letter = {other, other, 0, other, letter.returned};
  ++counts_[letter];
}

void dead_letters::add_to(letter_counts& sums) const {
  const std::scoped_lock lock{mutex_};
  for (const auto& [letter, count] : counts_)
    sums[letter] += count;
}

} // namespace glocal::runtime
