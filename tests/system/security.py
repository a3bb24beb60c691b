"""A cluster whose nodes speak TLS to each other, from `glocal up` to `glocal down`: its keys are its owner's, every connection
is encrypted, flows are decided, a node killed under way is not needed for the others, a node of another authority and one
without TLS get nowhere and both sides say why, and a node's API over TCP wants its token."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "scripts" / "demo.d"))

from figure3 import CLUSTER, CONFIG, DECIDER, EDGES, GOOD, WebSites  # noqa: E402
from lab import GLOCAL, Failure, await_edges, daemons, glocal, glocal_json, in_host, run_directory, run_scenario, status_by_node  # noqa: E402

TOKEN = "a-token-for-this-test-only"
PATIENCE_S = 30


def eventually(holds):
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def secured(directory):
    """Figure 3 with TLS, and two APIs over TCP."""
    text = pathlib.Path(CONFIG).read_text()
    text += "security: {tls: on}\n"
    text = text.replace("  - name: dc1\n", "  - name: dc1\n    api: {listen: 127.0.0.1:9100}\n", 1)
    text = text.replace("  - name: dc2\n", "  - name: dc2\n    api: {listen: 10.255.0.13:9100, token_file: token}\n", 1)
    (directory / "token").write_text(TOKEN + "\n")
    (directory / "token").chmod(0o600)
    # The demo's own files are named relative to where it is.
    file = directory / "secured.yaml"
    file.write_text(text)
    return file


def state_directory():
    return pathlib.Path(run_directory()) / CLUSTER


def log_of(node):
    return (state_directory() / f"{node}.log").read_text(errors="replace")


def start_node(file, node, *arguments):
    subprocess.run([GLOCAL, "exec", node, "--", "setsid", "--fork", GLOCAL.parent / "glocald", "--config", file, "--node", node, "--run-dir",
                    state_directory(), *arguments], check=True, stdout=subprocess.DEVNULL,
                   stderr=open(state_directory() / f"{node}.log", "a"))


def kill_node(node):
    pids = [line.split()[0] for line in daemons(CLUSTER) if f"--node {node} " in line + " "]
    subprocess.run(["kill", "-9", *pids], check=False, stderr=subprocess.DEVNULL)
    eventually(lambda: not any(f"--node {node} " in line + " " for line in daemons(CLUSTER)))


def check_encrypted(report):
    nodes = glocal_json("status")["nodes"]
    up = [peer for node in nodes for peer in node["peers"] if peer["state"] == "up"]
    report.check(up and all(peer["encryption"].startswith("TLSv1.3 ") for peer in up), "every connection is encrypted",
                 f"{len(up)} connections, {sorted({peer['encryption'] for peer in up})}")
    table = glocal("status").stdout
    report.check(re.search(r"PEERS UP +TLS", table) and re.search(rf"^{DECIDER} .* yes *$", table, re.M), "and status shows it", "column TLS")
    keys = sorted((state_directory() / "tls").glob("*.key"))
    modes = {oct(file.stat().st_mode & 0o777) for file in keys}
    report.check(len(keys) == 7 and modes == {"0o600"} and not (state_directory() / "tls" / "ca.key").exists(),
                 "keys are their owner's, and the authority's is nowhere", f"{len(keys)} keys, modes {modes}")


def check_traffic(report, directory, what):
    got = directory / "got.bin"
    done = in_host("subscriber", "curl", "--silent", "--max-time", "20", f"http://{GOOD}/body.bin", "--output", got, check=False)
    report.check(done.returncode == 0 and got.read_bytes() == (directory / "www" / "body.bin").read_bytes(), what, f"curl exit {done.returncode}")


def check_strangers(report, directory, file):
    kill_node("store3")
    other = directory / "other"
    glocal("certs", "init", file, "--dir", other)
    glocal("certs", "issue", file, "store3", "--dir", other)
    start_node(file, "store3", "--certificates", other)
    report.check(eventually(lambda: "another authority" in log_of("store3") and "unknown CA" in log_of("store1") + log_of(DECIDER)),
                 "a node of another authority gets nowhere, and both sides say why", "logs of store3 and its peers")
    kill_node("store3")
    plain = directory / "plain.yaml"
    plain.write_text(file.read_text().replace("security: {tls: on}", "security: {tls: off}"))
    start_node(plain, "store3")
    report.check(eventually(lambda: "without TLS" in log_of("store1") + log_of(DECIDER) and "speaks TLS" in log_of("store3")),
                 "a node without TLS gets nowhere, and both sides say why", "logs of store3 and its peers")
    kill_node("store3")
    wrong = directory / "wrong"
    shutil.copytree(state_directory() / "tls", wrong)
    shutil.copy(wrong / "store2.crt", wrong / "store3.crt")
    start_node(file, "store3", "--certificates", wrong)
    report.check(eventually(lambda: "certifies store2.figure3, not store3.figure3" in log_of("store3")),
                 "a node with another's certificate does not start, and says what to do", "log of store3")
    start_node(file, "store3", "--certificates", state_directory() / "tls")
    report.check(eventually(lambda: status_by_node().get("store3", {}).get("ready") is True), "with its own it is back", "store3 is ready")


def check_api(report):
    local = in_host("dc1", "curl", "--silent", "http://127.0.0.1:9100/api/v1/status")
    report.check(json.loads(local.stdout)["node"] == "dc1", "dc1's API answers on loopback", "GET /api/v1/status")

    def remote(*arguments):
        return in_host(DECIDER, "curl", "--silent", "-w", "\n%{http_code}", *arguments, "http://10.255.0.13:9100/metrics").stdout.rpartition("\n")

    refused, shown = remote(), remote("-H", f"Authorization: Bearer {TOKEN}")
    report.check(refused[2] == "401" and "error" in refused[0], "dc2's wants a token from other machines", f"{refused[2]} {refused[0]}")
    report.check(shown[2] == "200" and "glocal_transport_peer_encrypted" in shown[0], "and answers who shows it", f"{len(shown[0])} bytes")


def run(report, directory):
    web = WebSites(directory)
    file = secured(directory)
    glocal("up", file)
    await_edges(EDGES, "web")
    web.start()
    check_encrypted(report)
    check_traffic(report, directory, "a flow is decided and served")
    check_api(report)
    check_strangers(report, directory, file)
    check_encrypted(report)
    check_traffic(report, directory, "flows are decided and served as before")


if __name__ == "__main__":
    sys.exit(run_scenario(run, CLUSTER))
