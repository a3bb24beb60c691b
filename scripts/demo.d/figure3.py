"""Figure 3 of the paper, checked: HTTP flows from a subscriber cross a firewall in one datacentre and a TCP optimiser in
another, chained by the subscriber's edge from global state, over a LISP overlay.

Every claim is checked against counters that glocal does not own where there are any: curl's exit codes and SHA-256, the
kernel's interface and retransmission counters, nft's own counters. Exit 1 when one fails, 0 when all hold."""

import argparse
import collections
import hashlib
import json
import os
import pathlib
import random
import shutil
import signal
import sys
import tempfile
import time

from lab import (GLOCAL, TOP, Failure, Report, await_edges, daemons, dropped_by_nft, glocal, glocal_json, idle_share,
                 in_host, interface_counters, isolate, namespaces_and_links, status_by_node, syn_retransmissions)

CONFIG = TOP / "configs" / "figure3.yaml"
CLUSTER = "figure3"

CONNECTIONS, AT_ONCE = 200, 20
BODY_BYTES = 1_000_000
GOOD, MALICIOUS = "203.0.113.9", "203.0.113.66"
MALICIOUS_REQUESTS = 4
CLASSES = {"firewall": ("fw-1", "fw-2"), "tcp-optimiser": ("opt-1", "opt-2")}
EDGES = ("sub-edge", "dc1", "dc2", "inet-edge")
DECIDER = "sub-edge"


class WebSites:
    """nginx in the Internet host: the good site and, on its own address, the malicious one."""

    def __init__(self, directory):
        self.directory = directory
        root = directory / "www"
        root.mkdir()
        body = random.Random(3).randbytes(BODY_BYTES)
        (root / "body.bin").write_bytes(body)
        self.sha256 = hashlib.sha256(body).hexdigest()
        # Inside a cluster everybody is root, and in a user namespace there is no other user to become.
        (directory / "nginx.conf").write_text(f"""
user root;
pid {directory}/nginx.pid;
error_log {directory}/error.log;
worker_processes 1;
events {{ worker_connections 1024; }}
http {{
  access_log {directory}/access.log;
  client_body_temp_path {directory}/t1; proxy_temp_path {directory}/t2; fastcgi_temp_path {directory}/t3;
  uwsgi_temp_path {directory}/t4; scgi_temp_path {directory}/t5;
  server {{ listen {GOOD}:80; root {root}; }}
  server {{ listen {MALICIOUS}:80; root {root}; }}
}}
""")

    def start(self):
        in_host("web", "nginx", "-e", self.directory / "error.log", "-c", self.directory / "nginx.conf")

    def requests_served(self):
        log = self.directory / "access.log"
        return log.read_text().splitlines() if log.exists() else []


def fetch_many(directory):
    """CONNECTIONS fresh connections, AT_ONCE at a time; a row (exit code, sha256, connect and total seconds) each."""
    script = directory / "fetch"
    script.write_text(f"""#!/bin/sh
# One connection: body to a file of its own, so that its checksum is of what arrived.
body="{directory}/body.$1"
timing=$(curl --silent --show-error --max-time 30 --output "$body" --write-out '%{{time_connect}} %{{time_total}}' http://{GOOD}/body.bin 2>"{directory}/error.$1")
code=$?
echo "$code $(sha256sum < "$body" 2>/dev/null | cut -d' ' -f1) $timing"
rm -f "$body"
""")
    script.chmod(0o755)
    done = in_host("subscriber", "sh", "-c", f"seq {CONNECTIONS} | xargs -P {AT_ONCE} -n 1 {script}", timeout=300, check=False)
    rows = [line.split() for line in done.stdout.splitlines()]
    return [row for row in rows if len(row) == 4]


def percentile(values, q):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))]


