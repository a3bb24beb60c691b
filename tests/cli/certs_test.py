#!/usr/bin/python3
"""`glocal certs`, and what `check --node` and `doctor --node` say of the files a node needs. Environment: GLOCAL, the program."""

import json
import os
import pathlib
import shutil
import stat
import subprocess
import tempfile
import unittest

GLOCAL = os.environ["GLOCAL"]

CLUSTER = """\
cluster: lab
management: 10.255.0.0/24
underlay: {mtu: 1700}
nodes:
  - name: west
    roles: [edge, store, mano]
    control: 10.255.0.1:7400
    api: {listen: 10.255.0.1:9100, token_file: token}
    underlay: {interface: eth0, rloc: 172.16.1.2/30, gateway: 172.16.1.1}
    attachments: [{name: homes, gateway: 10.1.0.1/24, interface: eth1}]
  - name: east
    roles: [edge]
    control: 10.255.0.2:7400
    underlay: {interface: eth0, rloc: 172.16.1.6/30, gateway: 172.16.1.5}
    attachments: [{name: internet, gateway: 203.0.113.1/24, interface: eth1}]
security: {certificates: pki}
"""


class CertsTest(unittest.TestCase):
    def setUp(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="glocal-certs-"))
        self.addCleanup(shutil.rmtree, self.directory)
        self.pki = self.directory / "pki"
        (self.directory / "lab.yaml").write_text(CLUSTER)

    def glocal(self, *arguments, expect=0):
        done = subprocess.run([GLOCAL, *arguments], text=True, capture_output=True, timeout=60, cwd=self.directory)
        self.assertEqual(done.returncode, expect, f"glocal {' '.join(arguments)}\n{done.stdout}{done.stderr}")
        return done

    def make_all(self):
        self.glocal("certs", "init", "lab.yaml", "--dir", "pki")
        return self.glocal("certs", "issue", "lab.yaml", "--all", "--dir", "pki")

    def test_from_nothing_to_nodes_that_may_start(self):
        before = self.glocal("check", "--node", "west", "lab.yaml", expect=3).stderr
        for file in ("ca.crt", "west.crt", "west.key"):
            self.assertIn(f"pki/{file}: error: cannot be read: No such file or directory\n  help: ", before)
        self.assertIn("token: error: cannot be read", before)
        self.assertIn("4 errors", before)
        said = self.make_all().stderr
        self.assertIn("Copy ca.crt, NODE.crt and NODE.key to pki", said)
        (self.directory / "token").write_text("0123456789abcdef\n")
        (self.directory / "token").chmod(0o600)
        for node in ("west", "east"):
            self.glocal("check", "--node", node, "lab.yaml")
            self.assertEqual(stat.S_IMODE((self.pki / f"{node}.key").stat().st_mode), 0o600)
        answer = json.loads(self.glocal("check", "-o", "json", "--node", "west", "lab.yaml").stdout)
        self.assertTrue(answer["ok"])

    def test_mixed_up_files_are_named(self):
        self.make_all()
        shutil.copy(self.pki / "east.crt", self.pki / "west.crt")
        said = self.glocal("check", "--node", "west", "lab.yaml", expect=3).stderr
        self.assertIn("west.key: error: is not the key of", said)
        self.assertIn("west.crt: error: certifies east.lab, not west.lab", said)
        (self.pki / "ca.crt").unlink()
        (self.pki / "ca.key").unlink()
        self.glocal("certs", "init", "lab.yaml", "--dir", "pki")
        said = self.glocal("check", "--node", "east", "lab.yaml", expect=3).stderr
        self.assertIn("east.crt: error: was not signed by the authority in pki/ca.crt", said)

    def test_nothing_is_replaced_by_mistake(self):
        self.make_all()
        self.assertIn("is there already", self.glocal("certs", "init", "lab.yaml", "--dir", "pki", expect=1).stderr)
        self.assertIn("--renew", self.glocal("certs", "issue", "lab.yaml", "west", "--dir", "pki", expect=1).stderr)
        old = (self.pki / "west.crt").read_text()
        self.glocal("certs", "issue", "lab.yaml", "west", "--renew", "--days", "10", "--dir", "pki")
        self.assertNotEqual((self.pki / "west.crt").read_text(), old)
        self.assertIn("renew it soon", self.glocal("certs", "show", "--dir", "pki").stdout)

    def test_certificates_are_shown(self):
        self.make_all()
        shown = json.loads(self.glocal("certs", "show", "--dir", "pki", "-o", "json").stdout)["certificates"]
        self.assertEqual([pathlib.Path(one["file"]).name for one in shown], ["ca.crt", "east.crt", "west.crt"])
        self.assertEqual([one["names"] for one in shown], [[], ["east.lab"], ["west.lab"]])
        self.assertEqual([one["authority"] for one in shown], [True, False, False])
        self.assertIn("(in 729 days)", self.glocal("certs", "show", "--dir", "pki").stdout)
        (self.pki / "bad.crt").write_text("nonsense")
        self.assertIn("unreadable", self.glocal("certs", "show", "--dir", "pki", expect=1).stdout)
        self.glocal("certs", "show", "--dir", "nowhere", expect=6)

    def test_usage(self):
        self.assertIn("did you mean 'west'?", self.glocal("certs", "issue", "lab.yaml", "wset", "--dir", "pki", expect=6).stderr)
        self.assertIn("glocal certs init", self.glocal("certs", "issue", "lab.yaml", "west", "--dir", "pki", expect=1).stderr)
        self.glocal("certs", "issue", "lab.yaml", expect=2)
        self.glocal("certs", "issue", "lab.yaml", "west", "--all", expect=2)
        self.glocal("certs", "init", "none.yaml", expect=3)
        self.glocal("check", "--node", "wset", "lab.yaml", expect=2)
        self.glocal("doctor", "--node", "west", expect=2)
        for command in ("init", "issue", "show"):
            self.assertIn(f"Examples:\n  glocal certs {command}", self.glocal("certs", command, "--help").stdout)

    def test_openssl_agrees(self):
        if shutil.which("openssl") is None:
            self.skipTest("openssl is not installed")
        self.make_all()
        for purpose in ("sslserver", "sslclient"):
            subprocess.run(["openssl", "verify", "-x509_strict", "-purpose", purpose, "-CAfile", "ca.crt", "west.crt"], cwd=self.pki,
                           check=True, capture_output=True)
        text = subprocess.run(["openssl", "x509", "-noout", "-text", "-in", "west.crt"], cwd=self.pki, check=True, capture_output=True, text=True).stdout
        for part in ("CA:FALSE", "DNS:west.lab", "prime256v1", "ecdsa-with-SHA256"):
            self.assertIn(part, text)


if __name__ == "__main__":
    unittest.main(verbosity=2)
