#pragma once
// A LISP Map-Server and Map-Resolver as a pure step function: what comes in (datagrams, changes of tables, answers of
// the store, time) leads to effects (datagrams, writes). No socket, actor, clock or random source in it.
//
// State that must outlive the node is in the store: registrations in table `mappings`, subscriptions in table
// `subscriptions`. Kept here are copies of both, who asked for what lately (for SMRs), what waits for an
// acknowledgement or for the store, and when leases were last renewed.
//
// Registrations hang on leases: all that one Map-Register names on one, whose id is a hash of who registers and what.
// So a refresh that changes nothing is a renewal, and that only when a third of the lifetime has passed; what an xTR
// registers no more runs out by itself, whichever node it asked.
//
// Sources: RFC 9301 (5.2 to 5.8, 6.1, 8), RFC 9437. Threading: one owner. Every buffer is bounded (see the constants).

#include "actors/lisp/map_server_counters.hpp"
#include "actors/lisp/mapping_database.hpp"
#include "actors/lisp/rate_limiter.hpp"
#include "actors/lisp/requester_book.hpp"
#include "actors/lisp/settings.hpp"
#include "base/expected.hpp"
#include "dataplane/lisp/authentication.hpp"
#include "store/types.hpp"

#include <functional>
#include <map>
#include <random>
#include <set>
#include <unordered_map>

namespace glocal::lisp {

/// Beyond this a datagram is not looked at: 255 records of a site with a handful of locators each are half of it.
inline constexpr std::size_t max_datagram_bytes = std::size_t{16} << 10;

struct peer {
  ip_address address;
  std::uint16_t port = control_port;
  auto operator<=>(const peer&) const = default;
};
/// A datagram to or from `remote`. `local` is our address: that of one that came, unspecified when the kernel may
/// choose.
struct datagram {
  peer remote;
  ip_address local;
  bytes payload;
};

/// Run the operations; when they hang on a lease, grant it first. Answer with written().
struct store_write {
  std::uint64_t token = 0;
  store::lease_id lease = 0;
  std::chrono::milliseconds ttl{};
  store::batch operations;
};
/// Renew the lease. Answer with renewed().
struct lease_renewal {
  std::uint64_t token = 0;
  store::lease_id lease = 0;
};
struct effects {
  std::vector<datagram> datagrams;
  std::vector<store_write> writes;
  std::vector<lease_renewal> renewals;
};

class map_server {
public:
  using time_point = std::chrono::steady_clock::time_point;
  using write_result = expected<std::vector<store::op_result>, store::store_error>;

  /// Writes under way at once; beyond, registrations are refused as overloaded.
  static constexpr std::size_t max_pending = 10'000;
  /// Map-Notifies that wait for an acknowledgement.
  static constexpr std::size_t max_unacknowledged = 100'000;
  static constexpr std::size_t max_subscriptions = 1'000'000;

  explicit map_server(map_server_settings settings);

  void receive(const datagram& in, time_point now, effects& out);
  /// A datagram that did not fit the receiver's buffer.
  void receive_oversized() noexcept { ++counters_[refusal::oversized]; }
  /// An event of a watch on table `mappings`, or `subscriptions`.
  void mappings_changed(const store::watch_event& event, time_point now, effects& out);
  void subscriptions_changed(const store::watch_event& event, time_point now, effects& out);
  void written(std::uint64_t token, const write_result& result, time_point now, effects& out);
  void renewed(std::uint64_t token, const expected<void, store::store_error>& result, time_point now, effects& out);
  /// Retransmissions, postponed SMRs, take-overs. About every 100 ms.
  void tick(time_point now, effects& out);

  [[nodiscard]] bool ready() const noexcept { return mappings_live_ && subscriptions_live_; }
  [[nodiscard]] const map_server_counters& counters() const noexcept { return counters_; }
  [[nodiscard]] const mapping_database& database() const noexcept { return database_; }
  struct subscription_state {
    model::lisp_subscription what;
    store::revision version = 0;
    /// A write of it is under way.
    bool busy = false;
    /// Prefixes it has yet to be told of.
    std::set<ip_prefix> news;
  };
  [[nodiscard]] const std::map<std::string, subscription_state>& subscriptions() const noexcept {
    return subscriptions_;
  }
  [[nodiscard]] const requester_book& requesters() const noexcept { return requesters_; }
  [[nodiscard]] std::size_t unacknowledged() const noexcept { return unacknowledged_.size(); }
  [[nodiscard]] std::size_t pending() const noexcept { return pending_.size(); }

private:
  /// Where a Map-Request's answer goes, and what its sender survives.
  struct asker {
    peer to;
    ip_address local;
    const peer_profile* profile = &plain_profile();
  };
  /// A Map-Register on its way through the store.
  struct registration {
    const site* of = nullptr;
    auth_method method;
    std::string secret, registrant;
    std::uint64_t nonce = 0;
    peer from;
    ip_address local;
    bool want_notify = false, merge = false;
    std::vector<mapping_record> records;
    store::lease_id lease = 0;
    std::chrono::milliseconds lifetime{};
    store::batch operations;
  };
  struct subscribing {
    std::string key;
    model::lisp_subscription what;
    ip_address local;
  };
  struct publishing {
    std::string key;
    std::set<ip_prefix> prefixes;
    std::uint64_t first_nonce = 0;
  };
  struct adopting {
    std::string key;
  };
  struct unsubscribing {
    std::string key;
    model::lisp_subscription what;
    ip_address local;
  };
  using pending_work = std::variant<registration, subscribing, publishing, adopting, unsubscribing>;
  struct held_lease {
    std::chrono::milliseconds ttl{};
    time_point renewed_at{};
  };
  /// Sent, and not acknowledged yet.
  struct unacknowledged_notify {
    const site* of = nullptr;
    /// Of a subscription that was just made: without an acknowledgement it is dropped. Else empty.
    std::string new_subscription;
    datagram message;
    time_point again{};
    std::uint32_t tries = 1;
  };

