#pragma once
// Structured logs: every line carries the node; actors add their name. Thin set-up over spdlog.
//
// Threading: spdlog's loggers are thread-safe. Never call from an lcore.

#include <spdlog/spdlog.h>

#include <string>
#include <vector>

namespace glocal {

/// Makes the process's default logger: `time level node message` on standard error. Call once, first in main().
/// @param level spdlog's names: trace, debug, info, warn, error, off; an unknown one means info.
void start_logging(const std::string& node, const std::string& level);

/// Names of the levels, the most talkative first.
[[nodiscard]] std::vector<std::string> log_levels();
[[nodiscard]] std::string log_level();
/// From now on, for the whole process. Any thread. False, and nothing changes, for a name that is none of log_levels().
[[nodiscard]] bool set_log_level(const std::string& name);

} // namespace glocal
