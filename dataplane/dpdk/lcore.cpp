#include "dataplane/dpdk/lcore.hpp"

#include "base/log.hpp"
#include "dataplane/dpdk/mbuf_sink.hpp"
#include "dataplane/dpdk/port.hpp"
#include "dataplane/switch/edge_switch.hpp"

#include <rte_lcore.h>
#include <rte_mempool.h>
#include <rte_pause.h>

#include <algorithm>
#include <array>
#include <chrono>

#include <fcntl.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

namespace glocal::dataplane {
namespace {

/// Frames taken from one port at once: DPDK's usual burst.
constexpr std::uint16_t rx_burst_packets = 32;

/// Rounds without work before blocking. A round costs well under a microsecond and a block about ten, so a few spare a
/// block when the answer to what was just sent is on its way; many would take the CPU from who is to send it.
constexpr unsigned idle_rounds_before_block = 4;

/// How late a frame may be seen at a port that can't wake us.
constexpr std::chrono::milliseconds blind_poll_interval{1};

std::uint64_t monotonic_ns() noexcept {
  return static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
}

switch_config with_clock(switch_config tables) noexcept {
  tables.trace_clock = monotonic_ns;
  return tables;
}

/// The owner of a file descriptor.
class descriptor {
public:
  explicit descriptor(int number) : number_{number} {}
  descriptor(const descriptor&) = delete;
  descriptor& operator=(const descriptor&) = delete;
  ~descriptor() {
    if (number_ >= 0)
      close(number_);
  }
  [[nodiscard]] int get() const noexcept { return number_; }

private:
  int number_;
};

struct free_pool {
  void operator()(rte_mempool* pool) const noexcept { rte_mempool_free(pool); }
};
using buffer_pool = std::unique_ptr<rte_mempool, free_pool>;

/// Tells the lcore to use a port or to let go of it, and then the agent's side that it did.
struct port_change {
  port_id id = no_port;
  std::uint16_t ethdev = no_ethdev;
  int wake_descriptor = -1;
};

} // namespace

/// The lcore's half: everything here but `wake`, `stop` and the rings belongs to its thread.
class lcore::loop {
public:
  loop(const lcore_config& config, lcore_channel& channel, buffer_pool buffers)
      : config_{config}, channel_{channel}, buffers_{std::move(buffers)}, sink_{*buffers_},
        switch_{with_clock(config.tables), channel, monotonic_ns()} {}

  [[nodiscard]] bool is_usable() const noexcept { return epoll_.get() >= 0 && wake_.get() >= 0 && watch(wake_.get()); }

  void run() noexcept {
    pthread_setname_np(pthread_self(), config_.name.substr(0, 15).c_str());
    // Registered threads have caches of the buffer pool; without a slot the pool is only slower.
    const bool is_registered = rte_thread_register() == 0;
    for (unsigned idle_rounds = 0; !stopping_.load(std::memory_order_acquire);) {
      activity.rounds.add();
      if (do_round())
        idle_rounds = 0;
      else if (config_.poll == polling::busy)
        rte_pause();
      else if (++idle_rounds >= idle_rounds_before_block) {
        block();
        idle_rounds = 0;
      }
    }
    switch_.shut_down(sink_);
    if (is_registered)
      rte_thread_unregister();
  }

  /// Agent's thread.
  void wake() noexcept {
    const std::uint64_t one = 1;
    (void)!write(wake_.get(), &one, sizeof one); // full means that it is awake already
  }
  void stop() noexcept {
    stopping_.store(true, std::memory_order_release);
    wake();
  }

  [[nodiscard]] cold_start cold() const noexcept { return switch_.cold(); }

  lcore_activity activity;
  /// Agent → lcore and back. No more changes are under way than there are ports, twice.
  spsc_ring<port_change> changes{std::size_t{2} * max_ports}, done{std::size_t{2} * max_ports};
  [[nodiscard]] rte_mempool& buffers() noexcept { return *buffers_; }

private:
  struct rx_port {
    port_id id;
    std::uint16_t ethdev;
    int wake_descriptor;
  };

  [[nodiscard]] bool watch(int number) const noexcept {
    epoll_event interest{};
    interest.events = EPOLLIN;
    interest.data.fd = number;
    return epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, number, &interest) == 0;
  }

  [[nodiscard]] bool do_round() noexcept {
    bool worked = change_ports();
    // Before the ports: a new one's add_port was submitted before its device was handed over.
    worked |= switch_.execute_commands(monotonic_ns(), sink_);
    for (std::size_t i = 0; i < port_count_; ++i)
      worked |= receive(ports_[i]);
    const auto now = monotonic_ns();
    if (now >= switch_.deadline()) {
      switch_.expire(now, sink_);
      worked = true;
    }
    return worked;
  }

