#include "node/backup/backup_directory.hpp"

#include "base/sha256.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <map>
#include <optional>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace glocal::node {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

constexpr auto manifest_name = "manifest.json", sums_name = "SHA256SUMS";
/// A value in base64, its key and what else is on its line.
constexpr std::size_t max_line_bytes = store::limits::value_bytes / 3 * 4 + 8192;
constexpr std::size_t max_small_file_bytes = std::size_t{64} << 20;

std::string text_of_errno(const fs::path& path) {
  return path.string() + ": " + std::strerror(errno);
}

/// Written and synced: what finish() renames survives a loss of power.
expected<void, std::string> write_synced(const fs::path& path, std::string_view text) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0)
    return unexpected{text_of_errno(path)};
  bool good = true;
  while (good && !text.empty()) {
    const auto put = ::write(fd, text.data(), text.size());
    if (put < 0 && errno == EINTR)
      continue;
    good = put >= 0;
    if (good)
      text.remove_prefix(static_cast<std::size_t>(put));
  }
  good = good && ::fsync(fd) == 0;
  auto why = good ? std::string{} : text_of_errno(path);
  ::close(fd);
  if (!good)
    return unexpected{std::move(why)};
  return {};
}

expected<void, std::string> sync_directory(const fs::path& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const bool good = fd >= 0 && ::fsync(fd) == 0;
  auto why = good ? std::string{} : text_of_errno(path);
  if (fd >= 0)
    ::close(fd);
  if (!good)
    return unexpected{std::move(why)};
  return {};
}

expected<std::string, std::string> read_small(const fs::path& path) {
  std::ifstream in{path, std::ios::binary};
  std::error_code failure;
  const auto size = fs::file_size(path, failure);
  if (!in || failure)
    return unexpected{path.string() + " can't be read: " + (failure ? failure.message() : std::strerror(errno))};
  if (size > max_small_file_bytes)
    return unexpected{path.string() + " is larger than any backup has it"};
  return std::string{std::istreambuf_iterator<char>{in}, {}};
}

expected<std::string, std::string> sum_of_file(const fs::path& path) {
  std::ifstream in{path, std::ios::binary};
  if (!in)
    return unexpected{path.string() + " can't be read: " + std::strerror(errno)};
  sha256 sum;
  std::vector<char> buffer(std::size_t{1} << 18);
  while (in.read(buffer.data(), static_cast<std::streamsize>(buffer.size())) || in.gcount() > 0)
    sum.add({buffer.data(), static_cast<std::size_t>(in.gcount())});
  if (in.bad())
    return unexpected{path.string() + " can't be read"};
  return sum.hex();
}

std::string file_of(std::uint64_t slot) {
  char name[32];
  std::snprintf(name, sizeof name, "slot-%04u.jsonl", static_cast<unsigned>(slot));
  return name;
}

std::optional<std::uint64_t> number(const json& from, const char* key) {
  if (!from.is_object())
    return std::nullopt;
  const auto found = from.find(key);
  return found != from.end() && found->is_number_unsigned() ? std::optional{found->get<std::uint64_t>()} : std::nullopt;
}

std::optional<std::string> text(const json& from, const char* key) {
  if (!from.is_object())
    return std::nullopt;
  const auto found = from.find(key);
  return found != from.end() && found->is_string() ? std::optional{found->get<std::string>()} : std::nullopt;
}

std::string manifest_text(const backup_manifest& manifest) {
  json slots = json::array();
  for (const auto& slot : manifest.slots)
    slots.push_back({{"slot", slot.slot},
                     {"file", slot.file},
                     {"revision", slot.revision},
                     {"entries", slot.entries},
                     {"leases", slot.leases},
                     {"bytes", slot.bytes}});
  return json{{"format", manifest.format},
              {"cluster", manifest.cluster},
              {"slot_count", manifest.slot_count},
              {"created", manifest.created},
              {"version", manifest.version},
              {"entries", manifest.entries()},
              {"slots", slots}}
             .dump(1, ' ', false, json::error_handler_t::replace) +
         '\n';
}

