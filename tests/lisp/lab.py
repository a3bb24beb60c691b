"""Network namespaces for LISP: a routed underlay, Open Overlay Router, and nodes of ours with the role `lisp`. For tests and
benchmarks, which run inside namespaces of their own (enter())."""

import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time

SKIPPED = 77
PATIENCE_S = 60
INSIDE = "--inside"


def sh(*words):
    return subprocess.run(words, check=True, capture_output=True, text=True)


def inside(netns, *words, **how):
    return subprocess.run(["ip", "netns", "exec", netns, *words], capture_output=True, text=True, **how)


def eventually(holds, patience=PATIENCE_S):
    deadline = time.monotonic() + patience
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def enter(file):
    """Goes on in namespaces of its own: as root of a user namespace where it is not root."""
    if INSIDE not in sys.argv:
        if shutil.which("oor") is None:
            print("skipped: Open Overlay Router is not installed; scripts/setup installs Debian's openoverlayrouter")
            sys.exit(SKIPPED)
        user = [] if os.geteuid() == 0 else ["-Ur"]
        os.execvp("unshare", ["unshare", *user, "-nmpf", "--kill-child", "--mount-proc", sys.executable, file, INSIDE, *sys.argv[1:]])
    sys.argv.remove(INSIDE)
    sh("mount", "-t", "tmpfs", "none", "/run")
    sh("ip", "link", "set", "lo", "up")


def make_underlay(nets):
    """A namespace for each name, 10.0.NUMBER.2 (and fd00:0:0:NUMBER::2) behind a gateway that forwards: Open Overlay Router
    sends all that goes to locators to its default gateway."""
    sh("ip", "netns", "add", "gateway")
    for setting in ("net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"):
        sh("ip", "netns", "exec", "gateway", "sysctl", "-qw", setting)
    for name, number in nets.items():
        sh("ip", "netns", "add", name)
        sh("ip", "link", "add", "eth0", "netns", name, "type", "veth", "peer", "name", name, "netns", "gateway")
        here, gateway = ["ip", "-n", name], ["ip", "-n", "gateway"]
        sh(*gateway, "addr", "add", f"10.0.{number}.1/24", "dev", name)
        sh(*gateway, "addr", "add", f"fd00:0:0:{number}::1/64", "dev", name, "nodad")
        sh(*gateway, "link", "set", name, "up")
        sh(*here, "addr", "add", f"10.0.{number}.2/24", "dev", "eth0")
        sh(*here, "addr", "add", f"fd00:0:0:{number}::2/64", "dev", "eth0", "nodad")
        sh(*here, "link", "set", "lo", "up")
        sh(*here, "link", "set", "eth0", "up")
        sh(*here, "route", "add", "default", "via", f"10.0.{number}.1")
        sh(*here, "-6", "route", "add", "default", "via", f"fd00:0:0:{number}::1")
        for where in ("all", "default", "eth0"):
            sh("ip", "netns", "exec", name, "sysctl", "-qw", f"net.ipv4.conf.{where}.rp_filter=0")
    # A router that starts before its link is up finds no control interface, and ends.
    state = lambda name: json.loads(sh("ip", "-n", name, "-j", "link", "show", "eth0").stdout)[0]["operstate"]
    if not eventually(lambda: all(state(name) == "UP" for name in nets)):
        raise RuntimeError("the links do not come up")


def add_host(xtr, address, prefix_length, gateway):
    """A host behind an xTR: namespace `host-XTR`."""
    name = f"host-{xtr}"
    sh("ip", "netns", "add", name)
    sh("ip", "link", "add", "eth0", "netns", name, "type", "veth", "peer", "name", "site", "netns", xtr)
    sh("ip", "-n", xtr, "addr", "add", f"{gateway}/{prefix_length}", "dev", "site")
    sh("ip", "-n", xtr, "link", "set", "site", "up")
    sh("ip", "-n", name, "addr", "add", f"{address}/{prefix_length}", "dev", "eth0")
    sh("ip", "-n", name, "link", "set", "lo", "up")
    sh("ip", "-n", name, "link", "set", "eth0", "up")
    sh("ip", "-n", name, "route", "add", "default", "via", gateway)
    sh("ip", "netns", "exec", xtr, "sysctl", "-qw", "net.ipv4.ip_forward=1")
    for where in ("all", "site"):
        sh("ip", "netns", "exec", xtr, "sysctl", "-qw", f"net.ipv4.conf.{where}.rp_filter=0")
    # What a tunnel adds must fit the underlay, and frames must be what they are on a wire.
    for netns, device in ((name, "eth0"), (xtr, "site")):
        sh("ip", "-n", netns, "link", "set", device, "mtu", "1400")
        inside(netns, "ethtool", "-K", device, "tx", "off", "gso", "off", "tso", "off", "gro", "off")
    return name


