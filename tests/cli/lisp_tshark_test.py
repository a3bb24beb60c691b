#!/usr/bin/python3
"""tshark reads in our LISP messages what we wrote into them, for all that it can decode; and our decoder and tshark agree on
what Open Overlay Router wrote. Environment: GLOCAL, the program; LISP_SAMPLES, the program that writes one message of each
kind; LISP_CAPTURES, the directory of captures."""

import ipaddress
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree as xml

GLOCAL = os.environ["GLOCAL"]
SAMPLES = os.environ["LISP_SAMPLES"]
CAPTURES = pathlib.Path(os.environ["LISP_CAPTURES"])
SKIPPED = 77

TYPES = {"Map-Request": 1, "Map-Reply": 2, "Map-Register": 3, "Map-Notify": 4, "Map-Notify-Ack": 5, "Info-Request": 7, "Info-Reply": 7,
         "Encapsulated Control Message": 8}
# Names of our flags and of tshark's fields for them, where tshark 4.0 has one.
FLAGS = {
    "Map-Request": {"authoritative": "lisp.mreq.flags.auth", "map-data-present": "lisp.mreq.flags.mrp", "probe": "lisp.mreq.flags.probe",
                    "smr": "lisp.mreq.flags.smr", "pitr": "lisp.mreq.flags.pitr", "smr-invoked": "lisp.mreq.flags.smri"},
    "Map-Reply": {"probe": "lisp.mrep.flags.probe", "echo-nonce": "lisp.mrep.flags.enlr", "security": "lisp.mrep.flags.sec"},
    "Map-Register": {"proxy-reply": "lisp.mreg.flags.pmr", "security-capable": "lisp.mreg.flags.sec", "xtr-id-present": "lisp.mreg.flags.xtrid",
                     "want-map-notify": "lisp.mreg.flags.wmn"},
    "Map-Notify": {"xtr-id-present": "lisp.mnot.flags.xtrid"},
    "Encapsulated Control Message": {"ddt-originated": "lisp.ecm.flags.ddt"},
}
ACTIONS = ["no-action", "natively-forward", "send-map-request", "drop/no-reason", "drop/policy-denied", "drop/auth-failure"]
LOCATOR_FLAGS = {"local": 4, "probed": 2, "reachable": 1}
# What tshark 4.0 does not decode, so that only the type is compared, and the nonce where it has one.
BEYOND_TSHARK = {
    "subscription": "the I and N bits of Map-Requests (RFC 9437)",
    "Map-Request for a flow": "the body of LCAF 4",
    "Map-Request for an IPv6 flow of a tenant": "the body of LCAF 4",
    "Map-Reply with what few know": "the bodies of LCAF 4, 6 and 255, and LISP-SEC",
    "Map-Notify-Ack": "anything but the type",
}


def by_tshark(capture):
    """For each LISP control packet, the fields of its LISP layers in order, and whether tshark found it malformed."""
    done = subprocess.run(["tshark", "-n", "-r", capture, "-Y", "lisp", "-T", "pdml"], capture_output=True, check=True)
    for packet in xml.fromstring(done.stdout).iter("packet"):
        fields = [(field.get("name"), field.get("show")) for proto in packet.iter("proto") if proto.get("name") == "lisp" for field in proto.iter("field")]
        yield fields, any(one.get("name") in ("_ws.malformed", "_ws.short") for one in packet.iter())


def by_glocal(capture):
    done = subprocess.run([GLOCAL, "lisp", "decode", capture, "-o", "json"], capture_output=True, text=True)
    return [packet["message"] for packet in json.loads(done.stdout)["packets"] if "message" in packet], done.returncode


