#include "actors/edge/path_accounts.hpp"

#include "actors/model/keys.hpp"

#include <catch2/catch.hpp>

using namespace glocal;
using namespace glocal::actors;

TEST_CASE("a path has an account of its own, and keeps it when its chain changes") {
  path_accounts accounts;
  const auto first = accounts.of({2, "web", {"fw-1", "opt-1"}}), second = accounts.of({4, "web", {"fw-2"}});
  CHECK(first != second);
  CHECK(accounts.of({2, "web", {"fw-2", "opt-1"}}) == first);
  const auto all = accounts.all();
  CHECK(all[first] == path_accounts::account{"web", model::keys::path(2), "fw-2 > opt-1"});
  CHECK(all[second] == path_accounts::account{"web", model::keys::path(4), "fw-2"});
  CHECK(accounts.folded() == 0);
}

TEST_CASE("more paths than there are accounts are counted with the others of their service") {
  path_accounts accounts;
  for (std::uint32_t id = 0; id < dataplane::max_path_accounts; ++id)
    (void)accounts.of({2 * id, "web", {"fw-1"}});
  CHECK(accounts.all().size() == dataplane::max_path_accounts);
  const auto folded = accounts.folded();
  CHECK(folded == 2); // two accounts are others
  const auto others = accounts.of({1'000'000, "web", {"fw-1"}});
  CHECK(accounts.all()[others] == path_accounts::account{"web", "(other)", "(other)"});
  // A service that came too late has not even that.
  CHECK(accounts.of({1'000'002, "mail", {"fw-1"}}) == 0);
  CHECK(accounts.folded() == folded + 2);
  CHECK(accounts.of({0, "web", {"fw-1"}}) != others);
  CHECK(accounts.all().size() == dataplane::max_path_accounts);
}
