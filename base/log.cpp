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

} // namespace glocal
