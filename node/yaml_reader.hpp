#pragma once
// Reads single values out of a YAML tree and reports what is wrong with each: the vocabulary config_load.cpp is written
// in. A reader that reports leaves its `out` as it was, so defaults stand.

#include "node/config_report.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace glocal::node {

class yaml_reader {
public:
  yaml_reader(const yaml_tree& tree, config_report& report) : tree_{tree}, report_{report} {}

protected:
  using value = yaml_value;
  using kind = yaml_value::kind;
  using key_list = std::vector<std::string_view>;

  /// False, and reported, when the value is of another kind than `wanted`.
  bool expect(const value& v, kind wanted, std::string_view what, std::string suggestion);
  bool scalar(const value& v, std::string_view what, std::string suggestion) {
    return expect(v, kind::scalar, what, std::move(suggestion));
  }
  /// A map with `known` keys once each, of which `required` are there. False when it is no map at all.
  bool keys(const value& map, std::string_view what, const key_list& known, const key_list& required);

  template <class Read>
  void with(const value& map, std::string_view key, Read read) {
    if (const auto* found = tree_.find(map, key))
      read(*found);
  }

  /// Reads every element, an unreadable one too: positions in `out` and in the file stay the same.
  template <class T, class Read>
  void list(const value& v, std::string_view what, std::vector<T>& out, Read read) {
    if (!expect(v, kind::sequence, what, "write it as '- ...' lines or [a, b]"))
      return;
    out.reserve(v.children.size());
    for (const auto child : v.children)
      if (!report_.full())
        read(tree_.at(child), out.emplace_back());
  }

  /// A list, or one element without the brackets.
  template <class T, class Read>
  void one_or_list(const value& v, std::string_view what, std::vector<T>& out, Read read) {
    if (v.what == kind::scalar)
      read(v, out.emplace_back());
    else
      list(v, what, out, read);
  }

  template <class Int>
  void number(const value& v, std::string_view what, std::uint64_t low, std::uint64_t high, Int& out) {
    if (const auto read = number_between(v, what, low, high))
      out = static_cast<Int>(*read);
  }

  /// One of some words, each with its meaning.
  template <class Enum>
  void choice(const value& v, const std::vector<std::pair<std::string_view, Enum>>& choices, Enum& out) {
    key_list words;
    for (const auto& [word, meaning] : choices)
      words.push_back(word);
    if (!scalar(v, "this", suggest("", words, "values")))
      return;
    for (const auto& [word, meaning] : choices)
      if (word == v.text) {
        out = meaning;
        return;
      }
    report_.error(v, "unknown value " + quoted(v.text), suggest(v.text, words, "values"));
  }

  void name(const value& v, std::string& out);
  /// Any text but none.
  void text(const value& v, std::string_view what, std::string& out);
  /// Name of a network device.
  void device(const value& v, std::string& out);
  void duration(const value& v, std::string_view what, std::chrono::milliseconds low, std::chrono::milliseconds high,
                std::chrono::milliseconds& out);
  void boolean(const value& v, std::string_view what, bool& out);
  /// A unicast address.
  void address(const value& v, ip_address& out);
  /// Sets the length to `unreadable_length` on failure.
  void prefix(const value& v, ip_prefix& out);
  /// A host's address with the length of its subnet.
  void sized_address(const value& v, interface_address& out);
  void control_endpoint(const value& v, endpoint& out) { read_endpoint(v, false, "10.255.0.11:7400", out); }
  /// The same; 0.0.0.0 and :: mean every address of the machine.
  void listen_endpoint(const value& v, endpoint& out) { read_endpoint(v, true, "127.0.0.1:9100", out); }
  /// A port or a range of them.
  void port_range(const value& v, dataplane::l4_port_range& out);

  const yaml_tree& tree_;
  config_report& report_;

private:
  void read_endpoint(const value& v, bool any_address, std::string_view example, endpoint& out);
  std::optional<std::uint64_t> number_between(const value& v, std::string_view what, std::uint64_t low,
                                              std::uint64_t high);
};

} // namespace glocal::node
