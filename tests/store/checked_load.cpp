#include "tests/store/checked_load.hpp"

#include <algorithm>
#include <charconv>

namespace glocal::test {

using sim::operation;

namespace {

constexpr auto table = store::table::paths;

sim::value_id number_of(const std::string& text) {
  sim::value_id out = 0;
  std::from_chars(text.data(), text.data() + text.size(), out);
  return out;
}

} // namespace

checked_load::checked_load(caf::actor_config& config, caf::actor client, const options& how,
                           std::shared_ptr<load_history> out)
    : runtime::observed_actor{config, "checked load", "checked load"}, options_{how},
      store_{*this, std::move(client), {.deadline = how.deadline}}, out_{std::move(out)}, random_{how.seed},
      current_(how.keys) {}

caf::behavior checked_load::make_behavior() {
  for (std::uint32_t client = 0; client < options_.clients; ++client)
    go_on(client);
  return caf::message_handler{[this](runtime::tick_atom) { ending_ = true; }}.or_else(store_.handler());
}

sim::duration checked_load::now() const {
  return std::chrono::duration_cast<sim::duration>(std::chrono::steady_clock::now() - began_);
}

void checked_load::go_on(std::uint32_t client) {
  if (ending_) {
    if (under_way_ == 0)
      read_back();
    return;
  }
  const auto place = random_() % current_.size();
  auto& [generation, count] = current_[place];
  if (count++ == options_.operations_per_key) {
    ++generation;
    count = 1;
  }
  const auto key = "k" + std::to_string(place) + "-" + std::to_string(generation);
  const auto seen = seen_[key];
  operation made;
  made.client = client;
  made.invoked = now();
  store::batch what;
  const auto kind = random_() % 4;
  if (kind == 0 || (kind == 1 && seen.value == 0)) {
    made.what = operation::kind::put_if_absent;
    made.writes = next_value_++;
    what.push_back(store::put_if_absent_op{table, key, std::to_string(made.writes), 0});
  } else if (kind == 1 || kind == 2) {
    made.what = operation::kind::compare_and_set;
    made.writes = next_value_++;
    made.expects = seen.value;
    what.push_back(store::compare_and_set_op{table, key, std::to_string(made.writes), seen.version, 0});
  } else {
    what.push_back(store::get_op{table, key});
  }
  ++under_way_;
  store_.execute(std::move(what), [this, client, key, made](const auto& results) {
    --under_way_;
    answered(client, key, made,
             results ? expected<store::op_result, store::store_error>{results->front()} : unexpected{results.error()});
    go_on(client);
  });
}

void checked_load::answered(std::uint32_t, const std::string& key, operation done,
                            const expected<store::op_result, store::store_error>& result) {
  done.returned = now();
  if (!result && result.error() != store::store_error::timeout) {
    ++out_->refused; // it did not happen, and so explains nothing
    return;
  }
  if (result) {
    done.known = true;
    done.done = result->ok();
    if (result->found) {
      const auto found = number_of(result->found->value);
      if (!done.done || done.what == operation::kind::get)
        done.found = found;
      if (auto& seen = seen_[key]; seen.version < result->found->version)
        seen = {found, result->found->version};
    }
    {
      const std::lock_guard guard{out_->mutex};
      ++out_->acknowledged;
    }
    out_->progressed.notify_all();
    out_->longest_gap = std::max(
        out_->longest_gap, std::chrono::duration_cast<std::chrono::milliseconds>(done.returned - last_acknowledged_));
    last_acknowledged_ = done.returned;
  } else {
    ++out_->unknown;
  }
  out_->operations[key].push_back(done);
}

/// What was acknowledged must still be there.
void checked_load::read_back() {
  for (const auto& [key, operations] : out_->operations) {
    ++under_way_;
    operation made;
    made.invoked = now();
    store_.execute({store::get_op{table, key}}, [this, key = key, made](const auto& results) {
      answered(0, key, made,
               results ? expected<store::op_result, store::store_error>{results->front()}
                       : unexpected{results.error()});
      if (--under_way_ == 0)
        quit();
    });
  }
  if (under_way_ == 0)
    quit();
}

} // namespace glocal::test
