"""Looking into a running cluster: actors of all nodes are listed; a service module killed under traffic comes back without
harm to the flow that runs and decides new ones; metrics parse; the log's level changes while the nodes run."""

import json
import pathlib
import re
import signal
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "scripts" / "demo.d"))

from figure3 import CLUSTER, CONFIG, DECIDER, EDGES, GOOD, WebSites  # noqa: E402
from lab import GLOCAL, Failure, await_edges, eventually, glocal, glocal_json, in_host, run_scenario  # noqa: E402

MODULE = f"edge/{DECIDER}/service/web"
EXPECTED = {
    "sub-edge": {"node", "router/sub-edge", "store/client", "api/store", "edge/sub-edge", "edge/sub-edge/switch",
                 "edge/sub-edge/controller", "edge/sub-edge/vnfs", MODULE},
    "dc1": {"edge/dc1/switch", "edge/dc1/vnf/fw-1", "edge/dc1/vnf/fw-2"},
    "dc2": {"edge/dc2/switch", "edge/dc2/vnf/opt-1", "edge/dc2/vnf/opt-2"},
    "inet-edge": {"edge/inet-edge/switch", "edge/inet-edge/service/web"},
    "store1": {"store", "store/client", "store/digests", "store/log", "store/engine", "store/register", "store/embedded-register"},
    "store2": {"store"},
    "store3": {"store"},
}
SAMPLE = re.compile(r'(glocal_[a-z0-9_]+)\{((?:[a-z]+="(?:[^"\\]|\\.)*",?)*)\} ([0-9.e+-]+)')
LABEL = re.compile(r'([a-z]+)="((?:[^"\\]|\\.)*)"')


def actors():
    """(node, name) → record."""
    return {(one["node"], one["name"]): one for one in glocal_json("actors", "ls")["actors"]}


def parsed(text):
    """name → list of (labels, value); Failure for a line that is none."""
    out = {}
    for line in text.splitlines():
        if line.startswith(("# HELP ", "# TYPE ")):
            continue
        sample = SAMPLE.fullmatch(line)
        if not sample:
            raise Failure(f"no sample: {line}")
        out.setdefault(sample[1], []).append((dict(LABEL.findall(sample[2])), float(sample[3])))
    return out


def check_listing(report):
    def missing():
        seen = set(actors())
        return {node: names - {name for at, name in seen if at == node} for node, names in EXPECTED.items()}

    eventually(lambda: not any(missing().values()), f"all expected actors: {missing()}")
    found = actors()
    report.check(all(one["state_age_s"] is not None for one in found.values()), "every actor summarised its state", f"{len(found)} actors")
    unknown = glocal("actors", "show", f"edge/{DECIDER}/service/wep", check=False)
    report.check(unknown.returncode == 6 and f"did you mean '{MODULE}'?" in unknown.stderr, "a slip in a name is met with the right one",
                 unknown.stderr.strip())
    shown = glocal("actors", "show", MODULE).stdout
    report.check("flows_remembered" in shown and f"edge/{DECIDER}\n" in shown, "an actor's page has its own summary", f"{len(shown.splitlines())} lines")
    tree = glocal("actors", "tree", "--node", DECIDER).stdout
    report.check(re.search(rf"\n[│ ]+[├└]─ {MODULE}  \(service module, ready", tree), "the tree has the module below its supervisor",
                 f"{len(tree.splitlines())} lines")
    report.check(glocal("actors", "kill", "store/client", check=False).returncode == 2, "a name several nodes have is not guessed at", "exit 2")
    refused = glocal("actors", "kill", f"router/{DECIDER}", check=False)
    report.check(refused.returncode == 1 and "no supervisor" in refused.stderr, "what nothing starts again is not killed",
                 refused.stderr.strip()[:80])


def losses():
    """(node, reason) → packets dropped, but for what routers and hosts chatter."""
    return {(node, reason): count for node in EDGES for reason, count in edge_status(node)["drops"].items()
            if reason not in ("multicast", "unexpected_on_underlay")}


def edge_status(node):
    return next(one for one in glocal_json("status")["nodes"] if one["node"] == node)["edge"]


