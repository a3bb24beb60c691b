#include "runtime/outbox.hpp"

namespace glocal::runtime {

bool outbox::append(std::vector<char>&& frames) {
  const std::scoped_lock lock{mutex_};
  add(appended_, frames.size());
  if (pending_.empty())
    pending_ = std::move(frames);
  else
    pending_.insert(pending_.end(), frames.begin(), frames.end());
  return !std::exchange(claimed_, true);
}

bool outbox::claim() {
  const std::scoped_lock lock{mutex_};
  attention_ = true;
  return !std::exchange(claimed_, true);
}

} // namespace glocal::runtime
