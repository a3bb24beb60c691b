// certs: the authority and the certificates of a cluster on several machines.

#include "node/config_report.hpp"
#include "node/credentials.hpp"
#include "tools/glocal_clusters.hpp"
#include "tools/glocal_table.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <optional>

namespace glocal::cli {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

std::optional<node::cluster_config> load(const std::string& file) {
  auto loaded = node::load_cluster_file(file);
  if (loaded)
    return std::move(*loaded);
  for (const auto& what : loaded.error())
    std::cerr << to_string(what) << '\n';
  return std::nullopt;
}

std::chrono::days days_or(int days, std::chrono::days usual) {
  return days == 0 ? usual : std::chrono::days{days};
}

} // namespace

int certificates_init(const certificate_options& options) {
  const auto config = load(options.file);
  if (!config)
    return invalid_config;
  const auto validity = days_or(options.days, node::authority_validity);
  if (const auto made = node::make_authority(options.directory, config->name, validity); !made) {
    complain(to_string(made.error()));
    return failed;
  }
  std::cerr << "made " << options.directory << "/ca.crt and ca.key, the authority of cluster " << config->name
            << ", valid for " << validity.count() << " days\n"
            << "Keep ca.key here: who has it can be any node. Next: glocal certs issue " << options.file << " --all"
            << (options.directory == "certs" ? "" : " --dir " + options.directory) << '\n';
  return done;
}

int certificates_issue(const certificate_options& options, const std::vector<std::string>& nodes) {
  const auto config = load(options.file);
  if (!config)
    return invalid_config;
  auto meant = nodes;
  std::vector<std::string_view> known;
  for (const auto& node : config->nodes) {
    known.push_back(node.name);
    if (nodes.empty())
      meant.push_back(node.name);
  }
  for (const auto& name : meant)
    if (config->find_node(name) == nullptr) {
      complain(options.file + " has no node " + node::quoted(name) + "; " + node::suggest(name, known, "nodes"));
      return no_match;
    }
  const auto validity = days_or(options.days, node::certificate_validity);
  for (const auto& name : meant) {
    if (const auto issued = node::issue_certificate(options.directory, name, config->name, validity, options.renew);
        !issued) {
      complain(to_string(issued.error()));
      return failed;
    }
    std::cerr << "issued " << options.directory << '/' << name << ".crt and " << name << ".key, valid for "
              << validity.count() << " days\n";
  }
  std::cerr << "Copy ca.crt, NODE.crt and NODE.key to " << config->security.certificates
            << " on the machine of each NODE, readable for glocald's user only; there, see:\n  glocal check "
            << options.file << " --node NODE\n";
  if (!config->uses_tls())
    std::cerr << "note: by this cluster file nodes speak without TLS; set 'security: {tls: on}'\n";
  return done;
}

int certificates_show(const std::string& directory, output format) {
  std::vector<fs::path> files;
  std::error_code failure;
  for (const auto& entry : fs::directory_iterator{directory, failure})
    if (entry.path().extension() == ".crt")
      files.push_back(entry.path());
  if (failure) {
    complain(directory + ": " + failure.message());
    return no_match;
  }
  std::sort(files.begin(), files.end());
  table out{{"FILE", "CERTIFIES", "ISSUER", "VALID UNTIL"}};
  auto shown = json::array();
  int code = files.empty() ? no_match : done;
  for (const auto& file : files) {
    const auto text = read_small_file(file, secrecy::open);
    const auto read = text ? runtime::summarise_certificate(*text) : unexpected{to_string(text.error())};
    if (!read) {
      out.add({file.filename().string(), "unreadable: " + read.error(), "", ""});
      shown.push_back({{"file", file.string()}, {"error", read.error()}});
      code = failed;
      continue;
    }
    std::string names;
    for (const auto& name : read->names)
      names += (names.empty() ? "" : ", ") + name;
    if (read->is_authority)
      names = "(authority)";
    out.add({file.filename().string(), names.empty() ? "-" : names, read->issuer, node::expiry_text(read->not_after)});
    shown.push_back({{"file", file.string()},
                     {"subject", read->subject},
                     {"issuer", read->issuer},
                     {"names", read->names},
                     {"authority", read->is_authority},
                     {"not_before", runtime::date_text(read->not_before)},
                     {"not_after", runtime::date_text(read->not_after)}});
  }
  if (format == output::json)
    std::cout << json{{"certificates", shown}}.dump(2, ' ', false, json::error_handler_t::replace) << '\n';
  else if (files.empty())
    complain(directory + " holds no certificate (*.crt); make an authority with 'glocal certs init'");
  else
    std::cout << out.text();
  return code;
}

} // namespace glocal::cli