def check_kill(report, directory):
    body = directory / "long.bin"
    # A megabyte at 200 kB/s: under way for as long as the module is away, and longer.
    download = subprocess.Popen([GLOCAL, "exec", "subscriber", "--", "curl", "--silent", "--limit-rate", "200k", "--max-time",
                                 "60", "--output", body, f"http://{GOOD}/body.bin"])
    eventually(lambda: body.exists() and body.stat().st_size > 0, "the long download begins")
    before = actors()[DECIDER, MODULE]
    lost = losses()
    established = {one["tuple"]: one["path"] for one in glocal_json("flow", "ls")["flows"]}
    glocal("actors", "kill", MODULE)

    def successor():
        one = actors().get((DECIDER, MODULE))
        return one if one and one["id"] != before["id"] and one["state"].get("ready") == "true" else None

    after = eventually(successor, "the module comes back")
    report.check(after["restarts"] == 1 and after["last_error"], "the killed module is back and says so",
                 f"restarts {after['restarts']}, last error: {after['last_error']}")
    report.check(download.poll() is None, "the download outlived it", "still running")
    fresh = in_host("subscriber", "curl", "--silent", "--max-time", "20", f"http://{GOOD}/body.bin", "--output", "/dev/null", check=False)
    report.check(fresh.returncode == 0, "a new flow is decided", f"curl exit {fresh.returncode}")
    decided = actors()[DECIDER, MODULE]["state"]
    report.check(int(decided["decided"]) >= 1, "by the new module", f"decided {decided['decided']}")
    report.check(download.wait(60) == 0 and body.read_bytes() == (directory / "www" / "body.bin").read_bytes(),
                 "the established flow went on to its last byte", f"{body.stat().st_size} B")
    report.check(losses() == lost, "no edge dropped a packet meanwhile", f"{lost or 'none before and after'}")
    now = {one["tuple"]: one["path"] for one in glocal_json("flow", "ls")["flows"]}
    moved = {flow for flow, path in established.items() if now.get(flow, path) != path}
    report.check(established and not moved, "no flow was decided anew", f"{len(established)} flows")


