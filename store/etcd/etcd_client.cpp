#include "store/etcd/etcd_client.hpp"

#include <curl/curl.h>

#include <algorithm>
#include <list>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <utility>

namespace glocal::store {

using clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

namespace {

/// After every endpoint has failed once, and between connections of a stream.
constexpr auto pause = 50ms;
constexpr long max_connections_per_endpoint = 16;
/// Lines of a stream: the change of one register is some 500 bytes, of a store's entry up to 350 KiB.
constexpr std::size_t max_line_bytes = std::size_t{4} << 20;

} // namespace

class etcd_client::worker {
public:
  explicit worker(etcd_settings settings) : settings_{std::move(settings)} {
    static const auto started = ::curl_global_init(CURL_GLOBAL_DEFAULT);
    multi_ = started == CURLE_OK && !settings_.endpoints.empty() ? ::curl_multi_init() : nullptr;
    if (multi_ == nullptr)
      throw std::runtime_error{"no client of etcd: libcurl can't be initialised, or there is no endpoint"};
    ::curl_multi_setopt(multi_, CURLMOPT_MAX_HOST_CONNECTIONS, max_connections_per_endpoint);
    headers_ = ::curl_slist_append(nullptr, "Content-Type: application/json");
    headers_ = ::curl_slist_append(headers_, "Expect:");
    thread_ = std::thread{[this] { run(); }};
  }

  ~worker() {
    {
      const std::lock_guard lock{mutex_};
      ending_ = true;
    }
    ::curl_multi_wakeup(multi_);
    thread_.join();
    for (auto& each : transfers_)
      detach(each);
    ::curl_multi_cleanup(multi_);
    ::curl_slist_free_all(headers_);
  }

  struct transfer {
    std::string path, body{}, answer{};
    reply_callback done{};
    /// Whether refusals are answers, and whether it is not repeated once it may have happened.
    bool takes_refusals = false, once = false;
    body_source source{};
    line_callback on_line{};
    clock::time_point deadline{}, not_before{};
    std::size_t attempts = 0, endpoint = 0;
    bool may_have_happened = false, overflowed = false;
    stream_id id = 0;
    worker* owner = nullptr;
    CURL* easy = nullptr;

    [[nodiscard]] bool is_stream() const { return static_cast<bool>(on_line); }
  };

  [[nodiscard]] std::chrono::milliseconds deadline() const { return settings_.deadline; }

  stream_id add(transfer fresh, std::chrono::milliseconds deadline) {
    fresh.deadline = clock::now() + deadline;
    fresh.owner = this;
    const std::lock_guard lock{mutex_};
    fresh.id = next_id_++;
    const auto id = fresh.id;
    arrived_.push_back(std::move(fresh));
    ::curl_multi_wakeup(multi_);
    return id;
  }

  void close(stream_id id) {
    const std::lock_guard lock{mutex_};
    closed_.push_back(id);
    ::curl_multi_wakeup(multi_);
  }

  void restart(stream_id id, bool elsewhere) {
    const std::lock_guard lock{mutex_};
    restarted_.emplace_back(id, elsewhere);
    ::curl_multi_wakeup(multi_);
  }

private:
  using place = std::list<transfer>::iterator;

  static std::size_t receive(char* data, std::size_t one, std::size_t count, void* user) {
    auto& self = *static_cast<transfer*>(user);
    const auto size = one * count;
    const auto bound = self.is_stream() ? max_line_bytes : self.owner->settings_.max_answer_bytes;
    if (self.answer.size() + size > bound) {
      self.overflowed = true;
      return 0; // libcurl fails the transfer
    }
    self.answer.append(data, size);
    if (!self.is_stream())
      return size;
    std::size_t begin = 0;
    for (auto end = self.answer.find('\n'); end != std::string::npos; end = self.answer.find('\n', begin)) {
      if (!self.on_line(std::string_view{self.answer}.substr(begin, end - begin)))
        return 0;
      begin = end + 1;
    }
    self.answer.erase(0, begin);
    return size;
  }

  void run() {
    for (;;) {
      {
        const std::lock_guard lock{mutex_};
        if (ending_)
          return;
        transfers_.splice(transfers_.end(), arrived_);
        for (const auto id : closed_)
          if (const auto at = std::ranges::find(transfers_, id, &transfer::id); at != transfers_.end()) {
            detach(*at);
            transfers_.erase(at);
          }
        closed_.clear();
        for (const auto& [id, elsewhere] : restarted_)
          if (const auto at = std::ranges::find(transfers_, id, &transfer::id); at != transfers_.end()) {
            if (at->easy != nullptr && elsewhere)
              move_on(at->endpoint);
            detach(*at);
            at->not_before = {};
          }
        restarted_.clear();
      }
      auto wake = clock::now() + 1s;
      for (auto at = transfers_.begin(); at != transfers_.end();) {
        const auto here = at++;
        if (here->easy != nullptr)
          continue;
        if (here->not_before <= clock::now())
          attempt(here);
        else
          wake = std::min(wake, here->not_before);
      }
      int running = 0;
      ::curl_multi_perform(multi_, &running);
      int left = 0;
      bool ended = false;
      while (const auto* message = ::curl_multi_info_read(multi_, &left))
        if (message->msg == CURLMSG_DONE) {
          finish(message->easy_handle, message->data.result);
          ended = true;
        }
      if (ended)
        continue;
      const auto patience = std::chrono::ceil<std::chrono::milliseconds>(wake - clock::now()).count();
      ::curl_multi_poll(multi_, nullptr, 0, static_cast<int>(std::max<long>(patience, 0)), nullptr);
    }
  }

