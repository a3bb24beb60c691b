#pragma once
// The memory of a switch that outlives it: flows and paths in a mapped file, so that a daemon that crashed or was
// upgraded starts warm and established flows go on (docs/formats.md, "Flow file").
//
// A record is written aside from its *seal*, a checksum that is zeroed first and written last: a process that ends
// between any two instructions leaves records that are whole or unsealed, and only sealed ones are read. The file is
// input like any other: every value is checked before it is used, and what does not fit is left out and counted.
// Invariant: a file is read only by the configuration, boot and layout that wrote it; otherwise it is made anew.
// Threading: one thread.

#include "dataplane/exact_match/mapped_file.hpp"
#include "dataplane/switch/flow.hpp"
#include "dataplane/switch/path_program.hpp"

#include <optional>
#include <span>
#include <string>

namespace glocal::dataplane {

struct flow_file_config {
  /// Nothing is kept where this is empty. Best in a memory file system: on a disk the kernel writes it out all the
  /// time.
  std::string path;
  /// Of what the numbers in the file mean: ports and their order. A file of another fingerprint is not read.
  std::uint64_t fingerprint = 0;
};

/// Why a switch starts without what was known before.
enum class cold_start : std::uint8_t {
  no,
  no_file,
  new_file,
  unusable,
  in_use,
  no_space,
  other_layout,
  other_boot,
  other_configuration
};
[[nodiscard]] std::string_view to_string(cold_start why) noexcept;

class flow_file {
public:
  /// A flow as it was when its record was written.
  struct stored_flow {
    flow_identity identity;
    flow::kind what = flow::kind::free;
    std::uint16_t account = flow::no_account;
  };
  struct stored_path {
    path_program program;
    std::uint16_t account = 0;
  };

  /// Memory for `flows` and `paths`. A file that can't be had is no reason not to start: cold() says so.
  /// @throws std::bad_alloc when not even anonymous memory is there.
  flow_file(const flow_file_config& config, std::size_t flows, std::size_t paths);

  [[nodiscard]] cold_start cold() const noexcept { return cold_; }
  /// The part of each flow that packets write. Theirs are the numbers when a flow is read back, nothing else.
  [[nodiscard]] std::span<flow> live() const noexcept { return live_; }
  /// Records at or above hold nothing; 0 on a cold start.
  [[nodiscard]] std::uint32_t flows_to_read() const noexcept { return flows_to_read_; }

  /// Nothing when there is no sealed and sound record.
  [[nodiscard]] std::optional<stored_flow> read_flow(std::uint32_t index) const noexcept;
  [[nodiscard]] std::optional<stored_path> read_path(std::uint32_t slot) const;

  // Cost: about 20 ns; nothing without a file.
  void write_flow(std::uint32_t index, const flow_identity& identity, flow::kind what, std::uint16_t account) noexcept;
  void erase_flow(std::uint32_t index) noexcept;
  void write_path(std::uint32_t slot, const path_program& program, std::uint16_t account) noexcept;
  void erase_path(std::uint32_t slot) noexcept;

private:
  struct header;
  struct flow_record;
  struct path_record;

  [[nodiscard]] bool open(const flow_file_config& config, std::size_t bytes, const header& wanted);
  [[nodiscard]] header& head() const noexcept;
  [[nodiscard]] flow_record& flow_at(std::uint32_t index) const noexcept;
  [[nodiscard]] path_record& path_at(std::uint32_t slot) const noexcept;

  mapped_file memory_;
  cold_start cold_ = cold_start::no_file;
  bool is_kept_ = false;
  std::uint32_t flows_to_read_ = 0;
  std::size_t flow_records_at_ = 0, path_records_at_ = 0;
  std::span<flow> live_;
};

} // namespace glocal::dataplane
