#pragma once
// What `glocal replay` shows of packets, and of all of them together. Pure.

#include "node/replay/edge_replay.hpp"

#include <nlohmann/json.hpp>

#include <map>
#include <string>

namespace glocal::cli {

/// What became of a packet, said as the switch would. Texts are empty where there is nothing to say.
struct replayed_view {
  /// Of an overlay packet the inner one: what the pipeline works on.
  std::string key;
  /// What matched: exact match, classifier, path table, edge itself.
  std::string stage;
  /// Of the entry that matched exactly: on path, by EID, …
  std::string entry;
  /// The rule that matched: `web #0`, its place in the cluster file, its match, its action.
  std::string rule, config, match, action;
  /// Instances, when they were decided for this packet.
  std::string chain;
  /// forwarded, dropped, answered, held, kept (by a function) or unknown; where to, and why.
  std::string result, to, reason;
};
[[nodiscard]] replayed_view view_of(const node::replayed_packet& packet, const node::cluster_config& config);

/// number, time_s, captured_bytes, wire_bytes, key, port; then `elsewhere`, why it does not arrive at the edge, or
/// stage, entry, rule, chain, verdict as above (null where empty) and `steps` as of `glocal trace` (docs/trace.md).
[[nodiscard]] nlohmann::json replayed_json(const node::replayed_packet& packet, const replayed_view& view,
                                           const node::cluster_config& config);

/// One line.
[[nodiscard]] std::string replayed_line(const node::replayed_packet& packet, const replayed_view& view);

/// What all packets came to.
class replay_summary {
public:
  void add(const node::replayed_packet& packet, const replayed_view& view);
  void add_left(std::size_t frame_bytes) {
    ++left_;
    left_bytes_ += frame_bytes;
  }

  [[nodiscard]] std::uint64_t arrived() const noexcept { return packets_ - elsewhere_; }
  [[nodiscard]] nlohmann::json to_json() const;
  [[nodiscard]] std::string text() const;

private:
  std::uint64_t packets_ = 0, elsewhere_ = 0, left_ = 0, left_bytes_ = 0;
  std::map<std::string, std::uint64_t> results_, drops_, stages_, rules_, chains_;
};

} // namespace glocal::cli
