#!/usr/bin/env python3
"""The layers of DESIGN section 6, enforced on every #include line, and a few habits of the same kind.

    layer_check.py [ROOT]      checks the tree; prints file:line: rule: what, and how to mend it; exit 1 if anything is found
    layer_check.py --self-test checks that each rule finds what tests/layer_check/fixture was made to break

A line of the fixture that must be found says so at its end: `// expect: RULE`.
"""

import fnmatch
import re
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
FIXTURE = HERE / "fixture"

# What a folder may include from, besides itself. A line for each arrow of the picture; nothing points back.
USES = {
    "base": set(),
    "schema": set(),
    "dataplane": {"base", "schema"},
    "store": {"base", "schema"},
    "runtime": {"base", "schema", "dataplane", "store"},
    "actors": {"base", "schema", "dataplane", "store", "runtime"},
    "node": {"base", "schema", "dataplane", "store", "runtime", "actors"},
    "tools": {"base", "schema", "dataplane", "store", "runtime", "actors", "node"},
    "tests": {"base", "schema", "dataplane", "store", "runtime", "actors", "node", "tools"},
    "benchmarks": {"base", "schema", "dataplane", "store", "runtime", "actors", "node", "tools", "tests"},
}

# (rule, include pattern, files that may, how to mend). Patterns of files are matched on the path from the root.
FOREIGN = [
    ("caf", r"<caf/", ["runtime/*", "actors/*", "node/*", "tools/*", "tests/*", "benchmarks/*"],
     "keep actors out of this layer: let the caller pass values or a callback"),
    ("dpdk", r"<rte_", ["dataplane/dpdk/*", "benchmarks/*"],
     "go through the interfaces of dataplane/switch, so that this builds and tests without DPDK"),
    ("rocksdb", r"<rocksdb/", ["store/rocksdb_engine*"],
     "go through store/engine.hpp"),
    ("openssl", r"<openssl/", ["runtime/tls_*", "base/sha256.cpp", "dataplane/lisp/authentication.cpp"],
     "go through runtime/tls_*.hpp or dataplane/lisp/authentication.hpp, whose types are values and text"),
    ("pcap", r"<pcap", ["dataplane/capture/*"],
     "go through dataplane/capture/capture_file.hpp"),
    ("capnp", r'<capnp/|<kj/|"schema/[^"]*\.capnp\.h"',
     ["*codec*.cpp", "store/codec_parts.hpp", "benchmarks/bench_transport/transport_capnp_rpc.cpp"],
     "translate in a *codec*.cpp beside the values, so that generated types stay in adapters"),
]

PROCESS_CALLS = re.compile(
    r"(?<![\w.>])(?:::\s*)?(?P<call>v?fork|exec[vl]p?e?|execvpe|setns|unshare|posix_spawnp?|popen)\s*\("
    r"|(?P<system>std::system|::system)\s*\(")
PROCESS_FILES = ["node/drivers/*", "node/launcher*", "node/process*", "tools/*", "benchmarks/*", "*_netns_test.cpp",
                 "tests/support/child_process.cpp"]

MAX_LINES = 600
# path: why it is better in one piece
LONG_FILES = {}

# In pieces, so that this file does not find itself.
UNFINISHED = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|XX" r"X)\b")

SOURCE = {".cpp", ".hpp", ".c", ".h"}
OTHER_TEXT = {".py", ".sh", ".cmake", ".capnp", ".txt", ".yaml", ".md"}
INCLUDE = re.compile(r'^\s*#\s*include\s*(<[^>]+>|"[^"]+")')
STRINGS_AND_COMMENTS = re.compile(r'"(?:\\.|[^"\\])*"|//.*')


def matches(path, patterns):
    return any(fnmatch.fnmatch(path, pattern) for pattern in patterns)


def check_include(path, included):
    """Yields (rule, what, how) for one include of one file."""
    folder = path.split("/")[0]
    if included.startswith('"') and folder in USES:
        name = included.strip('"')
        target = name.split("/")[0]
        if "/" not in name:
            yield "include-path", f"{included} is relative", f'include it from the top of the tree: "{folder}/…/{name}"'
        elif target in USES and target != folder and target not in USES[folder]:
            users = ", ".join(sorted(USES[folder])) or "nothing"
            yield "folder-order", f"{folder}/ includes {target}/", \
                f"{folder}/ may use {users}; move the code up, or pass what it needs in from above"
    for rule, pattern, files, how in FOREIGN:
        if re.match(pattern, included) and not matches(path, files):
            yield rule, f"{included} outside {', '.join(files)}", how


