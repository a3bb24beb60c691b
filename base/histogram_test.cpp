#include "base/histogram.hpp"

#include <catch2/catch.hpp>

using glocal::histogram;

TEST_CASE("quantiles are within one sub-bucket of the true value") {
  histogram h;
  for (std::uint64_t i = 1; i <= 100'000; ++i)
    h.record(i);
  CHECK(h.count() == 100'000);
  CHECK(h.max() == 100'000);
  for (const double q : {0.01, 0.5, 0.9, 0.99}) {
    const double truth = q * 100'000;
    CHECK(static_cast<double>(h.quantile(q)) >= truth);
    CHECK(static_cast<double>(h.quantile(q)) <= truth * 1.07);
  }
  CHECK(h.quantile(1.0) == 100'000);
}

TEST_CASE("an empty histogram answers zero and extreme values have a bucket") {
  histogram h;
  CHECK(h.quantile(0.5) == 0);
  h.record(0);
  h.record(~std::uint64_t{0});
  CHECK(h.quantile(0) == 0);
  CHECK(h.quantile(1) == ~std::uint64_t{0});
}

TEST_CASE("one of a sample counts for those it stands for") {
  histogram h;
  h.record(10, 8);
  h.record(1000);
  CHECK(h.count() == 9);
  CHECK(h.quantile(0.5) == 10);
  CHECK(h.max() == 1000);
}
