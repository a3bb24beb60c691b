#include "actors/lisp/requester_book.hpp"

namespace glocal::lisp {

void requester_book::note(const instance_prefix& about, const requester& who, time_point until) {
  const auto [at, fresh] = about_[about].try_emplace(who);
  at->second.until = std::max(at->second.until, until);
  // It has asked again: what it was to be told it has just been told.
  if (!at->second.postponed.empty()) {
    at->second.postponed.clear();
    postponed_.erase({about, who});
  }
  if (!fresh)
    return;
  order_.emplace_back(about, who);
  if (++size_ > max_requesters)
    forget_oldest();
}

void requester_book::forget_oldest() {
  const auto& [about, who] = order_.front();
  const auto at = about_.find(about);
  at->second.erase(who);
  if (at->second.empty())
    about_.erase(at);
  postponed_.erase(order_.front());
  order_.pop_front();
  --size_;
}

void requester_book::tell(const requester& to, memory& known, const instance_prefix& changed, time_point now,
                          std::vector<smr>& out) {
  known.next_smr = now + smr_pause_;
  out.push_back({to, changed});
}

void requester_book::changed(const instance_prefix& changed, time_point now, std::vector<smr>& out) {
  for_overlapping(about_, changed, [&](const instance_prefix& about, asked& all) {
    for (auto& [who, known] : all) {
      if (known.until <= now)
        continue;
      if (known.next_smr <= now) {
        tell(who, known, changed, now, out);
      } else {
        known.postponed.insert(changed.prefix);
        postponed_.emplace(about, who);
      }
    }
  });
}

void requester_book::due(time_point now, std::vector<smr>& out) {
  std::erase_if(postponed_, [&](const auto& named) {
    const auto& [about, who] = named;
    auto& known = about_.at(about).at(who);
    if (known.next_smr > now)
      return false;
    if (known.until > now)
      for (const auto& prefix : known.postponed)
        tell(who, known, {about.instance_id, prefix}, now, out);
    known.postponed.clear();
    return true;
  });
}

} // namespace glocal::lisp
