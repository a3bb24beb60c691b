#!/usr/bin/python3
"""`glocal lisp decode` as a user meets it: files, pipes, hexadecimal, exit codes. Environment: GLOCAL, the program;
LISP_CAPTURES, the directory of captures."""

import json
import os
import pathlib
import struct
import subprocess
import tempfile
import unittest

GLOCAL = os.environ["GLOCAL"]
CAPTURES = pathlib.Path(os.environ["LISP_CAPTURES"])
CAPTURE = CAPTURES / "01-register-resolve-data.pcap"
REQUEST = "10000001 1122334455667788 0000 0001 0a000302 0018 0001 c0a80200"


def decode(*words, **options):
    return subprocess.run([GLOCAL, "lisp", "decode", *map(str, words)], capture_output=True, timeout=60, **options)


def records(pcap):
    at = 24
    while at < len(pcap):
        seconds, micros, length, _ = struct.unpack_from("<IIII", pcap, at)
        yield seconds, micros, pcap[at + 16:at + 16 + length]
        at += 16 + length


def as_pcapng(pcap):
    block = lambda kind, body: struct.pack("<II", kind, len(body) + 12) + body + struct.pack("<I", len(body) + 12)
    out = block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)) + block(1, struct.pack("<HHI", 1, 0, 0))
    for seconds, micros, data in records(pcap):
        time = seconds * 1_000_000 + micros
        out += block(6, struct.pack("<IIIII", 0, time >> 32, time & 0xFFFFFFFF, len(data), len(data)) + data + bytes(-len(data) % 4))
    return out


class DecodeTest(unittest.TestCase):
    def in_file(self, data):
        file = tempfile.NamedTemporaryFile()
        self.addCleanup(file.close)
        file.write(data)
        file.flush()
        return file.name

    def test_every_packet_of_every_capture_is_shown_and_authentic(self):
        seen = {}
        for capture in sorted(CAPTURES.glob("*.pcap")):
            done = decode(capture, "-o", "json", "--key", "other", "--key", "password")
            self.assertEqual(done.returncode, 0, done.stderr)
            answer = json.loads(done.stdout)
            self.assertEqual(len(answer["packets"]), answer["summary"]["control"] + answer["summary"]["data"])
            for name, count in {**answer["summary"]["types"], **answer["summary"]["authentication"]}.items():
                seen[name] = seen.get(name, 0) + count
        self.assertEqual(seen, {"Encapsulated Control Message": 13, "LISP": 75, "Map-Notify": 13, "Map-Register": 13, "Map-Reply": 11, "Map-Request": 5, "good": 26})

    def test_pipes_and_pcapng_are_read_as_files_are(self):
        plain = decode(CAPTURE)
        self.assertEqual(plain.returncode, 0)
        with CAPTURE.open("rb") as piped:
            self.assertEqual(decode("-", stdin=piped).stdout, plain.stdout)
        self.assertEqual(decode(self.in_file(as_pcapng(CAPTURE.read_bytes()))).stdout, plain.stdout)

    def test_a_message_alone_is_shown(self):
        for text in (REQUEST, "0x" + REQUEST.replace(" ", ""), REQUEST.replace(" ", ":")):
            done = decode(text, text=True)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertTrue(done.stdout.startswith("Map-Request\n  flags: -\n  nonce: 0x1122334455667788\n"), done.stdout)
        done = decode("--data", "0800000000000700 4500001c000000004011 66cf 0a0000010a000002 0001000200080000", text=True)
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertIn("inner: udp 10.0.0.1:1 > 10.0.0.2:2", done.stdout)

    def test_exit_codes(self):
        whole = CAPTURE.read_bytes()
        none = whole[:24]
        malformed = whole.replace(bytes.fromhex("0000000a0118"), bytes.fromhex("0000000a0121"), 1)
        self.assertNotEqual(malformed, whole)
        rows = [("a capture without LISP", self.in_file(none), 6), ("one with a malformed message", self.in_file(malformed), 7),
                ("a damaged one", self.in_file(whole[:-3]), 7), ("no capture", self.in_file(b"hello"), 1),
                ("a malformed message", "10000001 11", 7), ("no file and no message", "nonsense", 2), ("half a byte", "100", 2)]
        for what, argument, code in rows:
            with self.subTest(what):
                done = decode(argument)
                self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        self.assertIn(b"EID mask length: a value that cannot be at byte 46", decode(self.in_file(malformed)).stdout)
        json.loads(decode(self.in_file(none), "-o", "json").stdout)


if __name__ == "__main__":
    unittest.main(verbosity=2)
