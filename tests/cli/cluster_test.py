#!/usr/bin/python3
"""Clusters on this machine, with a stand-in for glocald: what `glocal up` makes, what it shows, and that nothing is left
of it, whoever dies when. Runs as root and as an ordinary user: `cluster_test.py [--as-user]`.
Environment: GLOCAL, the program; FIGURE3, the cluster file."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent
GLOCAL = os.environ["GLOCAL"]
FIGURE3 = os.environ["FIGURE3"]
NOBODY = 65534
SKIPPED = 77
PATIENCE_S = 20


def commands():
    """pid and command line of every process that is no zombie."""
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if line:
                yield int(entry.name), line.replace(b"\0", b" ").decode(errors="replace")


def eventually(holds):
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


class ClusterTest(unittest.TestCase):
    def setUp(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="glocal-test-", dir="/tmp"))
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        self.run_dir = self.directory / "run"
        self.stub_dir = self.directory / "stub"
        self.stub_dir.mkdir()
        # A copy, so that every process of this test has this test's directory in its command line.
        self.stub = self.directory / "stub_node.py"
        shutil.copy(HERE / "stub_node.py", self.stub)
        self.file = self.directory / "figure3.yaml"
        shutil.copy(FIGURE3, self.file)
        self.environment = {**os.environ, "GLOCAL_RUN_DIR": str(self.run_dir), "STUB_DIR": str(self.stub_dir)}
        self.before = self.links_and_namespaces()
        self.addCleanup(self.kill_all)

    def kill_all(self):
        for pid, _ in self.processes():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def processes(self):
        return [(pid, line) for pid, line in commands() if str(self.directory) in line]

    @staticmethod
    def links_and_namespaces():
        links = json.loads(subprocess.run(["ip", "-j", "link"], capture_output=True, text=True, check=True).stdout)
        spaces = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True).stdout
        return sorted(link["ifname"] for link in links), spaces

    def glocal(self, *arguments, expect=0, **options):
        done = subprocess.run([GLOCAL, *map(str, arguments)], env=self.environment, text=True, capture_output=True, timeout=60, **options)
        self.assertEqual(done.returncode, expect, f"glocal {' '.join(map(str, arguments))}\n{done.stdout}{done.stderr}")
        return done

    def up(self, *arguments, file=None, expect=0):
        return self.glocal("up", file or self.file, "--glocald", self.stub, *arguments, expect=expect)

    def start_up(self):
        """`up` in the background, past the point where the nodes run."""
        process = subprocess.Popen([GLOCAL, "up", str(self.file), "--glocald", str(self.stub)], env=self.environment, text=True,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.kill)
        for line in process.stderr:
            if "dc1 is ready" in line:
                break
        return process

    def inside(self, place, *command, expect=0):
        return self.glocal("exec", place, "--", *command, expect=expect).stdout

    def assert_nothing_left(self):
        self.assertTrue(eventually(lambda: not self.processes()), self.processes())
        self.assertEqual(list(self.run_dir.iterdir()) if self.run_dir.exists() else [], [])
        self.assertEqual(self.links_and_namespaces(), self.before)

    def holder(self):
        return json.loads((self.run_dir / "figure3" / "state.json").read_text())["holder"]["pid"]

    # What is made.

    def test_up_makes_the_topology_and_down_removes_all_of_it(self):
        self.up()
        self.assertEqual({node["node"] for node in json.loads(self.glocal("status", "-o", "json").stdout)["nodes"] if node["ready"]},
                         {"sub-edge", "dc1", "dc2", "inet-edge", "store1", "store2", "store3"})
        addresses = {}
        for place in ("subscriber", "web", "core", "sub-edge", "store1"):
            for link in json.loads(self.inside(place, "ip", "-j", "addr")):
                addresses[place, link["ifname"]] = [f"{a['local']}/{a['prefixlen']}" for a in link["addr_info"] if a["scope"] == "global"]
        self.assertEqual(addresses["subscriber", "eth0"], ["10.1.0.7/24"])
        self.assertEqual(addresses["web", "eth0"], ["203.0.113.9/24", "203.0.113.66/24"])
        self.assertEqual(addresses["core", "port0"], ["172.16.1.1/30"])
        self.assertEqual(addresses["store1", "mgmt0"], ["10.255.0.21/24"])
        # The data plane owns the RLOC and the gateway: the kernel has no address there.
        self.assertEqual(addresses["sub-edge", "underlay0"], [])
        self.assertEqual(addresses["sub-edge", "attach0"], [])
        self.assertIn("default via 10.1.0.1", self.inside("subscriber", "ip", "route"))
        for place, interface in (("sub-edge", "underlay0"), ("core", "port0"), ("subscriber", "eth0")):
            features = self.inside(place, "ethtool", "-k", interface)
            for feature in ("tcp-segmentation-offload", "generic-segmentation-offload", "generic-receive-offload", "tx-checksumming"):
                self.assertIn(f"\n{feature}: off", features)
        self.glocal("down")
        self.assert_nothing_left()

    def exchange(self, server, address, client):
        """A datagram from the place `client` to a socket on `address` at the place `server`: what arrives there."""
        receive = f"""
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("{address}", 5000))
s.settimeout(2)
print("bound", flush=True)
try: print(s.recvfrom(100)[0].decode())
except TimeoutError: print("nothing")
"""
        listener = subprocess.Popen([GLOCAL, "exec", server, "--", "python3", "-c", receive], env=self.environment, text=True, stdout=subprocess.PIPE)
        self.assertEqual(listener.stdout.readline(), "bound\n")
        self.inside(client, "python3", "-c", f"import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'hello', ('{address}', 5000))")
        return listener.communicate(timeout=PATIENCE_S)[0].strip()

    def test_routers_forward_between_edges(self):
        self.up()
        # A kernel in the data plane's place, at two edges.
        for edge, network in (("sub-edge", "172.16.1"), ("dc2", "172.16.3")):
            self.inside(edge, "sh", "-c", f"ip addr add {network}.2/30 dev underlay0 && ip link set underlay0 arp on && "
                        f"ip route add 172.16.0.0/16 via {network}.1")
        self.assertEqual(self.exchange("dc2", "172.16.3.2", "sub-edge"), "hello")
        self.assertEqual(self.exchange("store3", "10.255.0.23", "sub-edge"), "hello")
        self.glocal("down")
        self.assert_nothing_left()

    def test_hosts_cannot_reach_the_control_address_behind_an_attachment(self):
        self.up()
        mac = json.loads(self.inside("sub-edge", "ip", "-j", "link", "show", "attach0"))[0]["address"]
        self.inside("subscriber", "ip", "neigh", "replace", "10.1.0.1", "lladdr", mac, "dev", "eth0")
        self.assertEqual(self.exchange("sub-edge", "10.255.0.11", "subscriber"), "nothing")
        self.glocal("down")

    def test_exec_passes_arguments_directory_and_status_on(self):
        self.up()
        done = self.glocal("exec", "subscriber", "--", "sh", "-c", 'echo "$1|$PWD"; exit 9', "sh", "a b", expect=9, cwd="/usr/bin")
        self.assertEqual(done.stdout, "a b|/usr/bin\n")
        self.assertIn("it has: core, dc1", self.glocal("exec", "nosuch", "--", "true", expect=6).stderr)
        self.glocal("down")

    # What is shown.

    def test_flows_and_chains_are_gathered_from_all_nodes(self):
        path = {"id": 4, "service": "web", "instances": ["fw-1", "opt-2"], "version": 1}
        flow = {"tuple": "tcp 10.1.0.7:5001 > 203.0.113.9:80", "tenant": 0, "service": "web", "initiator": "sub-edge", "path": 4}
        other = {**flow, "tuple": "tcp 10.1.0.7:5002 > 203.0.113.9:80"}
        for store, flows in (("store1", [flow]), ("store2", [flow, other])):
            (self.stub_dir / f"{store}.json").write_text(json.dumps({"/api/v1/paths": {"paths": [path]}, "/api/v1/flows": {"flows": flows}}))
        self.up()
        self.assertEqual(json.loads(self.glocal("flow", "ls", "-o", "json").stdout), {"flows": [flow, other]})
        self.assertEqual(json.loads(self.glocal("chain", "ls", "-o", "json").stdout), {"paths": [path]})
        self.assertEqual(self.glocal("chain", "ls").stdout, "ID  SERVICE  CHAIN         VERSION  FLOWS\n 4  web      fw-1 > opt-2        1      2\n")
        self.assertIn("fw-1 > opt-2\n", self.glocal("chain", "show", "4").stdout)
        self.assertIn("no path 5", self.glocal("chain", "show", "5", expect=6).stderr)
        shown = self.glocal("flow", "show", "10.1.0.7:5002").stdout.splitlines()
        self.assertEqual([row.split() for row in shown[1:]], [f"{other['tuple']} 0 web sub-edge 4 fw-1 > opt-2".split()])
        self.assertIn("no flow", self.glocal("flow", "show", "192.0.2.1", expect=6).stderr)
        self.glocal("down")

    def test_status_says_what_nodes_say_and_which_do_not_answer(self):
        edge = {"flows": 3, "packet_ins": 4, "exact_hits": 99, "exact_misses": 1, "drops": {"no_route": 2, "bad_checksum": 0}, "held": 0,
                "instances": [{"name": "fw-1", "class": "firewall", "healthy": True, "flows": 2, "packets": 77}], "setup_p50_us": 250.0, "setup_p99_us": 900.25}
        status = {"roles": ["edge"], "peers": [{"node": "a", "state": "up"}, {"node": "b", "state": "down"}], "edge": edge}
        (self.stub_dir / "dc1.json").write_text(json.dumps({"/api/v1/status": status}))
        store = {"slots": 86, "copies": 1, "keys": 12, "watchers": 3, "operations": {"get": 5, "put": 6},
                 "register": {"what": "embedded at store1", "answers": False}}
        (self.stub_dir / "store1.json").write_text(json.dumps({"/api/v1/status": {"store": store, "mano": {"state": "active", "services": 1, "instances": 4}}}))
        self.up()
        shown = self.glocal("status").stdout
        for part in ("1 min 15 s", "1/2", "99.0 %", "250.0/900.2", "2 (no_route 2)", "fw-1      firewall  dc1", "11 (get 5, put 6)", "embedded at store1 (no answer)", "store1  active"):
            self.assertIn(part, shown)
        victim = next(pid for pid, line in self.processes() if "--node dc2" in line)
        os.kill(victim, signal.SIGKILL)
        self.assertTrue(eventually(lambda: not any(pid == victim for pid, _ in self.processes())))
        done = self.glocal("status", expect=7)
        self.assertIn("dc2 is unreachable", done.stderr)
        self.assertRegex(done.stdout, r"dc2 +- +unreachable")
        self.glocal("down")
        self.assert_nothing_left()

    def with_local_etcd(self):
        self.file.write_text(self.file.read_text().replace("lease_ttl: 10s}", "lease_ttl: 10s, register: {etcd: local}}"))

    @unittest.skipUnless(shutil.which("etcd") and shutil.which("curl"), "needs etcd and curl")
    def test_a_local_etcd_runs_beside_three_store_nodes_and_goes_with_the_cluster(self):
        self.with_local_etcd()
        self.assertIn("etcd is healthy: 3 members", self.up().stderr)
        members = json.loads(self.inside("store3", "curl", "--silent", "--noproxy", "*", "--data", "{}", "http://10.255.0.21:2379/v3/cluster/member/list"))
        self.assertEqual({member["name"] for member in members["members"]}, {"store1", "store2", "store3"})
        self.glocal("down")
        self.assert_nothing_left()

    # What goes wrong.

    def test_a_local_etcd_that_is_not_installed_is_named(self):
        self.with_local_etcd()
        programs = self.directory / "programs"
        programs.mkdir()
        for program in ("ip", "nsenter", "setsid", "ethtool", "nft", "sysctl", "unshare", "mount", "sh", "bash", "cat"):
            if found := shutil.which(program):
                (programs / program).symlink_to(found)
        self.environment["PATH"] = str(programs)
        self.assertIn("'etcd: local' needs the program etcd: install the package etcd-server", self.up(expect=4).stderr)
        self.assert_nothing_left()

    def test_a_second_up_is_refused_and_a_second_down_finds_nothing(self):
        self.up()
        self.assertIn("is up already", self.up(expect=2).stderr)
        self.glocal("down", self.file)
        self.glocal("down", self.file, expect=6)
        self.glocal("down", expect=6)
        self.glocal("status", expect=6)
        self.assert_nothing_left()

    def test_two_clusters_live_side_by_side(self):
        second = self.directory / "second.yaml"
        second.write_text(self.file.read_text().replace("cluster: figure3", "cluster: second"))
        self.up()
        self.up(file=second)
        self.assertIn("figure3, second", self.glocal("status", expect=2).stderr)
        self.assertEqual(json.loads(self.glocal("status", "--cluster", "second", "-o", "json").stdout)["cluster"], "second")
        self.glocal("down", expect=2)
        self.glocal("down", "second")
        self.glocal("status")
        self.glocal("down")
        self.assert_nothing_left()

    def test_a_node_that_dies_fails_up_with_its_log_and_nothing_is_left(self):
        (self.stub_dir / "dc1.fails").touch()
        self.assertRegex(self.up(expect=5).stderr, r"node dc1 ended before it was ready(.|\n)*this stub was told to fail")
        self.assert_nothing_left()

    def test_a_node_that_is_never_ready_fails_up_in_time_and_nothing_is_left(self):
        (self.stub_dir / "dc2.slow").touch()
        self.assertRegex(self.up("--timeout", "3", expect=5).stderr, r"not up after 3.0 s(.|\n)*node dc2 is not ready(.|\n)*stub dc2 starts")
        self.assert_nothing_left()

    def test_an_interrupted_up_undoes_itself(self):
        (self.stub_dir / "dc2.slow").touch()
        process = self.start_up()
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(PATIENCE_S), 130)
        self.assert_nothing_left()

    def test_the_next_up_reclaims_what_a_killed_up_left(self):
        (self.stub_dir / "dc2.slow").touch()
        process = self.start_up()
        process.kill()
        process.wait()
        self.assertTrue(self.processes())
        (self.stub_dir / "dc2.slow").unlink()
        self.assertIn("removing what an earlier run", self.up().stderr)
        self.glocal("down")
        self.assert_nothing_left()

    def test_down_tidies_up_after_a_killed_up(self):
        (self.stub_dir / "dc2.slow").touch()
        process = self.start_up()
        process.kill()
        process.wait()
        self.glocal("down")
        self.assert_nothing_left()

    def test_a_killed_holder_takes_everything_with_it_and_is_tidied_up(self):
        self.up()
        os.kill(self.holder(), signal.SIGKILL)
        self.assertTrue(eventually(lambda: not self.processes()))
        self.glocal("status", expect=6)
        self.glocal("down", "figure3")
        self.assert_nothing_left()
        self.up()
        os.kill(self.holder(), signal.SIGKILL)
        self.assertTrue(eventually(lambda: not self.processes()))
        self.up()
        self.glocal("down")
        self.assert_nothing_left()

    def test_two_glocals_do_not_work_on_one_cluster_at_once(self):
        (self.stub_dir / "dc2.slow").touch()
        process = self.start_up()
        self.assertIn("another glocal works on", self.up(expect=5).stderr)
        self.assertIn("another glocal works on", self.glocal("down", expect=5).stderr)
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(PATIENCE_S), 130)
        self.assert_nothing_left()

    def test_a_run_directory_that_lets_others_in_is_refused(self):
        self.run_dir.mkdir(0o755)
        self.assertIn("chmod 700", self.up(expect=4).stderr)
        self.run_dir.rmdir()
        self.assert_nothing_left()

    def test_files_of_others_in_the_clusters_directory_stay(self):
        (self.run_dir / "figure3").mkdir(parents=True)
        for path in (self.run_dir, self.run_dir / "figure3"):
            path.chmod(0o700)
        (self.run_dir / "figure3" / "precious").touch()
        self.up(expect=4)
        self.assertTrue((self.run_dir / "figure3" / "precious").exists())


def run_as_user():
    """The whole file again as nobody, from copies that nobody can read."""
    if os.geteuid() != 0:
        return SKIPPED  # it is what the other run did
    with tempfile.TemporaryDirectory(prefix="glocal-user-") as name:
        copies = pathlib.Path(name)
        copies.chmod(0o755)
        for file in (GLOCAL, FIGURE3, __file__, HERE / "stub_node.py"):
            shutil.copy(file, copies)
        environment = {**os.environ, "GLOCAL": str(copies / pathlib.Path(GLOCAL).name), "FIGURE3": str(copies / pathlib.Path(FIGURE3).name)}
        become = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--inh-caps=-all"]
        return subprocess.run([*become, sys.executable, str(copies / pathlib.Path(__file__).name)], env=environment, cwd="/").returncode


if __name__ == "__main__":
    if sys.argv[1:] == ["--as-user"]:
        sys.exit(run_as_user())
    unittest.main(verbosity=2)
