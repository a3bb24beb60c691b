#!/usr/bin/python3
"""`glocal lisp query` against Open Overlay Router (a Map-Server and two xTRs that register with it, Debian's package), and
against a responder that lies. Everything runs in network namespaces of its own. Environment: GLOCAL, the program."""

import json
import os
import pathlib
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest

GLOCAL = os.environ["GLOCAL"]
SKIPPED = 77
PATIENCE_S = 40
INSIDE = "--inside"

# Each router has a link to the gateway: Open Overlay Router sends all RLOC traffic to its default gateway.
NETS = {"ms": 2, "xtr3": 3, "xtr4": 4, "xtr5": 5, "client": 9}

MAP_SERVER = """
debug = 0
operating-mode = MS
control-iface = eth0
lisp-site {{ eid-prefix = 192.168.0.0/16
 key-type = 1
 key = secret
 iid = 0
 accept-more-specifics = true }}
lisp-site {{ eid-prefix = fd00::/16
 key-type = 1
 key = secret
 iid = 0
 accept-more-specifics = true }}
lisp-site {{ eid-prefix = 172.16.0.0/12
 key-type = 1
 key = secret
 iid = 7
 accept-more-specifics = true }}
"""
XTR = """
debug = 0
operating-mode = xTR
map-resolver = {{ 10.0.2.2 }}
rloc-probing {{
 rloc-probe-interval = 0
}}
map-server {{
 address = 10.0.2.2
 key-type = 1
 key = secret
 proxy-reply = {proxy}
}}
"""
MAPPING = """
database-mapping {{
 eid-prefix = {prefix}
 iid = {iid}
 ttl = 10
 rloc-address {{
  address = {rloc}
  priority = 1
  weight = 100
 }}
}}
"""


def sh(*words):
    return subprocess.run(words, check=True, capture_output=True, text=True)


