"""Tracing packets of a running cluster: a first packet is one tree over all its edges, with the decision, the state it was made
by and who won; dropped packets say why; what is simulated comes true; bounds trip; readers that go away leave nothing."""

import json
import pathlib
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "scripts" / "demo.d"))

from figure3 import CLASSES, CLUSTER, CONFIG, DECIDER, EDGES, GOOD, MALICIOUS, WebSites  # noqa: E402
from lab import GLOCAL, Failure, await_edges, daemons, glocal, glocal_json, in_host, run_scenario  # noqa: E402

SUBSCRIBER = "10.1.0.7"


class Live:
    """A `glocal trace --live` under way: every edge traces once this is constructed."""

    def __init__(self, filter_text, *options):
        self.process = subprocess.Popen([GLOCAL, "trace", "--live", filter_text, *map(str, options), "-o", "json"], text=True,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.begun = self.process.stderr.readline()
        if not self.begun.startswith("tracing"):
            raise Failure(f"the trace did not begin: {self.begun}{self.process.stderr.read()}")

    def end(self, timeout=60):
        """(exit code, what it found, what it said)"""
        out, said = self.process.communicate(timeout=timeout)
        return self.process.returncode, json.loads(out), said


def fetch(*options, site=GOOD, expected=0):
    done = in_host("subscriber", "curl", "--silent", "--max-time", "5", "--output", "/dev/null", *options, f"http://{site}/body.bin",
                   check=False)
    if done.returncode != expected:
        raise Failure(f"curl ended with {done.returncode}, not {expected}: {done.stderr}")


def steps(packet, what, node=None):
    return [one for one in packet["steps"] if one["what"] == what and node in (None, one["node"])]


def chain_of(tuple_text):
    """The chain the store has for a flow."""
    flow = next((one for one in glocal_json("flow", "ls")["flows"] if one["tuple"] == tuple_text), None)
    if flow is None:
        raise Failure(f"the store has no flow {tuple_text}")
    return flow, next(one["instances"] for one in glocal_json("chain", "ls")["paths"] if one["id"] == flow["path"])


def names_the_rule(step):
    """Whether the step names the line of the cluster file where the service's match stands."""
    name, _, line = step["config"].rpartition(":")
    text = pathlib.Path(name).read_text().splitlines()[int(line) - 1]
    return pathlib.Path(name).resolve() == CONFIG.resolve() and "destination_ports: 80" in text


def await_candidates(patience_s=20):
    """Until the deciding edge knows all instances: digests grow as instances come up."""
    deadline = time.monotonic() + patience_s
    while True:
        decided = [one for one in simulate(f"tcp {SUBSCRIBER}:45000 > {GOOD}:80") if one["what"] == "decided"]
        known = {one["class"]: tuple(sorted(each["instance"] for each in one["candidates"])) for each_step in decided
                 for one in each_step["choices"]}
        if known == CLASSES:
            return
        if time.monotonic() > deadline:
            raise Failure(f"the edge does not know all instances: {known}")
        time.sleep(0.2)


def check_first_packet(report):
    trace = Live(f"tcp {SUBSCRIBER} > {GOOD}:80 flags=syn,-ack", "--count", 1)
    fetch("--local-port", "45001")
    code, found, said = trace.end()
    report.check(code == 0 and len(found["packets"]) == 1, "a live trace shows the first packet of a connection", f"exit {code}")
    report.check("limit reached: 1 packet\n" in said and found["ended_because"] == "limit reached", "the bound says that it tripped",
                 said.strip())
    packet = found["packets"][0]
    report.check(tuple(packet["nodes"]) == EDGES, "it is one tree over all edges of its path", " → ".join(packet["nodes"]))
    report.check(packet["outcome"] == {"result": "delivered", "node": EDGES[-1], "reason": "by internet"}, "delivered at the last",
                 f"{packet['outcome']}, {packet['took_us'] / 1e3:.2f} ms")
    rule = steps(packet, "rule")[0]
    report.check(rule["fields"]["service"] == "web" and names_the_rule(rule), "the rule is named, with its line in the cluster file",
                 rule["config"])
    decided, = steps(packet, "decided")
    choices = {one["class"]: one for one in decided["choices"]}
    report.check({name: tuple(sorted(each["instance"] for each in one["candidates"])) for name, one in choices.items()} == CLASSES,
                 "the decision shows all candidates with their loads",
                 ", ".join(f"{each['instance']}: {each['flows']} flows" for one in choices.values() for each in one["candidates"]))
    report.check(all(one["version"] > 0 and 0 <= one["age_s"] < 60 and not one["suspect"] for one in choices.values()),
                 "and how old the state was", ", ".join(f"{name}: version {one['version']}, {one['age_s']:.2f} s" for name, one in choices.items()))
    chosen = [next(each["instance"] for each in choices[name]["candidates"] if each["chosen"]) for name in CLASSES]
    flow, chain = chain_of(f"tcp {SUBSCRIBER}:45001 > {GOOD}:80")
    put, = steps(packet, "put_if_absent")
    report.check(put["fields"]["result"] == "won" and put["fields"]["path"] == flow["path"] and chosen == chain,
                 "put-if-absent won, and the store has what was chosen", f"{chain}, round trip {put['fields']['round_trip_us']:.0f} us")
    returned = [(one["node"], one["fields"]["port"], "guessed" in one["fields"]) for one in steps(packet, "returned")]
    report.check(returned == [("dc1", f"{chain[0]}.out", False), ("dc2", f"{chain[1]}.out", False)],
                 "it is known again out of each function", f"{returned}")
    carried = [one["fields"]["trace_id"] for one in steps(packet, "encapsulated")]
    report.check(carried == ["carried"] * 3, "and to each edge by its id", f"{carried}")
    times = [one["t_ns"] for one in packet["steps"]]
    report.check(times == sorted(times) and times[-1] > times[0], "steps have times", f"{len(times)} steps")
    shown = glocal("trace", "--help").stdout
    report.check("--simulate" in shown and "Examples" in shown, "help has examples", "trace --help")


def check_both_directions(report):
    trace = Live(f"tcp {SUBSCRIBER} <> {GOOD}:80", "--count", 6)
    fetch("--local-port", "45002")
    code, found, _ = trace.end()
    replies = [one for one in found["packets"] if one["packet"].startswith(f"tcp {GOOD}:80")]
    report.check(code == 0 and len(found["packets"]) == 6 and replies, "both directions of a connection are traced",
                 f"{len(found['packets'])} packets, {len(replies)} of them replies")
    report.check(all(tuple(one["nodes"]) == EDGES[::-1] for one in replies), "replies cross the same edges backwards",
                 " → ".join(replies[0]["nodes"]))
    hits = [one for one in found["packets"] if steps(one, "hit", one["nodes"][0]) and not steps(one, "miss", one["nodes"][0])]
    report.check(len(hits) >= 4, "later packets are exact-match hits", f"{len(hits)} of 6")


def check_drops(report):
    in_host("subscriber", "ip", "address", "add", "10.9.9.9/32", "dev", "lo")
    trace = Live("any 10.9.9.9 > any", "--drops", "--count", 1)
    fetch("--interface", "10.9.9.9", "--max-time", "1", expected=28)
    fetch()  # what is not dropped is not shown
    code, found, said = trace.end()
    packet = found["packets"][0]
    report.check(code == 0 and packet["outcome"] == {"result": "dropped", "node": DECIDER, "reason": "spoofed_source"},
                 "a spoofed packet is shown with the reason it was dropped for", f"{packet['packet']}: {packet['outcome']['reason']}")
    report.check([one["what"] for one in packet["steps"]] == ["received", "miss", "dropped"], "and its steps until then", said.strip())

    trace = Live(f"tcp any > {MALICIOUS}:80 flags=syn,-ack", "--count", 1)
    fetch("--max-time", "1", site=MALICIOUS, expected=28)
    _, found, _ = trace.end()
    outcome = found["packets"][0]["outcome"]
    report.check(outcome["result"] == "in function" and outcome["node"] == "dc1" and outcome["reason"].startswith("by fw-"),
                 "what a firewall keeps is said to have gone into it", outcome["reason"])


def check_bounds(report):
    trace = Live(f"tcp {SUBSCRIBER} > any:80", "--count", 2)
    fetch()
    code, found, said = trace.end()
    report.check(code == 0 and len(found["packets"]) == 2 and "limit reached: 2 packets" in said, "no more packets than asked for", said.strip())
    began = time.monotonic()
    code, found, said = Live("udp any > any:9999", "--for", 1).end()
    report.check(code == 6 and not found["packets"] and "time over: 0 packets" in said, "nothing until its time is over: exit 6",
                 f"{time.monotonic() - began:.1f} s, {said.strip()}")
    first = Live("udp any > any:9999")
    second = glocal("trace", "--live", "any", check=False)
    report.check(second.returncode == 1 and "a trace runs on" in second.stderr, "one trace at a time", second.stderr.strip())
    first.process.send_signal(signal.SIGINT)
    code, _, said = first.end()
    report.check(code == 130 and "interrupted" in said, "Ctrl-C ends it: exit 130", said.strip())
    # The next begins at once: the interrupted one has told the edges.
    killed = Live("udp any > any:9999")
    killed.process.kill()
    killed.process.communicate()
    deadline = time.monotonic() + 15
    while (again := glocal("trace", "--live", "udp any > any:9999", "--for", 1, check=False)).returncode == 1:
        if time.monotonic() > deadline:
            raise Failure(f"a killed reader's trace goes on: {again.stderr}")
    report.check(again.returncode == 6, "a killed reader's trace ends by itself", f"{time.monotonic() - deadline + 15:.1f} s")


def simulate(tuple_text, *options):
    return glocal_json("trace", "--simulate", tuple_text, "--at", DECIDER, *options)["steps"]


def hops(walk):
    return [one["fields"]["instance"] for one in walk if one["what"] == "hop"]


def check_simulation(report):
    known = f"tcp {SUBSCRIBER}:45001 > {GOOD}:80"
    _, chain = chain_of(known)
    # The edge may have forgotten a closed connection; the decision it remembers then stands in the store.
    walk = simulate(known)
    report.check(hops(walk) == chain and walk[-1]["fields"] == {"result": "delivered"} and walk[-1]["node"] == EDGES[-1],
                 "of a decided flow it foretells the chain the store has", f"{hops(walk)}")

    before = len(glocal_json("flow", "ls")["flows"])
    fresh = f"tcp {SUBSCRIBER}:45003 > {GOOD}:80"
    walk = simulate(fresh)
    rule, = [one for one in walk if one["what"] == "rule"]
    report.check(names_the_rule(rule), "of a new flow it names the rule, with its line", rule["config"])
    store, = [one for one in walk if one["what"] == "store"]
    report.check(store["fields"]["in_store"] is False and len(glocal_json("flow", "ls")["flows"]) == before, "and changes nothing",
                 f"{before} flows before and after")
    decided, = [one for one in walk if one["what"] == "decided"]
    report.check([one["class"] for one in decided["choices"]] == list(CLASSES), "it shows the candidates", decided["fields"]["chain"])
    fetch("--local-port", "45003")
    _, chain = chain_of(fresh)
    report.check(hops(walk) == chain, "and what it foretold comes true", f"{chain}")

    plain = simulate(f"udp {SUBSCRIBER}:5000 > {GOOD}:53")
    report.check([one["what"] for one in plain[:3]] == ["received", "miss", "no_rule"] and plain[-1]["node"] == EDGES[-1],
                 "traffic of no service goes to the edge of its destination", plain[-1]["node"])
    spoofed = glocal("trace", "--simulate", f"tcp 8.8.8.8:1 > {GOOD}:80", "--at", DECIDER, "--port", "subscribers")
    report.check(f"dropped at {DECIDER}: spoofed_source" in spoofed.stdout, "a spoofed packet would be dropped", spoofed.stdout.splitlines()[1])
    nowhere = glocal("trace", "--simulate", f"tcp 8.8.8.8:1 > {GOOD}:80", "--at", DECIDER, check=False)
    report.check(nowhere.returncode == 1 and "no attachment" in nowhere.stderr, "by no attachment it can't come", nowhere.stderr.strip()[-80:])
    wrong = glocal("trace", "--simulate", f"tcp {SUBSCRIBER}:x > {GOOD}:80", "--at", DECIDER, check=False)
    report.check(wrong.returncode == 2 and "column 14" in wrong.stderr, "a slip is pointed at", wrong.stderr.splitlines()[-1])
    report.check(glocal("trace", "--simulate", known, "--at", "sub-egde", check=False).returncode == 6, "an edge that is not there", "exit 6")
    report.check(glocal("trace", "--simulate", known, "--at", "store1", check=False).returncode == 6, "and a node that is none", "exit 6")


def check_missing_edge(report):
    line = next(one for one in daemons(CLUSTER) if "--node dc2" in one)
    subprocess.run(["kill", "-9", line.split()[0]], check=True)
    partial = glocal("trace", "--live", "udp any > any:9999", "--for", 1, check=False)
    report.check(partial.returncode == 7 and "dc2" in partial.stderr, "when an edge does not answer the trace is partial: exit 7",
                 partial.stderr.strip().splitlines()[0][:80])


def run(report, directory):
    web = WebSites(directory)
    glocal("up", CONFIG)
    await_edges(EDGES, "web")
    web.start()
    await_candidates()
    check_first_packet(report)
    check_both_directions(report)
    check_drops(report)
    check_bounds(report)
    check_simulation(report)
    check_missing_edge(report)


if __name__ == "__main__":
    sys.exit(run_scenario(run, CLUSTER))
