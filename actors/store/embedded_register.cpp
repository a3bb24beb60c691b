#include "actors/store/embedded_register.hpp"

#include "actors/store/frames.hpp"
#include "actors/store/names.hpp"
#include "base/log.hpp"
#include "store/replica_codec.hpp"

#include <caf/sec.hpp>

#include <utility>

namespace glocal::actors {

using store::frame_kind;

namespace {

/// A view is one row of its slot, its version the slot's revision.
constexpr auto row_table = store::table::catalogue;
const std::string row_key = "view";
/// Longer than a sync, shorter than a fail-over.
constexpr std::chrono::milliseconds answer_time{500};

class remote_register final : public store::config_register {
public:
  remote_register(caf::event_based_actor& owner, runtime::transport via, runtime::address server)
      : owner_{owner}, via_{std::move(via)}, server_{std::move(server)} {}

  void get(store::slot_id slot, read_callback done) override {
    ask({slot, 0, std::nullopt}, [done = std::move(done)](const store::set_outcome& outcome) {
      done(outcome.what == store::set_outcome::kind::done ? std::optional{outcome.now} : std::nullopt);
    });
  }
  void compare_and_set(store::slot_id slot, std::uint64_t expected, store::slot_view wanted,
                       set_callback done) override {
    ask({slot, expected, std::move(wanted)}, std::move(done));
  }
  /// The server tells the store node itself.
  void watch(watch_callback) override {}

private:
  void ask(const store::register_request& what, set_callback done) {
    const auto answered = std::make_shared<set_callback>(std::move(done));
    runtime::request(&owner_, via_, server_, frame(frame_kind::register_request, what), answer_time)
        .then(
            [answered](const runtime::wire_message& reply) {
              const auto outcome = store::decode_register_reply(reply.view());
              (*answered)(outcome ? *outcome : store::set_outcome{});
            },
            [answered](const caf::error&) { (*answered)({}); });
  }

  caf::event_based_actor& owner_;
  runtime::transport via_;
  runtime::address server_;
};

} // namespace

embedded_register_server::embedded_register_server(caf::actor_config& config, runtime::transport transport,
                                                   std::shared_ptr<store::engine> engine, store::slot_id slot_count)
    : runtime::observed_actor{config, "embedded register", std::string{register_server_name}},
      transport_{std::move(transport)}, engine_{std::move(engine)}, slot_count_{slot_count} {}

caf::behavior embedded_register_server::make_behavior() {
  const auto refuse = [this](const std::string& why) -> caf::behavior {
    spdlog::critical("the embedded register can't start: {}", why);
    quit(caf::make_error(caf::sec::runtime_error, why));
    return {};
  };
  for (store::slot_id slot = 0; slot < slot_count_; ++slot) {
    const auto image = engine_->load(slot);
    if (!image)
      return refuse(image.error().message);
    for (const auto& row : image->entries) {
      auto saved =
          store::decode_register_reply({reinterpret_cast<const std::byte*>(row.value.data()), row.value.size()});
      // As if it was never set, the slot would begin anew beside the one there is.
      if (!saved)
        return refuse("who holds slot " + std::to_string(slot) + " can't be read");
      values_[slot] = std::move(saved->now);
    }
  }
  return {
      [this](runtime::wire_request_atom, const std::string& from, const runtime::wire_message& message) {
        nodes_.insert(from);
        return answer(message);
      },
      [this](runtime::wire_cast_atom, const std::string& from, const runtime::wire_message&) {
        note_error("a cast from " + from);
      },
  };
}

caf::result<runtime::wire_message> embedded_register_server::answer(const runtime::wire_message& message) {
  if (static_cast<frame_kind>(message.kind) != frame_kind::register_request)
    return runtime::make_error(runtime::transport_errc::refused, "not a request of the register");
  auto asked = store::decode_register_request(message.view());
  if (!asked || asked->slot >= slot_count_)
    return runtime::make_error(runtime::transport_errc::malformed);
  auto& value = values_[asked->slot];
  store::set_outcome outcome{store::set_outcome::kind::done, value};
  if (asked->wanted && value.version != asked->expected) {
    outcome.what = store::set_outcome::kind::conflict;
  } else if (asked->wanted) {
    store::register_value next{value.version + 1, std::move(*asked->wanted)};
    outcome.now = next;
    const auto encoded = store::encode(outcome);
    const store::slot_write write{
        asked->slot,
        next.version,
        {store::put_entry{{row_table, row_key,
                           std::string{reinterpret_cast<const char*>(encoded.data()), encoded.size()}, next.version,
                           0}}},
        {}};
    if (broken_.empty())
      if (const auto written = engine_->write({&write, 1}, true); !written) {
        broken_ = written.error().message;
        spdlog::critical("the embedded register is out until this node is restarted: {}", broken_);
        note_error(broken_);
      }
    // Whether it is on the disk is not known any more.
    if (!broken_.empty())
      return frame(frame_kind::register_reply, store::set_outcome{});
    value = std::move(next);
    ++changes_;
    const auto notice =
        frame(frame_kind::register_request, store::register_request{asked->slot, value.version, value.view});
    for (const auto& node : nodes_)
      (void)runtime::cast(this, transport_, {node, std::string{store_node_name}}, notice);
  }
  return frame(frame_kind::register_reply, outcome);
}

runtime::state_entries embedded_register_server::state_summary() const {
  return {{"slots", std::to_string(values_.size())},
          {"changes", std::to_string(changes_)},
          {"broken", broken_.empty() ? "false" : broken_}};
}

register_factory embedded_register(runtime::transport via, std::string server_node) {
  return [via = std::move(via), server = runtime::address{std::move(server_node), std::string{register_server_name}}](
             caf::event_based_actor& owner) { return std::make_unique<remote_register>(owner, via, server); };
}

} // namespace glocal::actors
