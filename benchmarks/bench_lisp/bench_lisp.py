#!/usr/bin/python3
"""Our Map-Server and Open Overlay Router's in one run: answered Map-Requests and acknowledged Map-Registers a second, and a
second of the server's CPU time, in a closed loop from one client (window 32), at 1, 1,000 and 10,000 prefixes.

    bench_lisp.py [--json] [--seconds S] [--prefixes N,N...]

Environment: GLOCALD and LISP_LOAD, the programs (scripts/bench lisp sets them). Registers are told apart: `refresh` changes
nothing, `change` is durable in the store of one node before it is acknowledged."""

import argparse
import json
import os
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests" / "lisp"))

from lab import cluster_file, enter, eventually, inside, is_ready, make_underlay, new_directory, start_node, start_oor  # noqa: E402

NETS = {"ours": 21, "oor": 22, "client": 9}
SITES = "    - {name: bench, prefixes: [10.0.0.0/8], accept_more_specifics: true, profile: oor, keys: [{secret: secret}]}\n"
OOR = """
debug = 0
operating-mode = MS
control-iface = eth0
lisp-site {
 eid-prefix = 10.0.0.0/8
 key-type = 1
 key = secret
 iid = 0
 accept-more-specifics = true
}
"""


def cpu_seconds(pid):
    """Of the process and all its children and threads."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")




def load(address, pid, *options):
    before = cpu_seconds(pid)
    done = inside("client", os.environ["LISP_LOAD"], "--server", address, "--from", "10.0.9.2", *options, check=True)
    out = json.loads(done.stdout)
    out["cpu_s"] = cpu_seconds(pid) - before
    out["per_cpu_s"] = out["answered"] / out["cpu_s"] if out["cpu_s"] > 0 else None
    return out


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--json", action="store_true", help="one JSON object")
    arguments.add_argument("--seconds", default="2", help="of each measurement")
    arguments.add_argument("--prefixes", default="1,1000,10000")
    given = arguments.parse_args()
    directory = new_directory("bench")
    file = cluster_file(directory, {"ours": ("store, mano, lisp", "10.0.21.2")}, SITES, "  rate_limit: off\n")
    ours = start_node(directory, "ours", "ours", file, os.environ["GLOCALD"])
    oor = start_oor(directory, "oor", OOR)
    rows = []
    try:
        if not eventually(lambda: is_ready(directory, "ours")):
            raise RuntimeError(ours.said())
        servers = {"glocal": ("10.0.21.2", ours.process.pid), "oor": ("10.0.22.2", oor.process.pid)}
        for count in given.prefixes.split(","):
            for server, (address, pid) in servers.items():
                common = ["--prefixes", count, "--seconds", given.seconds]
                # Each once with another locator, then again with the first: both are changes.
                first = load(address, pid, *common, "--register", "--once", "--rloc", "10.0.9.3")
                change = load(address, pid, *common, "--register", "--once")
                refresh = load(address, pid, *common, "--register")
                requests = load(address, pid, *common)
                for what, row in (("first register", first), ("change", change), ("refresh", refresh), ("request", requests)):
                    rows.append({"server": server, "what": what, **row})
    finally:
        ours.stop()
        oor.stop()
    for row in rows:
        peer = next(one for one in rows if one["server"] == "oor" and (one["what"], one["prefixes"]) == (row["what"], row["prefixes"]))
        row["ratio"] = row["per_second"] / peer["per_second"]
        row["cpu_ratio"] = row["per_cpu_s"] / peer["per_cpu_s"] if row["per_cpu_s"] and peer["per_cpu_s"] else None
    if given.json:
        print(json.dumps({"rows": rows}))
        return
    print(f"{'server':8} {'what':15} {'prefixes':>8} {'/s':>9} {'/CPU s':>9} {'x OOR':>6} {'x OOR/CPU':>9} {'p50 us':>8} {'p99 us':>8} {'lost':>5}")
    for row in rows:
        per_cpu = f"{row['per_cpu_s']:9.0f}" if row["per_cpu_s"] else "        -"
        cpu_ratio = f"{row['cpu_ratio']:9.2f}" if row["cpu_ratio"] else "        -"
        print(f"{row['server']:8} {row['what']:15} {row['prefixes']:8} {row['per_second']:9.0f} {per_cpu} {row['ratio']:6.2f} {cpu_ratio} "
              f"{row['p50_us']:8.0f} {row['p99_us']:8.0f} {row['lost']:5}")


if __name__ == "__main__":
    enter(__file__)
    make_underlay(NETS)
    main()