def check_file(root, file):
    """Yields (line, rule, what, how)."""
    path = file.relative_to(root).as_posix()
    lines = file.read_text(errors="replace").splitlines()
    for number, line in enumerate(lines, 1):
        if UNFINISHED.search(line):
            yield number, "unfinished", "a note of something to do", "do it, or open an issue and say there what is missing"
        if file.suffix not in SOURCE:
            continue
        if include := INCLUDE.match(line):
            for rule, what, how in check_include(path, include.group(1)):
                yield number, rule, what, how
        call = PROCESS_CALLS.search(STRINGS_AND_COMMENTS.sub("", line))
        if call and not matches(path, PROCESS_FILES):
            name = call.group("call") or call.group("system")
            yield number, "process-calls", f"{name}() outside {', '.join(PROCESS_FILES)}", \
                "use node/process.hpp, or move this to a driver"
    if file.suffix in SOURCE | {".py"} and len(lines) > MAX_LINES and path not in LONG_FILES:
        yield len(lines), "file-length", f"{len(lines)} lines, the limit is {MAX_LINES}", \
            "split it by what changes together, or give the reason in LONG_FILES of tests/layer_check/layer_check.py"


def files_of(root):
    for folder in [*USES, "cmake", "scripts", "configs", "docs"]:
        for file in sorted((root / folder).rglob("*")):
            if file.suffix in SOURCE | OTHER_TEXT and file.is_file() and FIXTURE not in file.parents:
                yield file


def findings(root):
    for file in files_of(root):
        for line, rule, what, how in check_file(root, file):
            yield file.relative_to(root).as_posix(), line, rule, what, how


def check(root):
    count = 0
    for path, line, rule, what, how in findings(root):
        print(f"{path}:{line}: {rule}: {what}\n    mend: {how}")
        count += 1
    stale = [path for path in LONG_FILES if not (root / path).exists()]
    for path in stale:
        print(f"{path}: is in LONG_FILES and does not exist\n    mend: remove it from tests/layer_check/layer_check.py")
    seen = sum(1 for _ in files_of(root))
    if seen < 10:
        print(f"{root}: only {seen} files found, this is not the source tree")
        return 1
    print(f"layer check: {seen} files, {count + len(stale)} findings")
    return 1 if count or stale else 0


def self_test():
    """Every expectation of the fixture is found, nothing else is."""
    with tempfile.TemporaryDirectory() as made:
        root = Path(made)
        expected = set()
        # The fixture is copied, because files below FIXTURE are left alone by design.
        for file in FIXTURE.rglob("*"):
            if file.is_file():
                copy = root / file.relative_to(FIXTURE)
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_text(file.read_text())
                for number, line in enumerate(file.read_text().splitlines(), 1):
                    if match := re.search(r"expect: ([\w, -]+)$", line):
                        for rule in match.group(1).split(", "):
                            expected.add((copy.relative_to(root).as_posix(), number, rule))
        (root / "base/long.cpp").write_text("int x;\n" * (MAX_LINES + 1))
        expected.add(("base/long.cpp", MAX_LINES + 1, "file-length"))
        (root / "base/just_fits.cpp").write_text("int x;\n" * MAX_LINES)
        (root / "base/unfinished.cpp").write_text("// TO" "DO: more\n")
        expected.add(("base/unfinished.cpp", 1, "unfinished"))
        found = {(path, line, rule) for path, line, rule, _, _ in findings(root)}
    rules = {rule for _, _, rule in expected}
    for path, line, rule in sorted(expected - found):
        print(f"{path}:{line}: {rule} was not found")
    for path, line, rule in sorted(found - expected):
        print(f"{path}:{line}: {rule} was found and should not be")
    print(f"layer check self-test: {len(expected)} expectations of {len(rules)} rules")
    return 0 if found == expected and len(rules) == 11 else 1


if __name__ == "__main__":
    if sys.argv[1:] == ["--self-test"]:
        sys.exit(self_test())
    sys.exit(check(Path(sys.argv[1] if len(sys.argv) > 1 else HERE.parent.parent).resolve()))
