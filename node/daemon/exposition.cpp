#include "node/daemon/exposition.hpp"

#include <charconv>
#include <chrono>

namespace glocal::node {
namespace {

template <class Number>
void append_number(std::string& to, Number value) {
  char text[32];
  const auto end = std::to_chars(text, text + sizeof text, value).ptr;
  to.append(text, end);
}

} // namespace

void exposition::family(std::string_view name, std::string_view type, std::string_view help) {
  name_ = name;
  header_ = "# HELP " + name_ + " ";
  for (const char c : help)
    header_ += c == '\\' ? std::string{"\\\\"} : c == '\n' ? std::string{"\\n"} : std::string{c};
  header_ += "\n# TYPE " + name_ + " " + std::string{type} + "\n";
}

void exposition::append_label(std::string_view key, std::string_view value, bool first) {
  text_ += first ? '{' : ',';
  text_ += key;
  text_ += "=\"";
  for (const char c : value) {
    if (c == '\\' || c == '"')
      text_ += '\\';
    text_ += c < 0x20 || c > 0x7e ? '?' : c;
  }
  text_ += '"';
}

void exposition::begin_sample(label_span labels, std::string_view suffix) {
  text_ += std::exchange(header_, {});
  text_ += name_;
  text_ += suffix;
  bool first = true;
  for (const auto& [key, value] : common_)
    append_label(key, value, std::exchange(first, false));
  for (const auto& [key, value] : labels)
    append_label(key, value, std::exchange(first, false));
  text_ += first ? " " : "} ";
}

template <class Number>
void exposition::sample(label_span labels, Number value, std::string_view suffix) {
  begin_sample(labels, suffix);
  append_number(text_, value);
  text_ += '\n';
}

void exposition::add(std::initializer_list<label> labels, std::uint64_t value, std::string_view suffix) {
  sample(labels, value, suffix);
}

void exposition::add(std::initializer_list<label> labels, double value, std::string_view suffix) {
  sample(labels, value, suffix);
}

void exposition::add(std::initializer_list<label> labels, const latency_buckets& durations) {
  std::vector<label> with_bound{labels};
  with_bound.emplace_back("le", "");
  std::uint64_t so_far = 0;
  for (std::size_t i = 0; i <= latency_buckets::bounds.size(); ++i) {
    std::string bound = "+Inf";
    if (i < latency_buckets::bounds.size()) {
      // As people write it, without an exponent.
      char text[32];
      const auto seconds = std::chrono::duration<double>(latency_buckets::bounds[i]).count();
      bound.assign(text, std::to_chars(text, text + sizeof text, seconds, std::chars_format::fixed).ptr);
    }
    so_far += durations.count(i);
    with_bound.back().second = bound;
    sample(with_bound, so_far, "_bucket");
  }
  sample(labels, std::chrono::duration<double>(durations.sum()).count(), "_sum");
  // The buckets' own sum, so that no reader finds more in one than there are in all.
  sample(labels, so_far, "_count");
}

} // namespace glocal::node
