#pragma once
// Options that many commands have.

#include "tools/glocal_commands.hpp"

#include <CLI/CLI.hpp>

#include <map>
#include <string>

namespace glocal::cli {

/// CLI11's own help, then examples: what people read first.
inline CLI::App* command(CLI::App& parent, const std::string& name, const std::string& what,
                         const std::string& examples) {
  auto* made = parent.add_subcommand(name, what);
  made->footer("Examples:\n" + examples);
  return made;
}

inline void add_format(CLI::App* to, output& format) {
  to->add_option("-o,--output", format, "table or json")
      ->transform(
          CLI::CheckedTransformer(std::map<std::string, output>{{"table", output::table}, {"json", output::json}}))
      ->option_text("table|json");
}

inline void add_cluster(CLI::App* to, std::string& cluster) {
  to->add_option("--cluster", cluster, "which cluster, when several run")->option_text("NAME");
}

/// get, put, erase, scan, watch, store. @param result set by the command that is run.
void add_store_commands(CLI::App& app, int& result);

} // namespace glocal::cli
