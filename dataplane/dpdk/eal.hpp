#pragma once
// DPDK's environment abstraction layer: one per process, started before ports and lcores, ended after them.
//
// Started so that many processes share one small machine: no PCI devices, no huge pages (unless asked for), nothing
// shared with other processes, no telemetry socket, no thread pinned, nothing left in the file system. Threading: start
// and end on one thread. The rest of DPDK is then usable from any thread. Source: DPDK 22.11 Programmer's Guide
// chapter 3.

#include "base/expected.hpp"

#include <memory>
#include <string>

namespace glocal::dataplane {

struct eal_config {
  /// Tells processes apart in DPDK's own messages.
  std::string name = "glocal";
  /// Memory for packet buffers and rings, reserved at once and touched as used. An lcore with 4095 buffers takes 10 MB.
  unsigned memory_mb = 32;
  /// Mebibytes from huge pages instead of ordinary memory; needs privileges.
  bool huge_pages = false;
};

enum class eal_error {
  /// DPDK can be started once in the life of a process.
  already_started,
  /// It said why on standard error.
  refused
};

class eal {
public:
  [[nodiscard]] static expected<std::unique_ptr<eal>, eal_error> start(const eal_config& config);
  eal(const eal&) = delete;
  eal& operator=(const eal&) = delete;
  /// REQUIRES: no port and no lcore is left.
  ~eal();

private:
  eal() = default;
};

} // namespace glocal::dataplane
