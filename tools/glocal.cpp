// glocal: the command line. Parses, dispatches, nothing else.

#include "tools/glocal_options.hpp"

#include <csignal>
#include <cstdlib>

namespace glocal::cli {
namespace {

volatile std::sig_atomic_t signalled = 0;

} // namespace

bool was_interrupted() noexcept {
  return signalled != 0;
}

void watch_signals() {
  struct sigaction action {};
  action.sa_handler = [](int) { signalled = 1; };
  // Without SA_RESTART: a wait ends and its loop looks.
  for (const int number : {SIGINT, SIGTERM, SIGHUP})
    ::sigaction(number, &action, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
}

} // namespace glocal::cli

int main(int argc, char** argv) {
  using namespace glocal::cli;
  CLI::App app{"glocal: runs and shows clusters of decentralised NFV on this machine.", "glocal"};
  app.set_version_flag("--version", GLOCAL_VERSION);
  app.require_subcommand(1);
  app.footer("Examples:\n"
             "  glocal check configs/figure3.yaml\n"
             "  glocal up configs/figure3.yaml\n"
             "  glocal exec subscriber -- curl http://203.0.113.9/\n"
             "  glocal status\n"
             "  glocal down\n\n"
             "Exit codes: 0 done, 1 failed, 2 usage, 3 invalid cluster file, 4 machine unfit, 5 timeout or\n"
             "unreachable, 6 no match, 7 partial, 130 interrupted.\n"
             "State of running clusters is kept in $GLOCAL_RUN_DIR, else /tmp/glocal-UID.");
  int result = done;

  std::string file, what, cluster, host, text;
  std::vector<std::string> words;
  output format = output::table;
  up_options starting;
  double stop_timeout = 10;
  view_options view;

  auto* sub = command(app, "check", "Check a cluster file and report everything that is wrong with it",
                      "  glocal check configs/figure3.yaml\n  glocal check -o json cluster.yaml\n"
                      "  glocal check --node dc1 cluster.yaml");
  sub->add_option("FILE", file, "cluster file")->required();
  sub->add_option("--node", host, "also the files this node needs here: certificates, token")->option_text("NAME");
  add_format(sub, format);
  sub->callback([&] { result = check(file, host, format); });

  sub = command(app, "doctor", "Probe whether this machine can run clusters",
                "  glocal doctor\n  glocal doctor -o json\n  glocal doctor --config cluster.yaml --node dc1");
  auto* config_of_doctor =
      sub->add_option("--config", file, "cluster file whose node is to run here")->option_text("FILE");
  auto* node_of_doctor = sub->add_option("--node", host, "that node: its certificates and token are looked at, too")
                             ->option_text("NAME")
                             ->needs(config_of_doctor);
  config_of_doctor->needs(node_of_doctor);
  add_format(sub, format);
  sub->callback([&] { result = doctor(file, host, format); });

  certificate_options certifying;
  bool all_nodes = false;
  auto* certs = command(app, "certs", "Make the certificates nodes on several machines prove themselves with",
                        "  glocal certs init cluster.yaml\n  glocal certs issue cluster.yaml --all\n"
                        "  glocal certs show");
  certs->require_subcommand(1);
  const auto add_directory = [&](CLI::App* to) {
    to->add_option("--dir", certifying.directory, "directory of the certificates")
        ->option_text("DIR")
        ->capture_default_str();
  };
  const auto add_days = [&](CLI::App* to, const char* usual) {
    to->add_option("--days", certifying.days, std::string{"how long it is valid; default: "} + usual)
        ->check(CLI::Range(1, 36500))
        ->option_text("N");
  };
  sub = command(*certs, "init", "Make a cluster's certificate authority: ca.crt, and ca.key, which stays where it is",
                "  glocal certs init cluster.yaml\n  glocal certs init cluster.yaml --dir /root/pki");
  sub->add_option("FILE", certifying.file, "cluster file")->required();
  add_directory(sub);
  add_days(sub, "3650");
  sub->callback([&] { result = certificates_init(certifying); });
  sub = command(*certs, "issue", "Issue certificates of nodes: NODE.crt and NODE.key",
                "  glocal certs issue cluster.yaml dc1 dc2\n  glocal certs issue cluster.yaml --all\n"
                "  glocal certs issue cluster.yaml dc1 --renew --days 365");
  sub->add_option("FILE", certifying.file, "cluster file")->required();
  auto* certified = sub->add_option("NODE", words, "nodes of the file");
  sub->add_flag("--all", all_nodes, "all nodes of the file")->excludes(certified);
  sub->add_flag("--renew", certifying.renew, "replace certificates that are there");
  add_directory(sub);
  add_days(sub, "730");
  sub->callback([&] {
    if (words.empty() && !all_nodes)
      throw CLI::RequiredError("NODE... or --all");
    result = certificates_issue(certifying, words);
  });
  sub = command(*certs, "show", "Show the certificates of a directory: whose they are, how long they are valid",
                "  glocal certs show\n  glocal certs show --dir /etc/glocal/tls -o json");
  add_directory(sub);
  add_format(sub, format);
  sub->callback([&] { result = certificates_show(certifying.directory, format); });

  sub = command(app, "up", "Start a cluster on this machine and wait until it is ready",
                "  glocal up configs/figure3.yaml\n  glocal up --timeout 120 cluster.yaml");
  sub->add_option("FILE", starting.file, "cluster file")->required();
  sub->add_option("--timeout", starting.timeout_s, "seconds until giving up")
      ->check(CLI::Range(1.0, 3600.0))
      ->capture_default_str();
  sub->add_option("--glocald", starting.daemon, "the node program, when it is not beside this one")
      ->option_text("PATH");
  sub->callback([&] { result = up(starting); });

  sub = command(app, "down", "Stop a cluster and remove exactly what 'up' made, also after a crash",
                "  glocal down\n  glocal down figure3\n  glocal down configs/figure3.yaml");
  sub->add_option("CLUSTER", what, "name or file of the cluster; default: the only one");
  sub->add_option("--timeout", stop_timeout, "seconds nodes get to end by themselves")
      ->check(CLI::Range(0.0, 3600.0))
      ->capture_default_str();
  sub->callback([&] { result = down(what, stop_timeout); });

  sub = command(app, "exec", "Run a command on a host, node, router or VNF instance of a running cluster",
                "  glocal exec subscriber -- curl http://203.0.113.9/\n  glocal exec fw-1 -- nft list ruleset\n"
                "  glocal exec dc1 -- tcpdump -i underlay0");
  add_cluster(sub, cluster);
  sub->add_option("HOST", host, "where: a name of the cluster file")->required();
  sub->add_option("COMMAND", words, "what, after --")->required();
  sub->callback([&] { result = exec(cluster, host, words); });

  sub = command(app, "status", "Show the nodes of a cluster, its VNF instances and its store",
                "  glocal status\n  glocal status --watch\n  glocal status -o json");
  add_cluster(sub, view.cluster);
  add_format(sub, view.format);
  sub->add_flag("--watch,-w", view.watch, "again every second until Ctrl-C");
  sub->callback([&] { result = status(view); });

  auto* chain = command(app, "chain", "Show the service function paths in the global state",
                        "  glocal chain ls\n  glocal chain show 4");
  chain->require_subcommand(1);
  sub = command(*chain, "ls", "List all paths", "  glocal chain ls\n  glocal chain ls -o json");
  add_cluster(sub, view.cluster);
  add_format(sub, view.format);
  sub->callback([&] { result = chain_list(view); });
  sub = command(*chain, "show", "Show one path, its instances and its flows", "  glocal chain show 4");
  add_cluster(sub, view.cluster);
  add_format(sub, view.format);
  sub->add_option("ID", text, "path id, as 'chain ls' shows it")->required();
  sub->callback([&] { result = chain_show(view, text); });

  auto* flow =
      command(app, "flow", "Show the flows in the global state", "  glocal flow ls\n  glocal flow show 10.1.0.7:51514");
  flow->require_subcommand(1);
  sub = command(*flow, "ls", "List all flows", "  glocal flow ls\n  glocal flow ls -o json");
  add_cluster(sub, view.cluster);
  add_format(sub, view.format);
  sub->callback([&] { result = flow_list(view); });
  sub = command(*flow, "show", "Show the flows of an address or port, with their chains",
                "  glocal flow show 10.1.0.7:51514\n  glocal flow show 203.0.113.9");
  add_cluster(sub, view.cluster);
  add_format(sub, view.format);
  sub->add_option("TEXT", text, "part of the 5-tuple, as 'flow ls' shows it")->required();
  sub->callback([&] { result = flow_show(view, text); });

  actor_options looking;
  const auto add_actor_view = [&](CLI::App* to) {
    add_cluster(to, looking.view.cluster);
    to->add_option("--node", looking.node, "only of this node")->option_text("NAME");
    add_format(to, looking.view.format);
  };
  const auto add_watch = [&](CLI::App* to) {
    to->add_flag("--watch,-w", looking.view.watch, "again every second until Ctrl-C");
  };
  const auto add_sample = [&](CLI::App* to) {
    to->add_option("--sample", looking.sample_s,
                   "seconds between two looks that rates are taken from; 0: the rates nodes have of the last second")
        ->check(CLI::Range(0.0, 60.0))
        ->capture_default_str();
  };
  auto* actors = command(app, "actors", "Look into the actors of a cluster",
                         "  glocal actors ls --node sub-edge\n  glocal actors show edge/sub-edge/service/web\n"
                         "  glocal actors top");
  actors->require_subcommand(1);
  sub = command(*actors, "ls", "List actors: what they do, what waits for them, how fast they are",
                "  glocal actors ls\n  glocal actors ls --node dc1 -o json\n  glocal actors ls --watch");
  add_actor_view(sub);
  add_watch(sub);
  add_sample(sub);
  sub->callback([&] { result = actors_list(looking); });
  sub = command(*actors, "tree", "Show who started whom", "  glocal actors tree --node sub-edge");
  add_actor_view(sub);
  add_watch(sub);
  sub->callback([&] { result = actors_tree(looking); });
  sub = command(*actors, "show", "Show all of one actor, with its own summary of its state",
                "  glocal actors show edge/sub-edge/service/web\n  glocal actors show store --node store1");
  add_actor_view(sub);
  add_watch(sub);
  add_sample(sub);
  sub->add_option("NAME", text, "as 'actors ls' shows it")->required();
  sub->callback([&] { result = actors_show(looking, text); });
  sub = command(*actors, "top", "Show the busiest actors, again every second until Ctrl-C",
                "  glocal actors top\n  glocal actors top --node store1 --rows 5");
  add_actor_view(sub);
  add_sample(sub);
  sub->add_option("--rows", looking.rows, "how many")->check(CLI::Range(1, 1000))->capture_default_str();
  sub->callback([&] {
    looking.view.watch = true;
    result = actors_top(looking);
  });
  sub = command(*actors, "deadletters", "Show messages to actors that were not there, by sender, receiver and type",
                "  glocal actors deadletters\n  glocal actors deadletters --watch");
  add_actor_view(sub);
  add_watch(sub);
  sub->callback([&] { result = actors_dead_letters(looking); });
  actor_trace_options tracing;
  sub = command(*actors, "trace", "Show the messages that actors handle, live: what, from whom, how long, how it ended",
                "  glocal actors trace edge/sub-edge/service/web\n"
                "  glocal actors trace 'store shard' --node store1 --count 20 --for 5s\n"
                "  glocal actors trace 'edge/*' --for 1min -o json\n\n"
                "What messages say is not shown. Ends at --count or --for, whichever comes first, or by Ctrl-C.");
  add_actor_view(sub);
  sub->add_option("--count", tracing.count, "messages, of all nodes together")
      ->check(CLI::Range(1, 10'000))
      ->capture_default_str();
  sub->add_option("--for", tracing.seconds, "time: 500ms, 10s, 2min; a plain number is seconds")
      ->transform(CLI::AsNumberWithUnit(std::map<std::string, double>{{"ms", 1e-3}, {"s", 1}, {"min", 60}}))
      ->check(CLI::Range(0.001, 600.0))
      ->default_str("10s")
      ->option_text("TIME");
  sub->add_option("NAME|KIND", tracing.match, "as 'actors ls' shows them; * stands for any text")->required();
  sub->callback([&] {
    tracing.where = looking;
    result = actors_trace(tracing);
  });
  sub = command(*actors, "kill", "For tests: end an actor as a bug in it would; its supervisor starts it again",
                "  glocal actors kill edge/sub-edge/service/web\n  glocal actors kill store/client --node dc1");
  add_cluster(sub, looking.view.cluster);
  sub->add_option("--node", looking.node, "when several nodes have one of that name")->option_text("NAME");
  sub->add_option("NAME", text, "as 'actors ls' shows it")->required();
  sub->callback([&] { result = actors_kill(looking, text); });

  trace_options following;
  std::string live, simulated;
  sub = command(app, "trace", "Show what happens to packets, step by step over all edges, or what would happen to one",
                "  glocal trace --live 'tcp 10.1.0.7 > any:80' --count 3\n"
                "  glocal trace --live 'tcp any > any:80 flags=syn,-ack'        only first packets\n"
                "  glocal trace --live 'any 10.1.0.7 <> any' --at sub-edge      both directions, at one edge\n"
                "  glocal trace --live any --drops --for 1min                     dropped packets, with their reasons\n"
                "  glocal trace --simulate 'tcp 10.1.0.7:51514 > 203.0.113.9:80' --at sub-edge\n"
                "  glocal trace --simulate 'udp 8.8.8.8:1 > 9.9.9.9:53' --at sub-edge --port subscribers\n\n"
                "A packet is PROTOCOL ADDRESS:PORT > ADDRESS:PORT [vlan=N] [dscp=N] [ttl=N] [flags=syn,ack], a filter\n"
                "[PROTOCOL] [PREFIX:PORTS > PREFIX:PORTS] [vlan=N] [dscp=N] [icmp_type=N] [flags=syn,-ack] [tenant=N]\n"
                "[port=NAME]; 'any' stands for a protocol or a prefix, '<>' for both directions.\n\n"
                "Exit codes: 0 when packets were shown, whatever became of them, and when --count tripped (a verdict\n"
                "is an answer, also 'dropped': scripts read it from -o json); 1 when an edge refused (a trace runs\n"
                "already); 6 when no packet came in its time or there is no such edge; 7 when an edge did not answer.");
  add_cluster(sub, following.cluster);
  add_format(sub, following.format);
  auto* live_option = sub->add_option("--live", live, "follow packets of this filter")->option_text("FILTER");
  auto* simulate_option =
      sub->add_option("--simulate", simulated, "say what would happen to this packet; nothing is sent or changed")
          ->option_text("PACKET");
  live_option->excludes(simulate_option);
  sub->add_option("--at,--node", following.at, "at this edge; without, --live is at all")->option_text("EDGE");
  sub->add_option("--port", following.port, "with --simulate: by which port it comes; else by the source's attachment")
      ->option_text("NAME")
      ->needs(simulate_option);
  sub->add_option("--count", following.count, "with --live: how many packets")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str()
      ->needs(live_option);
  sub->add_option("--for", following.seconds, "with --live: how long at most: 5s, 2min; a plain number is seconds")
      ->transform(CLI::AsNumberWithUnit(std::map<std::string, double>{{"ms", 1e-3}, {"s", 1}, {"min", 60}}))
      ->check(CLI::Range(1.0, 600.0))
      ->default_str("30s")
      ->option_text("TIME")
      ->needs(live_option);
  sub->add_flag("--drops", following.drops, "with --live: only packets that are dropped")->needs(live_option);
  sub->add_flag("--replace", following.replace, "with --live: end a trace that runs already")->needs(live_option);
  sub->callback([&, live_option, simulate_option] {
    if (live_option->count() == 0 && simulate_option->count() == 0)
      throw CLI::RequiredError("--live or --simulate");
    result = simulate_option->count() > 0 ? trace_simulate(following, simulated) : trace_live(following, live);
  });

  sub = command(app, "metrics", "Print what nodes count, as Prometheus reads it",
                "  glocal metrics --node sub-edge\n  glocal metrics --node dc1 | grep drops_total");
  add_cluster(sub, cluster);
  sub->add_option("--node", host, "only of this node")->option_text("NAME");
  sub->callback([&] { result = metrics(cluster, host); });

  sub = command(app, "log", "Show or change the level of the nodes' logs",
                "  glocal log\n  glocal log debug --node sub-edge\n  glocal log info");
  add_cluster(sub, view.cluster);
  add_format(sub, view.format);
  sub->add_option("--node", host, "only of this node")->option_text("NAME");
  sub->add_option("LEVEL", text, "trace, debug, info, warning, error, critical or off; without: show");
  sub->callback([&] { result = log_level(view, host, text); });

  replay_options replaying;
  sub = command(app, "replay", "Send a capture through the pipeline of an edge, offline: no cluster, no root",
                "  glocal replay office.pcap --config configs/figure3.yaml --edge sub-edge\n"
                "  glocal replay office.pcap --config configs/figure3.yaml --edge sub-edge --steps --count 3\n"
                "  glocal replay odd.pcapng --config configs/figure3.yaml --edge dc1 --port underlay --out left.pcap\n"
                "  tcpdump -r big.pcap -w - tcp | glocal replay - --config FILE --edge NAME --summary -o json\n\n"
                "Packets arrive by the attachment their source lives behind, overlay packets by the underlay; others\n"
                "are listed as not arriving here. Next hops and VNF instances are imagined (docs/replay.md).\n"
                "Exit codes: 3 when the cluster file is wrong, 6 when no packet arrives at this edge, 7 when the\n"
                "capture is damaged.");
  sub->add_option("CAPTURE", replaying.capture, "a capture file (pcap or pcapng; - is standard input)")->required();
  sub->add_option("--config", replaying.file, "the cluster file")->option_text("FILE")->required();
  sub->add_option("--edge", replaying.edge, "the edge whose pipeline it is")->option_text("NAME")->required();
  sub->add_option("--port", replaying.port, "all packets arrive by this port (an attachment, underlay, INSTANCE.out)")
      ->option_text("NAME");
  sub->add_option("--out", replaying.out, "write what leaves the edge to this capture file")->option_text("PCAP");
  sub->add_option("--count", replaying.count, "stop after so many packets")->option_text("N");
  sub->add_flag("--vnfs-keep", replaying.vnfs_keep,
                "VNF instances keep packets, instead of giving them back unchanged");
  auto* steps_option = sub->add_flag("--steps", replaying.with_steps, "every step of every packet");
  sub->add_flag("--summary", replaying.only_summary, "only what all packets came to")->excludes(steps_option);
  add_format(sub, replaying.format);
  sub->callback([&] { result = replay(replaying); });

  lisp_decode_options decoding;
  auto* lisp = command(app, "lisp", "Speak and read LISP, with any implementation", "  glocal lisp decode trace.pcap");
  lisp->require_subcommand(1);
  sub = command(*lisp, "decode", "Show every LISP message of a capture, control and data, field by field",
                "  glocal lisp decode trace.pcap\n"
                "  glocal lisp decode trace.pcapng --key 192.168.0.0/16=secret --key other-secret\n"
                "  tcpdump -i any -U -w - udp port 4342 | glocal lisp decode -\n"
                "  glocal lisp decode '10000001 1122334455667788 0000 0001 0a000302 0018 0001 c0a80200'\n\n"
                "Exit codes: 6 when there was no LISP message, 7 when some were malformed.");
  sub->add_option("CAPTURE", decoding.what,
                  "a capture file (pcap or pcapng; - is standard input), or one message in hexadecimal")
      ->required();
  sub->add_flag("--data", decoding.is_data,
                "the message is the payload of a data packet (UDP 4341), not a control message");
  sub->add_option("--key", decoding.keys,
                  "verify authentication with this secret, of one site (PREFIX=SECRET) or of any; repeatable")
      ->option_text("[PREFIX=]SECRET")
      ->allow_extra_args(false);
  add_format(sub, decoding.format);
  sub->callback([&] { result = lisp_decode(decoding); });

  sub =
      command(*lisp, "registrations", "Show what is registered: EIDs of LISP sites and of edges",
              "  glocal lisp registrations\n  glocal lisp registrations -o json\n  glocal lisp registrations --watch");
  add_cluster(sub, view.cluster);
  add_format(sub, view.format);
  sub->add_flag("--watch", view.watch, "repeat every second");
  sub->callback([&] { result = lisp_registrations(view); });
  sub = command(*lisp, "subscribers", "Show who is told of changes by Map-Notify (RFC 9437), and by which node",
                "  glocal lisp subscribers");
  add_cluster(sub, view.cluster);
  add_format(sub, view.format);
  sub->add_flag("--watch", view.watch, "repeat every second");
  sub->callback([&] { result = lisp_subscribers(view); });
  sub = command(*lisp, "cache", "Show who asked for what lately, and is told of changes by SMR",
                "  glocal lisp cache\n  glocal lisp cache --node lisp1");
  add_cluster(sub, view.cluster);
  add_format(sub, view.format);
  sub->add_flag("--watch", view.watch, "repeat every second");
  sub->add_option("--node", host, "only of this node")->option_text("NAME");
  sub->callback([&] { result = lisp_cache(view, host); });
  lisp_map_options mapping;
  sub = command(*lisp, "map", "Map an EID prefix to locators, until 'unmap' or a registration of the same prefix",
                "  glocal lisp map 192.168.9.0/24 10.0.4.2\n  glocal lisp map fd00:9::/48 10.0.4.2 10.0.5.2 --iid 7\n\n"
                "Locators are used in their order. Those who asked for the EID or subscribe to it are told.");
  add_cluster(sub, mapping.cluster);
  sub->add_option("EID", mapping.eid, "a prefix")->required();
  sub->add_option("RLOC", mapping.rlocs, "addresses")->required();
  sub->add_option("--iid", mapping.tenant, "instance id (tenant)")->option_text("N");
  sub->callback([&] { result = lisp_map(mapping); });
  sub = command(*lisp, "unmap", "End what 'map' said of an EID prefix, or what was registered of it",
                "  glocal lisp unmap 192.168.9.0/24");
  add_cluster(sub, mapping.cluster);
  sub->add_option("EID", mapping.eid, "a prefix")->required();
  sub->add_option("--iid", mapping.tenant, "instance id (tenant)")->option_text("N");
  sub->callback([&] { result = lisp_map(mapping); });

  lisp_query_options querying;
  bool encapsulated = false;
  sub = command(*lisp, "query", "Ask a Map-Resolver for the mapping of an EID",
                "  glocal lisp query 192.168.2.3 --server 10.0.2.2\n"
                "  glocal lisp query 2001:db8:2::/48 --server [2001:db8::53]:4342 --iid 7\n"
                "  glocal lisp query 'tcp 10.1.0.7:51514 > 203.0.113.9:80' -o json\n\n"
                "Exit codes: 5 when nobody answered, 6 when nobody has the EID.");
  sub->add_option("EID", querying.eid, "an address, a prefix, or a flow; [IID] before it for a tenant's")->required();
  sub->add_option("--server", querying.server, "Map-Resolver, or ETR with --plain")
      ->option_text("IP[:PORT] [127.0.0.1]");
  sub->add_option("--iid", querying.instance_id, "instance id (tenant) of the EID")->option_text("N");
  sub->add_option("--timeout", querying.timeout_s, "seconds to wait, asking again every second")
      ->check(CLI::Range(0.1, 3600.0))
      ->capture_default_str();
  sub->add_option("--source-port", querying.source_port, "ask from this UDP port; some answer to 4342 only")
      ->option_text("PORT");
  auto* ecm = sub->add_flag("--ecm", encapsulated, "encapsulate the Map-Request, as Map-Resolvers want it (default)");
  sub->add_flag("--plain", querying.plain, "do not, as ETRs want it")->excludes(ecm);
  add_format(sub, querying.format);
  sub->callback([&] { result = lisp_query(querying); });

  add_store_commands(app, result);

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& wrong) {
    return app.exit(wrong) == 0 ? done : usage;
  }
  return result;
}
