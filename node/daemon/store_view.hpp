#pragma once
// Reads whole tables of the global state for people: GET /api/v1/flows and /api/v1/paths.

#include "actors/store/actor_store.hpp"
#include "runtime/observed.hpp"

#include <caf/allowed_unsafe_message_type.hpp>
#include <caf/typed_response_promise.hpp>

#include <string>
#include <vector>

namespace glocal::node {

/// Asks for all entries of a table; answered with scanned_table, or an error that names the store's.
struct scan_table {
  store::table table{};
};
struct scanned_table {
  std::vector<store::entry> entries;
  /// There were more than `max_entries`; the rest is left out.
  bool cut = false;
};

class store_view : public runtime::observed_actor {
public:
  /// What one answer may hold: about 100 MB of JSON.
  static constexpr std::size_t max_entries = 250'000;

  store_view(caf::actor_config& config, caf::actor store_client);

  caf::behavior make_behavior() override;

private:
  using reply_promise = caf::typed_response_promise<scanned_table>;
  void next_page(store::table table, std::string continuation, scanned_table so_far, reply_promise promise);

  actors::actor_store store_;
};

} // namespace glocal::node

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(glocal::node::scan_table)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(glocal::node::scanned_table)
