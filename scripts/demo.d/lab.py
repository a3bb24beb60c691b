"""What the acts of the demo and the system tests share: a cluster on this machine, driven through the command line, and
checks against counters glocal does not own."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
GLOCAL = pathlib.Path(os.environ.get("GLOCAL_BUILD", TOP / "build" / "release")) / "tools" / "glocal"


class Failure(Exception):
    """A step that could not be carried out (as opposed to a check that did not hold)."""


class Report:
    """Checks as they are made, and the figures for the table."""

    def __init__(self):
        self.failed = 0
        self.checks = []
        self.figures = []

    def check(self, holds, claim, evidence):
        self.failed += not holds
        self.checks.append({"claim": claim, "holds": bool(holds), "evidence": evidence})
        print(f"  {'ok  ' if holds else 'FAIL'}  {claim}  [{evidence}]", flush=True)

    def figure(self, name, value):
        self.figures.append((name, value))

    def print_table(self):
        width = max(len(name) for name, _ in self.figures)
        print()
        for name, value in self.figures:
            print(f"  {name:<{width}}  {value}")
        print(flush=True)


def glocal(*arguments, check=True, timeout=120, **options):
    done = subprocess.run([GLOCAL, *map(str, arguments)], text=True, timeout=timeout, capture_output=True, **options)
    if check and done.returncode != 0:
        raise Failure(f"glocal {' '.join(map(str, arguments))}: exit {done.returncode}\n{done.stderr or done.stdout}")
    return done


def glocal_json(*arguments):
    return json.loads(glocal(*arguments, "-o", "json").stdout)


def eventually(holds, what, patience_s=20):
    """What `holds` returns once that is true; Failure when it never is."""
    deadline = time.monotonic() + patience_s
    while not (found := holds()):
        if time.monotonic() > deadline:
            raise Failure(f"{what}: not within {patience_s} s")
        time.sleep(0.1)
    return found


def in_host(host, *command, **options):
    return glocal("exec", host, "--", *command, **options)


def interface_counters(host, interface):
    """The kernel's own counters of one interface inside a namespace."""
    stats = json.loads(in_host(host, "ip", "-j", "-s", "link", "show", "dev", interface).stdout)[0]["stats64"]
    return {"rx_bytes": stats["rx"]["bytes"], "tx_bytes": stats["tx"]["bytes"],
            "rx_packets": stats["rx"]["packets"], "tx_packets": stats["tx"]["packets"]}


def syn_retransmissions(host):
    rows = in_host(host, "cat", "/proc/net/netstat").stdout.splitlines()
    for names, values in zip(rows[::2], rows[1::2]):
        table = dict(zip(names.split(), values.split()))
        if "TCPSynRetrans" in table:
            return int(table["TCPSynRetrans"])
    raise Failure("the kernel gives no TCPSynRetrans counter")


def dropped_by_nft(host):
    """Packets counted by the rules that drop, in nft's own words."""
    rules = json.loads(in_host(host, "nft", "-j", "list", "ruleset").stdout)["nftables"]
    total = 0
    for entry in rules:
        expressions = entry.get("rule", {}).get("expr", [])
        if any("drop" in expression for expression in expressions):
            total += sum(e["counter"]["packets"] for e in expressions if isinstance(e.get("counter"), dict))
    return total


def status_by_node():
    # Exit 7: a node does not answer (yet); the others are shown.
    shown = glocal("status", "-o", "json", check=False)
    if shown.returncode not in (0, 7):
        raise Failure(f"glocal status: exit {shown.returncode}\n{shown.stderr}")
    return {node["node"]: node for node in json.loads(shown.stdout)["nodes"]}


def await_edges(edges, service, deadline_s=30):
    """Until every edge is ready and runs the service: watches live, instances healthy, rules in the switch."""
    deadline = time.monotonic() + deadline_s
    while True:
        nodes = status_by_node()
        states = [nodes[name].get("edge", {}) for name in edges]
        if all(state.get("ready") and service in state.get("services", []) for state in states):
            return
        if time.monotonic() > deadline:
            raise Failure(f"the edges did not become ready: {json.dumps(states, indent=1)}")
        time.sleep(0.1)


def cpu_seconds_of_cluster(cluster):
    """CPU time so far of every glocald of this cluster, by the kernel's account."""
    total = 0.0
    for line in daemons(cluster):
        try:
            fields = pathlib.Path("/proc", line.split()[0], "stat").read_text().rpartition(")")[2].split()
        except FileNotFoundError:
            continue
        total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return total


def idle_share(cluster, seconds=5):
    """Share of one core the cluster uses while nothing happens."""
    began, cpu = time.monotonic(), cpu_seconds_of_cluster(cluster)
    time.sleep(seconds)
    return (cpu_seconds_of_cluster(cluster) - cpu) / (time.monotonic() - began)


def namespaces_and_links():
    links = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True).stdout.splitlines()
    names = sorted(line.split(": ")[1] for line in links)
    spaces = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True).stdout.split()
    return names, spaces


def run_directory():
    """Where the command line keeps its clusters."""
    return os.environ.get("GLOCAL_RUN_DIR", f"/tmp/glocal-{os.getuid()}")


def isolate(directory):
    """From now on clusters live below `directory`: what else runs on this machine is neither seen nor touched."""
    os.environ["GLOCAL_RUN_DIR"] = str(directory / "run")


def daemons(cluster):
    """`pid command` of every daemon of the cluster."""
    done = subprocess.run(["pgrep", "-fa", f"glocald .*--run-dir {run_directory()}/{cluster}"], capture_output=True, text=True)
    return done.stdout.splitlines()


def run_scenario(scenario, cluster):
    """Runs `scenario(report, directory)` in a run directory of its own, takes the cluster down whatever happened, and checks
    that nothing is left. Returns the exit status."""
    def stop(signal_number, _):
        raise KeyboardInterrupt(signal.Signals(signal_number).name)

    signal.signal(signal.SIGTERM, stop)
    report = Report()
    directory = pathlib.Path(tempfile.mkdtemp(prefix="glocal-test-"))
    isolate(directory)
    world = namespaces_and_links()
    try:
        scenario(report, directory)
    except Failure as failure:
        report.check(False, "the scenario could be carried out", str(failure))
    finally:
        down = glocal("down", cluster, check=False)
        report.check(down.returncode == 0 and not daemons(cluster) and namespaces_and_links() == world,
                     "nothing is left behind", f"down exit {down.returncode}: {down.stderr.strip()}")
        shutil.rmtree(directory, ignore_errors=True)
    return 1 if report.failed else 0
