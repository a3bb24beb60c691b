#pragma once
// One of each message of the store, for the codecs' tests and their fuzzer.

#include "store/codec.hpp"
#include "store/replica_codec.hpp"

namespace glocal::store::samples {

inline const entry row{table::flows, std::string{"k\0y", 3}, "value", 17, 7};

inline const batch operations{get_op{table::paths, "p"},
                              put_op{table::digests, "fw", "digest", 0},
                              put_if_absent_op{table::flows, std::string(42, '\0'), "flow", 7},
                              compare_and_set_op{table::paths, "p", "v", 12, 0},
                              erase_op{table::flows, "f", std::nullopt},
                              erase_op{table::flows, "f", 9}};
inline const node_batch_reply results{
    batch_outcome{{{op_code::ok, row}, {op_code::not_found, std::nullopt}, {op_code::conflict, row}},
                  {{3, store_error::unavailable, "store2"}, {4, store_error::timeout, ""}}}};
inline const node_batch_reply refusal{unexpected{store_error::overloaded}};
inline const scan_request scan{table::flows, "pre", 100, 12, "prefix"};
inline const scan_reply page{scan_part{{row, row}, true, 12, "k"}};
inline const lease_request lease{7, std::chrono::seconds{10}, lease_action::grant};
inline const watch_request watch{3, table::paths, "p", {{1, 10}, {2, 20}}, {1, 2, 3}};
inline const watch_cancel cancel{3};
inline const watch_events events{
    3,
    8,
    {{watch_record::kind::put, 1, 11, row}, {watch_record::kind::snapshot_end, 2, 20, {table::paths, "", "", 0, 0}}}};
inline const watch_progress progress{{{3, 8}, {4, 1}}};

inline entry_ref logged(log_position at, command what) {
  const auto payload = payload_bytes(what);
  return std::make_shared<log_entry>(log_entry{at, std::move(what), payload});
}
inline std::vector<entry_ref> log() {
  return {logged({3, 10}, noop_command{}),
          logged({3, 11}, batch_command{operations, {{7, std::chrono::seconds{10}, 0}}}),
          logged({4, 12}, renew_command{{{7, std::chrono::milliseconds{0}, 0}, {8, std::chrono::hours{24}, 5}}}),
          logged({4, 13}, end_lease_command{7, 11})};
}
inline std::vector<replica_message> messages() {
  const auto with = [](decltype(replica_message::body) body) {
    return replica_message{12, {"edge-1", 1}, {"edge-2", 7}, 4, std::move(body)};
  };
  return {with(append_message{{2, 9}, log(), 8, 5}),
          with(append_message{{2, 9}, {}, 9, 6}),
          with(append_reply{9, 11, true, 5}),
          with(snapshot_message{{3, 20}, 19, 2, true, {row, row}, {{7, std::chrono::seconds{10}, 11}}}),
          with(snapshot_reply{{3, 20}, 3}),
          with(join_message{}),
          with(take_over_message{}),
          with(stale_reply{})};
}
inline std::vector<log_payload> log_payloads() {
  return {log_write{std::nullopt, log()}, log_write{7, {}}, log_write{0, log()}, log_install{{3, 20}}};
}

inline const slot_view view{4, {"store1", 3}, {{"store1", 3}, {"store2", 9}}};
inline const register_request register_read{12};
inline const register_request register_set{12, 7, view};
inline const set_outcome register_outcome{set_outcome::kind::conflict, {8, view}};

} // namespace glocal::store::samples