expected<backup_manifest, std::string> parse_manifest(const std::string& from) {
  const auto value = json::parse(from, nullptr, false);
  const auto format = number(value, "format");
  if (!format)
    return unexpected{std::string{"it is no manifest of a backup"}};
  // Before anything else is looked at: a newer one may have it otherwise.
  if (*format == 0 || *format > backup_format)
    return unexpected{"it is of format " + std::to_string(*format) + "; this program reads up to " +
                      std::to_string(backup_format) + ": use the glocal that wrote it"};
  backup_manifest out;
  out.format = *format;
  out.cluster = text(value, "cluster").value_or("");
  out.slot_count = number(value, "slot_count").value_or(0);
  out.created = text(value, "created").value_or("");
  out.version = text(value, "version").value_or("");
  const auto slots = value.find("slots");
  if (out.slot_count == 0 || out.slot_count > store::limits::slots || slots == value.end() || !slots->is_array() ||
      slots->size() != out.slot_count)
    return unexpected{std::string{"it does not name every slot"}};
  for (const auto& each : *slots) {
    const auto slot = number(each, "slot"), revision = number(each, "revision"), entries = number(each, "entries"),
               leases = number(each, "leases"), bytes = number(each, "bytes");
    // The name is never taken from the file: it could be any path.
    if (!slot || *slot != out.slots.size() || !revision || !entries || !leases || !bytes ||
        text(each, "file") != file_of(*slot))
      return unexpected{"what it says of slot " + std::to_string(out.slots.size()) + " is not whole"};
    out.slots.push_back({*slot, *revision, *entries, *leases, *bytes, file_of(*slot)});
  }
  return out;
}

} // namespace

std::uint64_t backup_manifest::entries() const {
  std::uint64_t total = 0;
  for (const auto& slot : slots)
    total += slot.entries;
  return total;
}

expected<backup_writer, std::string> backup_writer::create(const fs::path& directory, backup_manifest head) {
  std::error_code failure;
  const auto target = fs::absolute(directory, failure).lexically_normal();
  const auto trimmed = target.has_filename() ? target : target.parent_path();
  if (fs::exists(fs::symlink_status(trimmed, failure)) &&
      !(fs::is_directory(trimmed, failure) && fs::is_empty(trimmed, failure)))
    return unexpected{trimmed.string() + " is there already; a backup is written to a new directory"};
  if (!fs::is_directory(trimmed.parent_path(), failure))
    return unexpected{trimmed.parent_path().string() + " is no directory"};
  const fs::path partial{trimmed.string() + ".partial"};
  if (fs::exists(fs::symlink_status(partial, failure)))
    return unexpected{partial.string() + " is there: another backup is at work, or one broke off; if so, remove it"};
  if (::mkdir(partial.c_str(), 0700) != 0)
    return unexpected{text_of_errno(partial)};
  return backup_writer{trimmed, partial, std::move(head)};
}

backup_writer::backup_writer(backup_writer&& other) noexcept
    : directory_{std::move(other.directory_)}, partial_{std::exchange(other.partial_, {})},
      manifest_{std::move(other.manifest_)}, sums_{std::move(other.sums_)} {}

backup_writer::~backup_writer() {
  std::error_code ignored;
  if (!partial_.empty())
    fs::remove_all(partial_, ignored); // ours: create() made it
}

expected<backup_slot, std::string> backup_writer::add(std::uint64_t slot, std::string_view content) {
  const auto end = content.find('\n');
  const auto head = json::parse(content.substr(0, end), nullptr, false);
  const auto named = number(head, "slot"), revision = number(head, "revision"), entries = number(head, "entries"),
             leases = number(head, "leases");
  const auto lines = static_cast<std::uint64_t>(std::count(content.begin(), content.end(), '\n'));
  if (named != slot || !revision || !entries || !leases || lines != 1 + *leases + *entries || !content.ends_with('\n'))
    return unexpected{"what the node gave of slot " + std::to_string(slot) + " is not whole"};
  backup_slot out{slot, *revision, *entries, *leases, content.size(), file_of(slot)};
  if (auto written = write_synced(partial_ / out.file, content); !written)
    return unexpected{std::move(written.error())};
  sums_ += sha256_hex(content) + "  " + out.file + '\n';
  manifest_.slots.push_back(out);
  return out;
}

