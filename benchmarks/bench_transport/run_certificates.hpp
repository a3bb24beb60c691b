#pragma once
// Certificates of the two nodes of a run, `a` and `b` of cluster `bench`, in a directory that goes with this.

#include "runtime/tls_authority.hpp"

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>

namespace glocal::bench {

class run_certificates {
public:
  run_certificates() {
    std::string name = "/tmp/bench_transport.XXXXXX";
    if (::mkdtemp(name.data()) == nullptr)
      throw std::runtime_error{"no temporary directory can be made"};
    directory_ = name;
    const auto validity = runtime::tls_validity::for_next(std::chrono::hours{24});
    const auto authority = runtime::tls_authority::make("bench", validity);
    write("ca.crt", authority.value().credentials().certificate);
    for (const std::string node : {"a", "b"}) {
      const auto issued = authority.value().issue(runtime::certified_name(node, "bench"), validity);
      write(node + ".crt", issued.value().certificate);
      write(node + ".key", issued.value().key);
    }
  }
  run_certificates(const run_certificates&) = delete;
  run_certificates& operator=(const run_certificates&) = delete;
  ~run_certificates() {
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
  }
  [[nodiscard]] std::string directory() const { return directory_.string(); }

private:
  void write(const std::string& file, const std::string& text) const {
    std::ofstream{directory_ / file} << text;
    std::filesystem::permissions(directory_ / file, std::filesystem::perms{0600});
  }

  std::filesystem::path directory_;
};

} // namespace glocal::bench
