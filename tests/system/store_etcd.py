"""The demo's cluster with its whole store on an etcd that `glocal up` starts: flows are decided and published, read back from
etcd by glocal and by curl, and an etcd member may die."""

import base64
import json
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "scripts" / "demo.d"))

from figure3 import CLUSTER, CONFIG, EDGES, GOOD, WebSites  # noqa: E402
from lab import await_edges, eventually, glocal, glocal_json, in_host, run_directory, run_scenario  # noqa: E402

STORES = ("store1", "store2", "store3")
ETCD = "http://10.255.0.22:2379"  # store2's
DECIDER = "sub-edge"


def fetch():
    return in_host("subscriber", "curl", "--silent", "--max-time", "20", f"http://{GOOD}/body.bin", "--output", "/dev/null",
                   check=False).returncode


def rows_in_etcd(table):
    """Key and value, as etcd itself has them."""
    first = f"/glocal/{CLUSTER}/store/{table}/".encode()
    body = json.dumps({"key": base64.b64encode(first).decode(), "range_end": base64.b64encode(first[:-1] + b"0").decode()})
    said = in_host("store2", "curl", "--silent", "--noproxy", "*", "--max-time", "5", f"{ETCD}/v3/kv/range", "-d", body).stdout
    return [(base64.b64decode(row["key"]), base64.b64decode(row.get("value", ""))) for row in json.loads(said).get("kvs", [])]


def run(report, directory):
    config = directory / "etcd.yaml"
    section = "store: {slots: 256, lease_ttl: 10s}"
    text = CONFIG.read_text()
    assert section in text
    config.write_text(text.replace(section, "store: {backend: etcd, lease_ttl: 10s}"))
    web = WebSites(directory)
    glocal("up", config, timeout=120)
    await_edges(EDGES, "web")
    web.start()

    actors = {one["name"] for name in STORES for one in glocal_json("actors", "ls", "--node", name)["actors"]}
    report.check("store/client" in actors and not any(name == "store" or name.startswith("store/shard") for name in actors),
                 "no node keeps slots", " ".join(sorted(actors)))
    report.check(fetch() == 0, "a flow is set up through its chain", "curl exit 0")
    flows = glocal_json("flow", "ls")["flows"]
    report.check(len(flows) >= 1 and flows[0]["initiator"] == DECIDER, "it is published, and glocal reads it back",
                 f"{len(flows)} flows, the first by {flows[0]['initiator'] if flows else '-'}")
    in_etcd = rows_in_etcd("flows")
    report.check(len(in_etcd) >= len(flows) > 0, "etcd itself has it", f"{len(in_etcd)} rows")
    paths = rows_in_etcd("paths")
    report.check(len(paths) >= 1, "and its path", f"{len(paths)} rows")

    glocal("put", "user", "greeting", "hello")
    got = glocal("get", "user", "greeting").stdout
    report.check("hello" in got, "what glocal puts is got", got.strip())
    health = glocal("store", "status")
    report.check(health.stdout.startswith("healthy: etcd at "), "store status says so", health.stdout.splitlines()[0])
    refused = glocal("store", "backup", str(directory / "backup"), check=False)
    report.check(refused.returncode != 0 and "etcdctl snapshot save" in refused.stderr, "a backup is etcd's own",
                 f"exit {refused.returncode}: {refused.stderr.strip()[:200]}")

    members = subprocess.run(["pgrep", "-f", f"etcd --name store1 .*{run_directory()}/{CLUSTER}"], capture_output=True,
                             text=True).stdout.split()
    report.check(len(members) >= 1, "an etcd runs beside each store node", f"pids {members}")
    subprocess.run(["kill", "-9", *members], check=False)
    eventually(lambda: fetch() == 0, "flows are decided when an etcd member is gone", 60)
    report.check(True, "flows are decided when an etcd member is gone", "curl exit 0")
    put = glocal("put", "user", "greeting", "again", check=False)
    report.check(put.returncode == 0 and "again" in glocal("get", "user", "greeting").stdout, "and rows are written",
                 f"exit {put.returncode}")


if __name__ == "__main__":
    sys.exit(run_scenario(run, CLUSTER))
