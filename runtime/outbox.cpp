#include "runtime/outbox.hpp"

namespace glocal::runtime {

bool outbox::append(std::vector<char>&& frames) {
  const std::scoped_lock lock{mutex_};
  add(appended_, frames.size());
  pending_.push_back(std::move(frames));
  return !std::exchange(claimed_, true);
}

bool outbox::claim() {
  const std::scoped_lock lock{mutex_};
  attention_ = true;
  return !std::exchange(claimed_, true);
}

std::vector<char>& outbox::piece_with_room(std::size_t size) {
  if (pending_.empty())
    pending_.push_back(std::move(spare_));
  else if (pending_.back().size() + size > piece_bytes)
    pending_.push_back(buffer_pool::shared().take());
  return pending_.back();
}

void outbox::recycle(std::vector<char>&& piece) {
  if (spare_.capacity() > 0 || piece.capacity() > 2 * piece_bytes)
    return buffer_pool::shared().give(std::move(piece));
  piece.clear();
  spare_ = std::move(piece);
}

} // namespace glocal::runtime
