#pragma once
// Structured logs: every line carries time, level, node and, when an actor wrote it, the actor. Thin set-up over
// spdlog.
//
// Threading: spdlog's loggers are thread-safe. Never call from an lcore.

#include <spdlog/spdlog.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace glocal {

enum class log_format {
  /// `2026-01-31T12:00:00.123456 info [dc1] edge/dc1/switch: message`; control characters are escaped.
  text,
  /// One object a line: time (UTC, RFC 3339), level, node, actor (when there is one), message.
  json
};

/// Makes the process's default logger, on standard error. Call once, first in main().
/// @param level spdlog's names: trace, debug, info, warn, error, off; an unknown one means info.
void start_logging(const std::string& node, const std::string& level, log_format format = log_format::text);

/// What turns a message into a line: the logger's name is the node.
[[nodiscard]] std::unique_ptr<spdlog::formatter> make_log_formatter(log_format format);

/// Says which actor runs on the calling thread; empty for none. Set once, before there are threads; lives for ever.
using running_actor_source = std::string_view (*)() noexcept;
void name_running_actors_by(running_actor_source source) noexcept;

/// Names of the levels, the most talkative first.
[[nodiscard]] std::vector<std::string> log_levels();
[[nodiscard]] std::string log_level();
/// From now on, for the whole process. Any thread. False, and nothing changes, for a name that is none of log_levels().
[[nodiscard]] bool set_log_level(const std::string& name);

} // namespace glocal
