// A closed loop of Map-Requests, or of Map-Registers that want a Map-Notify, at a Map-Server: as many under way as the
// window says, each signed before the clock runs. Prints one JSON object. bench_lisp.py runs it against two servers.

#include "dataplane/lisp/authentication.hpp"
#include "dataplane/lisp/message.hpp"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <deque>
#include <vector>

using namespace glocal;
using namespace glocal::lisp;
using clock_type = std::chrono::steady_clock;

namespace {

constexpr std::size_t at_once = 32;
/// A datagram without an answer for so long is sent again, and counted.
constexpr std::chrono::milliseconds patience{500};

/// EID number `i`: a host of 10.0.0.0/8.
ip_prefix eid_of(std::size_t i) {
  return ip_prefix::make(ip_address::v4(0x0a000000u + static_cast<std::uint32_t>(i)), 32);
}

struct options {
  std::string server = "127.0.0.1", from = "127.0.0.1", secret = "secret", rloc = "10.0.9.2";
  bool registers = false;
  std::size_t prefixes = 1, window = 32;
  double seconds = 2;
  /// Stop after each message was answered once.
  bool once = false;
};

std::vector<bytes> messages_of(const options& how) {
  std::vector<bytes> out;
  for (std::size_t i = 0; i < how.prefixes; ++i) {
    // The nonce names the message: answers bring it back.
    if (how.registers) {
      map_register message;
      message.proxy_reply = message.want_notify = true;
      message.nonce = i + 1;
      auto& record = message.records.emplace_back();
      record.ttl_minutes = 10;
      record.eid = make_eid(eid_of(i));
      auto& one = record.locators.emplace_back();
      one.priority = 1;
      one.weight = 100;
      one.reachable = true;
      one.rloc = parse_ip(how.rloc).value();
      out.push_back(encode_signed(message, how.secret, {algorithm::hmac_sha1_96, 0, true}).value());
    } else {
      map_request inner;
      inner.nonce = i + 1;
      inner.itr_rlocs = {parse_ip(how.from).value()};
      inner.records = {{false, make_eid(eid_of(i))}};
      encapsulated_message outer;
      outer.source = parse_ip(how.from).value();
      outer.destination = eid_of(i).address;
      outer.message = encode(inner).value();
      out.push_back(encode(outer).value());
    }
  }
  return out;
}

class loop {
public:
  loop(const options& how, std::vector<bytes> messages) : how_{how}, messages_{std::move(messages)} {
    socket_ = ::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    sockaddr_in here{};
    here.sin_family = AF_INET;
    here.sin_port = htons(control_port); // Map-Notifies go there
    ::inet_pton(AF_INET, how.from.c_str(), &here.sin_addr);
    there_.sin_family = AF_INET;
    there_.sin_port = htons(control_port);
    ::inet_pton(AF_INET, how.server.c_str(), &there_.sin_addr);
    const int room = 8 << 20;
    (void)::setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    if (::bind(socket_, reinterpret_cast<sockaddr*>(&here), sizeof here) != 0 ||
        ::connect(socket_, reinterpret_cast<sockaddr*>(&there_), sizeof there_) != 0) {
      std::perror("lisp_load");
      std::exit(1);
    }
    sent_at_.resize(messages_.size());
  }
  ~loop() { ::close(socket_); }

  void run() {
    const auto begin = clock_type::now();
    const auto end =
        begin + std::chrono::duration_cast<clock_type::duration>(std::chrono::duration<double>(how_.seconds));
    while (true) {
      const auto now = clock_type::now();
      if (how_.once ? answered_ >= messages_.size() && under_way_ == 0 : now >= end)
        break;
      send(now);
      receive();
    }
    seconds_ = std::chrono::duration<double>(clock_type::now() - begin).count();
  }

