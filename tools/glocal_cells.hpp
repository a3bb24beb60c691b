#pragma once
// JSON that nodes send, read without trust: a field that is not there, or of another type, is no error.

#include <nlohmann/json.hpp>

#include <initializer_list>
#include <string>

namespace glocal::cli {

/// The value at `keys`, or null when there is none on the way.
[[nodiscard]] const nlohmann::json& at(const nlohmann::json& from, std::initializer_list<const char*> keys);

/// One cell: '-' for what is not there, lists with commas, fractions with one digit.
[[nodiscard]] std::string cell(const nlohmann::json& value);

/// The value if it is an array, else an empty one.
[[nodiscard]] const nlohmann::json& list(const nlohmann::json& value);

/// As `-o json` prints it: one line for programs that read a stream, else indented.
[[nodiscard]] std::string dump(const nlohmann::json& value, bool one_line);

} // namespace glocal::cli
