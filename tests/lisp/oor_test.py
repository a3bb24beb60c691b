#!/usr/bin/python3
"""Two xTRs of Open Overlay Router with our Map-Server: they register, resolve and pass traffic; changes of mappings reach
them at once; a node of ours dies and another serves; what must not be served is refused and counted. Everything runs in
network namespaces of its own. Environment: GLOCAL and GLOCALD, the programs; LISP_CAPTURES."""

import json
import os
import pathlib
import socket
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from lab import (MAP_SERVER, MAPPING, XTR, Process, add_host, api, cluster_file, counters, enter, eventually, inside, is_ready,  # noqa: E402
                 make_underlay, new_directory, sh, start_node, start_oor)

GLOCAL, GLOCALD = os.environ["GLOCAL"], os.environ["GLOCALD"]
NETS = {"lisp1": 21, "lisp2": 22, "store": 23, "xtr3": 3, "xtr4": 4, "xtr44": 44, "client": 9}
NODES = {"store": ("store, mano", "10.0.23.2"), "lisp1": ("lisp", "10.0.21.2"), "lisp2": ("lisp", "10.0.22.2")}
# Both have it, and the underlay routes it to one: OOR asks only the first of its map-resolvers.
ANYCAST = "10.0.100.1"
# The second is asked for when a node has died.
XTR4 = [("192.168.2.0/24", "10.0.4.2", 0), ("192.168.3.0/24", "10.0.4.2", 0)]
SITES = """\
    - {name: branch, prefixes: [192.168.0.0/16, 'fd00:a::/32'], accept_more_specifics: true, profile: oor, keys: [{secret: secret}]}
    - {name: tenant, tenant: 7, prefixes: [172.16.0.0/12], accept_more_specifics: true, profile: oor, keys: [{secret: seven}]}
    - {name: strict, prefixes: [198.51.100.0/24], replay: increasing-nonce, keys: [{secret: strict}]}
"""


def xtr_config(mappings, key="secret", proxy="on"):
    """Registers with both; asks whichever of them the address is routed to."""
    return (XTR.format(debug=1, resolvers=ANYCAST)
            + "".join(MAP_SERVER.format(address=address, key=key, proxy=proxy) for address in ("10.0.21.2", "10.0.22.2"))
            + "".join(MAPPING.format(prefix=prefix, rloc=rloc, iid=iid) for prefix, rloc, iid in mappings))


class Echo(Process):
    """Answers UDP datagrams at port 7."""

    def __init__(self, netns, directory):
        script = "import socket; s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.bind(('0.0.0.0',7))\nwhile True: s.sendto(*s.recvfrom(2000))"
        super().__init__(f"echo-{netns}", netns, [sys.executable, "-c", script], directory)


class MapServerTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = new_directory("oor")
        for name in ("lisp1", "lisp2"):
            sh("ip", "-n", name, "addr", "add", f"{ANYCAST}/32", "dev", "lo")
        cls.route_anycast("10.0.21.2")
        cls.file = cluster_file(cls.directory, NODES, SITES, "  rate_limit: off\n")
        cls.nodes = {name: start_node(cls.directory, name, name, cls.file, GLOCALD) for name in NODES}
        cls.routers = {}
        cls.addClassCleanup(lambda: [one.stop() for one in [*cls.nodes.values(), *cls.routers.values()]])
        if not eventually(lambda: all(is_ready(cls.directory, name) for name in NODES)):
            raise RuntimeError("nodes do not start\n" + cls.said())
        cls.routers["xtr3"] = start_oor(cls.directory, "xtr3", xtr_config([("192.168.1.0/24", "10.0.3.2", 0), ("fd00:a:1::/64", "10.0.3.2", 0)]))
        cls.routers["xtr4"] = start_oor(cls.directory, "xtr4", xtr_config(XTR4))
        add_host("xtr3", "192.168.1.3", 24, "192.168.1.1")
        cls.echo = Echo(add_host("xtr4", "192.168.2.3", 24, "192.168.2.1"), cls.directory)
        cls.addClassCleanup(cls.echo.stop)
        sh("ip", "-n", "xtr4", "addr", "add", "192.168.3.1/24", "dev", "site")
        sh("ip", "-n", "host-xtr4", "addr", "add", "192.168.3.3/24", "dev", "eth0")
        if not eventually(lambda: {"192.168.1.0/24", "192.168.2.0/24"} <= {one["eid"] for one in cls.registrations()}):
            raise RuntimeError("the xTRs do not register\n" + cls.said())

    @staticmethod
    def route_anycast(to):
        sh("ip", "-n", "gateway", "route", "replace", ANYCAST, "via", to)

    @classmethod
    def said(cls):
        return "\n".join(one.said() for one in [*cls.nodes.values(), *cls.routers.values()])

    @classmethod
    def registrations(cls, node="lisp1"):
        return api(cls.directory, node, "lisp/registrations")["registrations"]

    def count(self, family, label, node="lisp1"):
        return counters(self.directory, node)[f"glocal_lisp_{family}_total"][label]

    def query(self, eid, server="10.0.21.2", *options):
        done = inside("client", GLOCAL, "lisp", "query", eid, "--server", server, "--timeout", "5", "-o", "json", *options)
        return done.returncode, json.loads(done.stdout) if done.stdout else done.stderr

    def reaches(self, source="host-xtr3", target="192.168.2.3", tries=10):
        """Whether one of some UDP datagrams comes back: the first ones of a flow are lost while the EID is resolved."""
        script = (f"import socket,sys\ns=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)\ns.settimeout(0.3)\nfor i in range({tries}):\n"
                  f"  s.sendto(b'ping',('{target}',7))\n  try:\n    s.recv(100); sys.exit(0)\n  except OSError:\n    pass\nsys.exit(1)")
        return inside(source, sys.executable, "-c", script).returncode == 0

    def expect(self, holds, what):
        self.assertTrue(eventually(holds), f"{what}\n{self.said()}")

    def send(self, payload, port=4342, server="10.0.21.2"):
        script = f"import socket,sys; s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.sendto(sys.stdin.buffer.read(),('{server}',{port}))"
        subprocess.run(["ip", "netns", "exec", "client", sys.executable, "-c", script], input=payload, check=True)

    def test_1_both_register_and_are_answered_by_either_node(self):
        for server in ("10.0.21.2", "10.0.22.2", "fd00:0:0:21::2"):
            with self.subTest(server):
                code, answer = self.query("192.168.2.9", server)
                self.assertEqual(code, 0, answer)
                record = answer["records"][0]
                self.assertEqual((record["eid"], [one["rloc"] for one in record["locators"]]), ("192.168.2.0/24", ["10.0.4.2"]))
        code, answer = self.query("192.168.77.7")
        self.assertEqual((code, answer["records"][0]["ttl_minutes"]), (6, 1))
        code, answer = self.query("203.0.113.7")
        self.assertEqual((code, answer["records"][0]["ttl_minutes"]), (6, 15))

    def test_2_traffic_passes_between_the_sites(self):
        self.expect(lambda: self.reaches(), "nothing arrives from site to site")
        page = self.directory / "page"
        page.mkdir()
        (page / "body.bin").write_bytes(os.urandom(1 << 20))
        server = subprocess.Popen(["ip", "netns", "exec", "host-xtr4", sys.executable, "-m", "http.server", "80", "--directory", page],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(lambda: (server.kill(), server.wait()))
        got = self.directory / "got.bin"
        fetched = lambda: inside("host-xtr3", "curl", "--silent", "--max-time", "20", "http://192.168.2.3/body.bin", "--output", got).returncode == 0
        self.expect(fetched, "no page from site to site")
        self.assertEqual(got.read_bytes(), (page / "body.bin").read_bytes())

    def test_3_changes_are_pushed_to_who_asked(self):
        self.expect(lambda: self.reaches(), "nothing arrives before the change")
        smrs = lambda: sum(self.count("sent", "smr", node) for node in ("lisp1", "lisp2"))
        before = smrs()
        # The site moves, and comes back: its router registers.
        self.routers["xtr4"].stop()
        before = smrs()
        api(self.directory, "store", "lisp/map", {"eid": "192.168.2.0/24", "rlocs": ["10.0.44.2"]})
        self.expect(lambda: smrs() > before, "no SMR was sent")
        self.assertEqual(self.sender_of_data("xtr44"), "10.0.3.2", f"packets do not go to the site's new place\n{self.said()}")
        self.routers["xtr4"] = start_oor(self.directory, "xtr4", xtr_config(XTR4), "xtr4-back")
        self.expect(lambda: self.reaches(), "nothing arrives after the site came back")

    def sender_of_data(self, netns):
        """Who sends LISP data to a namespace while host-xtr3 sends."""
        script = ("import socket; s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.bind(('0.0.0.0',4341)); s.settimeout(20); "
                  "print('listening', flush=True); print(s.recvfrom(2000)[1][0])")
        listening = subprocess.Popen(["ip", "netns", "exec", netns, sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        listening.stdout.readline()
        self.reaches()
        return listening.communicate(timeout=30)[0].strip()

    def test_4_a_tenant_has_eids_of_its_own(self):
        self.routers["xtr44"] = start_oor(self.directory, "xtr44", xtr_config([("172.16.5.0/24", "10.0.44.2", 7)], key="seven"))
        self.expect(lambda: self.query("172.16.5.7", "10.0.21.2", "--iid", "7")[0] == 0, "the tenant's prefix is not registered")
        self.assertEqual(self.query("172.16.5.7")[0], 6)

    def test_5_an_xtr_with_another_key_is_refused(self):
        self.routers["client"] = start_oor(self.directory, "client", xtr_config([("192.168.66.0/24", "10.0.9.2", 0)], key="wrong"))
        self.addCleanup(self.routers["client"].stop)
        self.expect(lambda: self.count("refused", "authentication_failed") > 0, "no registration was refused")
        self.assertNotIn("192.168.66.0/24", {one["eid"] for one in self.registrations()})

    def test_6_hostile_messages_are_refused_and_counted(self):
        replayed = bytes.fromhex("36000101" "0000000000000001")  # a Map-Register without its rest
        rows = [("malformed", b""), ("malformed", replayed), ("unsupported", b"\xff" * 500), ("oversized", b"\x30" * 20000),
                ("malformed", os.urandom(3)), ("unsolicited", bytes.fromhex("20000000") + bytes(8))]
        for why, payload in rows:
            with self.subTest(why=why, payload=payload[:16].hex()):
                before = self.count("refused", why)
                self.send(payload)
                self.expect(lambda: self.count("refused", why) > before, f"not counted as {why}")
        self.assertEqual(self.query("192.168.2.9")[0], 0)

    def test_7_a_replayed_registration_is_refused_where_nonces_increase(self):
        message = signed_register("198.51.100.0/24", "10.0.9.2", b"strict", nonce=5)
        written = self.count("registrations", "written")
        self.send(message)
        self.expect(lambda: self.count("registrations", "written") > written, "not registered")
        before = self.count("refused", "replayed")
        self.send(message)
        self.expect(lambda: self.count("refused", "replayed") > before, "the replay was not refused")

    def test_8_without_proxy_reply_the_xtr_answers(self):
        self.routers["xtr4"].stop()
        self.routers["xtr4"] = start_oor(self.directory, "xtr4", xtr_config(XTR4, proxy="off"), "xtr4-again")
        self.expect(lambda: any(one["eid"] == "192.168.2.0/24" and not one["proxy_reply"] for one in self.registrations()), "not registered again")
        self.expect(lambda: self.query("192.168.2.9")[0] == 0, "nobody answers")
        self.assertEqual(self.query("192.168.2.9")[1]["from"].partition(":")[0], "10.0.4.2")

    def test_9_a_node_dies_and_another_serves(self):
        self.expect(lambda: self.reaches(), "nothing arrives while both live")
        self.nodes["lisp1"].kill()
        self.route_anycast("10.0.22.2")
        self.assertEqual(self.query("192.168.1.9", ANYCAST)[0], 0)
        self.expect(lambda: self.reaches(target="192.168.3.3"), "an EID not asked for before is not reached with one node dead")
        self.nodes["lisp1"] = start_node(self.directory, "lisp1", "lisp1", self.file, GLOCALD)
        self.expect(lambda: is_ready(self.directory, "lisp1"), "it does not come back")
        self.assertEqual(self.query("192.168.1.9")[0], 0, "it has read the state again")


def signed_register(prefix, rloc, secret, nonce):
    """A Map-Register of one prefix, HMAC-SHA-256-128."""
    import hashlib
    import hmac
    import struct
    network, _, length = prefix.partition("/")
    head = struct.pack(">IQBBH", 0x38000101, nonce, 0, 2, 16)
    record = struct.pack(">IBBHHH4s", 10, 1, int(length), 0x1000, 0, 1, socket.inet_aton(network))
    record += struct.pack(">BBBBHH4s", 1, 100, 255, 0, 5, 1, socket.inet_aton(rloc))
    return head + hmac.new(secret, head + bytes(16) + record, hashlib.sha256).digest()[:16] + record


if __name__ == "__main__":
    enter(__file__)
    make_underlay(NETS)
    unittest.main(verbosity=2)
