#pragma once
// A configuration register that forgets: for tests and for a cluster that lives in one process. Answers when it is told
// to, and can be made unreachable or to lose answers, as a real one does.

#include "store/register.hpp"

#include <deque>
#include <map>

namespace glocal::store {

class memory_register final : public config_register {
public:
  void get(slot_id slot, read_callback done) override;
  void compare_and_set(slot_id slot, std::uint64_t expected, slot_view wanted, set_callback done) override;
  void watch(watch_callback on_change) override { on_change_ = std::move(on_change); }

  /// Runs every callback that is due.
  void run();
  /// Nothing arrives while it is unreachable: reads have no answer, sets an unknown outcome.
  bool unreachable = false;
  /// Sets happen and their answers are lost.
  bool loses_answers = false;

private:
  std::map<slot_id, register_value> values_;
  watch_callback on_change_;
  std::deque<std::function<void()>> calls_;
};

} // namespace glocal::store
