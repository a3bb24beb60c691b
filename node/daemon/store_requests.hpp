#pragma once
// The store over HTTP: what a request asks, and how its answer reads (docs/store-api.md).
//
// Keys and values are bytes. As JSON each is either text ("key") or base64 ("key_base64"): callers give one of the two,
// answers have text where the bytes are UTF-8, unless the caller wants base64 throughout. Requests are hostile: what is
// not understood throws an api_refusal that says what and where.
//
// Pure. Threading: any thread.

#include "node/daemon/http_api.hpp"
#include "store/placement.hpp"
#include "store/replica_types.hpp"
#include "store/types.hpp"

#include <nlohmann/json_fwd.hpp>

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace glocal::node {

enum class byte_form { text_or_base64, base64 };

/// What any request may say besides what it is about.
struct store_manner {
  /// Until it is answered, whatever happens.
  std::chrono::milliseconds within{2000};
  byte_form form = byte_form::text_or_base64;
};

struct store_request {
  store::batch operations;
  store_manner manner;
};
struct store_scan {
  store::table from{};
  std::string prefix, continuation;
  std::size_t limit = 0;
  store_manner manner;
};
struct store_watch {
  store::table of{};
  std::string prefix;
  /// The watch is of the key `prefix` alone.
  bool one_key = false;
  /// What has been seen, when it goes on: as a position token has it.
  std::vector<store::slot_revision> from{};
  byte_form form = byte_form::text_or_base64;
};
struct store_lease {
  /// None in a grant: one is to be made up.
  std::optional<store::lease_id> id;
  std::chrono::milliseconds ttl{};
  store_manner manner;
};

/// Operations of the API. `verb`: put, put-if-absent, compare-and-set, erase.
[[nodiscard]] store_request parse_write(std::string_view verb, std::string_view body);
[[nodiscard]] store_request parse_get(const api_query& query);
[[nodiscard]] store_request parse_batch(std::string_view body);
[[nodiscard]] store_scan parse_scan(const api_query& query);
/// @param slot_count of the cluster: what slot a key is in, and what a token must be about.
[[nodiscard]] store_watch parse_watch(const api_query& query, std::string_view last_event_id,
                                      store::slot_id slot_count);
/// The slot a query names.
[[nodiscard]] store::slot_id parse_slot(const api_query& query, store::slot_id slot_count);
[[nodiscard]] store_lease parse_lease(std::string_view body, bool grant);
struct store_drain {
  std::string node;
  bool undo = false;
};
[[nodiscard]] store_drain parse_drain(std::string_view body);
/// Whether it is only to be said what would move.
[[nodiscard]] bool parse_rebalance(std::string_view body);

/// The answer to a single operation. @param verb as above, or get.
[[nodiscard]] api_answer answer_of(std::string_view verb, const store::op_result& result, byte_form form);
[[nodiscard]] api_answer answer_of(const std::vector<store::op_result>& results, byte_form form);
[[nodiscard]] api_answer answer_of(const store::scan_page& page, byte_form form);
/// All of a slot, a line each: what it is, its leases, its entries; bytes are base64 throughout (docs/formats.md).
[[nodiscard]] api_answer answer_of(store::slot_id slot, const store::snapshot& state);
[[nodiscard]] api_answer answer_of(const std::vector<store::planned_move>& moves);
/// 404, 410, 413, 503, 504: by what went wrong.
[[nodiscard]] api_answer answer_of(store::store_error why);

/// A position of a watch as text of header and address: a revision when there is one slot, else all slots' revisions,
/// packed. Empty when it would be longer than the 6 KiB that servers take for granted.
[[nodiscard]] std::string position_token(const std::vector<store::slot_revision>& positions);
/// The event as text/event-stream. @param id its id; null: none.
[[nodiscard]] std::string event_text(const store::watch_event& event, byte_form form, const std::string* id);
/// A lease's name as text: 16 hexadecimal digits.
[[nodiscard]] std::string lease_text(store::lease_id id);

} // namespace glocal::node
