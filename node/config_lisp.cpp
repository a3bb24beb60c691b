#include "node/config_lisp.hpp"

#include "node/yaml_reader.hpp"

#include <algorithm>
#include <set>

namespace glocal::node {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t longest_secret = 512;
/// More than one source can ask of one core.
constexpr std::uint32_t greatest_rate = 10'000'000;

class lisp_loader : yaml_reader {
public:
  lisp_loader(const yaml_tree& tree, config_report& report, const std::string& directory)
      : yaml_reader{tree, report}, directory_{directory} {}

  void load(const value& v, lisp_config& out) {
    if (!keys(v, "lisp", {"registration_lifetime", "rate_limit", "sites"}, {}))
      return;
    with(v, "registration_lifetime",
         [&](auto& e) { duration(e, "registration_lifetime", 10s, 24h, out.registration_lifetime); });
    with(v, "rate_limit", [&](auto& e) { rate_limit(e, out); });
    with(v, "sites", [&](auto& e) { list(e, "sites", out.sites, [&](auto& s, auto& to) { site(s, to); }); });
  }

private:
  void rate_limit(const value& v, lisp_config& out) {
    if (v.what == kind::scalar) {
      bool off = false;
      choice<bool>(v, {{"off", true}}, off);
      if (off)
        out.per_source = out.per_eid = 0;
      return;
    }
    if (!keys(v, "rate_limit", {"per_source", "per_eid"}, {}))
      return;
    with(v, "per_source", [&](auto& e) { number(e, "per_source", 1, greatest_rate, out.per_source); });
    with(v, "per_eid", [&](auto& e) { number(e, "per_eid", 1, greatest_rate, out.per_eid); });
  }

  void site(const value& v, lisp_site_config& out) {
    if (!keys(v, "a LISP site",
              {"name", "tenant", "prefixes", "accept_more_specifics", "keys", "proxy_reply", "replay", "profile",
               "site_id"},
              {"name", "prefixes", "keys"}))
      return;
    with(v, "name", [&](auto& e) { name(e, out.name); });
    with(v, "tenant", [&](auto& e) { number(e, "tenant", 0, 0xffffff, out.tenant); });
    with(v, "prefixes", [&](auto& e) {
      list(e, "prefixes", out.prefixes, [&](auto& p, auto& to) { prefix(p, to); });
      if (e.what == kind::sequence && e.children.empty())
        report_.error(e, "a site without prefixes", "name the EIDs it may register");
    });
    with(v, "accept_more_specifics", [&](auto& e) { boolean(e, "accept_more_specifics", out.accept_more_specifics); });
    with(v, "keys", [&](auto& e) {
      list(e, "keys", out.keys, [&](auto& k, auto& to) { key(k, to); });
      if (e.what == kind::sequence && e.children.empty())
        report_.error(e, "a site without keys", "add '- {secret: ...}'");
    });
    with(v, "proxy_reply", [&](auto& e) {
      choice<lisp_proxy>(
          e, {{"as-asked", lisp_proxy::as_asked}, {"always", lisp_proxy::always}, {"never", lisp_proxy::never}},
          out.proxy);
    });
    with(v, "replay", [&](auto& e) {
      choice<bool>(e, {{"any-nonce", false}, {"increasing-nonce", true}}, out.increasing_nonce);
    });
    with(v, "profile", [&](auto& e) {
      choice<std::string>(e, {{"plain", "plain"}, {"oor", "oor"}, {"full", "full"}}, out.profile);
    });
    with(v, "site_id", [&](auto& e) { number(e, "site_id", 0, ~std::uint64_t{0}, out.site_id.emplace()); });
  }

