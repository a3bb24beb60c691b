#pragma once
// What other threads want of an I/O thread, and how they wake it: it is woken only when it sleeps, so that a burst
// costs one system call. Threading: thread-safe but for what says otherwise. Free of CAF and sockets.
//
// No wake-up is lost: the I/O thread says that it sleeps before it looks for the last time.

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <sys/eventfd.h>
#include <unistd.h>

namespace glocal::runtime {

template <class Connection>
class io_wake {
public:
  struct posts {
    /// To be written.
    std::vector<std::shared_ptr<Connection>> flushes;
    std::vector<std::pair<std::shared_ptr<Connection>, std::string>> closes;
    std::vector<std::function<void()>> tasks;
    [[nodiscard]] bool empty() const noexcept { return flushes.empty() && closes.empty() && tasks.empty(); }
  };

  io_wake() : event_{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)} {}
  ~io_wake() { ::close(event_); }
  io_wake(const io_wake&) = delete;
  io_wake& operator=(const io_wake&) = delete;

  /// Readable when the thread has been woken; negative when the kernel had none to give.
  [[nodiscard]] int descriptor() const noexcept { return event_; }

  void post_flush(std::shared_ptr<Connection> connection) {
    post([&](posts& to) { to.flushes.push_back(std::move(connection)); });
  }
  void post_close(std::shared_ptr<Connection> connection, std::string reason) {
    post([&](posts& to) { to.closes.emplace_back(std::move(connection), std::move(reason)); });
  }
  void post_task(std::function<void()> task) {
    post([&](posts& to) { to.tasks.push_back(std::move(task)); });
  }

  // -- of the I/O thread ----------------------------------------------------------------------------------------------

  /// From now on this is the thread that is woken.
  void adopt_thread() noexcept { owner_.store(std::this_thread::get_id(), std::memory_order_relaxed); }
  [[nodiscard]] bool is_owner() const noexcept {
    return owner_.load(std::memory_order_relaxed) == std::this_thread::get_id();
  }
  /// False when something was posted: then the thread must not sleep.
  [[nodiscard]] bool may_sleep() {
    asleep_.store(true, std::memory_order_seq_cst);
    const std::scoped_lock lock{mutex_};
    if (waiting_.empty())
      return true;
    asleep_.store(false, std::memory_order_relaxed);
    return false;
  }
  /// After sleeping.
  void awake() noexcept {
    if (asleep_.exchange(false, std::memory_order_seq_cst))
      return;
    std::uint64_t count = 0;
    (void)!::read(event_, &count, sizeof count);
  }
  /// What was posted since; the vectors of `out` are reused.
  void take(posts& out) {
    out.flushes.clear();
    out.closes.clear();
    out.tasks.clear();
    const std::scoped_lock lock{mutex_};
    std::swap(out, waiting_);
  }

private:
  template <class Put>
  void post(Put&& put) {
    {
      const std::scoped_lock lock{mutex_};
      put(waiting_);
    }
    if (asleep_.load(std::memory_order_seq_cst) && asleep_.exchange(false, std::memory_order_seq_cst)) {
      const std::uint64_t one = 1;
      (void)!::write(event_, &one, sizeof one);
    }
  }

  const int event_;
  std::atomic<std::thread::id> owner_{std::thread::id{}};
  std::atomic<bool> asleep_{false};
  std::mutex mutex_;
  posts waiting_;
};

} // namespace glocal::runtime
