"""A node whose supervisors give up, or that crashes, is started again and finds its state; and what is secret is in no
answer and no log, whatever is asked and however much is logged."""

import json
import os
import pathlib
import secrets
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "scripts" / "demo.d"))

from figure3 import CLUSTER, CONFIG, EDGES, GOOD, WebSites  # noqa: E402
from lab import await_edges, eventually, glocal, glocal_json, in_host, run_scenario  # noqa: E402

VICTIM, FRAGILE = "store3", "api/store"
RESTARTS_ALLOWED = 5  # of the node's top supervisor, within 10 s
API = "127.0.0.1:9100"


def run_directory():
    return pathlib.Path(os.environ["GLOCAL_RUN_DIR"]) / CLUSTER


def ask(node, path):
    done = subprocess.run(["curl", "--silent", "--max-time", "10", "--unix-socket", run_directory() / f"{node}.sock", f"http://n{path}"],
                          capture_output=True, text=True)
    return done.stdout if done.returncode == 0 else None


def status(node):
    text = ask(node, "/api/v1/status")
    return json.loads(text) if text else {}


def current_copies():
    """Of slots, at VICTIM; 0 while any of them is behind."""
    actors = json.loads(ask(VICTIM, "/api/v1/actors") or '{"actors":[]}')["actors"]
    state = next((one["state"] for one in actors if one["kind"] == "store node"), {})
    return int(state["replicas"]) if state.get("current") and state["current"] == state["replicas"] else 0


def log_of(node):
    return (run_directory() / f"{node}.log").read_text(errors="replace")


def fetch():
    return in_host("subscriber", "curl", "--silent", "--max-time", "20", f"http://{GOOD}/body.bin", "--output", "/dev/null", check=False).returncode


def back_with_another_pid(former):
    now = status(VICTIM)
    return now if now.get("ready") and now["pid"] != former else None


def check_escalation(report):
    former = status(VICTIM)["pid"]

    def running():
        # Exit 5: the node has just given up.
        shown = glocal("actors", "ls", "--node", VICTIM, "-o", "json", check=False)
        actors = json.loads(shown.stdout)["actors"] if shown.returncode == 0 else []
        return next((one["id"] for one in actors if one["name"] == FRAGILE), None)

    for _ in range(RESTARTS_ALLOWED + 1):
        before = running()
        glocal("actors", "kill", FRAGILE, "--node", VICTIM)
        eventually(lambda: status(VICTIM).get("pid") != former or running() not in (None, before), f"{FRAGILE} is started again or the node gives up")
    now = eventually(lambda: back_with_another_pid(former), "the node that gave up is back")
    text = log_of(VICTIM)
    report.check("giving up:" in text and "ended with status 1; starting it again" in text,
                 "failing too often ends the node with a failure, and it is started again", f"pid {former}, then {now['pid']}")
    report.check(fetch() == 0, "the cluster goes on to decide flows", "curl exit 0")


def check_crash(report):
    former = status(VICTIM)["pid"]
    keys = status(VICTIM)["store"]["keys"]
    in_host(VICTIM, "kill", "-KILL", former)
    now = eventually(lambda: back_with_another_pid(former), "the killed node is back")
    report.check("ended with status 137; starting it again" in log_of(VICTIM), "so does a node that is killed", f"pid {former}, then {now['pid']}")
    # Others took over its slots meanwhile; it is their backup now.
    copies = eventually(current_copies, "the killed node's copies are current again")
    report.check(copies > 0, "and its copies of the slots are current again", f"{copies} slots, of which it was primary for {keys} keys")


def check_secrets(report, token):
    glocal("log", "trace")
    asked = {}
    nodes = [one["node"] for one in glocal_json("log")["nodes"]]
    for node in nodes:
        for path in ["/metrics", "/api/v1", *(f"/api/v1/{name}" for name in ("status", "actors", "counters", "deadletters", "flows", "paths", "log"))]:
            asked[node, path] = ask(node, path) or ""
    for shown in (token, token + "x", "wrong"):
        asked["dc1", f"token {len(shown)}"] = in_host("dc1", "curl", "--silent", "--show-error", "-H", f"Authorization: Bearer {shown}",
                                                      f"http://{API}/api/v1/status", check=False).stdout
    asked["dc1", "post"] = in_host("dc1", "curl", "--silent", "-H", f"Authorization: Bearer {token}", "-d", '{"level": "trace"}',
                                   f"http://{API}/api/v1/log", check=False).stdout
    report.check('"ready"' in asked["dc1", f"token {len(token)}"] and "error" in asked["dc1", "token 5"], "the token opens the API, another does not",
                 asked["dc1", "token 5"][:80])
    report.check(all(asked.values()) and not any(token in text for text in asked.values()), "no answer has the token", f"{len(asked)} answers")
    glocal("actors", "trace", "*", "--for", "500ms", "--count", "10000")
    logs = {node: log_of(node) for node in nodes}
    report.check(not any(token in text for text in logs.values()), "no log has it, at level trace", f"{sum(map(len, logs.values()))} B of logs")
    report.check(token not in (run_directory() / "state.json").read_text(), "nor has the record of the cluster", "state.json")


def run(report, directory):
    token = secrets.token_hex(32)
    token_file = directory / "token"
    token_file.touch(mode=0o600)
    token_file.write_text(token + "\n")
    control = "    control: 10.255.0.12:7400\n"
    config = directory / "figure3.yaml"
    config.write_text(CONFIG.read_text().replace(control, f"{control}    api: {{listen: {API}, token_file: {token_file}}}\n"))
    web = WebSites(directory)
    glocal("up", config)
    await_edges(EDGES, "web")
    web.start()
    report.check(fetch() == 0, "a page is fetched", "curl exit 0")
    check_escalation(report)
    check_crash(report)
    check_secrets(report, token)


if __name__ == "__main__":
    sys.exit(run_scenario(run, CLUSTER))
