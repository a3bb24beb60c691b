#pragma once
// What all contestants are asked to do, and what came of it.

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace glocal::bench {

enum class operation : std::uint8_t { put_if_absent, put, get, watch };

struct load_plan {
  operation op = operation::put_if_absent;
  /// Requests under way at once, each with `batch` operations.
  std::size_t clients = 1024, batch = 1;
  std::chrono::milliseconds time{10'000};
  std::size_t value_bytes = 100;
  /// Keys that are put over again and got: few enough to be loaded at once.
  std::size_t keys = 100'000;
};

struct load_result {
  std::string name;
  double ops_per_s = 0;
  /// Of requests; 0 where the contestant does not tell.
  double p50_us = 0, p99_us = 0, p999_us = 0, max_us = 0;
  std::uint64_t operations = 0, failures = 0;
  /// CPU time an operation took, by who took it; empty where it is not known.
  std::vector<std::pair<std::string, double>> cpu_us_per_op;
  /// Why there is no result; empty where there is.
  std::string refused;
};

/// Key number `n`, 16 characters that are also the base64 of something: etcd takes it as it is.
[[nodiscard]] std::string key_of(std::uint64_t n);

} // namespace glocal::bench
