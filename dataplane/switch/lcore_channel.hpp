#pragma once
// The southbound border of a switch that runs on an lcore of this process: two rings down and up, and one back.
//
// Executing a command means swapping its contents with the state it replaces. The spent command, now holding what is
// retired (an old classifier, an old EID table), returns on the third ring and is destroyed by the agent at its next
// submit: the lcore neither allocates nor frees.
//
// Threading: the southbound half belongs to one agent thread at a time, the lcore half to the lcore.

#include "base/spsc_ring.hpp"
#include "dataplane/switch/counters.hpp"
#include "dataplane/switch/southbound.hpp"

#include <functional>

namespace glocal::dataplane {

/// True when `order` keeps the bounds its members document.
[[nodiscard]] bool is_valid(const command& order) noexcept;

class lcore_channel final : public southbound {
public:
  struct sizes {
    /// An agent may install a thousand flows in one go without being refused.
    std::size_t commands = 1024;
    /// As many as packets may be held: each packet-in outstanding holds one.
    std::size_t events = 2048;
    /// Steps of traced packets: some hundred packets between two looks of the agent; 256 KB.
    std::size_t traces = 2048;
  };

  /// @param wake_agent called on the lcore, @param wake_lcore on the agent's thread; neither may throw or block.
  lcore_channel(sizes rings, std::function<void()> wake_agent, std::function<void()> wake_lcore);

  [[nodiscard]] expected<void, submit_error> submit(command&& order) override;
  [[nodiscard]] std::size_t poll(std::span<event> out) override;
  [[nodiscard]] std::size_t poll_traces(std::span<trace_record> out) override;
  void arm() override {
    events_.arm();
    traces_.arm();
  }
  [[nodiscard]] bool empty() const override { return events_.empty() && traces_.empty(); }
  [[nodiscard]] const counters& statistics() const override { return counters_; }

  // The lcore's half.

  [[nodiscard]] bool next(command& out) noexcept { return commands_.pop(out); }
  void retire(command&& spent) noexcept;
  /// False when the agent is too far behind.
  [[nodiscard]] bool emit(const event& news) noexcept {
    has_news_ = true;
    return events_.push(event{news});
  }
  [[nodiscard]] bool emit(const trace_record& step) noexcept {
    has_news_ = true;
    return traces_.push(trace_record{step});
  }
  /// Wakes the agent if it sleeps and there is something for it; once per burst. A burst without news costs one test:
  /// to look whether the agent sleeps takes a fence, and to wake it microseconds.
  void publish() noexcept {
    if (has_news_) [[unlikely]]
      tell_agent();
  }
  /// The lcore is about to block: a command wakes it. Check has_commands() again afterwards.
  void arm_commands() noexcept { commands_.arm(); }
  [[nodiscard]] bool has_commands() const noexcept { return !commands_.empty(); }
  [[nodiscard]] counters& mutable_counters() noexcept { return counters_; }

private:
  void reclaim() noexcept;
  void tell_agent() noexcept;

  spsc_ring<command> commands_, retired_;
  spsc_ring<event> events_;
  spsc_ring<trace_record> traces_;
  /// The lcore's: it has emitted something since it last looked whether the agent sleeps.
  bool has_news_ = false;
  std::function<void()> wake_agent_, wake_lcore_;
  counters counters_;
};

} // namespace glocal::dataplane