  void attempt(place at) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(at->deadline - clock::now());
    if (!at->is_stream() && left <= 0ms)
      return give_up(at);
    at->easy = ::curl_easy_init();
    if (at->easy == nullptr)
      return give_up(at);
    if (at->is_stream())
      at->body = at->source();
    at->answer.clear();
    at->overflowed = false;
    at->endpoint = preferred_;
    const auto url = settings_.endpoints[at->endpoint] + at->path;
    const auto limit = at->is_stream() ? settings_.stream_time : std::min(left, settings_.attempt_timeout);
    auto* const easy = at->easy;
    ::curl_easy_setopt(easy, CURLOPT_URL, url.c_str());
    ::curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    ::curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
    ::curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    ::curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers_);
    ::curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, static_cast<long>(at->body.size()));
    ::curl_easy_setopt(easy, CURLOPT_POSTFIELDS, at->body.c_str());
    ::curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(settings_.connect_timeout.count()));
    ::curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, static_cast<long>(limit.count()));
    ::curl_easy_setopt(easy, CURLOPT_FAILONERROR, at->takes_refusals ? 0L : 1L);
    ::curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &worker::receive);
    ::curl_easy_setopt(easy, CURLOPT_WRITEDATA, &*at);
    ::curl_multi_add_handle(multi_, easy);
    ++at->attempts;
  }

  void finish(CURL* easy, CURLcode result) {
    const auto at = std::ranges::find(transfers_, easy, &transfer::easy);
    if (at == transfers_.end())
      return;
    long status = 0;
    curl_off_t sent_after = 0;
    ::curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    ::curl_easy_getinfo(easy, CURLINFO_PRETRANSFER_TIME_T, &sent_after);
    detach(*at);
    if (!at->is_stream()) {
      const bool answers = result == CURLE_OK && (at->takes_refusals ? status < 500 : true);
      const bool overflows = at->takes_refusals && at->overflowed;
      if ((answers && at->done({status, std::move(at->answer), at->may_have_happened})) ||
          (overflows && at->done({too_large, {}, true}))) {
        transfers_.erase(at);
        return;
      }
      at->may_have_happened |= sent_after > 0;
      if (at->once && at->may_have_happened)
        return give_up(at);
    }
    move_on(at->endpoint);
    if (at->is_stream() || at->attempts % settings_.endpoints.size() == 0)
      at->not_before = clock::now() + pause;
  }

  void give_up(place at) {
    const auto done = std::move(at->done);
    const bool may_have_happened = at->may_have_happened;
    transfers_.erase(at);
    if (done)
      (void)done({0, {}, may_have_happened});
  }

  /// Those that were under way to the same endpoint fail too, and must not skip the next.
  void move_on(std::size_t endpoint) {
    if (preferred_ == endpoint)
      preferred_ = (preferred_ + 1) % settings_.endpoints.size();
  }

  void detach(transfer& each) {
    if (each.easy == nullptr)
      return;
    ::curl_multi_remove_handle(multi_, each.easy);
    ::curl_easy_cleanup(each.easy);
    each.easy = nullptr;
  }

  const etcd_settings settings_;
  CURLM* multi_ = nullptr;
  curl_slist* headers_ = nullptr;
  std::list<transfer> transfers_; ///< of the thread alone
  std::size_t preferred_ = 0;
  std::mutex mutex_; ///< of what follows
  std::list<transfer> arrived_;
  std::vector<stream_id> closed_;
  std::vector<std::pair<stream_id, bool>> restarted_;
  stream_id next_id_ = 1;
  bool ending_ = false;
  std::thread thread_;
};

etcd_client::etcd_client(etcd_settings settings) : worker_{std::make_unique<worker>(std::move(settings))} {}
etcd_client::~etcd_client() = default;

void etcd_client::call(std::string path, std::string body, answer_callback done) {
  (void)worker_->add(
      {.path = std::move(path),
       .body = std::move(body),
       .done = [done = std::move(done)](
                   reply got) { return done(got.status == 0 ? std::nullopt : std::optional{std::move(got.body)}); }},
      worker_->deadline());
}

void etcd_client::ask(std::string path, std::string body, std::chrono::milliseconds deadline, bool once,
                      reply_callback done) {
  (void)worker_->add(
      {.path = std::move(path), .body = std::move(body), .done = std::move(done), .takes_refusals = true, .once = once},
      deadline);
}

etcd_client::stream_id etcd_client::stream(std::string path, body_source body, line_callback on_line) {
  return worker_->add({.path = std::move(path), .source = std::move(body), .on_line = std::move(on_line)}, {});
}

void etcd_client::restart(stream_id id, bool elsewhere) {
  worker_->restart(id, elsewhere);
}

void etcd_client::close(stream_id id) {
  worker_->close(id);
}

} // namespace glocal::store
