#include "node/launcher/cluster_state.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace glocal::node {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

constexpr int format = 1;
constexpr std::string_view state_file = "state.json";

/// Start times count from boot: one of another boot says nothing.
std::string boot_id() {
  std::ifstream stream{"/proc/sys/kernel/random/boot_id"};
  std::string out;
  std::getline(stream, out);
  return out;
}

std::optional<cluster_phase> parse_phase(const std::string& text) {
  for (const auto phase : {cluster_phase::starting, cluster_phase::running, cluster_phase::stopping})
    if (text == to_string(phase))
      return phase;
  return std::nullopt;
}

} // namespace

std::string_view to_string(cluster_phase phase) noexcept {
  switch (phase) {
  case cluster_phase::starting: return "starting";
  case cluster_phase::running: return "running";
  case cluster_phase::stopping: return "stopping";
  }
  return "?";
}

fs::path default_run_directory() {
  if (const char* chosen = std::getenv("GLOCAL_RUN_DIR"); chosen != nullptr && *chosen != '\0')
    return fs::absolute(chosen);
  return "/tmp/glocal-" + std::to_string(::geteuid());
}

expected<void, std::string> ensure_private_directory(const fs::path& run) {
  const auto refuse = [&](const std::string& why) { return unexpected{run.string() + ": " + why}; };
  if (::mkdir(run.c_str(), 0700) != 0 && errno != EEXIST)
    return refuse(std::strerror(errno));
  struct stat what {};
  if (::lstat(run.c_str(), &what) != 0)
    return refuse(std::strerror(errno));
  if (!S_ISDIR(what.st_mode))
    return refuse("is no directory");
  if (what.st_uid != ::geteuid())
    return refuse("belongs to another user; set GLOCAL_RUN_DIR to a directory of yours");
  if ((what.st_mode & 077) != 0)
    return refuse("lets other users in; run: chmod 700 " + run.string());
  return {};
}

std::optional<cluster_state> read_state(const fs::path& directory) {
  std::ifstream stream{directory / state_file};
  const auto in = json::parse(stream, nullptr, false);
  if (!in.is_object() || in.value("format", json{}) != format)
    return std::nullopt;
  try {
    cluster_state out;
    out.cluster = in.at("cluster");
    out.config = in.at("config").get<std::string>();
    const auto phase = parse_phase(in.at("phase"));
    if (!phase || out.cluster != directory.filename().string())
      return std::nullopt;
    out.phase = *phase;
    out.nodes = in.at("nodes").get<std::vector<std::string>>();
    out.places = in.at("places").get<std::map<std::string, std::string>>();
    out.user_namespace = in.at("user_namespace");
    if (in.contains("holder") && in.at("boot_id") == boot_id())
      out.holder = process_identity{in["holder"].at("pid"), in["holder"].at("start_time")};
    return out;
  } catch (const json::exception&) {
    return std::nullopt; // not what write_state wrote
  }
}

expected<void, std::string> write_state(const fs::path& directory, const cluster_state& state) {
  json out{{"format", format},
           {"cluster", state.cluster},
           {"config", state.config.string()},
           {"phase", to_string(state.phase)},
           {"nodes", state.nodes},
           {"places", state.places},
           {"user_namespace", state.user_namespace},
           {"boot_id", boot_id()}};
  if (state.holder)
    out["holder"] = {{"pid", state.holder->pid}, {"start_time", state.holder->start_time}};
  const auto path = directory / state_file, fresh = directory / "state.json.new";
  {
    std::ofstream stream{fresh, std::ios::trunc};
    stream << out.dump(2) << '\n';
    if (!stream.flush())
      return unexpected{fresh.string() + ": " + std::strerror(errno)};
  }
  std::error_code failure;
  fs::rename(fresh, path, failure);
  if (failure)
    return unexpected{path.string() + ": " + failure.message()};
  return {};
}

std::vector<cluster_state> recorded_clusters(const fs::path& run) {
  std::vector<cluster_state> out;
  std::error_code failure;
  struct stat what {};
  if (::lstat(run.c_str(), &what) != 0 || !S_ISDIR(what.st_mode) || what.st_uid != ::geteuid())
    return out;
  for (const auto& entry : fs::directory_iterator{run, failure})
    if (auto state = read_state(entry.path()))
      out.push_back(std::move(*state));
  std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.cluster < b.cluster; });
  return out;
}

fs::path socket_path(const fs::path& directory, std::string_view node) {
  return directory / (std::string{node} + ".sock");
}
fs::path log_path(const fs::path& directory, std::string_view node) {
  return directory / (std::string{node} + ".log");
}

std::optional<cluster_lock> cluster_lock::try_take(const fs::path& directory) {
  const int fd = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0)
    return std::nullopt;
  cluster_lock lock{fd};
  struct stat held {
  }, there{};
  // The directory may have been removed, and made again, between the two calls.
  if (::flock(fd, LOCK_EX | LOCK_NB) != 0 || ::fstat(fd, &held) != 0 || ::stat(directory.c_str(), &there) != 0 ||
      held.st_ino != there.st_ino || held.st_dev != there.st_dev)
    return std::nullopt;
  return lock;
}

cluster_lock::cluster_lock(cluster_lock&& other) noexcept : fd_{std::exchange(other.fd_, -1)} {}

cluster_lock::~cluster_lock() {
  if (fd_ >= 0)
    ::close(fd_);
}

} // namespace glocal::node
