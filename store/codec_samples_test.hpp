#pragma once
// One of each message of the store, for the codec's test and its fuzzer.

#include "store/codec.hpp"

namespace glocal::store::samples {

inline const entry row{table::flows, std::string{"k\0y", 3}, "value", 17, 7};

inline const batch operations{get_op{table::paths, "p"},
                              put_op{table::digests, "fw", "digest", 0},
                              put_if_absent_op{table::flows, std::string(42, '\0'), "flow", 7},
                              compare_and_set_op{table::paths, "p", "v", 12, 0},
                              erase_op{table::flows, "f", std::nullopt},
                              erase_op{table::flows, "f", 9}};
inline const batch_reply results{
    std::vector<op_result>{{op_code::ok, row}, {op_code::not_found, std::nullopt}, {op_code::conflict, row}}};
inline const batch_reply refusal{unexpected{store_error::overloaded}};
inline const scan_request scan{table::flows, "pre", 100, 12, "prefix"};
inline const scan_reply page{scan_part{{row, row}, true, 12, "k"}};
inline const lease_request lease{7, std::chrono::seconds{10}, lease_action::grant};
inline const watch_request watch{3, table::paths, "p", {{1, 10}, {2, 20}}};
inline const watch_cancel cancel{3};
inline const watch_events events{
    3,
    8,
    {{watch_record::kind::put, 1, 11, row}, {watch_record::kind::snapshot_end, 2, 20, {table::paths, "", "", 0, 0}}}};
inline const watch_progress progress{{{3, 8}, {4, 1}}};

} // namespace glocal::store::samples