def run(report, directory):
    web = WebSites(directory)
    started = time.monotonic()
    glocal("up", CONFIG, timeout=120)
    await_edges(EDGES, "web")
    up_s = time.monotonic() - started
    report.figure("idle cluster, share of one core (aim: under 15 %)", f"{idle_share(CLUSTER):.1%}")
    web.start()

    print(f"\n{CONNECTIONS} connections to the good site, {AT_ONCE} at once", flush=True)
    before = {i: (interface_counters(i, "in"), interface_counters(i, "out")) for c in CLASSES.values() for i in c}
    syn_before = syn_retransmissions("subscriber")
    rows = fetch_many(directory)
    good = [row for row in rows if row[0] == "0" and row[1] == web.sha256]
    report.check(len(good) == CONNECTIONS, f"{CONNECTIONS} downloads of {BODY_BYTES} B are byte-exact (SHA-256)",
                 f"{len(good)} of {len(rows)}")
    syn_lost = syn_retransmissions("subscriber") - syn_before
    report.check(syn_lost == 0, "no first packet was lost to flow set-up: no SYN was retransmitted",
                 f"TCPSynRetrans +{syn_lost}")
    after = {i: (interface_counters(i, "in"), interface_counters(i, "out")) for c in CLASSES.values() for i in c}

    flows = [f for f in glocal_json("flow", "ls")["flows"] if f"> {GOOD}:80" in f["tuple"]]
    paths = {p["id"]: p for p in glocal_json("chain", "ls")["paths"]}
    report.check(len(flows) == CONNECTIONS and all(f["path"] in paths for f in flows),
                 "each flow's chain is in the store", f"{len(flows)} flows, {len(paths)} paths")

    crossing = collections.Counter(i for f in flows if f["path"] in paths for i in paths[f["path"]]["instances"])
    in_order = all(len(p["instances"]) == 2 and p["instances"][0] in CLASSES["firewall"]
                   and p["instances"][1] in CLASSES["tcp-optimiser"] for p in paths.values())
    report.check(in_order, "every chain is firewall, then TCP optimiser",
                 "; ".join(" > ".join(p["instances"]) for p in paths.values()))
    for vnf_class, instances in CLASSES.items():
        shares = {i: crossing[i] / max(1, len(flows)) for i in instances}
        report.check(all(0.25 <= share <= 0.75 for share in shares.values()),
                     f"each {vnf_class} got 25-75 % of the flows",
                     ", ".join(f"{i} {share:.0%}" for i, share in shares.items()))

    # The bodies go from the server to the subscriber: they enter an instance's `out` and leave by its `in`. So bytes per
    # published flow say at once that packets took the published chain and that replies crossed the same instances.
    for instance, (in_before, out_before) in before.items():
        in_after, out_after = after[instance]
        came = (out_after["rx_bytes"] - out_before["rx_bytes"]) / max(1, crossing[instance])
        left = (in_after["tx_bytes"] - in_before["tx_bytes"]) / max(1, crossing[instance])
        asked = in_after["rx_packets"] - in_before["rx_packets"]
        report.check(all(1.0 <= v / BODY_BYTES <= 1.10 for v in (came, left)) and asked > crossing[instance],
                     f"{instance} carried the flows published for it, both ways",
                     f"{crossing[instance]} flows, {came / 1e6:.3f} MB in at out, {left / 1e6:.3f} MB out at in per flow")

    nodes = status_by_node()
    decided = {name: nodes[name]["edge"]["decided"] for name in EDGES}
    initiators = collections.Counter(f["initiator"] for f in flows)
    report.check(decided[DECIDER] == CONNECTIONS and sum(decided.values()) == CONNECTIONS
                 and initiators == {DECIDER: CONNECTIONS},
                 "exactly one edge decided each flow", f"decided: {decided}")
    resolved = {name: nodes[name]["edge"]["paths_resolved"] for name in EDGES}
    packet_ins = {name: nodes[name]["edge"]["packet_ins"] for name in EDGES}
    report.check(all(1 <= resolved[n] <= len(paths) and packet_ins[n] <= len(paths) for n in EDGES if n != DECIDER),
                 "the other edges resolved the published paths and looked no flow up",
                 f"paths resolved {resolved}, packet-ins {packet_ins}")

    print(f"\n{MALICIOUS_REQUESTS} requests to the malicious site", flush=True)
    served_before = len(web.requests_served())
    drops_before = sum(dropped_by_nft(i) for i in CLASSES["firewall"])
    codes = [in_host("subscriber", "curl", "--silent", "--max-time", "2", "--output", "/dev/null", f"http://{MALICIOUS}/body.bin",
                     check=False).returncode for _ in range(MALICIOUS_REQUESTS)]
    drops = sum(dropped_by_nft(i) for i in CLASSES["firewall"]) - drops_before
    report.check(all(code == 28 for code in codes), "none of them was answered", f"curl exit codes {codes}")
    report.check(drops >= MALICIOUS_REQUESTS and len(web.requests_served()) == served_before,
                 "the firewall VNF dropped them, by its own nft counters", f"{drops} packets dropped")

    nodes = status_by_node()
    edge = nodes[DECIDER]["edge"]
    unexplained = {n: {r: c for r, c in nodes[n]["edge"]["drops"].items() if c and r not in HARMLESS_DROPS} for n in EDGES}
    report.check(not any(unexplained.values()), "no edge dropped a packet of the flows", f"{unexplained}")
    hits = sum(nodes[n]["edge"]["exact_hits"] for n in EDGES)
    misses = sum(nodes[n]["edge"]["exact_misses"] for n in EDGES)
    report.figure("flow set-up, packet-in to programmed, p50 / p99", f"{edge['setup_p50_us']:.0f} / {edge['setup_p99_us']:.0f} us")
    report.figure("first packet held, p50 / p99", f"{edge['first_packet_p50_us']:.0f} / {edge['first_packet_p99_us']:.0f} us")
    connects = [float(row[2]) * 1e3 for row in good] or [0.0]
    report.figure("TCP connect seen by curl, p50 / p99", f"{percentile(connects, .5):.1f} / {percentile(connects, .99):.1f} ms")
    report.figure("exact-match hit share, all edges", f"{hits / max(1, hits + misses):.2%} of {hits + misses} packets")
    for instance in before:
        totals = [after[instance][arm]["rx_packets"] - before[instance][arm]["rx_packets"] for arm in (0, 1)]
        report.figure(f"packets through {instance}", f"{totals[0]} forward, {totals[1]} reply")
    operations = collections.Counter()
    for node in nodes.values():
        operations.update(node.get("store", {}).get("operations", {}))
    report.figure("store operations", ", ".join(f"{kind} {count}" for kind, count in sorted(operations.items())))
    report.figure("glocal up until ready", f"{up_s:.1f} s")


