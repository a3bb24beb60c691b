"""The store over HTTP, with curl and the command line, on three store nodes as processes: what each operation answers, what is
refused and how, watches that go on when nodes are killed under them, clients that do not read, a backup and its restore."""

import base64
import json
import os
import pathlib
import random
import socket
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "scripts" / "demo.d"))

from lab import GLOCAL, Failure, daemons, eventually, glocal, run_directory, run_scenario  # noqa: E402

CLUSTER = "storelab"
NODES = ("s1", "s2", "s3")
SLOTS = 32
TEXT = f"""cluster: {CLUSTER}
management: 10.255.9.0/24
underlay: {{mtu: 1700, routers: [core]}}
store: {{slots: {SLOTS}, lease_ttl: 10s}}
nodes:
  - {{name: e1, roles: [edge], control: 10.255.9.9:7400, underlay: {{router: core, rloc: 172.16.1.2/30, gateway: 172.16.1.1}},
     attachments: [{{name: lan, gateway: 10.1.0.1/24, prefixes: [10.1.0.0/24], mtu: 1500, host: {{name: pc, addresses: [10.1.0.7/24]}}}}]}}
  - {{name: s1, roles: [store, mano], control: 10.255.9.1:7400, api: {{listen: 127.0.0.1:9100}}}}
  - {{name: s2, roles: [store], control: 10.255.9.2:7400, api: {{listen: 10.255.9.2:9100, token_file: token}}}}
  - {{name: s3, roles: [store], control: 10.255.9.3:7400}}
"""
TOKEN = "a-token-for-this-test-only"


def socket_of(node):
    return f"{run_directory()}/{CLUSTER}/{node}.sock"


def curl(node, target, *arguments, body=None):
    """Status, headers by lower-case name, and body of what curl gets."""
    command = ["curl", "--silent", "--show-error", "--max-time", "20", "--include", "--unix-socket", socket_of(node), *arguments,
               f"http://node/api/v1/store/{target}"]
    if body is not None:
        command += ["-H", "Content-Type: application/json", "-H", "Expect:", "--data-binary", "@-"]
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
    done = subprocess.run(command, input=body, capture_output=True, timeout=30)
    if done.returncode != 0:
        raise Failure(f"{' '.join(command)}: {done.stderr.decode()}")
    head, _, rest = done.stdout.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
    return int(lines[0].split()[1]), headers, rest


def answer(*arguments, **options):
    status, _, rest = curl(*arguments, **options)
    return status, json.loads(rest)


def row(key, value, **more):
    return {"table": "user", "key": key, "value": value, **more}


def kill_node(node):
    """kill -9, keeper first: nothing starts it again."""
    for line in sorted(daemons(CLUSTER), key=lambda each: int(each.split()[0])):
        if f"--node {node} " in line + " ":
            subprocess.run(["kill", "-9", line.split()[0]], check=False, stderr=subprocess.DEVNULL)
    eventually(lambda: not any(f"--node {node} " in line + " " for line in daemons(CLUSTER)), f"{node} is gone")


def start_node(file, node):
    state = pathlib.Path(run_directory()) / CLUSTER
    subprocess.run([GLOCAL, "exec", node, "--", "setsid", "--fork", GLOCAL.parent / "glocald", "--config", file, "--node", node, "--run-dir",
                    state], check=True, stdout=subprocess.DEVNULL, stderr=open(state / f"{node}.log", "a"))


def store_state():
    shown = glocal("store", "status", "-o", "json", check=False)
    return json.loads(shown.stdout) if shown.stdout else {"state": "none"}


def await_healthy():
    eventually(lambda: store_state()["state"] == "healthy", "the store is healthy", 40)


