#!/usr/bin/env python3
"""A benchmark runs, and what it prints with --json is JSON with rows: smoke_test.py PROGRAM"""

import json
import subprocess
import sys

program = sys.argv[1]
assert "Usage" in subprocess.run([program, "--help"], check=True, capture_output=True, text=True).stdout
done = subprocess.run([program, "--smoke", "--json"], check=True, capture_output=True, text=True)
rows = json.loads(done.stdout)["rows"]
assert rows, "no rows"
for row in rows:
    numbers = [value for value in row.values() if isinstance(value, (int, float))]
    assert numbers and all(value >= 0 for value in numbers), row
print(len(rows), "rows")
