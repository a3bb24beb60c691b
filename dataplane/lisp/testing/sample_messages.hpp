#pragma once
// One message of each kind, with every field and every kind of address in use somewhere. For tests.

#include "dataplane/lisp/message.hpp"

#include <string>
#include <vector>

namespace glocal::lisp::testing {

struct sample_message {
  std::string name;
  control_message message;
};

[[nodiscard]] const std::vector<sample_message>& sample_messages();

} // namespace glocal::lisp::testing