class Stream(threading.Thread):
    """Server-sent events as curl gets them."""

    def __init__(self, node, query, *arguments):
        super().__init__(daemon=True)
        self.events = []
        self.process = subprocess.Popen(["curl", "--silent", "--no-buffer", *arguments, "--unix-socket", socket_of(node),
                                         f"http://node/api/v1/store/watch?{query}"], stdout=subprocess.PIPE, text=True)
        self.start()

    def run(self):
        event = {}
        for line in self.process.stdout:
            line = line.rstrip("\n")
            if not line and event:
                self.events.append(event)
                event = {}
            elif line.startswith(":") or not line:
                continue
            else:
                name, _, value = line.partition(": ")
                event[name.rstrip(":")] = json.loads(value) if name == "data" else value

    def await_event(self, holds, what, patience_s=20):
        return eventually(lambda: next((event for event in list(self.events) if holds(event)), None), what, patience_s)

    def await_live(self):
        return self.await_event(lambda event: event["event"] == "live", "live")

    def changes(self):
        return [event for event in list(self.events) if event["event"] in ("put", "erase")]

    def ids(self):
        return [event["id"] for event in list(self.events) if event.get("id")]

    def stop(self):
        self.process.kill()
        self.join()


def check_operations(report):
    status, body = answer("s1", "put", body=row("greeting", "hello"))
    report.check(status == 200 and body["version"] > 0, "put answers with the version", f"{status} {body}")
    first = body["version"]
    status, body = answer("s2", "get?table=user&key=greeting")
    report.check((status, body) == (200, row("greeting", "hello", version=first)), "get at another node has it", f"{status} {body}")
    status, body = answer("s3", "put-if-absent", body=row("greeting", "other"))
    report.check(status == 409 and body["code"] == "conflict" and body["found"]["value"] == "hello",
                 "a put-if-absent that loses is given the winner: 409", f"{status} {body}")
    status, body = answer("s1", "compare-and-set", body=row("greeting", "hi", expected=first + 1000))
    report.check(status == 412 and body["found"]["version"] == first, "a wrong version: 412 and what is there", f"{status} {body}")
    status, body = answer("s1", "compare-and-set", body=row("greeting", "hi", expected=first))
    report.check(status == 200 and body["version"] > first, "the right one: 200", f"{status} {body}")
    status, body = answer("s1", "compare-and-set", body=row("fresh", "x", expected=0))
    report.check(status == 200, "expected 0 makes a key", f"{status} {body}")
    status, body = answer("s1", "erase", body={"table": "user", "key": "greeting"})
    gone, why = answer("s1", "get?table=user&key=greeting")
    report.check(status == 200 and gone == 404 and why["code"] == "not_found", "erase, then 404", f"{status}, {gone} {why}")
    raw = bytes(range(256))
    coded = base64.b64encode(raw).decode()
    status, _ = answer("s1", "put", body={"table": "user", "key_base64": coded, "value_base64": coded})
    escaped = "".join(f"%{byte:02x}" for byte in raw)
    got, body = answer("s2", f"get?table=user&key={escaped}")
    report.check((status, got, body["key_base64"], body["value_base64"]) == (200, 200, coded, coded),
                 "any bytes are keys and values", f"{status} {got}")
    large = os.urandom(256 << 10)
    status, _ = answer("s1", "put", body={"table": "user", "key": "large", "value_base64": base64.b64encode(large).decode()})
    got, body = answer("s3", "get?table=user&key=large")
    report.check(status == got == 200 and base64.b64decode(body["value_base64"]) == large, "a value of 256 KiB", f"{status} {got}")
    results = answer("s1", "batch", body={"operations": [{"operation": "put", **row(f"page/{i:03}", str(i))} for i in range(250)]})[1]["results"]
    report.check(len(results) == 250 and all(each["code"] == "ok" for each in results), "a batch", f"{len(results)} results")
    seen, pages, more = [], 0, ""
    while more is not None:
        page = answer("s2", f"scan?table=user&prefix=page/&limit=100{more}")[1]
        seen += [entry["key"] for entry in page["entries"]]
        pages += 1
        more = f"&continuation={page['continuation']}" if "continuation" in page else None
    report.check(sorted(seen) == [f"page/{i:03}" for i in range(250)] and pages >= 3, "a scan gives every key once, in pages", f"{pages} pages")


