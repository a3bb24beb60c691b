#!/usr/bin/python3
"""`glocal replay` as a user meets it: captures, pipes, output files, exit codes. Environment: GLOCAL, the program;
FIGURE3, the cluster file."""

import json
import os
import pathlib
import re
import socket
import struct
import subprocess
import tempfile
import unittest

GLOCAL = os.environ["GLOCAL"]
FIGURE3 = os.environ["FIGURE3"]


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


def frame(source, destination, sport, dport, flags=0x02, ttl=64):
    tcp = struct.pack("!HHIIBBHHH", sport, dport, 1, 0, 0x50, flags, 1000, 0, 0)
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp), 1, 0x4000, ttl, 6, 0, socket.inet_aton(source),
                       socket.inet_aton(destination))
    head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
    return bytes.fromhex("aabbccddeeff1122334455660800") + head + tcp


def pcap(*packets):
    out = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
    for time, data in packets:
        out += struct.pack("<IIII", 1_700_000_000 + int(time), int(time % 1 * 1e6), len(data), len(data)) + data
    return out


REQUEST = frame("10.1.0.7", "203.0.113.9", 51514, 80)
CAPTURE = pcap((0, REQUEST), (0.01, frame("203.0.113.9", "10.1.0.7", 80, 51514, 0x12)),
               (0.02, frame("10.1.0.7", "203.0.113.9", 51514, 80, 0x10)),
               (0.03, frame("10.1.0.7", "203.0.113.9", 51514, 80, 0x10, ttl=1)))


def replay(capture, *words, edge="sub-edge", config=FIGURE3):
    return subprocess.run([GLOCAL, "replay", "-", "--config", config, "--edge", edge, *map(str, words)],
                          input=capture, capture_output=True, timeout=60)


class ReplayTest(unittest.TestCase):
    def test_each_packet_has_a_line_and_all_have_a_sum(self):
        done = replay(CAPTURE)
        self.assertEqual(done.returncode, 0, done.stderr)
        lines = done.stdout.decode().splitlines()
        self.assertRegex(lines[0], r"1 +0\.000000  tcp 10\.1\.0\.7:51514 > 203\.0\.113\.9:80  in subscribers  "
                                   r"classifier: web #0 \(.*figure3\.yaml:\d+\), decide  chain fw-\d, opt-\d  "
                                   r"→ forwarded to RLOC 172\.16\.2\.2")
        self.assertRegex(lines[1], "not here: 203.0.113.9 lives at inet-edge")
        self.assertRegex(lines[2], "exact match, on path  → forwarded to RLOC 172.16.2.2")
        self.assertRegex(lines[3], "→ dropped: ttl_expired")
        self.assertIn("4 packets, 3 of them at this edge, 3 frames sent", lines)
        self.assertEqual(done.stderr, b"")

    def test_the_line_of_the_rule_is_that_of_the_file(self):
        place = re.search(r"figure3\.yaml:(\d+)", replay(CAPTURE).stdout.decode())
        line = pathlib.Path(FIGURE3).read_text().splitlines()[int(place[1]) - 1]
        self.assertIn("protocol: tcp", line)

    def test_json_has_every_step(self):
        done = json.loads(replay(CAPTURE, "-o", "json").stdout)
        first = done["packets"][0]
        self.assertEqual((first["stage"], first["port"], first["verdict"]["result"]),
                         ("classifier", "subscribers", "forwarded"))
        self.assertEqual(first["rule"]["action"], "decide")
        walk = [step["what"] for step in first["steps"]]
        for what in ("received", "miss", "rule", "packet_in", "decided", "put_if_absent", "encapsulated", "sent"):
            self.assertIn(what, walk)
        candidates = next(step for step in first["steps"] if step["what"] == "decided")["choices"][0]["candidates"]
        self.assertEqual({each["instance"] for each in candidates}, {"fw-1", "fw-2"})
        self.assertEqual(done["summary"]["drops"], {"ttl_expired": 1})
        self.assertEqual(done["summary"]["elsewhere"], 1)

    def test_the_same_capture_gives_the_same_answer(self):
        self.assertEqual(replay(CAPTURE, "--steps").stdout, replay(CAPTURE, "--steps").stdout)

    def test_what_leaves_is_a_capture_that_the_next_edge_takes(self):
        with tempfile.TemporaryDirectory() as directory:
            out = pathlib.Path(directory) / "left.pcap"
            self.assertEqual(replay(CAPTURE, "--out", out).returncode, 0)
            data = out.read_bytes()
        done = json.loads(replay(data, "-o", "json", edge="dc1").stdout)
        # The third tells the source of the last that its hops end: to a host, and so nothing for another edge.
        self.assertEqual([each["port"] for each in done["packets"]], ["underlay", "underlay", None])
        # The path was published in another store: this one does not know it.
        self.assertEqual(done["packets"][0]["verdict"], {"result": "dropped", "reason": "unknown_path", "to": None})
        self.assertEqual(done["packets"][0]["key"], "tcp 10.1.0.7:51514 > 203.0.113.9:80")

    def test_exit_codes(self):
        for code, says, done in (
            (2, b"no edge of cluster figure3", replay(CAPTURE, edge="store1")),
            (2, b"has no port 'x'; it has: underlay, subscribers", replay(CAPTURE, "--port", "x")),
            (1, b"", replay(b"no capture")),
            (6, b"", replay(CAPTURE, edge="dc1")),
            (7, b"damaged after 4 packets", replay(CAPTURE + b"\1" * 20)),
        ):
            with self.subTest(code=code):
                self.assertEqual(done.returncode, code, done.stderr)
                self.assertIn(says, done.stderr)
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as wrong:
            wrong.write("cluster: x\nnodez: []\n")
            wrong.flush()
            done = replay(CAPTURE, config=wrong.name)
        self.assertEqual(done.returncode, 3)
        self.assertIn(b"nodez", done.stderr)


if __name__ == "__main__":
    unittest.main()
