#pragma once
// A disk in memory that loses power: of what was not synced, any sectors have been written and any have not. Files
// outlive the log that used them (share them between disks); calls can be made to fail.

#include "store/log_disk.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <random>

namespace glocal::store {

struct unsafe_files {
  struct file {
    bytes now, synced;
  };
  std::map<std::string, file> files;
  /// Calls that write until one fails; none: all work.
  std::optional<std::size_t> calls_left;
  std::size_t syncs = 0;

  static constexpr std::size_t sector_bytes = 512;

  void lose_power(std::mt19937_64& rolls) {
    for (auto& [name, each] : files) {
      for (std::size_t at = 0; at < each.now.size(); at += sector_bytes)
        if (rolls() % 2 == 0) {
          const auto size = std::min(sector_bytes, each.now.size() - at);
          std::copy_n(each.now.begin() + static_cast<std::ptrdiff_t>(at), size,
                      each.synced.begin() + static_cast<std::ptrdiff_t>(at));
        }
      each.now = each.synced;
    }
    calls_left.reset();
  }
};

class unsafe_disk final : public log_disk {
public:
  explicit unsafe_disk(unsafe_files& files) : files_{files} {}

  expected<std::vector<std::string>, log_failure> list() override {
    std::vector<std::string> out;
    for (const auto& [name, each] : files_.files)
      out.push_back(name);
    return out;
  }
  expected<bytes, log_failure> read(const std::string& name, std::size_t limit) override {
    const auto found = files_.files.find(name);
    if (found == files_.files.end() || found->second.now.size() > limit)
      return unexpected{log_failure{name + ": not there"}};
    return found->second.now;
  }
  expected<void, log_failure> create(const std::string& name, std::size_t size) override {
    if (auto good = call(); !good)
      return good;
    files_.files[name] = {bytes(size), bytes(size)};
    return {};
  }
  expected<void, log_failure> write(const std::string& name, std::size_t offset, byte_view what) override {
    auto& into = files_.files.at(name).now;
    const auto good = call();
    // A write that fails may have written some of it.
    const auto size = good ? what.size() : what.size() / 2;
    if (offset + what.size() > into.size())
      return unexpected{log_failure{name + ": a write beyond its end"}};
    std::copy_n(what.begin(), size, into.begin() + static_cast<std::ptrdiff_t>(offset));
    return good;
  }
  expected<void, log_failure> sync(const std::string& name) override {
    if (auto good = call(); !good)
      return good;
    ++files_.syncs;
    auto& each = files_.files.at(name);
    each.synced = each.now;
    return {};
  }
  expected<void, log_failure> rename(const std::string& from, const std::string& to) override {
    if (auto good = call(); !good)
      return good;
    auto moved = files_.files.extract(from);
    moved.key() = to;
    files_.files.erase(to);
    files_.files.insert(std::move(moved));
    return {};
  }
  expected<void, log_failure> remove(const std::string& name) override {
    if (auto good = call(); !good)
      return good;
    files_.files.erase(name);
    return {};
  }

private:
  expected<void, log_failure> call() {
    if (files_.calls_left && (*files_.calls_left)-- == 0) {
      files_.calls_left = 0;
      return unexpected{log_failure{"the disk is full; make room"}};
    }
    return {};
  }

  unsafe_files& files_;
};

} // namespace glocal::store
