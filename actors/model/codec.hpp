#pragma once
// The nouns of the system to and from bytes (schema/model.capnp): the values of the store's tables.
//
// Decoding treats its input as hostile: it never reads past it, never throws, and answers nothing for what is not a
// well-formed value. Cost: one allocation for encoding; decoding copies the strings.

#include "actors/model/model.hpp"
#include "base/bytes.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace glocal::model {

[[nodiscard]] std::string encode(const vnf_class& value);
[[nodiscard]] std::string encode(const vnf_instance& value);
[[nodiscard]] std::string encode(const service& value);
[[nodiscard]] std::string encode(const service_path& value);
[[nodiscard]] std::string encode(const flow_record& value);
[[nodiscard]] std::string encode(const instance_status& value);
[[nodiscard]] std::string encode(const class_digest& value);
[[nodiscard]] std::string encode(const link_state& value);
[[nodiscard]] std::string encode(const eid_mapping& value);
[[nodiscard]] std::string encode(const lisp_subscription& value);

/// `decode<flow_record>(bytes)`: the value, or nothing when the bytes are not one.
template <class T>
[[nodiscard]] std::optional<T> decode(std::string_view bytes);

/// MANO to VNF host (schema/mano.capnp).
struct instantiate_request {
  vnf_instance instance;
  model::vnf_class vnf_class;

  bool operator==(const instantiate_request&) const = default;
};
struct terminate_request {
  std::string instance;

  bool operator==(const terminate_request&) const = default;
};
struct lifecycle_reply {
  /// The instance with its location; absent when it failed.
  std::optional<vnf_instance> done;
  std::string failure;

  bool operator==(const lifecycle_reply&) const = default;
};
[[nodiscard]] std::string encode(const instantiate_request& value);
[[nodiscard]] std::string encode(const terminate_request& value);
[[nodiscard]] std::string encode(const lifecycle_reply& value);

} // namespace glocal::model
