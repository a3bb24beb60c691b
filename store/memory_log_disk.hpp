#pragma once
// A log's files in memory: for simulation. The files outlive the log, as a disk outlives processes.

#include "store/log_disk.hpp"

#include <algorithm>
#include <map>
#include <memory>

namespace glocal::store {

struct memory_files {
  std::map<std::string, bytes> files;
  /// Set to make every further write fail, as a full or broken disk does.
  bool broken = false;
};

class memory_log_disk final : public log_disk {
public:
  explicit memory_log_disk(std::shared_ptr<memory_files> files) : disk_{std::move(files)} {}

  [[nodiscard]] expected<std::vector<std::string>, log_failure> list() override {
    std::vector<std::string> out;
    for (const auto& [name, contents] : disk_->files)
      out.push_back(name);
    return out;
  }
  [[nodiscard]] expected<bytes, log_failure> read(const std::string& name, std::size_t limit) override {
    const auto found = disk_->files.find(name);
    if (found == disk_->files.end() || found->second.size() > limit)
      return unexpected{log_failure{name + ": not there, or too large"}};
    return found->second;
  }
  [[nodiscard]] expected<void, log_failure> create(const std::string& name, std::size_t size) override {
    return change([&] { disk_->files[name] = bytes(size); });
  }
  [[nodiscard]] expected<void, log_failure> write(const std::string& name, std::size_t offset,
                                                  byte_view what) override {
    return change(
        [&] { std::ranges::copy(what, disk_->files.at(name).begin() + static_cast<std::ptrdiff_t>(offset)); });
  }
  [[nodiscard]] expected<void, log_failure> sync(const std::string&) override {
    return change([] {});
  }
  [[nodiscard]] expected<void, log_failure> rename(const std::string& from, const std::string& to) override {
    return change([&] { disk_->files[to] = std::move(disk_->files.extract(from).mapped()); });
  }
  [[nodiscard]] expected<void, log_failure> remove(const std::string& name) override {
    return change([&] { disk_->files.erase(name); });
  }

private:
  template <class What>
  expected<void, log_failure> change(What what) {
    if (disk_->broken)
      return unexpected{log_failure{"the disk is broken"}};
    what();
    return {};
  }

  std::shared_ptr<memory_files> disk_;
};

} // namespace glocal::store