class Process:
    def __init__(self, name, netns, command, directory):
        self.name = name
        self.log = directory / f"{name}.log"
        with self.log.open("a") as log:
            self.process = subprocess.Popen(["ip", "netns", "exec", netns, *map(str, command)], stdout=log, stderr=subprocess.STDOUT, cwd=directory)

    def kill(self, how=signal.SIGKILL):
        self.process.send_signal(how)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def stop(self):
        if self.process.poll() is None:
            self.kill(signal.SIGTERM)

    def said(self):
        return f"{self.name}: {self.log.read_text(errors='replace')[-3000:]}"


XTR = """
debug = {debug}
operating-mode = xTR
encapsulation = LISP
map-resolver = {{ {resolvers} }}
rloc-probing {{
 rloc-probe-interval = 0
}}
"""
MAP_SERVER = """
map-server {{
 address = {address}
 key-type = 1
 key = {key}
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


def start_oor(directory, netns, config, name=None):
    """Its control socket's path is fixed, so that each has a /tmp of its own; it writes beside its configuration."""
    name = name or netns
    own = directory / f"oor-{name}"
    own.mkdir(exist_ok=True)
    (own / "oor.conf").write_text(config)
    enter_tmp = f"mount -t tmpfs none /tmp && exec stdbuf -oL oor -f {own}/oor.conf"
    return Process(f"oor-{name}", netns, ["unshare", "-m", "sh", "-c", enter_tmp], directory)


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("node")
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(15)
        self.sock.connect(str(self.path))


def api(directory, node, target, body=None):
    """What a node's API says; raises where it does not answer."""
    connection = UnixConnection(directory / f"{node}.sock")
    headers = {"Content-Type": "application/json"} if body is not None else {}
    connection.request("GET" if body is None else "POST", target if target.startswith("/") else f"/api/v1/{target}",
                       body=None if body is None else json.dumps(body), headers=headers)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    if answer.status != 200:
        raise RuntimeError(f"{node}: {target}: {answer.status} {text}")
    return text if target.startswith("/") else json.loads(text)


def counters(directory, node):
    """What `node` counts of LISP: {metric: {labels: value}}."""
    out = {}
    for line in api(directory, node, "/metrics").splitlines():
        if line.startswith("glocal_lisp_"):
            name, _, value = line.rpartition(" ")
            family, _, labels = name.partition("{")
            label = [one.partition("=")[2].strip('"}') for one in labels.split(",") if not one.startswith("node=")]
            out.setdefault(family, {})[label[0] if label else ""] = int(float(value))
    return out


def cluster_file(directory, nodes, sites, more=""):
    """A cluster of which only the nodes in `nodes` ({name: (roles, address)}) run: an edge belongs to every file."""
    text = "cluster: lisp\nmanagement: 10.0.0.0/16\nsecurity: {tls: off}\nunderlay: {}\nnodes:\n"
    for name, (roles, address) in nodes.items():
        text += f"  - {{name: {name}, roles: [{roles}], control: '{address}:7400'}}\n"
    text += ("  - name: edge\n    roles: [edge]\n    control: 10.0.250.2:7400\n"
             "    underlay: {rloc: 172.31.1.2/24, gateway: 172.31.1.1, interface: none0}\n"
             "    attachments: [{name: none, gateway: 198.18.0.1/24, interface: none1}]\n")
    text += "lisp:\n" + more + "  sites:\n" + sites
    file = directory / "cluster.yaml"
    file.write_text(text)
    return file


def start_node(directory, name, netns, file, glocald):
    return Process(name, netns, [glocald, "--config", file, "--node", name, "--run-dir", directory], directory)


def is_ready(directory, node):
    try:
        return api(directory, node, "status")["ready"]
    except (OSError, RuntimeError, http.client.HTTPException):
        return False


def new_directory(test):
    # Below /run, since the routers see another /tmp.
    directory = pathlib.Path("/run") / test
    directory.mkdir()
    return directory
