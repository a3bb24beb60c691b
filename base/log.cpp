#include "base/log.hpp"

#include "base/escape.hpp"

#include <spdlog/formatter.h>
#include <spdlog/sinks/stdout_sinks.h>

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
      append_escaped(line_, actor, escape_quotes::no);
      line_ += ": ";
    }
    append_escaped(line_, text, escape_quotes::no);
  }

  void json_line(const spdlog::details::log_msg& message, std::string_view actor, std::string_view text) {
    line_ += "{\"time\":\"";
    append_time(message.time, true);
    const auto member = [&](const char* key, std::string_view value) {
      ((line_ += "\",\"") += key) += "\":\"";
      append_escaped(line_, value, escape_quotes::yes);
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
  out.reserve(spdlog::level::n_levels);
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
