#pragma once
// Carries a Map-Server's effects to a store and brings the answers back: the same in an actor, a test and a fuzzer.
//
// Threading: the store's owner. REQUIRES: outlives neither the server nor the store, and the store calls back only
// while both are there.

#include "actors/lisp/map_server.hpp"
#include "store/store.hpp"

#include <functional>

namespace glocal::lisp {

class store_driver {
public:
  using clock = std::function<map_server::time_point()>;
  using sender = std::function<void(std::vector<datagram>&&)>;

  store_driver(map_server& server, store::store& to, clock now, sender send)
      : server_{server}, store_{to}, now_{std::move(now)}, send_{std::move(send)} {}

  /// Follows the tables the server keeps copies of.
  void watch();
  /// Hears of no change any more.
  void unwatch();
  void carry_out(effects&& what);

private:
  void write(store_write&& order);
  void execute(store_write&& order);
  /// Hands the server something and carries out what it leads to.
  template <class Step>
  void step(Step what) {
    effects out;
    what(out);
    carry_out(std::move(out));
  }

  map_server& server_;
  store::store& store_;
  clock now_;
  sender send_;
  std::vector<store::watch_id> watches_;
};

} // namespace glocal::lisp
