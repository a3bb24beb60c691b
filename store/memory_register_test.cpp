#include "store/memory_register.hpp"

#include "store/register_contract_test.hpp"

using namespace glocal::store;

namespace {

const member a{"a", 1}, b{"b", 1};

std::optional<register_value> read(memory_register& subject, slot_id slot) {
  std::optional<register_value> out;
  bool answered = false;
  subject.get(slot, [&](std::optional<register_value> value) {
    answered = true;
    out = std::move(value);
  });
  REQUIRE_FALSE(answered); // never before the call returned
  subject.run();
  REQUIRE(answered);
  return out;
}

set_outcome set(memory_register& subject, slot_id slot, std::uint64_t expected, slot_view wanted) {
  std::optional<set_outcome> out;
  subject.compare_and_set(slot, expected, std::move(wanted), [&](set_outcome outcome) { out = std::move(outcome); });
  subject.run();
  REQUIRE(out);
  return *out;
}

class memory_fixture final : public register_fixture {
public:
  config_register& subject() override { return register_; }
  void run_until(const std::function<bool()>& enough) override {
    register_.run();
    REQUIRE(enough());
  }

private:
  memory_register register_;
};

} // namespace

TEST_CASE("memory_register keeps the contract of a register") {
  memory_fixture fixture;
  check_register_contract(fixture);
}

TEST_CASE("a lost answer is unknown, and the change may have happened") {
  memory_register subject;
  subject.loses_answers = true;
  CHECK(set(subject, 1, 0, {1, a, {a}}).what == set_outcome::kind::unknown);
  CHECK(read(subject, 1)->version == 1);
  subject.unreachable = true;
  CHECK(set(subject, 1, 1, {2, b, {b}}).what == set_outcome::kind::unknown);
  CHECK_FALSE(read(subject, 1));
}
