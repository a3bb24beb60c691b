#pragma once
// A value or the reason there is none (std::expected is C++23 and g++ 12 has none).
//
// Invariants: exactly one of value and error is held. Not thread-safe, like any value.

#include <cstdlib>
#include <type_traits>
#include <utility>
#include <variant>

namespace glocal {

/// Marks a constructor argument as the error alternative: `return unexpected{code};`.
template <class E>
struct unexpected {
  E error;
};
template <class E>
unexpected(E) -> unexpected<E>;

/// Either a `T` or an `E`. Reading the alternative that is not held is a bug and aborts.
template <class T, class E>
class [[nodiscard]] expected {
public:
  using value_type = T;
  using error_type = E;

  expected(T value) : state_{std::in_place_index<0>, std::move(value)} {}
  template <class G>
  requires std::is_convertible_v<G, E> expected(unexpected<G> reason)
      : state_{std::in_place_index<1>, std::move(reason.error)} {}

  [[nodiscard]] bool has_value() const noexcept { return state_.index() == 0; }
  explicit operator bool() const noexcept { return has_value(); }

  [[nodiscard]] T& value() & { return *pointer(); }
  [[nodiscard]] const T& value() const& { return *pointer(); }
  [[nodiscard]] T&& value() && { return std::move(*pointer()); }
  [[nodiscard]] T& operator*() & { return *pointer(); }
  [[nodiscard]] const T& operator*() const& { return *pointer(); }
  [[nodiscard]] T&& operator*() && { return std::move(*pointer()); }
  [[nodiscard]] T* operator->() { return pointer(); }
  [[nodiscard]] const T* operator->() const { return pointer(); }

  [[nodiscard]] E& error() { return *held_error(); }
  [[nodiscard]] const E& error() const { return *const_cast<expected*>(this)->held_error(); }

  [[nodiscard]] T value_or(T fallback) const& { return has_value() ? **this : std::move(fallback); }

private:
  T* pointer() {
    auto* held = std::get_if<0>(&state_);
    if (held == nullptr)
      std::abort();
    return held;
  }
  const T* pointer() const { return const_cast<expected*>(this)->pointer(); }
  E* held_error() {
    auto* held = std::get_if<1>(&state_);
    if (held == nullptr)
      std::abort();
    return held;
  }

  std::variant<T, E> state_;
};

/// Success without a value, or an `E`.
template <class E>
class [[nodiscard]] expected<void, E> : private expected<std::monostate, E> {
  using base = expected<std::monostate, E>;

public:
  using value_type = void;
  using error_type = E;

  expected() : base{std::monostate{}} {}
  template <class G>
  requires std::is_convertible_v<G, E> expected(unexpected<G> reason) : base{std::move(reason)} {}

  using base::error;
  using base::has_value;
  using base::operator bool;
};

} // namespace glocal
