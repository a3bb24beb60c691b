"""All store nodes are killed under traffic: established flows go on, new ones are refused by policy within a bounded time
and counted, nothing stays held, and the command line says what is missing."""

import json
import pathlib
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "scripts" / "demo.d"))

from figure3 import CLUSTER, CONFIG, EDGES, GOOD, WebSites  # noqa: E402
from lab import GLOCAL, Failure, await_edges, daemons, glocal, in_host, run_scenario  # noqa: E402

DECIDER = "sub-edge"
STORES = ("store1", "store2", "store3")


def kill_stores():
    for line in daemons(CLUSTER):
        if any(f"--node {name}" in line for name in STORES):
            # Its keeper is one of them, and takes the node along: that may be gone when its turn comes.
            subprocess.run(["kill", "-9", line.split()[0]], check=False, stderr=subprocess.DEVNULL)


def edge_status():
    nodes = json.loads(glocal("status", "-o", "json", check=False).stdout)["nodes"]
    return next(node for node in nodes if node["node"] == DECIDER)["edge"]


def run(report, directory):
    web = WebSites(directory)
    glocal("up", CONFIG)
    await_edges(EDGES, "web")
    web.start()
    body = directory / "long.bin"
    # A megabyte at 200 kB/s: under way for as long as the rest of this takes.
    download = subprocess.Popen([GLOCAL, "exec", "subscriber", "--", "curl", "--silent", "--limit-rate", "200k", "--max-time",
                                 "60", "--output", body, f"http://{GOOD}/body.bin"])
    deadline = time.monotonic() + 20
    while not body.exists() or body.stat().st_size == 0:
        if time.monotonic() > deadline:
            raise Failure("the long download did not begin")
        time.sleep(0.05)

    kill_stores()
    began = time.monotonic()
    refused = in_host("subscriber", "curl", "--silent", "--max-time", "8", f"http://{GOOD}/body.bin", "--output", "/dev/null",
                      check=False)
    report.check(refused.returncode == 28, "a new flow gets no answer", f"curl exit {refused.returncode} after {time.monotonic() - began:.1f} s")
    status = glocal("status", "-o", "json", check=False)
    report.check(status.returncode == 7, "status says that not all nodes answered", f"exit {status.returncode}")
    edge = edge_status()
    report.check(edge["drops"].get("store_unavailable", 0) > 0, "its packets were dropped under a named reason",
                 f"{edge['drops']}")
    # The last retransmission may still wait for its refusal: hold_timeout is 2 s, the switch's own bound 2.5 s.
    deadline = time.monotonic() + 10
    while (held := edge_status()["held"]) and time.monotonic() < deadline:
        time.sleep(0.1)
    report.check(held == 0, "nothing stays held", f"held {held}")
    report.check(download.wait(60) == 0 and body.read_bytes() == (directory / "www" / "body.bin").read_bytes(),
                 "the established flow went on to its last byte", f"{body.stat().st_size} B")


if __name__ == "__main__":
    sys.exit(run_scenario(run, CLUSTER))
