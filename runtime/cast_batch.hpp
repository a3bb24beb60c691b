#pragma once
// Casts of one node in a row to one actor as one message: for actors that get so many that a CAF message for each
// (about 150 ns) is most of their cost.
//
//   class sink : public runtime::observed_actor, public runtime::takes_cast_batches {
//     … [this](runtime::wire_casts_atom, const std::string& from, const runtime::cast_batch& casts) {
//         casts.for_each([&](std::uint16_t kind, byte_view body) { … });
//       }
//
// Whoever does not derive from takes_cast_batches gets each as (wire_cast_atom, std::string, wire_message). Casts
// within the node, and single ones, come as that to everybody.

#include "runtime/atoms.hpp"
#include "runtime/frame.hpp"

#include <caf/allowed_unsafe_message_type.hpp>

#include <memory>

namespace glocal::runtime {

/// Marks the class of an actor; has no other meaning.
class takes_cast_batches {
public:
  virtual ~takes_cast_batches() = default;
};

class cast_batch {
public:
  cast_batch() = default;
  /// REQUIRES: `frames` are checked cast frames, alive as long as `owner`.
  cast_batch(std::shared_ptr<const void> owner, byte_view frames, std::size_t count) noexcept
      : owner_{std::move(owner)}, frames_{frames}, count_{count} {}

  [[nodiscard]] std::size_t size() const noexcept { return count_; }

  /// Calls visit(std::uint16_t kind, byte_view body), in order. Bodies are valid while the batch is.
  template <class Visit>
  void for_each(Visit&& visit) const {
    for_each_frame(frames_, [&](const frame_header& header, byte_view body) {
      visit(header.kind, body);
      return true;
    });
  }

private:
  std::shared_ptr<const void> owner_;
  byte_view frames_;
  std::size_t count_ = 0;
};

} // namespace glocal::runtime

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(glocal::runtime::cast_batch)