def glocal(*words, netns="client"):
    done = subprocess.run(["ip", "netns", "exec", netns, GLOCAL, "lisp", *words], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


def eventually(holds):
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def make_network():
    sh("ip", "link", "set", "lo", "up")
    sh("ip", "netns", "add", "gateway")
    sh("ip", "netns", "exec", "gateway", "sysctl", "-qw", "net.ipv4.ip_forward=1")
    for name, number in NETS.items():
        sh("ip", "netns", "add", name)
        sh("ip", "link", "add", "eth0", "netns", name, "type", "veth", "peer", "name", name, "netns", "gateway")
        inside, gateway = ["ip", "-n", name], ["ip", "-n", "gateway"]
        sh(*gateway, "addr", "add", f"10.0.{number}.1/24", "dev", name)
        sh(*gateway, "link", "set", name, "up")
        sh(*inside, "addr", "add", f"10.0.{number}.2/24", "dev", "eth0")
        sh(*inside, "link", "set", "lo", "up")
        sh(*inside, "link", "set", "eth0", "up")
        sh(*inside, "route", "add", "default", "via", f"10.0.{number}.1")
        for where in ("all", "default", "eth0"):
            sh("ip", "netns", "exec", name, "sysctl", "-qw", f"net.ipv4.conf.{where}.rp_filter=0")


    # A router that starts before its link is up finds no control interface, and ends.
    state = lambda name: json.loads(sh("ip", "-n", name, "-j", "link", "show", "eth0").stdout)[0]["operstate"]
    if not eventually(lambda: all(state(name) == "UP" for name in NETS)):
        raise RuntimeError("the links do not come up")


class Router:
    """One Open Overlay Router. Its control socket's path is fixed, so that each has a /tmp of its own."""

    def __init__(self, directory, name, config):
        self.directory = directory / name
        self.directory.mkdir()
        (self.directory / "oor.conf").write_text(config)
        self.log = (self.directory / "log").open("w")
        enter = f"mount -t tmpfs none /tmp && exec stdbuf -oL oor -f {self.directory}/oor.conf"
        self.process = subprocess.Popen(["ip", "netns", "exec", name, "unshare", "-m", "sh", "-c", enter], stdout=self.log,
                                        stderr=subprocess.STDOUT, cwd=self.directory)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()

    def said(self):
        return (self.directory / "log").read_text()[-2000:]


class OpenOverlayRouterTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        # Below /run, since the routers see another /tmp.
        cls.directory = pathlib.Path(tempfile.mkdtemp(dir="/run"))
        cls.addClassCleanup(shutil.rmtree, cls.directory, ignore_errors=True)
        mapping = lambda prefix, rloc, iid=0: MAPPING.format(prefix=prefix, iid=iid, rloc=rloc)
        cls.routers = [
            Router(cls.directory, "ms", MAP_SERVER.format()),
            Router(cls.directory, "xtr3", XTR.format(proxy="on") + mapping("192.168.1.0/24", "10.0.3.2") + mapping("fd00:1::/64", "10.0.3.2")),
            Router(cls.directory, "xtr4", XTR.format(proxy="off") + mapping("192.168.2.0/24", "10.0.4.2")),
            Router(cls.directory, "xtr5", XTR.format(proxy="on") + mapping("172.16.5.0/24", "10.0.5.2", 7)),
        ]
        for router in cls.routers:
            cls.addClassCleanup(router.stop)

    def resolved(self, eid, *options, code=0):
        """The answer for `eid`, as soon as it is registered."""
        last = []

        def answered():
            last[:] = glocal("query", eid, "--server", "10.0.2.2", "--timeout", "1", "-o", "json", *options)
            return last[0] == code

        self.assertTrue(eventually(answered), f"{last}\n" + "\n".join(f"{r.directory.name}: {r.said()}" for r in self.routers))
        return json.loads(last[1])

    def test_a_registered_prefix_is_resolved_by_the_map_server(self):
        answer = self.resolved("192.168.1.7")
        self.assertEqual(answer["from"], "10.0.2.2:4342")
        record = answer["records"][0]
        self.assertEqual((record["eid"], record["ttl_minutes"]), ("192.168.1.0/24", 10))
        self.assertEqual([(one["rloc"], one["priority"], one["weight"]) for one in record["locators"]], [("10.0.3.2", 1, 100)])
        code, out, _ = glocal("query", "192.168.1.7", "--server", "10.0.2.2:4342", "--ecm")
        self.assertEqual(code, 0)
        self.assertIn("192.168.1.0/24: TTL 10 min", out)
        self.assertRegex(out, r"10\.0\.3\.2 +1 +100")

    def test_ipv6_eids_are_resolved_over_ipv4(self):
        record = self.resolved("fd00:1::7")["records"][0]
        self.assertEqual((record["eid"], record["locators"][0]["rloc"]), ("fd00:1::/64", "10.0.3.2"))

    def test_without_proxy_reply_the_xtr_itself_answers(self):
        answer = self.resolved("192.168.2.7")
        self.assertEqual(answer["from"].partition(":")[0], "10.0.4.2")
        self.assertEqual(answer["records"][0]["locators"][0]["rloc"], "10.0.4.2")

    def test_a_tenant_has_eids_of_its_own(self):
        record = self.resolved("172.16.5.7", "--iid", "7")["records"][0]
        self.assertEqual((record["eid"], record["locators"][0]["rloc"]), ("[7]172.16.5.0/24", "10.0.5.2"))
        self.assertEqual(self.resolved("172.16.5.7", code=6)["records"][0]["locators"], [])

    def test_an_xtr_answers_a_plain_request(self):
        self.resolved("192.168.1.7")
        code, out, errors = glocal("query", "192.168.1.7", "--server", "10.0.3.2", "--plain", "-o", "json")
        self.assertEqual(code, 0, errors)
        self.assertEqual(json.loads(out)["from"], "10.0.3.2:4342")

    def test_nobody_has_an_eid_that_is_not_registered(self):
        self.resolved("192.168.1.7")
        answer = self.resolved("192.168.77.7", code=6)
        self.assertEqual(answer["records"][0]["locators"], [])


class Responder:
    """Answers every Map-Request with what `answers(nonce)` says, and keeps the requests."""

    def __init__(self, answers):
        self.answers, self.requests = answers, []
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while True:
            request, sender = self.socket.recvfrom(65536)
            if not request:
                return
            self.requests.append(request)
            # Inside IPv4 and UDP when it is encapsulated.
            message = request[32:] if request[0] >> 4 == 8 else request
            for answer in self.answers(message[4:12]):
                self.socket.sendto(answer, sender)

    def stop(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
            end.sendto(b"", ("127.0.0.1", self.port))
        self.thread.join()
        self.socket.close()


def reply(nonce, prefix="192.168.2.0", length=24):
    record = struct.pack(">IBBHHH4s", 10, 1, length, 0x1000, 0, 1, socket.inet_aton(prefix))
    locator = struct.pack(">BBBBHH4s", 1, 100, 255, 0, 1, 1, socket.inet_aton("10.0.4.2"))
    return b"\x20\0\0\x01" + nonce + record + locator


class HostileResponderTest(unittest.TestCase):
    def ask(self, answers, *options, timeout="20", eid="192.168.2.7"):
        responder = Responder(answers)
        try:
            done = subprocess.run([GLOCAL, "lisp", "query", eid, "--server", f"127.0.0.1:{responder.port}", "--timeout", timeout, *options],
                                  capture_output=True, text=True, timeout=60)
            return done, responder.requests
        finally:
            responder.stop()

    def test_an_honest_answer_is_taken(self):
        done, requests = self.ask(lambda nonce: [reply(nonce)])
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(len(requests), 1)

    def test_lies_are_ignored_and_counted_and_the_truth_behind_them_is_found(self):
        oversized = lambda nonce: reply(nonce) + bytes(65000)
        lies = lambda nonce: [b"", b"\xff" * 1000, os.urandom(40), reply(b"12345678"), reply(nonce)[:-1], oversized(nonce), reply(nonce, "192.168.3.0")]
        asked = []
        done, _ = self.ask(lambda nonce: asked.append(nonce) or (lies(nonce) + [reply(nonce)] if len(asked) == 1 else []), "-o", "json")
        self.assertEqual(done.returncode, 0, done.stderr)
        ignored = json.loads(done.stdout)["ignored"]
        self.assertEqual((ignored["malformed"], ignored["other_eid"]), (2, 1))
        self.assertEqual(sum(ignored.values()), 7)
        done, _ = self.ask(lies, timeout="3")
        self.assertEqual(done.returncode, 5)
        self.assertRegex(done.stderr, r"no answer from 127\.0\.0\.1:\d+ to \d Map-Requests? in 3 s; ignored: .* about another EID, \d malformed \(")

    def test_requests_are_repeated_with_the_same_nonce(self):
        asked = []
        done, requests = self.ask(lambda nonce: asked.append(nonce) or ([reply(nonce)] if len(asked) == 2 else []))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(len(set(requests)), 1)
        self.assertIn("after 2 requests", done.stdout)

    def test_a_flow_is_asked_for_with_its_ends_and_ports(self):
        # LCAF 4 (TCP, 51514, 80) over LCAF 12 (10.1.0.7/32, 203.0.113.9/32), as an EID of length 0.
        ends = bytes.fromhex("40030000 0c000010 0000 2020 0001 0a010007 0001 cb007109")
        flow = bytes.fromhex("40030000 04000024 00000006 c93ac93a 00500050") + ends
        path = bytes.fromhex("40030000 0a000010 0000 0001 0a000502 0000 0001 0a000402")
        answer = lambda nonce: b"\x20\0\0\x01" + nonce + struct.pack(">IBBHH", 10, 1, 0, 0x1000, 0) + flow + struct.pack(">BBBBH", 1, 100, 255, 0, 1) + path
        done, requests = self.ask(lambda nonce: [answer(nonce)], eid="tcp 10.1.0.7:51514 > 203.0.113.9:80")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue(requests[0].endswith(b"\0\0" + flow))
        self.assertIn("tcp 10.1.0.7:51514 > 203.0.113.9:80: TTL 10 min", done.stdout)
        self.assertIn("path (10.0.5.2 > 10.0.4.2)", done.stdout)

    def test_a_server_may_be_an_ipv6_one(self):
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as server:
            server.bind(("::1", 0))
            server.settimeout(20)

            def serve():
                request, sender = server.recvfrom(65536)
                server.sendto(reply(request[52:][4:12]), sender)  # behind IPv6 and UDP

            thread = threading.Thread(target=serve)
            thread.start()
            done = subprocess.run([GLOCAL, "lisp", "query", "192.168.2.7", "--server", f"[::1]:{server.getsockname()[1]}", "--timeout", "20"],
                                  capture_output=True, text=True, timeout=60)
            thread.join()
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_where_nobody_listens_is_said_at_once(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as held:
            held.bind(("127.0.0.1", 0))
            port = held.getsockname()[1]
        done = subprocess.run([GLOCAL, "lisp", "query", "10.0.0.1", "--server", f"127.0.0.1:{port}", "--timeout", "30"], capture_output=True, text=True, timeout=20)
        self.assertEqual(done.returncode, 5)
        self.assertIn("connection refused", done.stderr)

    def test_what_is_no_eid_or_no_server_is_a_usage_error(self):
        for words in (["nonsense"], ["10.0.0.1/24"], ["10.0.0.1", "--server", "nonsense"], ["10.0.0.1", "--ecm", "--plain"], ["[7]10.0.0.1", "--iid", "8"]):
            with self.subTest(words):
                self.assertEqual(subprocess.run([GLOCAL, "lisp", "query", *words], capture_output=True, timeout=20).returncode, 2)


if __name__ == "__main__":
    if INSIDE not in sys.argv:
        if shutil.which("oor") is None:
            print("skipped: Open Overlay Router is not installed; scripts/setup installs Debian's openoverlayrouter")
            sys.exit(SKIPPED)
        user = [] if os.geteuid() == 0 else ["-Ur"]
        os.execvp("unshare", ["unshare", *user, "-nmpf", "--kill-child", "--mount-proc", sys.executable, __file__, INSIDE, *sys.argv[1:]])
    sys.argv.remove(INSIDE)
    sh("mount", "-t", "tmpfs", "none", "/run")
    make_network()
    unittest.main(verbosity=2)
