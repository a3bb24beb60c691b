#include "base/log.hpp"

#include <spdlog/sinks/stdout_sinks.h>

namespace glocal {

void start_logging(const std::string& node, const std::string& level) {
  auto logger = spdlog::stderr_logger_mt(node);
  logger->set_pattern("%Y-%m-%dT%H:%M:%S.%f %l [%n] %v");
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