def check_leases(report):
    status, granted = answer("s1", "lease/grant", body={"ttl_ms": 1000})
    lease = granted["lease"]
    written, _ = answer("s2", "put", body=row("mortal", "x", lease=lease))
    renewed, _ = answer("s3", "lease/renew", body={"lease": lease})
    report.check((status, written, renewed) == (200, 200, 200), "a lease is granted, hung on and renewed, each at another node",
                 f"{status} {written} {renewed}")
    eventually(lambda: answer("s1", "get?table=user&key=mortal")[0] == 404, "what hangs on a lease goes with it")
    refused, why = answer("s1", "put", body=row("mortal", "x", lease="00000000deadbeef"))
    report.check(refused == 409 and why["code"] == "no_such_lease", "a lease nobody granted: 409", f"{refused} {why}")


def check_refusals(report):
    rows = [
        ("no JSON", "put", b"nonsense", 400, "no JSON object"),
        ("deep nesting", "put", b"[" * 200_000, 400, "no JSON object"),
        ("an unknown table", "put", {"table": "users", "key": "a", "value": "b"}, 400, "no table 'users'"),
        ("a misspelt condition", "erase", {"table": "user", "key": "a", "expcted": 1}, 400, "no field 'expcted'"),
        ("a key too long", "put", row("k" * 1025, ""), 413, "at most 1024 bytes"),
        ("a value too long", "put", row("k", "v" * 262145), 413, "262144"),
        ("a body too long", "put", b" " * (2 << 20), 413, "too large"),
        ("too many operations", "batch", {"operations": [{"operation": "get", "table": "user", "key": "a"}] * 4097}, 413, "4096 operations"),
        ("a lease of no time", "lease/grant", {"ttl_ms": 1}, 400, "'ttl_ms'"),
    ]
    for title, verb, body, expected, text in rows:
        status, why = answer("s1", verb, body=body)
        report.check(status == expected and text in why["error"], f"{title}: {expected}", f"{status} {why['error'][:90]}")
    queries = [("get?table=user", 400), ("get?table=user&key=a&key=b&x=1", 400), ("scan?table=user&limit=0", 400), ("scan?table=user&limit=1001", 400),
               ("scan?table=user&continuation=%2A", 400), ("watch?table=user&from=nonsense", 400), ("watch?table=user&key=a&from=x", 400),
               ("slot?slot=99", 400), ("nothing", 404), ("get?table=user&key=" + "a" * 9000, 414)]
    for target, expected in queries:
        status, _, rest = curl("s1", target)
        report.check(status == expected and "error" in json.loads(rest), f"GET {target[:40]}: {expected}", f"{status} {rest[:80].decode()}")
    rest = socket.socket(socket.AF_UNIX)
    rest.connect(socket_of("s1"))
    rest.sendall(b"\x16\x03\x01" + random.Random(1).randbytes(500) + b"\r\n\r\n")
    said = rest.recv(100)
    report.check(said.startswith(b"HTTP/1.1 4"), "bytes that are no HTTP are refused", said[:30])


def check_exposure(report):
    def ask(host, *arguments):
        return glocal("exec", host, "--", "curl", "--silent", "-o", "/dev/null", "-w", "%{http_code}", "--max-time", "10", *arguments, check=False).stdout

    local = "http://127.0.0.1:9100/api/v1/store/"
    remote = "http://10.255.9.2:9100/api/v1/store/"
    put = ["-d", '{"table":"user","key":"tcp","value":"x"}']
    bearer = ["-H", f"Authorization: Bearer {TOKEN}"]
    found = (ask("s1", local + "scan?table=user"), ask("s1", *put, local + "put"), ask("s3", remote + "scan?table=user"),
             ask("s3", *put, remote + "put"), ask("s3", *bearer, remote + "scan?table=user"), ask("s3", *bearer, *put, remote + "put"))
    report.check(found == ("200", "403", "401", "401", "200", "200"),
                 "over TCP: without a token this machine reads, with one who shows it reads and writes", str(found))