  [[nodiscard]] bool receive(const rx_port& from) noexcept {
    std::array<rte_mbuf*, rx_burst_packets> buffers;
    std::array<packet, rx_burst_packets> burst;
    const auto count = rte_eth_rx_burst(from.ethdev, 0, buffers.data(), rx_burst_packets);
    if (count == 0)
      return false;
    std::size_t whole = 0;
    for (std::uint16_t i = 0; i < count; ++i)
      if (rte_pktmbuf_linearize(buffers[i]) == 0)
        burst[whole++] = to_packet(buffers[i], from.id);
      else { // longer than one buffer: no port of ours carries it on
        channel_.mutable_counters().drops[static_cast<std::size_t>(drop_reason::mtu_exceeded)].add();
        rte_pktmbuf_free(buffers[i]);
      }
    switch_.process_burst({burst.data(), whole}, monotonic_ns(), sink_);
    return true;
  }

  [[nodiscard]] bool change_ports() noexcept {
    bool changed = false;
    for (port_change change; changes.pop(change); changed = true) {
      const auto end = ports_.begin() + static_cast<std::ptrdiff_t>(port_count_);
      const auto known = std::find_if(ports_.begin(), end, [&](const auto& each) { return each.id == change.id; });
      if (change.ethdev != no_ethdev) {
        const bool can_wake = change.wake_descriptor >= 0 && watch(change.wake_descriptor);
        take_signals_of(change.wake_descriptor);
        ports_[port_count_++] = {change.id, change.ethdev, can_wake ? change.wake_descriptor : -1};
        blind_ports_ += can_wake ? 0 : 1;
      } else if (known != end) {
        if (known->wake_descriptor < 0)
          --blind_ports_;
        else
          epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, known->wake_descriptor, nullptr);
        std::move(known + 1, end, known);
        --port_count_;
      }
      sink_.attach(change.id, change.ethdev);
      if (change.ethdev == no_ethdev)
        (void)done.push(port_change{change});
    }
    return changed;
  }

  /// net_tap has a real-time signal sent for every frame and does not look into its queue before the signal was
  /// handled. To us, then: in another thread it would interrupt system calls, and we would look too early.
  static void take_signals_of(int number) noexcept {
    const f_owner_ex us{F_OWNER_TID, gettid()};
    if (number >= 0 && (fcntl(number, F_GETFL) & O_ASYNC) != 0)
      fcntl(number, F_SETOWN_EX, &us);
  }

  /// Until a frame, a command or the next deadline. Commands wake through the eventfd because they are armed first.
  void block() noexcept {
    channel_.arm_commands();
    if (channel_.has_commands() || !changes.empty())
      return;
    const auto deadline = switch_.deadline(), now = monotonic_ns();
    if (deadline <= now)
      return;
    int timeout_ms = -1;
    if (deadline != UINT64_MAX) // rounded up: too early would be a round for nothing
      timeout_ms = static_cast<int>(std::min<std::uint64_t>((deadline - now + 999'999) / 1'000'000, 60'000));
    if (blind_ports_ > 0)
      timeout_ms = static_cast<int>(blind_poll_interval.count());
    activity.blocks.add();
    std::array<epoll_event, 16> ready;
    const auto count = epoll_wait(epoll_.get(), ready.data(), static_cast<int>(ready.size()), timeout_ms);
    for (int i = 0; i < count; ++i) {
      const auto& [events, data] = ready[static_cast<std::size_t>(i)];
      if (data.fd == wake_.get()) {
        std::uint64_t drained = 0;
        (void)!read(wake_.get(), &drained, sizeof drained);
      } else if ((events & (EPOLLERR | EPOLLHUP)) != 0)
        calm(data.fd);
    }
  }

  /// An interface that goes down leaves an error on its socket, which would wake us for ever until it is read. What
  /// still complains afterwards can only be polled.
  void calm(int number) noexcept {
    int error = 0;
    socklen_t length = sizeof error;
    if (getsockopt(number, SOL_SOCKET, SO_ERROR, &error, &length) == 0)
      return;
    epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, number, nullptr);
    for (std::size_t i = 0; i < port_count_; ++i)
      if (ports_[i].wake_descriptor == number) {
        ports_[i].wake_descriptor = -1;
        ++blind_ports_;
      }
  }

  const lcore_config config_;
  lcore_channel& channel_;
  const buffer_pool buffers_;
  mbuf_sink sink_;
  edge_switch switch_;
  const descriptor epoll_{epoll_create1(EPOLL_CLOEXEC)}, wake_{eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
  std::array<rx_port, max_ports> ports_{};
  std::size_t port_count_ = 0, blind_ports_ = 0;
  std::atomic<bool> stopping_{false};
};

/// The agent's half of port changes: the devices, by id, and those the lcore has yet to let go of.
class lcore::ports {
public:
  explicit ports(loop& worker) : loop_{worker} {}

  [[nodiscard]] bool is_closing(port_id id) const noexcept { return open_[id].is_closing; }
  /// The words the open device of this id was opened with; empty if there is none.
  [[nodiscard]] const std::string& device(port_id id) const noexcept { return open_[id].device; }
  [[nodiscard]] port* find(port_id id) const noexcept { return open_[id].opened.get(); }

