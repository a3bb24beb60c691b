#pragma once
// What bench_transport measures: ways to send bytes to an actor of another process.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace glocal::bench {

/// Messages under way in one-way runs; the sink acknowledges each quarter of it. The same for all, so that none is
/// measured by its queues.
inline constexpr std::size_t one_way_window = 16384;
/// Calls under way where there is no one-way message.
inline constexpr std::size_t rpc_window = 256;

struct rival_options {
  std::string name;
  /// Actors of the run are observed ones.
  bool observed = true;
  /// The sink takes casts in batches.
  bool batches = true;
  /// Directory of ca.crt, {a,b}.crt and {a,b}.key, by which the connection is encrypted; empty: it is not.
  std::string certificates = {};
};

/// The measuring side of a rival: connected to its serving side in another process.
class rival {
public:
  virtual ~rival() = default;
  /// Nanoseconds of each of `count` requests of `bytes` that are answered with the same bytes, one at a time.
  virtual std::vector<std::uint64_t> round_trips(std::size_t bytes, std::size_t count) = 0;
  /// Messages a second that arrived at the sink, of `count` of `bytes` each.
  virtual double one_way(std::size_t bytes, std::size_t count) = 0;
  /// Sends `count` casts of `bytes` to an actor that handles none, and as many requests, whatever becomes of them.
  virtual void flood(std::size_t, std::size_t) {}
};

// Each rival: `serve` announces its port on standard output, then serves until standard input ends.
void serve_glocal(const rival_options& options);
[[nodiscard]] std::unique_ptr<rival> connect_glocal(const rival_options& options, std::uint16_t port);
void serve_basp();
[[nodiscard]] std::unique_ptr<rival> connect_basp(std::uint16_t port);
void serve_capnp_rpc();
[[nodiscard]] std::unique_ptr<rival> connect_capnp_rpc(std::uint16_t port);

} // namespace glocal::bench
