#pragma once
// All links of one node: finds the one a message leaves by. Internal to runtime/.
// Threading: thread-safe.

#include "runtime/peer_link.hpp"

#include <caf/actor.hpp>

#include <map>
#include <shared_mutex>

namespace glocal::runtime {

class switchboard : public outbound {
public:
  [[nodiscard]] static std::shared_ptr<switchboard> make(caf::actor_system& system, const transport_identity& self,
                                                         std::shared_ptr<directory> actors,
                                                         const transport_limits& limits);
  ~switchboard() override;

  /// REQUIRES: called once, before anything else. The network ends with the switchboard.
  void use(std::unique_ptr<link_network> network);
  /// Who is told of peers. REQUIRES: called once, before the first connection.
  void report_to(const caf::actor& router) { context_.router = router.address(); }

  bool cast(const address& to, std::string_view sender, std::uint16_t kind, byte_view body) override;
  void when_writable(const std::string& node, const caf::actor& who) override;
  [[nodiscard]] const caf::actor& requests() const noexcept override { return requests_; }
  void ask(const caf::strong_actor_ptr& requester, caf::message_id id, const address& to, wire_message& message,
           caf::timespan timeout);

  /// Made when it is first asked for; never goes.
  [[nodiscard]] peer_link& link(const std::string& node);
  /// In the order of their names, so that what depends on it is the same in each run of a seed.
  [[nodiscard]] std::vector<std::shared_ptr<peer_link>> links() const;
  [[nodiscard]] link_context& context() noexcept { return context_; }
  [[nodiscard]] transport_stats stats() const;
  /// Fails what is overdue. @return whether requests are outstanding.
  bool sweep();
  /// Fails what is outstanding, and from now on everything.
  void stop(const std::string& reason);

private:
  class request_port;

  switchboard(caf::actor_system& system, const transport_identity& self, std::shared_ptr<directory> actors,
              const transport_limits& limits)
      : context_{system, self, std::move(actors), limits} {}

  link_context context_;
  std::unique_ptr<link_network> network_;
  caf::actor requests_;
  mutable std::shared_mutex mutex_;
  std::map<std::string, std::shared_ptr<peer_link>, std::less<>> links_;
  bool stopped_ = false;
};

} // namespace glocal::runtime
