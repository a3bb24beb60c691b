#pragma once
// A value on the heap that copies and compares as a value: what makes a recursive variant possible.
//
// Invariants: holds a value unless it was moved from. Threading: as the value.

#include <memory>
#include <utility>

namespace glocal::lisp {

template <class T>
class boxed {
public:
  boxed(T value) : held_{std::make_unique<T>(std::move(value))} {}
  boxed(const boxed& other) : held_{std::make_unique<T>(*other.held_)} {}
  boxed(boxed&&) noexcept = default;
  boxed& operator=(const boxed& other) {
    if (this != &other)
      held_ = std::make_unique<T>(*other.held_);
    return *this;
  }
  boxed& operator=(boxed&&) noexcept = default;
  ~boxed() = default;

  [[nodiscard]] const T& operator*() const noexcept { return *held_; }
  [[nodiscard]] const T* operator->() const noexcept { return held_.get(); }
  friend bool operator==(const boxed& a, const boxed& b) { return *a.held_ == *b.held_; }

private:
  std::unique_ptr<T> held_;
};

} // namespace glocal::lisp
