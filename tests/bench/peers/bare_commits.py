"""The least that SQLite can do: a row and a durable commit each, one after the other: python bare_commits.py FILE N."""

from __future__ import annotations

import json
import os
import sqlite3
import sys
import time

file, commits = sys.argv[1], int(sys.argv[2])
connection = sqlite3.connect(file, isolation_level=None)
for pragma in ("journal_mode=WAL", "synchronous=FULL"):
    connection.execute(f"PRAGMA {pragma}")
connection.execute("CREATE TABLE rows (id INTEGER PRIMARY KEY, body BLOB)")
took = []
for _ in range(commits):
    began = time.perf_counter()
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("INSERT INTO rows (body) VALUES (?)", (os.urandom(700),))
    connection.execute("COMMIT")
    took.append((time.perf_counter() - began) * 1e3)
took.sort()
print(
    json.dumps({"p50_ms": took[commits // 2], "p99_ms": took[commits * 99 // 100], "per_s": 1e3 * commits / sum(took)})
)
