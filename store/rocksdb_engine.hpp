#pragma once
// The engine on RocksDB: one column family, keys grouped by slot (docs/formats.md). The only code that includes RocksDB
// is its .cpp.

#include "store/engine.hpp"

#include <filesystem>

namespace glocal::store {

/// Opens `directory` or makes it. Refuses, with a message for the operator, a directory of another cluster, with
/// another slot count, of a newer format, or one that another process has open.
[[nodiscard]] expected<std::unique_ptr<engine>, engine_failure> open_rocksdb(const std::filesystem::path& directory,
                                                                             const engine_identity& identity);

} // namespace glocal::store