# Not packets of the flows: IPv6 and multicast chatter of the kernels at the other ends of the links.
HARMLESS_DROPS = {"unsupported_ethertype", "martian_source", "spoofed_source", "multicast", "not_for_us"}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--keep", action="store_true", help="leave the cluster running")
    parser.add_argument("--json", type=pathlib.Path, help="write checks and figures there")
    parser.add_argument("--isolated", action="store_true", help="in a run directory of its own, as the tests do")
    options = parser.parse_args()

    def stop(signal_number, _):
        raise KeyboardInterrupt(signal.Signals(signal_number).name)

    signal.signal(signal.SIGTERM, stop)
    report = Report()
    directory = pathlib.Path(tempfile.mkdtemp(prefix="glocal-demo-"))
    if options.isolated:
        isolate(directory)
    world = namespaces_and_links()
    interrupted = False
    try:
        run(report, directory)
    except Failure as failure:
        report.check(False, "the scenario could be carried out", str(failure))
    except KeyboardInterrupt:
        interrupted = True
        print("\ninterrupted: taking the cluster down", flush=True)
    finally:
        if not options.keep:
            started = time.monotonic()
            down = glocal("down", CLUSTER, check=False)
            report.figure("glocal down", f"{time.monotonic() - started:.1f} s")
            left = daemons(CLUSTER)
            same = namespaces_and_links() == world
            print("\nafterwards", flush=True)
            report.check(down.returncode in (0, 6) and same and not left,
                         "nothing is left behind: namespaces, links, processes, files",
                         f"down exit {down.returncode}, processes {left}" + ("" if same else ", links or namespaces differ"))
        if options.keep:
            print(f"\nleft running: look at it with {GLOCAL} status, end it with {GLOCAL} down {CLUSTER};\n"
                  f"the web server's files are in {directory}")
        else:
            shutil.rmtree(directory, ignore_errors=True)
    if interrupted:
        return 130
    if report.figures:
        report.print_table()
    if options.json:
        options.json.write_text(json.dumps({"checks": report.checks, "figures": dict(report.figures)}, indent=1) + "\n")
    held = len(report.checks) - report.failed
    print(f"{held} of {len(report.checks)} checks hold")
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