  void put(std::unique_ptr<port> opened, const std::string& device) {
    const auto id = opened->id();
    (void)loop_.changes.push({id, opened->ethdev(), opened->wake_descriptor()});
    open_[id] = {std::move(opened), device, false};
    loop_.wake();
  }
  void close(port_id id) {
    if (open_[id].opened == nullptr || open_[id].is_closing)
      return;
    open_[id].is_closing = true;
    (void)loop_.changes.push({id, no_ethdev, -1});
    loop_.wake();
  }
  /// Closes what the lcore has let go of.
  void reclaim() {
    for (port_change gone; loop_.done.pop(gone);)
      open_[gone.id] = {};
  }

private:
  struct row {
    std::unique_ptr<port> opened;
    std::string device;
    bool is_closing = false;
  };

  loop& loop_;
  std::array<row, max_ports> open_;
};

lcore::lcore() = default;

expected<std::unique_ptr<lcore>, lcore_error> lcore::start(eal&, const lcore_config& config,
                                                           std::function<void()> wake_agent) {
  constexpr unsigned cached_buffers = 64; // two bursts
  // DPDK's names are short (RTE_MEMPOOL_NAMESIZE).
  buffer_pool buffers{rte_pktmbuf_pool_create((config.name.substr(0, 15) + "-bufs").c_str(), config.buffers,
                                              cached_buffers, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY)};
  if (buffers == nullptr)
    return unexpected{lcore_error::no_buffers};
  std::unique_ptr<lcore> made{new lcore};
  // The channel is made before the loop, and wakes it only once commands are submitted.
  made->channel_ =
      std::make_unique<lcore_channel>(config.rings, std::move(wake_agent), [raw = made.get()] { raw->loop_->wake(); });
  made->loop_ = std::make_unique<loop>(config, *made->channel_, std::move(buffers));
  made->ports_ = std::make_unique<ports>(*made->loop_);
  if (!made->loop_->is_usable())
    return unexpected{lcore_error::no_resources};
  made->thread_ = std::thread{[raw = made->loop_.get()] { raw->run(); }};
  return made;
}

lcore::~lcore() {
  if (thread_.joinable()) {
    loop_->stop();
    thread_.join();
  }
  ports_.reset(); // before the buffers they receive into
}

expected<void, submit_error> lcore::submit(command&& order) {
  ports_->reclaim();
  if (!is_valid(order))
    return unexpected{submit_error::invalid};
  if (std::holds_alternative<add_port>(order))
    return submit_port(std::move(order));
  const auto* removed = std::get_if<remove_port>(&order);
  const auto gone = removed != nullptr ? removed->id : no_port;
  auto submitted = channel_->submit(std::move(order));
  if (submitted && gone != no_port)
    ports_->close(gone);
  return submitted;
}

expected<void, submit_error> lcore::submit_port(command&& order) {
  auto& config = std::get<add_port>(order).port;
  if (ports_->is_closing(config.id))
    return unexpected{submit_error::busy};
  if (config.mtu > max_port_mtu) {
    spdlog::error("port {}: an MTU of {} is above the {} bytes a packet buffer holds", config.name, config.mtu,
                  max_port_mtu);
    return unexpected{submit_error::invalid};
  }
  auto* device = ports_->find(config.id);
  std::unique_ptr<port> opened;
  if (device != nullptr && ports_->device(config.id) != config.device) {
    spdlog::error("port {}: has device \"{}\"; remove it before it gets \"{}\"", config.name, ports_->device(config.id),
                  config.device);
    return unexpected{submit_error::no_device};
  }
  if (device == nullptr) {
    auto result = port::open(config.id, config.device, loop_->buffers());
    if (!result) {
      spdlog::error("port {}: {}", config.name, result.error().message);
      return unexpected{submit_error::no_device};
    }
    opened = std::move(*result);
    device = opened.get();
  }
  if (config.mac == mac_address{})
    config.mac = device->mac();
  if (config.mac != device->mac() && !device->enable_promiscuous()) {
    spdlog::error("port {}: device \"{}\" takes no other MAC address than its own", config.name, config.device);
    return unexpected{submit_error::no_device};
  }
  const auto words = config.device;
  auto submitted = channel_->submit(std::move(order));
  if (submitted && opened != nullptr)
    ports_->put(std::move(opened), words);
  return submitted;
}

std::size_t lcore::poll(std::span<event> out) {
  ports_->reclaim();
  return channel_->poll(out);
}

std::size_t lcore::poll_traces(std::span<trace_record> out) {
  return channel_->poll_traces(out);
}

void lcore::arm() {
  channel_->arm();
}

bool lcore::empty() const {
  return channel_->empty();
}

const counters& lcore::statistics() const {
  return channel_->statistics();
}

cold_start lcore::cold() const {
  return loop_->cold();
}

const lcore_activity& lcore::activity() const {
  return loop_->activity;
}

} // namespace glocal::dataplane