def check_watch(report, file):
    one = Stream("s2", "table=user&key=count")
    many = Stream("s2", "table=user&prefix=w/")
    one.await_live()
    many.await_live()
    for i in range(100):
        answer(NODES[i % 3], "put", body=row(f"w/{i % 10}", str(i)))
    versions = [answer("s3", "put", body=row("count", str(i)))[1]["version"] for i in range(10)]
    answer("s1", "erase", body={"table": "user", "key": "w/3"})
    eventually(lambda: len(one.changes()) == 10 and len(many.changes()) == 101, "all changes come")
    got = [event["data"]["revision"] for event in one.changes()]
    report.check(got == versions and [int(event["id"]) for event in one.changes()] == versions,
                 "a key's changes come in order, with its versions as ids", str(got))
    values = {}
    for event in many.changes():
        values[event["data"]["key"]] = event["data"].get("value")
    expected = {f"w/{i}": str(90 + i) for i in range(10)} | {"w/3": None}
    report.check(values == expected, "a copy kept by a watch is right", f"{len(values)} keys")
    token = eventually(lambda: many.ids() and many.ids()[-1], "a position")

    # A store node is killed: the stream of another one goes on, and no change is missed. (s1 has the register.)
    kill_node("s3")
    for i in range(100, 160):
        status, body = answer("s1", "put", body=row(f"w/{i % 10}", str(i), timeout_ms=10_000))
        if status != 200:
            raise Failure(f"put: {status} {body}")
    # Each slot's changes come in order; which slot's come first nobody says.
    def missing():
        seen = {event["data"].get("value") for event in many.changes()}
        return [i for i in range(160) if str(i) not in seen]

    try:
        eventually(lambda: not missing(), "all changes come", 40)
    except Failure:
        pass
    report.check(not missing(), "no change is missed while a store node is killed under the watch", f"missing: {missing()}")

    # The node that streams is killed: another one goes on from the last id, with nothing left out.
    resumed_from = eventually(lambda: many.ids()[-1] != token and many.ids()[-1], "a newer position")
    start_node(file, "s3")
    await_healthy()
    for i in range(160, 180):
        answer("s1", "put", body=row(f"w/{i % 10}", str(i), timeout_ms=10_000))
    kill_node("s2")
    many.join(20)
    report.check(not many.is_alive(), "the stream of a killed node ends", f"curl exit {many.process.wait()}")
    for i in range(180, 200):
        answer("s1", "put", body=row(f"w/{i % 10}", str(i), timeout_ms=10_000))
    again = Stream("s3", "table=user&prefix=w/", "-H", f"Last-Event-ID: {resumed_from}")
    again.await_event(lambda event: event["event"] == "put" and event["data"]["value"] == "199", "the last change comes", 40)
    seen = [event["data"]["value"] for event in again.changes()]
    report.check({str(i) for i in range(160, 200)} <= set(seen) and "0" not in seen, "another node goes on from the last id", f"{len(seen)} changes")
    for stream in (one, many, again):
        stream.stop()
    start_node(file, "s2")
    await_healthy()

    # History has an end: a watch that asks for more is told so.
    old = answer("s1", "get?table=user&key=count")[1]["version"]
    for batch in range(6):
        answer("s1", "batch", body={"operations": [{"operation": "put", **row("count", f"{batch}-{i}")} for i in range(1000)]})
    late = Stream("s2", f"table=user&key=count&from={old}")
    told = late.await_event(lambda event: event["event"] == "compacted", "compacted")
    late.join(20)
    report.check(not late.is_alive() and "error" in told["data"] and told.get("id", "") == "", "a watch from too long ago is told so, and ends",
                 str(told))


