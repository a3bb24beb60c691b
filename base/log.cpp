#include "base/log.hpp"

#include <spdlog/formatter.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <ctime>

namespace glocal {

namespace {

std::atomic<running_actor_source> running_actor{nullptr};

std::string_view view_of(const spdlog::string_view_t& text) {
  return {text.data(), text.size()};
}

/// Bytes of the UTF-8 character `text` begins with; 0 when it is none.
std::size_t character_bytes(std::string_view text) {
  const auto first = static_cast<unsigned char>(text[0]);
  const std::size_t size = first < 0x80                    ? 1
                           : first >= 0xc2 && first < 0xe0 ? 2
                           : (first & 0xf0) == 0xe0        ? 3
                           : first >= 0xf0 && first < 0xf5 ? 4
                                                           : 0;
  if (size == 0 || text.size() < size)
    return 0;
  for (std::size_t i = 1; i < size; ++i)
    if ((text[i] & 0xc0) != 0x80)
      return 0;
  return size;
}

/// Names and errors may come from peers: nothing in them begins a line of its own or breaks a reader.
/// @param quotes also escaped: `"` and the backslash.
void append_escaped(std::string& to, std::string_view text, bool quotes) {
  while (!text.empty()) {
    const auto size = character_bytes(text);
    const auto first = text[0];
    if (size == 0) {
      to += "\xef\xbf\xbd"; // U+FFFD
    } else if (first == '\n') {
      to += "\\n";
    } else if (size == 1 && (static_cast<unsigned char>(first) < 0x20 || first == 0x7f)) {
      char code[8];
      std::snprintf(code, sizeof code, "\\u%04x", static_cast<unsigned>(first));
      to += code;
    } else {
      if (quotes && (first == '"' || first == '\\'))
        to += '\\';
      to += text.substr(0, size);
    }
    text.remove_prefix(std::max<std::size_t>(size, 1));
  }
}

class log_formatter final : public spdlog::formatter {
public:
  explicit log_formatter(log_format format) : format_{format} {}

  void format(const spdlog::details::log_msg& message, spdlog::memory_buf_t& to) override {
    const auto source = running_actor.load(std::memory_order_relaxed);
    const auto actor = source != nullptr ? source() : std::string_view{};
    auto text = view_of(message.payload);
    // Actors begin some of their messages with their name.
    if (!actor.empty() && text.starts_with(actor) && text.substr(actor.size()).starts_with(": "))
      text.remove_prefix(actor.size() + 2);
    line_.clear();
    if (format_ == log_format::json)
      json_line(message, actor, text);
    else
      text_line(message, actor, text);
    line_ += '\n';
    to.append(line_.data(), line_.data() + line_.size());
  }

  [[nodiscard]] std::unique_ptr<spdlog::formatter> clone() const override {
    return std::make_unique<log_formatter>(format_);
  }

private:
  void text_line(const spdlog::details::log_msg& message, std::string_view actor, std::string_view text) {
    append_time(message.time, false);
    ((line_ += ' ') += view_of(spdlog::level::to_string_view(message.level))) += " [";
    (line_ += view_of(message.logger_name)) += "] ";
    if (!actor.empty()) {
      append_escaped(line_, actor, false);
      line_ += ": ";
    }
    append_escaped(line_, text, false);
  }

  void json_line(const spdlog::details::log_msg& message, std::string_view actor, std::string_view text) {
    line_ += "{\"time\":\"";
    append_time(message.time, true);
    const auto member = [&](const char* key, std::string_view value) {
      ((line_ += "\",\"") += key) += "\":\"";
      append_escaped(line_, value, true);
    };
    member("level", view_of(spdlog::level::to_string_view(message.level)));
    member("node", view_of(message.logger_name));
    if (!actor.empty())
      member("actor", actor);
    member("message", text);
    line_ += "\"}";
  }

  void append_time(std::chrono::system_clock::time_point time, bool utc) {
    const auto since = time.time_since_epoch();
    const auto seconds = std::chrono::floor<std::chrono::seconds>(since);
    const auto whole = static_cast<std::time_t>(seconds.count());
    std::tm parts{};
    utc ? ::gmtime_r(&whole, &parts) : ::localtime_r(&whole, &parts);
    char shown[40];
    const auto length = std::strftime(shown, sizeof shown, "%Y-%m-%dT%H:%M:%S", &parts);
    std::snprintf(shown + length, sizeof shown - length, ".%06d%s",
                  static_cast<int>(std::chrono::duration_cast<std::chrono::microseconds>(since - seconds).count()),
                  utc ? "Z" : "");
    line_ += shown;
  }

  const log_format format_;
  std::string line_;
};

} // namespace

std::unique_ptr<spdlog::formatter> make_log_formatter(log_format format) {
  return std::make_unique<log_formatter>(format);
}

void name_running_actors_by(running_actor_source source) noexcept {
  running_actor.store(source, std::memory_order_relaxed);
}

void start_logging(const std::string& node, const std::string& level, log_format format) {
  auto logger = spdlog::stderr_logger_mt(node);
  logger->set_formatter(make_log_formatter(format));
  // from_str answers "off" for what it does not know, which would silence a daemon over a typing error.
  const auto parsed = spdlog::level::from_str(level);
  logger->set_level(parsed == spdlog::level::off && level != "off" ? spdlog::level::info : parsed);
  logger->flush_on(spdlog::level::info);
  spdlog::set_default_logger(std::move(logger));
}

namespace {

std::string name_of(spdlog::level::level_enum level) {
  const auto view = spdlog::level::to_string_view(level);
  return {view.data(), view.size()};
}

} // namespace

std::vector<std::string> log_levels() {
  std::vector<std::string> out;
  for (int level = 0; level < static_cast<int>(spdlog::level::n_levels); ++level)
    out.push_back(name_of(static_cast<spdlog::level::level_enum>(level)));
  return out;
}

std::string log_level() {
  return name_of(spdlog::default_logger()->level());
}

bool set_log_level(const std::string& name) {
  // from_str takes "warn" and "err" too, and anything else for "off".
  const auto level = spdlog::level::from_str(name);
  if (level == spdlog::level::off && name != "off")
    return false;
  spdlog::default_logger()->set_level(level);
  return true;
}

} // namespace glocal
