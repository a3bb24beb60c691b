#!/usr/bin/python3
"""`glocal check`, usage and exit codes: what needs no namespaces. Environment: GLOCAL, the program; FIGURE3, the cluster
file; SCHEMA, the JSON schema beside it."""

import json
import os
import pathlib
import re
import subprocess
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
GLOCAL = os.environ["GLOCAL"]
FIGURE3 = os.environ["FIGURE3"]
SCHEMA = json.loads(pathlib.Path(os.environ["SCHEMA"]).read_text())

EVERY_SECTION = """\
cluster: lab
management: 10.255.0.0/24
underlay:
  links:
    - between: [a, b]
      subnet: 172.16.9.0/30
flow:
  capacity: 100
store:
  slots: 1
security:
  tls: off
nodes:
  - name: w
    roles: [edge]
    control: 10.255.0.1:7400
    api:
      listen: 127.0.0.1:9100
    underlay:
      rloc: 172.16.1.2/30
      gateway: 172.16.1.1
    attachments:
      - name: h
        gateway: 10.1.0.1/24
        host:
          name: alice
          addresses: [10.1.0.7/24]
vnf_classes:
  - name: f
instances:
  - name: f1
    class: f
    node: w
services:
  - name: web
    chain: [f]
    match:
      - protocol: tcp
"""
# The first key of each section in the text above, and the section's place in the schema.
SECTIONS = {"cluster: lab": None, "links:": "underlay", "between:": "link", "capacity:": "flow", "slots:": "store", "tls:": "security", "name: w\n": "node",
            "listen:": "api", "rloc:": "node_underlay", "name: h\n": "attachment", "name: alice": "host", "name: f\n": "vnf_class", "name: f1\n": "instance",
            "name: web": "service", "protocol:": "match"}


def glocal(*arguments, **environment):
    return subprocess.run([GLOCAL, *arguments], text=True, capture_output=True, timeout=60, cwd=HERE, env={**os.environ, **environment})


def check_text(text):
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(text)
        file.flush()
        done = glocal("check", "-o", "json", file.name)
        return done.returncode, json.loads(done.stdout)


class CheckTest(unittest.TestCase):
    def test_a_sound_file_is_summed_up(self):
        done = glocal("check", FIGURE3)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout, f"{FIGURE3}: ok: cluster figure3 with 7 nodes (4 edges, 3 stores), 2 VNF classes, 4 instances, 1 service\n")

    def test_all_errors_are_reported_at_once_with_place_and_help(self):
        done = glocal("check", "wrong.yaml")
        self.assertEqual(done.returncode, 3)
        self.assertEqual(done.stdout, "")
        self.assertEqual(done.stderr, (HERE / "wrong.txt").read_text())

    def test_errors_are_there_as_json_too(self):
        code, answer = check_text("cluster: lab\n")
        self.assertEqual(code, 3)
        self.assertFalse(answer["ok"])
        self.assertEqual([error["line"] for error in answer["errors"]], [1, 1, 1])
        self.assertEqual(answer["errors"][0]["suggestion"], "add 'management: ...'")

    def test_a_missing_file_is_an_invalid_one(self):
        done = glocal("check", "no-such.yaml")
        self.assertEqual(done.returncode, 3)
        self.assertIn("no-such.yaml: error: cannot be read: No such file", done.stderr)

    def test_nothing_is_started_from_a_file_with_errors(self):
        with tempfile.TemporaryDirectory() as directory:
            done = glocal("up", "wrong.yaml", GLOCAL_RUN_DIR=directory + "/run")
            self.assertEqual(done.returncode, 3)
            self.assertEqual(os.listdir(directory), [])

    def test_devices_of_real_machines_are_not_for_up(self):
        text = pathlib.Path(FIGURE3).read_text().replace("router: core, rloc: 172.16.1.2/30", "interface: eth0, rloc: 172.16.1.2/30")
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            file.write(text)
            file.flush()
            done = glocal("up", file.name)
            self.assertEqual(done.returncode, 2)
            self.assertIn("--node sub-edge", done.stderr)


class UsageTest(unittest.TestCase):
    def test_usage_errors_exit_with_2(self):
        for arguments in ((), ("chekc",), ("check",), ("check", "-o", "xml", "f"), ("up", "f", "--timeout", "0"), ("chain",), ("exec", "host")):
            with self.subTest(arguments):
                self.assertEqual(glocal(*arguments).returncode, 2)

    def test_every_command_has_help_with_examples(self):
        top = glocal("--help")
        self.assertEqual(top.returncode, 0)
        self.assertIn("Exit codes:", top.stdout)
        for command in ("check", "doctor", "up", "down", "exec", "status", "chain", "chain ls", "chain show", "flow", "flow ls", "flow show", "lisp", "lisp decode", "lisp query"):
            with self.subTest(command):
                done = glocal(*command.split(), "--help")
                self.assertEqual(done.returncode, 0)
                self.assertIn(f"Examples:\n  glocal {command.split()[0]}", done.stdout)

    def test_the_version_is_told(self):
        self.assertRegex(glocal("--version").stdout, r"^\d+\.\d+\.\d+\n$")

    def test_without_a_cluster_there_is_no_match(self):
        with tempfile.TemporaryDirectory() as directory:
            for arguments in (("status",), ("flow", "ls"), ("chain", "ls"), ("down",), ("down", "figure3"), ("exec", "web", "--", "true")):
                with self.subTest(arguments):
                    self.assertEqual(glocal(*arguments, GLOCAL_RUN_DIR=directory).returncode, 6)


class SchemaTest(unittest.TestCase):
    def test_schema_and_loader_know_the_same_keys(self):
        for first_key, section in SECTIONS.items():
            with self.subTest(section):
                before, _, _ = EVERY_SECTION.partition(first_key)
                lead = before.rpartition("\n")[2]
                line = "zzzzzzzzzzzzzzzz: 1\n" + " " * len(lead)
                _, answer = check_text(before + line + EVERY_SECTION[len(before):])
                helps = [error["suggestion"] for error in answer["errors"] if "unknown key 'zzzz" in error["message"]]
                self.assertEqual(len(helps), 1, answer)
                known = set(re.fullmatch(r"known keys: (.*)", helps[0])[1].split(", "))
                place = SCHEMA if section is None else SCHEMA["definitions"][section]
                self.assertEqual(known, set(place["properties"]))
                self.assertFalse(place["additionalProperties"])

    def test_the_shipped_file_conforms_to_the_schema(self):
        try:
            import jsonschema
            import yaml
        except ImportError:
            self.skipTest("python3-jsonschema or python3-yaml is not installed")
        jsonschema.Draft7Validator.check_schema(SCHEMA)
        jsonschema.validate(yaml.safe_load(pathlib.Path(FIGURE3).read_text()), SCHEMA)


if __name__ == "__main__":
    unittest.main(verbosity=2)