def check_slow_clients(report):
    """Streams nobody reads, and connections that say nothing, keep nobody from being answered."""
    clients = []
    for _ in range(40):
        client = socket.socket(socket.AF_UNIX)
        client.connect(socket_of("s1"))
        clients.append(client)
    for client in clients[:20]:
        client.sendall(b"GET /api/v1/store/watch?table=user HTTP/1.1\r\nHost: x\r\n\r\n")
    began = time.monotonic()
    for i in range(20):
        answer("s1", "put", body=row("busy", "x" * 100_000))
    took = time.monotonic() - began
    report.check(took < 20, "20 streams nobody reads and 20 silent connections hold up nobody", f"20 writes in {took:.2f} s")
    for client in clients:
        client.close()


def check_command_line(report, directory):
    def run(*arguments, expect=0, stdin=None):
        done = subprocess.run([GLOCAL, *arguments], text=True, capture_output=True, timeout=60, input=stdin)
        report.check(done.returncode == expect, f"glocal {' '.join(arguments)[:60]}: exit {expect}",
                     f"{done.returncode} {(done.stdout + done.stderr).strip()[:100]}")
        return done

    run("put", "user", "cli", "one")
    report.check(run("get", "user", "cli").stdout == "one\n", "get prints the value", "one")
    version = json.loads(run("get", "user", "cli", "-o", "json").stdout)["version"]
    run("put", "user", "cli", "two", "--if-absent", expect=1)
    run("put", "user", "cli", "two", "--if-revision", str(version + 1), expect=1)
    run("put", "user", "cli", "two", "--if-revision", str(version))
    run("put", "user", "from-stdin", "-", stdin="line\n")
    report.check(run("get", "user", "from-stdin", "--raw").stdout == "line\n", "a value from standard input comes back as it was", "line")
    lines = run("scan", "user", "--prefix", "page/", "--limit", "5").stdout.splitlines()
    report.check(len(lines) == 5 and all(line.count("\t") == 2 for line in lines), "scan prints lines", lines[0])
    objects = [json.loads(line) for line in run("scan", "user", "--prefix", "page/", "-o", "json").stdout.splitlines()]
    report.check(len(objects) == 250, "and JSON, an object a line", f"{len(objects)}")
    run("scan", "user", "--prefix", "nothing/", expect=6)
    run("get", "user", "nothing", expect=6)
    run("get", "users", "x", expect=2)
    watched = run("watch", "user", "cli", "--count", "1", "-o", "json")
    report.check(json.loads(watched.stdout.splitlines()[0])["value"] == "two", "watch begins with what is there", watched.stdout[:60])
    follower = subprocess.Popen([GLOCAL, "watch", "user", "--prefix", "f/", "--count", "3", "-o", "json"], stdout=subprocess.PIPE, text=True)
    follower.stdout.readline()  # live
    for i in range(3):
        run("put", "user", f"f/{i}", str(i))
    rest, _ = follower.communicate(timeout=30)
    got = [json.loads(line) for line in rest.splitlines()]
    report.check(follower.returncode == 0 and sorted(each["value"] for each in got if each["event"] == "put") == ["0", "1", "2"],
                 "and goes on with changes", rest[:80])
    run("erase", "user", "cli")
    run("erase", "user", "cli", expect=6)
    shown = run("store", "status").stdout.splitlines()
    report.check(shown[0] == f"healthy: {SLOTS} slots, each with 3 copies, on 3 nodes", "store status says how it is in its first line", shown[0])
    slots = store_state()["slots"]
    report.check(len(slots) == SLOTS and all(slot["primary"] in NODES and sorted(slot["in_sync"]) == sorted(NODES) for slot in slots),
                 "and who serves and holds each slot", json.dumps(slots[0])[:160])


