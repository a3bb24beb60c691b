#pragma once
// Actors that the runtime's tests talk to.

#include "runtime/envelope_codec.hpp"
#include "runtime/observed.hpp"
#include "runtime/transport.hpp"

#include <caf/all.hpp>

#include <string>
#include <utility>
#include <vector>

namespace glocal::runtime::test {

namespace kinds {
inline constexpr std::uint16_t echo = kind_ranges::test + 1, refuse = kind_ranges::test + 2,
                               malformed = kind_ranges::test + 3, never = kind_ranges::test + 4,
                               fail = kind_ranges::test + 5, end = kind_ranges::test + 6;
}

/// A message with a valid body that holds `text`.
inline wire_message say(std::uint16_t kind, std::string_view text = "hello") {
  return make_message(kind, encode_name(text));
}
/// The text of such a message.
inline std::string heard(const wire_message& message) {
  return decode_name(message.view()).value_or("(no text)");
}

/// `3 from > to: kind or type`, one each; those that came back end with `returned`.
inline std::vector<std::string> letters_in(const dead_letters& letters) {
  letter_counts counts;
  letters.add_to(counts);
  std::vector<std::string> out;
  for (const auto& [letter, count] : counts)
    out.push_back(std::to_string(count) + " " + letter.from + " > " + letter.to + ": " +
                  (letter.type.empty() ? std::to_string(letter.kind) : letter.type) +
                  (letter.returned ? ", returned" : ""));
  return out;
}

/// Answers by the kind of the message, and keeps what was cast to it.
class parrot : public observed_actor {
public:
  using log = std::shared_ptr<std::vector<std::string>>;

  explicit parrot(caf::actor_config& cfg, std::string name = "parrot",
                  log heard = std::make_shared<log::element_type>())
      : observed_actor{cfg, "parrot", std::move(name)}, log_{std::move(heard)} {}

  caf::behavior make_behavior() override {
    return {
        [this](wire_request_atom, const std::string& from, wire_message& message) -> caf::result<wire_message> {
          log_->push_back(from + " asks " + heard(message));
          switch (message.kind) {
          case kinds::refuse: return make_error(transport_errc::refused, "not today");
          case kinds::malformed: return make_error(transport_errc::malformed);
          case kinds::never: promises_.push_back(make_response_promise()); return promises_.back();
          case kinds::fail: throw std::runtime_error{"a bug"};
          case kinds::end: quit(); return message;
          default: return message;
          }
        },
        [this](wire_cast_atom, const std::string& from, wire_message& message) {
          log_->push_back(from + " says " + heard(message));
        },
    };
  }

  // A kept promise holds its actor alive.
  void on_exit() override { promises_.clear(); }

  [[nodiscard]] state_entries state_summary() const override { return {{"heard", std::to_string(log_->size())}}; }

private:
  log log_;
  std::vector<caf::response_promise> promises_;
};

} // namespace glocal::runtime::test
