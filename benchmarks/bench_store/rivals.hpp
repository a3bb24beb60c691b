#pragma once
// The same load on other stores, started here and ended with it.

#include "benchmarks/bench_store/load.hpp"

namespace glocal::bench {

/// Three etcd processes, over their JSON gateway, each client a connection with one request at a time.
[[nodiscard]] load_result run_etcd(const load_plan& plan);
/// One Redis that syncs each write (appendfsync always), by its own redis-benchmark; `batch` is its pipelining.
[[nodiscard]] load_result run_redis(const load_plan& plan);

} // namespace glocal::bench
