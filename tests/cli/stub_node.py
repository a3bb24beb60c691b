#!/usr/bin/python3
"""A stand-in for glocald in the tests of the launcher and the command line: answers GET on its Unix socket with canned
JSON and does nothing else. Behaviour is chosen by files in $STUB_DIR: NODE.fails (exits at once, saying so), NODE.slow
(never ready), NODE.json (what /api/v1/status says beside the basics)."""

import argparse
import http.server
import json
import os
import pathlib
import socketserver
import sys

parser = argparse.ArgumentParser()
parser.add_argument("--config")
parser.add_argument("--node")
parser.add_argument("--run-dir")
parser.add_argument("--restarts")
parser.add_argument("--certificates")
options = parser.parse_args()
stub = pathlib.Path(os.environ.get("STUB_DIR", "/nonexistent"))


def of_node(suffix):
    return stub / f"{options.node}.{suffix}"


print(f"stub {options.node} starts", flush=True)
if of_node("fails").exists():
    sys.exit("this stub was told to fail")


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        pages = {"/api/v1/status": {"node": options.node, "ready": not of_node("slow").exists(), "pid": os.getpid(), "uptime_s": 75.5}}
        if of_node("json").exists():
            for path, more in json.loads(of_node("json").read_text()).items():
                pages.setdefault(path, {}).update(more)
        found = self.path in pages
        body = json.dumps(pages.get(self.path, {"error": "no such resource"})).encode()
        self.send_response(200 if found else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self):
        return "cli"

    def log_message(self, *_):
        pass


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


with Server(os.path.join(options.run_dir, options.node + ".sock"), Handler) as server:
    server.serve_forever()