def check_degraded(report, file):
    kill_node("s3")
    eventually(lambda: store_state()["state"] == "degraded" and store_state()["unserved"] == 0, "the others take over", 40)
    shown = glocal("store", "status", check=False)
    report.check(shown.returncode == 7 and shown.stdout.startswith("degraded: ") and "no answer from s3" in shown.stdout.splitlines()[0],
                 "a node that is gone: degraded, exit 7", shown.stdout.splitlines()[0])
    kill_node("s2")
    # One of three is left: nothing can be acknowledged, and this is what callers are told.
    status, headers, rest = curl("s1", "put", body=row("alone", "x", timeout_ms=3000))
    code = json.loads(rest)["code"]
    report.check((status == 503 and headers.get("retry-after") == "1") or (status == 504 and code == "timeout"),
                 "without two copies a write is not acknowledged: 503 with Retry-After, or 504", f"{status} {code}")
    start_node(file, "s2")
    start_node(file, "s3")
    await_healthy()


def check_backup(report, directory, file):
    glocal("put", "user", "kept", "as it was")
    before = sorted(glocal("scan", "user", "-o", "json").stdout.splitlines())
    target = directory / "backup"
    # Under writes: each slot is as it was at one moment.
    writer = subprocess.Popen([sys.executable, "-c", f"""
import json, subprocess, sys
for i in range(100000):
    subprocess.run([{str(GLOCAL)!r}, 'put', 'user', 'noise', str(i)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
"""])
    done = glocal("store", "backup", target)
    writer.kill()
    writer.wait()
    summed = subprocess.run(["sha256sum", "-c", "--strict", "--quiet", "SHA256SUMS"], cwd=target)
    report.check(summed.returncode == 0, "a backup under writes; sha256sum agrees", done.stdout.strip())
    again = glocal("store", "backup", target, check=False)
    report.check(again.returncode == 2 and "there already" in again.stderr, "no backup is written over another", again.stderr.strip())
    glocal("put", "user", "kept", "changed")
    glocal("put", "user", "later", "x")
    refused = glocal("store", "restore", target, check=False)
    report.check(refused.returncode == 1 and "not empty" in refused.stderr and glocal("get", "user", "kept").stdout == "changed\n",
                 "a store with other rows is left as it is", refused.stderr.strip().splitlines()[-1])
    glocal("store", "restore", target, "--overwrite")
    report.check(glocal("get", "user", "kept").stdout == "as it was\n" and glocal("get", "user", "later").stdout == "x\n",
                 "--overwrite writes the backup's rows and leaves others", "kept, later")

    # Everything is lost, and comes back.
    glocal("down")
    glocal("up", file)
    await_healthy()
    report.check(glocal("scan", "user", check=False).returncode == 6, "a new cluster has nothing", "exit 6")
    restored = glocal("store", "restore", target)
    after = glocal("scan", "user", "-o", "json").stdout.splitlines()

    def strip(lines):
        return sorted((each.get("key", each.get("key_base64")), each.get("value", each.get("value_base64"))) for each in map(json.loads, lines)
                      if each.get("key") != "noise")

    report.check(strip(before) == strip(after), "what the backup has is there again", restored.stdout.strip())
    once_more = glocal("store", "restore", target)
    report.check(once_more.returncode == 0, "a restore that is run again finds it done", once_more.stderr.strip().splitlines()[-1])
    (target / "slot-0000.jsonl").write_text("{}\n")
    damaged = glocal("store", "restore", target, check=False)
    report.check(damaged.returncode == 2 and "slot-0000.jsonl: its checksum" in damaged.stderr, "a damaged backup is refused", damaged.stderr.strip())


def run(report, directory):
    (directory / "token").write_text(TOKEN + "\n")
    (directory / "token").chmod(0o600)
    file = directory / "storelab.yaml"
    file.write_text(TEXT)
    glocal("up", file)
    await_healthy()
    check_operations(report)
    check_leases(report)
    check_refusals(report)
    check_exposure(report)
    check_slow_clients(report)
    check_command_line(report, directory)
    check_watch(report, file)
    check_degraded(report, file)
    check_backup(report, directory, file)


if __name__ == "__main__":
    sys.exit(run_scenario(run, CLUSTER))