expected<backup_manifest, std::string> backup_writer::finish() {
  const auto manifest = manifest_text(manifest_);
  sums_ += sha256_hex(manifest) + "  " + manifest_name + '\n';
  if (auto written = write_synced(partial_ / manifest_name, manifest); !written)
    return unexpected{std::move(written.error())};
  if (auto written = write_synced(partial_ / sums_name, sums_); !written)
    return unexpected{std::move(written.error())};
  if (auto synced = sync_directory(partial_); !synced)
    return unexpected{std::move(synced.error())};
  // Onto nothing, or an empty directory.
  if (std::rename(partial_.c_str(), directory_.c_str()) != 0)
    return unexpected{text_of_errno(directory_)};
  partial_.clear();
  if (auto synced = sync_directory(directory_.parent_path()); !synced)
    return unexpected{std::move(synced.error())};
  return manifest_;
}

expected<backup_reader, std::string> backup_reader::open(const fs::path& directory) {
  const auto wrong = [&](const std::string& file, const std::string& why) {
    return unexpected{(directory / file).string() + ": " + why};
  };
  const auto content = read_small(directory / manifest_name);
  if (!content)
    return unexpected{directory.string() + " is no backup: " + content.error()};
  auto manifest = parse_manifest(*content);
  if (!manifest)
    return wrong(manifest_name, manifest.error());
  const auto sums = read_small(directory / sums_name);
  if (!sums)
    return unexpected{std::move(sums.error())};
  std::map<std::string, std::string, std::less<>> expected_sums;
  for (std::string_view rest = *sums; !rest.empty();) {
    const auto line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    if (line.size() < 67 || line.substr(64, 2) != "  ")
      return wrong(sums_name, "it is not what sha256sum writes");
    expected_sums.emplace(line.substr(66), line.substr(0, 64));
  }
  std::vector<std::string> files{manifest_name};
  for (const auto& slot : manifest->slots)
    files.push_back(slot.file);
  for (const auto& file : files) {
    const auto sum = sum_of_file(directory / file);
    if (!sum)
      return unexpected{sum.error()};
    const auto said = expected_sums.find(file);
    if (said == expected_sums.end() || said->second != *sum)
      return wrong(file, "its checksum is not the one of SHA256SUMS: it is damaged, or of another backup");
  }
  return backup_reader{directory, std::move(*manifest)};
}

expected<void, std::string> backup_reader::read(const backup_slot& slot,
                                                const std::function<bool(const backup_lease&)>& on_lease,
                                                const std::function<bool(const backup_row&)>& on_row) const {
  const auto path = directory_ / slot.file;
  std::ifstream in{path, std::ios::binary};
  std::string line;
  std::uint64_t at = 0;
  const auto wrong = [&] { return unexpected{path.string() + ':' + std::to_string(at) + ": not a line of a backup"}; };
  while (std::getline(in, line)) {
    if (++at == 1)
      continue;
    const auto value = line.size() > max_line_bytes ? json{} : json::parse(line, nullptr, false);
    if (at <= 1 + slot.leases) {
      auto id = text(value, "lease");
      const auto ttl = number(value, "ttl_ms");
      if (!id || !ttl)
        return wrong();
      if (!on_lease({std::move(*id), *ttl}))
        return {};
      continue;
    }
    auto table = text(value, "table"), key = text(value, "key_base64"), bytes = text(value, "value_base64");
    if (!table || !key || !bytes)
      return wrong();
    if (!on_row({std::move(*table), std::move(*key), std::move(*bytes), text(value, "lease").value_or("")}))
      return {};
  }
  if (at != 1 + slot.leases + slot.entries)
    return unexpected{path.string() + " has " + std::to_string(at) + " lines, not the " +
                      std::to_string(1 + slot.leases + slot.entries) + " its manifest names"};
  return {};
}

} // namespace glocal::node
