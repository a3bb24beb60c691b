// The command line of get, put, erase, scan, watch and store.

#include "tools/glocal_backup.hpp"
#include "tools/glocal_options.hpp"
#include "tools/glocal_store.hpp"

#include <memory>

namespace glocal::cli {
namespace {

/// What the options of all these commands are parsed into; lives as long as the parser.
struct parsed_options {
  store_options how;
  store_put_options put;
  store_scan_options scan;
  store_watch_options watch;
  store_status_options status;
  store_steer_options drain, rebalance;
  backup_options backup;
  restore_options restore;
  std::string key;
  std::uint64_t revision = 0;
  bool raw = false;
};

const auto times = std::map<std::string, double>{{"ms", 1e-3}, {"s", 1}, {"min", 60}, {"h", 3600}};

void add_common(CLI::App* to, store_options& how) {
  add_cluster(to, how.cluster);
  to->add_option("--node", how.node, "ask this node; default: any that answers")->option_text("NAME");
  to->add_option("--timeout", how.timeout_s, "how long to try: 500ms, 5s; a plain number is seconds")
      ->transform(CLI::AsNumberWithUnit(times))
      ->check(CLI::Range(0.05, 3600.0))
      ->default_str("5s")
      ->option_text("TIME");
  to->add_flag("--base64", how.base64, "keys and values are base64, as arguments and as they are shown");
  add_format(to, how.format);
  to->add_option("TABLE", how.table,
                 "catalogue, instances, flows, paths, status, digests, links, mappings, subscriptions, or user, which "
                 "is for your own rows")
      ->required();
}

constexpr auto exit_codes = "\nExit codes: 0 done, 1 the condition did not hold, 2 usage, 5 no answer (of a write: the "
                            "outcome may be\nunknown, as the message says), 6 no such key, 130 interrupted.";

void add_get(CLI::App& app, const std::shared_ptr<parsed_options>& all, int& result) {
  auto* sub = command(app, "get", "Show the value of a key in the global state",
                      "  glocal get user greeting\n  glocal get user image --raw > image.png\n"
                      "  glocal get catalogue service/web -o json | jq .version\n" +
                          std::string{exit_codes});
  add_common(sub, all->how);
  sub->add_option("KEY", all->key, "the key")->required();
  sub->add_flag("--raw", all->raw, "the value alone, without a line's end");
  sub->callback([all, &result] { result = store_get(all->how, all->key, all->raw); });
}

void add_put(CLI::App& app, const std::shared_ptr<parsed_options>& all, int& result) {
  auto* sub =
      command(app, "put", "Write the value of a key in the global state",
              "  glocal put user greeting hello\n  glocal put user image - < image.png\n"
              "  glocal put user leader $(hostname) --if-absent      # one of many wins, the others exit with 1\n"
              "  glocal put user count 8 --if-revision 41            # only when 'get -o json' still says so\n"
              "\nThe tables other than user are what nodes decide by: what is written there, they believe.\n" +
                  std::string{exit_codes});
  add_common(sub, all->how);
  sub->add_option("KEY", all->put.key, "the key")->required();
  sub->add_option("VALUE", all->put.value, "the value; - reads it from standard input")->required();
  auto* absent = sub->add_flag("--if-absent", all->put.if_absent, "only when the key is not there");
  auto* revision = sub->add_option("--if-revision", all->revision, "only when the entry has this version; 0: not there")
                       ->option_text("N")
                       ->excludes(absent);
  sub->callback([all, &result, revision] {
    if (revision->count() > 0)
      all->put.if_revision = all->revision;
    result = store_put(all->how, all->put);
  });
}

void add_erase(CLI::App& app, const std::shared_ptr<parsed_options>& all, int& result) {
  auto* sub =
      command(app, "erase", "Remove a key from the global state",
              "  glocal erase user greeting\n  glocal erase user count --if-revision 41\n" + std::string{exit_codes});
  add_common(sub, all->how);
  sub->add_option("KEY", all->key, "the key")->required();
  auto* revision =
      sub->add_option("--if-revision", all->revision, "only when the entry has this version")->option_text("N");
  sub->callback([all, &result, revision] {
    result = store_erase(all->how, all->key, revision->count() > 0 ? std::optional{all->revision} : std::nullopt);
  });
}

void add_scan(CLI::App& app, const std::shared_ptr<parsed_options>& all, int& result) {
  auto* sub = command(app, "scan", "List the keys of a table, with versions and values",
                      "  glocal scan user\n  glocal scan user --prefix job/ --limit 10\n"
                      "  glocal scan user --keys | sort\n  glocal scan flows --base64 -o json | jq -r .key_base64\n\n"
                      "A line a row: key, version, value, with tabs between; -o json: an object a line. Rows come by\n"
                      "slot, then by key; each is committed, the whole is no snapshot.\n" +
                          std::string{exit_codes});
  add_common(sub, all->how);
  sub->add_option("--prefix", all->scan.prefix, "only keys that begin so")->option_text("TEXT");
  sub->add_option("--limit", all->scan.limit, "rows at most; 0: all")->option_text("N");
  sub->add_flag("--keys", all->scan.only_keys, "keys alone");
  sub->callback([all, &result] { result = store_scan(all->how, all->scan); });
}

void add_watch(CLI::App& app, const std::shared_ptr<parsed_options>& all, int& result) {
  auto* sub =
      command(app, "watch", "Follow the changes of a key, or of a table",
              "  glocal watch user greeting\n  glocal watch paths\n  glocal watch user --prefix job/ --count 3\n"
              "  glocal watch user --for 1min -o json\n  glocal watch user greeting --from 41   # what followed "
              "revision 41\n\n"
              "First the rows there are, then 'live' on standard error, then every change, in the order of a key's\n"
              "changes, none left out. When a node goes, another one goes on; a change may then come twice (the same\n"
              "version). -o json: an object a line; where it has an 'id', --from ID goes on from there.\n\n"
              "Exit codes: 0 after --count or --for, 1 what followed --from is no longer held, 2 usage, 5 no node "
              "gives a\nstream, 130 interrupted.");
  add_common(sub, all->how);
  auto* key = sub->add_option("KEY", all->watch.key, "only this key");
  sub->add_option("--prefix", all->watch.prefix, "only keys that begin so")->option_text("TEXT")->excludes(key);
  sub->add_option("--from", all->watch.from, "go on behind this id of an earlier watch")->option_text("ID");
  sub->add_option("--count", all->watch.count, "end after so many rows and changes")->option_text("N");
  sub->add_option("--for", all->watch.seconds, "end after so long: 10s, 2min; a plain number is seconds")
      ->transform(CLI::AsNumberWithUnit(times))
      ->option_text("TIME");
  sub->callback([all, &result] { result = store_watch(all->how, all->watch); });
}

void add_steering(CLI::App& store, const std::shared_ptr<parsed_options>& all, int& result) {
  const auto add = [](CLI::App* sub, store_steer_options& to) {
    add_cluster(sub, to.how.cluster);
    add_format(sub, to.how.format);
    to.how.timeout_s = 10;
    sub->add_flag("--wait", to.wait, "return when every slot is where it should be; says how far it is");
    sub->add_option("--timeout", to.how.timeout_s, "how long to try, and to wait: 30s, 10min")
        ->transform(CLI::AsNumberWithUnit(times))
        ->check(CLI::Range(0.05, 86400.0))
        ->default_str("10s, with --wait 1h")
        ->option_text("TIME");
  };
  const auto patience = [](CLI::App* sub, store_steer_options& options) {
    if (options.wait && sub->get_option("--timeout")->count() == 0)
      options.how.timeout_s = 3600;
  };
  auto* sub =
      command(store, "drain", "Have a store node give all its slots to the others",
              "  glocal store drain store2 --wait      # then it can be stopped, and leave the cluster file\n"
              "  glocal store drain store2 --undo      # it gets its share again\n\n"
              "Slots move while they are used, two at a time of a node, and each keeps its copies all the while. "
              "A node\nthat is dead can be drained, too: its copies are made anew from the others. The mark is "
              "kept in the store.\n\n"
              "Exit codes: 0 done (without --wait: decided), 1 too few nodes would be left, 5 no answer, or not "
              "done in\ntime, 6 no such store node, 130 interrupted; the moves go on.");
  add(sub, all->drain);
  sub->add_option("NODE", all->drain.drained, "a store node of the cluster file")->required();
  sub->add_flag("--undo", all->drain.undo, "take the mark off");
  sub->callback([all, &result, sub, patience] {
    patience(sub, all->drain);
    result = store_drain(all->drain);
  });

  sub = command(store, "rebalance", "Give every store node its even share of copies and primaries",
                "  glocal store rebalance --dry-run\n  glocal store rebalance --wait\n\n"
                "Nodes that join get their share without it. It is for primaries that a fail-over has moved, and for "
                "shares\nthat drains left uneven.\n\n"
                "Exit codes: 0 done (without --wait: decided), 5 no answer, or not done in time, 130 interrupted; the "
                "moves go on.");
  add(sub, all->rebalance);
  sub->add_flag("--dry-run", all->rebalance.dry_run, "say what would move, and move nothing");
  sub->callback([all, &result, sub, patience] {
    patience(sub, all->rebalance);
    all->rebalance.wait &= !all->rebalance.dry_run;
    result = store_rebalance(all->rebalance);
  });
}

} // namespace

void add_store_commands(CLI::App& app, int& result) {
  const auto all = std::make_shared<parsed_options>();
  add_get(app, all, result);
  add_put(app, all, result);
  add_erase(app, all, result);
  add_scan(app, all, result);
  add_watch(app, all, result);

  auto* store = command(app, "store", "See, steer, save and restore the global state as a whole",
                        "  glocal store status\n  glocal store drain store2 --wait\n"
                        "  glocal store backup /var/backups/lab-1");
  store->require_subcommand(1);
  add_steering(*store, all, result);
  auto* sub = command(
      *store, "status", "Show the store's health, its nodes, and who serves and holds each slot",
      "  glocal store status\n  glocal store status --wrong --watch\n"
      "  glocal store status -o json | jq -r .state\n\n"
      "COPIES: slots the node is in sync with; STATE: whether it is drained. PLACED: who should have the slot;\n"
      "MOVES: it is on its way there; IN SYNC: who must have a write before it is acknowledged; LAG: "
      "entries\nof the log that the slowest of these has not on its disk yet.\n\n"
      "Exit codes: 0 healthy, 7 some copies are missing or a node does not answer, 1 slots have no "
      "primary,\n5 no store node answers.");
  add_cluster(sub, all->status.view.cluster);
  add_format(sub, all->status.view.format);
  sub->add_flag("--wrong", all->status.only_wrong, "of the slots only those that something is wrong with");
  sub->add_flag("--watch,-w", all->status.view.watch, "again every second until Ctrl-C");
  sub->callback([all, &result] { result = store_status(all->status); });

  sub =
      command(*store, "backup", "Write the whole store to a new directory, while it is in use",
              "  glocal store backup /var/backups/lab-1\n"
              "  (cd /var/backups/lab-1 && sha256sum -c SHA256SUMS)\n\n"
              "Each slot is as it was at one moment; slots are read one after the other. The directory appears under\n"
              "its name when it is whole, and DIR.partial goes when the command breaks off.\n\n"
              "Exit codes: 0 done, 1 a disk's error, 2 something is at DIR, 5 a slot has no primary, 130 interrupted.");
  add_cluster(sub, all->backup.cluster);
  sub->add_option("DIR", all->backup.directory, "a directory that is not there yet")->required();
  sub->callback([all, &result] { result = store_backup(all->backup); });

  sub = command(*store, "restore", "Write a backup's rows to the store of a running cluster",
                "  glocal store restore /var/backups/lab-1\n  glocal store restore /var/backups/lab-1 --dry-run\n\n"
                "Checks the whole backup first. A store that has other rows, or other values, is left as it is unless "
                "you\nsay --overwrite. Rows that hang on a lease are given it again for its full time, and are "
                "never\nwritten over those of running nodes. Rows of the tables status, links and digests are not "
                "restored: nodes\npublish them every second. When it breaks "
                "off, run it\nagain: what is there already is not written twice.\n\n"
                "Exit codes: 0 done, 1 the store is not empty, 2 no backup, a damaged or newer one, or another "
                "cluster's,\n5 no answer, 7 some rows were written by others meanwhile, 130 interrupted.");
  add_cluster(sub, all->restore.cluster);
  sub->add_option("DIR", all->restore.directory, "what 'backup' wrote")->required();
  sub->add_flag("--overwrite", all->restore.overwrite, "also over rows that have another value");
  sub->add_flag("--any-cluster", all->restore.any_cluster, "also from a cluster of another name");
  sub->add_flag("--dry-run", all->restore.dry_run, "check and compare, and write nothing");
  sub->callback([all, &result] { result = store_restore(all->restore); });
}

} // namespace glocal::cli