  // map_server_register.cpp
  void on_register(const map_register& message, const datagram& in, time_point now, effects& out);
  [[nodiscard]] std::optional<refusal> admit(const map_register& message, const datagram& in, registration& made);
  /// False when an EID may not be registered, which is counted.
  [[nodiscard]] bool add_operations(const map_register& message, registration& made, bool& changes);
  void start_write(registration&& made, effects& out);
  void finish(registration& done, time_point now, effects& out);
  void acknowledge(const registration& done, effects& out);
  void notify_merged(const registration& done, time_point now, effects& out);

  // map_server_request.cpp
  void on_request(const map_request& message, const datagram& in, const encapsulated_message* outer, time_point now,
                  effects& out);
  [[nodiscard]] std::optional<asker> who_asks(const map_request& message, const datagram& in,
                                              const encapsulated_message* outer) const;
  void answer_probe(const map_request& message, const datagram& in, effects& out);
  void forward(const map_request& message, const map_request::record& about, const mapped_eid& to, const datagram& in,
               const encapsulated_message* outer, effects& out);
  struct answer {
    mapping_record record;
    /// Set when an ETR is to answer.
    const mapped_eid* forward_to = nullptr;
    ip_prefix about;
  };
  [[nodiscard]] answer answer_for(const instance_prefix& wanted) const;
  [[nodiscard]] answer negative_answer_for(const instance_prefix& wanted) const;
  /// `record` without the locators that `profile` does not survive; nothing is left: none.
  [[nodiscard]] static std::optional<mapping_record> fit(mapping_record record, const peer_profile& profile);

  // map_server_publish.cpp
  void on_notify_ack(const map_notify_ack& message, const datagram& in, effects& out);
  /// False when the sender is nobody we could tell anything: it gets a Map-Reply then.
  [[nodiscard]] bool subscribe(const map_request& message, const instance_prefix& wanted, const asker& who,
                               effects& out);
  void told(const instance_prefix& changed, time_point now, effects& out);
  void publish(const std::string& key, subscription_state& to, effects& out);
  void send_publications(const publishing& done, time_point now, effects& out);
  void send_notify(const site& of, const model::lisp_subscription& to, const ip_address& local, std::uint64_t nonce,
                   mapping_record record, std::string new_subscription, time_point now, effects& out);
  void send_smr(const requester_book::smr& order, effects& out);
  void look_after_subscriptions(time_point now, effects& out);
  void adopt(const std::string& key, subscription_state& orphan, effects& out);
  void count_server(const std::string& node, int change);
  void on_written(registration& work, const write_result& result, time_point now, effects& out);
  void on_written(subscribing& work, const write_result& result, time_point now, effects& out);
  void on_written(publishing& work, const write_result& result, time_point now, effects& out);
  void on_written(adopting& work, const write_result& result, time_point now, effects& out);
  void on_written(unsubscribing& work, const write_result& result, time_point now, effects& out);
  [[nodiscard]] mapping_record news_of(const instance_prefix& eid) const;

  // map_server.cpp
  [[nodiscard]] const site* site_of(const instance_prefix& eid) const;
  [[nodiscard]] const site* find_site(std::string_view name) const;
  [[nodiscard]] const peer_profile& profile_of(const instance_prefix& source) const;
  [[nodiscard]] std::uint64_t start(pending_work work);
  void refuse(refusal why) noexcept { ++counters_[why]; }

  const map_server_settings settings_;
  mapping_database database_;
  requester_book requesters_;
  rate_limiter source_limit_, eid_limit_;
  std::mt19937_64 random_;
  bool mappings_live_ = false, subscriptions_live_ = false;

  std::map<std::string, subscription_state> subscriptions_;
  /// Keys of subscriptions by what they are about.
  std::map<instance_prefix, std::set<std::string>> subscribed_;
  /// Nodes that tell subscribers, and since when an absent one has been missed.
  std::set<std::string> servers_;
  std::map<std::string, time_point> missed_servers_;
  /// How many subscriptions each node has to tell.
  std::map<std::string, std::size_t> served_by_;
  /// Those with news that could not be written.
  std::set<std::string> delayed_news_;

  std::unordered_map<std::uint64_t, pending_work> pending_;
  std::uint64_t next_token_ = 1;
  std::unordered_map<store::lease_id, held_lease> leases_;
  std::map<std::pair<ip_address, std::uint64_t>, unacknowledged_notify> unacknowledged_;
  time_point next_sweep_{};
  map_server_counters counters_;
};

/// The plain EID of a Map-Request's record, host bits cleared; nothing for other kinds.
[[nodiscard]] std::optional<instance_prefix> wanted_prefix(const eid_prefix& eid);
/// The host's prefix of the source EID of a Map-Request; nothing where it says none.
[[nodiscard]] std::optional<instance_prefix> host_prefix(const address& eid);
/// What `of`'s xTRs are told with: the strongest algorithm its first key may use and its profile survives.
[[nodiscard]] auth_method method_of(const site& of);

} // namespace glocal::lisp