def check_trace(report):
    """Requests while the store clients of all nodes are traced: each hears of the store every second."""
    traced = subprocess.Popen([GLOCAL, "actors", "trace", "store client", "--count", "200", "--for", "60s", "-o", "json"],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while traced.poll() is None:
        in_host("subscriber", "curl", "--silent", "--max-time", "20", f"http://{GOOD}/", "--output", "/dev/null", check=False)
    out, err = traced.communicate()
    seen = json.loads(out)
    report.check(traced.returncode == 0 and "limit reached: 200 messages" in err and seen["limit_reached"] == "count" and
                 len(seen["messages"]) == 200, "a trace ends at its count and says so", err.strip().splitlines()[-1])
    times = [one["time_us"] for one in seen["messages"]]
    report.check(times == sorted(times) and {one["actor_kind"] for one in seen["messages"]} == {"store client"} and
                 len({one["node"] for one in seen["messages"]}) > 1, "it has several nodes' messages in the order of time",
                 f"{sorted({one['node'] for one in seen['messages']})}")
    timed = glocal("actors", "trace", "store/client", "--for", "300ms")
    report.check("limit reached: 0.3 s" in timed.stderr and "OUTCOME" in timed.stdout, "another ends by time", timed.stderr.strip().splitlines()[-1])
    unknown = glocal("actors", "trace", "swich agent", check=False)
    report.check(unknown.returncode == 6 and "did you mean 'switch agent'?" in unknown.stderr, "a slip in a kind is met with the right one",
                 unknown.stderr.strip())
    stopped = subprocess.Popen([GLOCAL, "actors", "trace", "*", "--count", "10000", "--for", "60s", "--node", DECIDER],
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    header = stopped.stdout.readline()
    stopped.send_signal(signal.SIGINT)
    rows = stopped.stdout.read()
    report.check(stopped.wait(20) == 130 and header.startswith("TIME") and rows.count("\n") >= 1, "Ctrl-C ends one with what was seen so far",
                 f"exit {stopped.returncode}, {rows.count(chr(10))} messages")


def all_metrics(nodes):
    """Of several nodes together."""
    out = {}
    for node in nodes:
        for name, samples in parsed(glocal("metrics", "--node", node).stdout).items():
            out.setdefault(name, []).extend(samples)
    return out


def total(samples, **wanted):
    return sum(value for labels, value in samples if all(labels[key] == label for key, label in wanted.items()))


def check_path_metrics(report):
    """Of requests that are over, so that nothing moves while it is read."""
    before = all_metrics(EDGES)
    requests = 5
    for _ in range(requests):
        in_host("subscriber", "curl", "--silent", "--max-time", "20", f"http://{GOOD}/", "--output", "/dev/null")
    eventually(lambda: total(parsed(glocal("metrics", "--node", DECIDER).stdout)["glocal_path_flows"]) == 0, "closed flows end")
    found = all_metrics(EDGES)

    def more(name, **wanted):
        return total(found[name], **wanted) - total(before.get(name, []), **wanted)

    report.check(more("glocal_path_flows_total", service="web") == more("glocal_path_flows_total", service="web", node=DECIDER) == requests,
                 "each flow is counted on its path, where it was decided", f"{requests} flows")
    forward, reverse = (more("glocal_path_packets_total", direction=way) for way in ("forward", "reverse"))
    report.check(forward == more("glocal_path_packets_total", direction="forward", node=DECIDER) > 0 and
                 reverse == more("glocal_path_packets_total", direction="reverse", node=EDGES[-1]) > 0,
                 "packets are counted where they enter their path, and nowhere else", f"{forward:.0f} there, {reverse:.0f} back")
    arrived = more("glocal_edge_port_receive_packets_total", node=DECIDER, kind="attachment")
    report.check(forward <= arrived <= forward + 10, "as many as the subscriber sent, but for ARP", f"{arrived:.0f} received")
    report.check(more("glocal_path_bytes_total", direction="reverse") > more("glocal_path_bytes_total", direction="forward") > 0,
                 "more bytes come back than go there", "by direction")
    chains = {one["id"]: " > ".join(one["instances"]) for one in glocal_json("chain", "ls")["paths"]}
    named = {labels["path"]: labels["chain"] for labels, _ in found["glocal_path_packets_total"]}
    report.check(named and all(chains.get(path) == chain for path, chain in named.items()), "under the chains the store has", f"{sorted(named.values())}")
    report.check(total(found["glocal_path_folded_total"]) == 0, "none was folded into (other)", "0")
    report.check(more("glocal_edge_flows_removed_total", node=DECIDER, reason="closed") >= requests, "ended flows are counted by reason",
                 f"{more('glocal_edge_flows_removed_total', node=DECIDER, reason='closed'):.0f} closed")


def check_slot_metrics(report):
    found = all_metrics(("store1", "store2", "store3"))
    operations = found["glocal_store_slot_operations_total"]
    sums = {kind: total(operations, kind=kind) for kind in ("get", "put", "put_if_absent", "compare_and_set", "erase", "scan", "watch")}
    report.check(min(sums[kind] for kind in ("put", "put_if_absent", "erase", "watch")) > 0, "slots count their operations by kind",
                 ", ".join(f"{kind} {count:.0f}" for kind, count in sums.items()))
    timed = {(labels["node"], labels["slot"]): value for labels, value in found["glocal_store_slot_operation_duration_seconds_count"]}
    answered = {}
    for labels, value in operations:
        if labels["kind"] != "watch":
            slot = (labels["node"], labels["slot"])
            answered[slot] = answered.get(slot, 0) + value
    # The store goes on while it is read: what came between two lines of the page is in one and not in the other.
    report.check(timed.keys() == answered.keys() and 0.98 * sum(answered.values()) <= sum(timed.values()) <= 1.02 * sum(answered.values()) + 20,
                 "each that was answered is in its slot's histogram", f"{len(timed)} slots, {sum(timed.values()):.0f} operations")
    slowest = total(found["glocal_store_slot_operation_duration_seconds_bucket"], le="2.5") / sum(timed.values())
    # A slot is counted at each of the three nodes that has answered for it.
    report.check(slowest > 0.9 and len({slot for _, slot in timed}) <= 256 and len(timed) <= 3 * 256, "of which most are short", f"{100 * slowest:.1f} % within 2.5 s")


def check_metrics(report):
    found = parsed(glocal("metrics", "--node", DECIDER).stdout)
    report.check(all(labels["node"] == DECIDER for samples in found.values() for labels, _ in samples), "every sample names its node",
                 f"{len(found)} metrics")
    report.check(({"node": DECIDER, "actor": MODULE}, 1.0) in found["glocal_actor_restarts_total"], "the restart is counted",
                 f"{found['glocal_actor_restarts_total']}")
    hits = found["glocal_edge_exact_match_hits_total"][0][1]
    report.check(hits > 0, "and so are exact-match hits", f"{hits:.0f}")
    check_path_metrics(report)
    check_slot_metrics(report)
    stores = parsed(glocal("metrics", "--node", "store1").stdout)
    report.check(stores["glocal_store_slots"][0][1] > 0 and "glocal_edge_flows" not in stores, "a store node has the store's metrics only",
                 f"{len(stores)} metrics")


def check_log(report):
    def levels():
        return {one["node"]: one["level"] for one in glocal_json("log")["nodes"]}

    glocal("log", "debug", "--node", "dc1")
    changed = levels()
    report.check(changed["dc1"] == "debug" and changed["dc2"] == "info", "the log level of one node changes", f"{changed}")
    glocal("log", "info")
    report.check(set(levels().values()) == {"info"}, "and back, of all", "info")
    wrong = glocal("log", "debgu", check=False)
    report.check(wrong.returncode == 6 and "did you mean 'debug'?" in wrong.stderr, "an unknown level is refused", wrong.stderr.strip())


def run(report, directory):
    web = WebSites(directory)
    config = directory / "figure3.yaml"
    # Closed flows end while one looks.
    config.write_text(CONFIG.read_text().replace("closed_linger: 30s", "closed_linger: 1s"))
    glocal("up", config)
    await_edges(EDGES, "web")
    web.start()
    check_listing(report)
    check_kill(report, directory)
    check_trace(report)
    check_metrics(report)
    check_log(report)
    letters = glocal("actors", "deadletters", "-o", "json")
    report.check("dead_letters" in json.loads(letters.stdout), "dead letters are shown", letters.stdout.strip()[:80])


if __name__ == "__main__":
    sys.exit(run_scenario(run, CLUSTER))