  void key(const value& v, lisp_key_config& out) {
    if (!keys(v, "a key", {"id", "secret", "secret_file", "algorithms"}, {}))
      return;
    with(v, "id", [&](auto& e) { number(e, "a key's id", 0, 255, out.id); });
    with(v, "secret", [&](auto& e) {
      text(e, "secret", out.secret);
      if (out.secret.size() > longest_secret)
        report_.error(e, "a secret of " + std::to_string(out.secret.size()) + " characters",
                      "at most " + std::to_string(longest_secret) + " are possible");
    });
    with(v, "secret_file", [&](auto& e) {
      text(e, "secret_file", out.secret_file);
      if (!out.secret_file.empty() && out.secret_file.front() != '/')
        out.secret_file = directory_ + out.secret_file;
    });
    const bool given = tree_.find(v, "secret") != nullptr, in_file = tree_.find(v, "secret_file") != nullptr;
    if (given == in_file)
      report_.error(v, given ? "a key with both 'secret' and 'secret_file'" : "a key without a secret",
                    "write 'secret: TEXT', or 'secret_file: PATH' to keep it out of this file");
    with(v, "algorithms", [&](auto& e) {
      std::vector<std::uint8_t> read;
      list(e, "algorithms", read, [&](auto& a, auto& to) {
        choice<std::uint8_t>(a, {{"sha1", 1}, {"sha256", 2}, {"sha256-hkdf", 3}}, to);
      });
      if (e.what == kind::sequence && e.children.empty())
        report_.error(e, "a key that no algorithm may use", "write sha1, sha256 or sha256-hkdf");
      out.algorithms.clear();
      for (const auto one : read)
        if (one != 0)
          out.algorithms.push_back(one);
    });
  }

  const std::string& directory_;
};

} // namespace

void read_lisp(const yaml_tree& tree, config_report& report, const yaml_value& section, const std::string& directory,
               lisp_config& out) {
  lisp_loader{tree, report, directory}.load(section, out);
}

void check_lisp(const cluster_config& config, config_report& report) {
  struct owner {
    model::tenant_id tenant;
    ip_prefix prefix;
    std::string name;
  };
  std::vector<owner> taken;
  for (const auto& node : config.nodes)
    for (const auto& attachment : node.attachments)
      for (const auto& prefix : attachment.prefixes)
        // The default routes mean "what nobody else has".
        if (prefix.length != unreadable_length && prefix.length != 0)
          taken.push_back({attachment.tenant, prefix, "attachment '" + attachment.name + "' of '" + node.name + "'"});
  std::set<std::string_view> names;
  std::set<std::uint64_t> ids;
  const auto& sites = config.lisp.sites;
  for (std::size_t i = 0; i < sites.size(); ++i) {
    const auto& site = sites[i];
    const auto at = [&](std::initializer_list<yaml_step> more) {
      yaml_path path{"lisp", "sites", i};
      path.insert(path.end(), more);
      return path;
    };
    if (!site.name.empty() && !names.insert(site.name).second)
      report.error(at({"name"}), "site " + quoted(site.name) + " is already a site", "choose another name");
    if (site.site_id && !ids.insert(*site.site_id).second)
      report.error(at({"site_id"}), "site id " + std::to_string(*site.site_id) + " is already another site's",
                   "give each site its own");
    for (std::size_t j = 0; j < site.prefixes.size(); ++j) {
      const auto& prefix = site.prefixes[j];
      if (prefix.length == unreadable_length)
        continue;
      const auto other = std::find_if(taken.begin(), taken.end(), [&](const owner& one) {
        return one.tenant == site.tenant && one.prefix.overlaps(prefix);
      });
      if (other != taken.end())
        report.error(at({"prefixes", j}),
                     to_string(prefix) + " overlaps " + to_string(other->prefix) + " of " + other->name,
                     "give each its own range");
      taken.push_back({site.tenant, prefix, "site '" + site.name + "'"});
    }
    std::set<std::uint8_t> key_ids;
    for (std::size_t j = 0; j < site.keys.size(); ++j)
      if (!key_ids.insert(site.keys[j].id).second)
        report.error(at({"keys", j}), "key id " + std::to_string(site.keys[j].id) + " twice in one site",
                     "give each key its own id");
  }
  bool served = false;
  for (std::size_t i = 0; i < config.nodes.size(); ++i) {
    const auto& node = config.nodes[i];
    served |= node.has(role::lisp);
    if (!node.lisp_listen.empty() && !node.has(role::lisp) && !node.roles.empty())
      report.error({"nodes", i, "lisp"}, "'lisp' of a node without the role 'lisp'",
                   "add 'lisp' to its roles or remove the key");
  }
  if (!sites.empty() && !served && !config.nodes.empty())
    report.error({"lisp", "sites"}, "LISP sites, and no node has the role 'lisp'", "add 'lisp' to the roles of a node");
}

} // namespace glocal::node