  [[nodiscard]] nlohmann::json report() {
    std::sort(latencies_us_.begin(), latencies_us_.end());
    const auto quantile = [&](double q) {
      return latencies_us_.empty()
                 ? 0.0
                 : latencies_us_[static_cast<std::size_t>(q * static_cast<double>(latencies_us_.size() - 1))];
    };
    return {{"answered", answered_},
            {"seconds", seconds_},
            {"per_second", static_cast<double>(answered_) / seconds_},
            {"lost", lost_},
            {"p50_us", quantile(0.5)},
            {"p99_us", quantile(0.99)},
            {"prefixes", how_.prefixes},
            {"window", how_.window}};
  }

private:
  void send(clock_type::time_point now) {
    std::array<mmsghdr, at_once> headers{};
    std::array<iovec, at_once> parts{};
    std::size_t count = 0;
    // What got no answer goes first.
    while (!waiting_.empty() && under_way_ > 0 && now - waiting_.front().second > patience) {
      const auto [i, when] = waiting_.front();
      waiting_.pop_front();
      if (sent_at_[i] != when)
        continue;
      sent_at_[i] = {};
      --under_way_;
      ++lost_;
      again_.push_back(i);
    }
    while (count < at_once && under_way_ < how_.window) {
      std::size_t i = 0;
      if (!again_.empty()) {
        i = again_.front();
        again_.pop_front();
      } else {
        if (how_.once && started_ >= messages_.size())
          break;
        i = next_;
        // One message is under way once: with fewer messages than the window, the loop is as wide as they are many.
        if (sent_at_[i] != clock_type::time_point{})
          break;
        next_ = next_ + 1 == messages_.size() ? 0 : next_ + 1;
        ++started_;
      }
      parts[count] = {messages_[i].data(), messages_[i].size()};
      headers[count].msg_hdr.msg_iov = &parts[count];
      headers[count].msg_hdr.msg_iovlen = 1;
      sent_at_[i] = now;
      waiting_.emplace_back(i, now);
      ++under_way_;
      ++count;
    }
    if (count > 0)
      (void)::sendmmsg(socket_, headers.data(), static_cast<unsigned>(count), 0);
  }

  void receive() {
    pollfd ready{socket_, POLLIN, 0};
    if (::poll(&ready, 1, 50) <= 0)
      return;
    std::array<mmsghdr, at_once> headers{};
    std::array<iovec, at_once> parts{};
    static std::array<std::array<std::byte, 2048>, at_once> room;
    for (std::size_t i = 0; i < at_once; ++i) {
      parts[i] = {room[i].data(), room[i].size()};
      headers[i].msg_hdr.msg_iov = &parts[i];
      headers[i].msg_hdr.msg_iovlen = 1;
    }
    const auto count = ::recvmmsg(socket_, headers.data(), at_once, MSG_DONTWAIT, nullptr);
    const auto now = clock_type::now();
    for (int k = 0; k < count; ++k) {
      const auto& octets = room[static_cast<std::size_t>(k)];
      const auto type = load_u8(octets.data()) >> 4;
      if (headers[static_cast<std::size_t>(k)].msg_len < 12 || type != (how_.registers ? 4 : 2))
        continue;
      const auto i = load_be64(octets.data() + 4) - 1;
      if (i >= messages_.size() || sent_at_[i] == clock_type::time_point{})
        continue;
      latencies_us_.push_back(std::chrono::duration<float, std::micro>(now - sent_at_[i]).count());
      sent_at_[i] = {};
      --under_way_;
      ++answered_;
    }
  }

  const options& how_;
  std::vector<bytes> messages_;
  int socket_ = -1;
  sockaddr_in there_{};
  std::vector<clock_type::time_point> sent_at_;
  std::deque<std::pair<std::size_t, clock_type::time_point>> waiting_;
  std::deque<std::size_t> again_;
  std::size_t next_ = 0, started_ = 0, under_way_ = 0, answered_ = 0, lost_ = 0;
  double seconds_ = 0;
  std::vector<float> latencies_us_;
};

} // namespace

int main(int argc, char** argv) {
  CLI::App app{
      "A closed loop of LISP messages at a Map-Server.\n\nExample:\n  lisp_load --server 10.0.2.2 --from 10.0.9.2 "
      "--register --prefixes 1000 --seconds 3"};
  options how;
  app.add_option("--server", how.server, "the Map-Server")->capture_default_str();
  app.add_option("--from", how.from, "our address; port 4342 of it must be free")->capture_default_str();
  app.add_option("--secret", how.secret, "of the site")->capture_default_str();
  app.add_option("--rloc", how.rloc, "what is registered")->capture_default_str();
  app.add_flag("--register", how.registers, "Map-Registers instead of Map-Requests");
  app.add_flag("--once", how.once, "each message once instead of for a time");
  app.add_option("--prefixes", how.prefixes, "hosts of 10.0.0.0/8")
      ->check(CLI::Range(1, 4'000'000))
      ->capture_default_str();
  app.add_option("--window", how.window, "messages under way")->check(CLI::Range(1, 100'000))->capture_default_str();
  app.add_option("--seconds", how.seconds, "how long")->check(CLI::Range(0.1, 3600.0))->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  loop one{how, messages_of(how)};
  one.run();
  std::printf("%s\n", one.report().dump().c_str());
}