def addresses(value, name=""):
    """The IP addresses of our JSON in wire order. Where an address has parts, those."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key + "_fields" not in value and not key.startswith("inner_") and key != "message":
                yield from addresses(inner, key)
    elif isinstance(value, list):
        for inner in value:
            yield from addresses(inner, name)
    elif isinstance(value, str):
        try:
            yield ipaddress.ip_address(value.partition("/")[0])
        except ValueError:
            pass


def shown_addresses(fields):
    for name, value in fields:
        if name.endswith(("ipv4", "ipv6", ".locator")):
            try:
                yield ipaddress.ip_address(value)
            except ValueError:
                pass


def mappings(message):
    if message["type"] in ("Map-Reply", "Map-Register", "Map-Notify", "Map-Notify-Ack"):
        return message["records"]
    return [message["own_mapping"]] if "own_mapping" in message else []


def mask_length(eid):
    return int(eid.rpartition("/")[2]) if "/" in eid and " > " not in eid else None


class TsharkTest(unittest.TestCase):
    def values(self, fields, name):
        return [int(value, 0) for key, value in fields if key == name]

    def compare(self, ours, fields, fully):
        layers = [ours] + ([ours["message"]] if "message" in ours else [])
        self.assertEqual(self.values(fields, "lisp.type"), [TYPES[one["type"]] for one in layers])
        inner = layers[-1]
        nonces = self.values(fields, "lisp.nonce")
        if not fully:
            self.assertIn(nonces, ([int(inner["nonce"], 0)], []))
            return
        self.assertEqual(nonces, [int(inner["nonce"], 0)])
        for layer in layers:
            for flag, name in FLAGS.get(layer["type"], {}).items():
                self.assertEqual(self.values(fields, name), [int(flag in layer["flags"])], name)
        records = mappings(inner)
        locators = [one for record in records for one in record["locators"]]
        expected = {
            "lisp.mapping.ttl": [one["ttl_minutes"] for one in records],
            "lisp.mapping.loccnt": [len(one["locators"]) for one in records],
            "lisp.mapping.act": [ACTIONS.index(one["action"]) for one in records],
            "lisp.mapping.auth": [int(one["authoritative"]) for one in records],
            "lisp.mapping.ver": [one["map_version"] for one in records],
            "lisp.mapping.eid.masklen": [mask_length(one["eid"]) for one in records],
            "lisp.loc.priority": [one["priority"] for one in locators],
            "lisp.loc.weight": [one["weight"] for one in locators],
            "lisp.loc.multicast_priority": [one["multicast_priority"] for one in locators],
            "lisp.loc.multicast_weight": [one["multicast_weight"] for one in locators],
            "lisp.loc.flags": [sum(LOCATOR_FLAGS[flag] for flag in one["flags"]) for one in locators],
        }
        if inner["type"] == "Map-Request":
            expected["lisp.irc"] = [len(inner["itr_rlocs"]) - 1]
            expected["lisp.mreq.record.prefix.length"] = [mask_length(one["eid"]) for one in inner["records"]]
        if "records" in inner:
            expected["lisp.records"] = [len(inner["records"])]
        for name, values in expected.items():
            theirs = self.values(fields, name)
            # Names, MAC addresses and keys are shown without a length.
            self.assertEqual([None if our is None else their for our, their in zip(values, theirs)] + theirs[len(values):], values, name)
        self.assertEqual(list(shown_addresses(fields)), list(addresses(inner)))
        shown = dict(fields)
        if "authentication" in inner:
            self.assertEqual(shown["lisp.auth"].replace(":", ""), inner["authentication"]["data"])
        if "xtr_id" in inner:
            self.assertEqual(shown["lisp.xtrid"].replace(":", ""), inner["xtr_id"])
            self.assertEqual("0x" + shown["lisp.siteid"].replace(":", ""), inner["site_id"])
        if inner["type"] == "Info-Reply":
            self.assertEqual(int(shown["lisp.lcaf.natt.etrport"]), inner["nat_fields"]["etr_port"])

    def test_tshark_reads_what_we_wrote(self):
        with tempfile.TemporaryDirectory() as directory:
            capture = directory + "/samples.pcap"
            names = subprocess.run([SAMPLES, capture], capture_output=True, text=True, check=True).stdout.splitlines()
            ours, code = by_glocal(capture)
            self.assertEqual(code, 0)
            theirs = list(by_tshark(capture))
        self.assertEqual((len(ours), len(theirs)), (len(names), len(names)))
        for name, message, (fields, malformed) in zip(names, ours, theirs):
            with self.subTest(name):
                self.assertFalse(malformed)
                self.compare(message, fields, name not in BEYOND_TSHARK)

    def test_both_read_the_same_in_what_open_overlay_router_wrote(self):
        compared = 0
        for capture in sorted(CAPTURES.glob("*.pcap")):
            ours, code = by_glocal(capture)
            self.assertEqual(code, 0)
            theirs = list(by_tshark(capture))
            self.assertEqual(len(ours), len(theirs))
            for number, (message, (fields, malformed)) in enumerate(zip(ours, theirs), 1):
                with self.subTest(f"{capture.name}, message {number}"):
                    self.assertFalse(malformed)
                    self.compare(message, fields, True)
                    compared += 1
        self.assertEqual(compared, 55)


if __name__ == "__main__":
    if shutil.which("tshark") is None:
        print("skipped: tshark is not installed; scripts/setup installs it")
        sys.exit(SKIPPED)
    unittest.main(verbosity=2)
