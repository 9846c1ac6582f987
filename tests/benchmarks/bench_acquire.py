"""Bring many small books from a server on loopback: seconds, requests a second, memory; and a second run.

python tests/benchmarks/bench_acquire.py [--books 10000] [--connections 16]

The server is a process of its own; memory is the peak of the fetching process alone.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--books", type=int, default=10_000)
    parser.add_argument("--connections", type=int, default=16)
    arguments = parser.parse_args()
    print(f"load average before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    server = subprocess.Popen(
        [sys.executable, REPOSITORY / "tests" / "loopback_library.py", str(arguments.books), "0"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdin is not None
    assert server.stdout is not None
    url = server.stdout.readline().strip()

    def requests() -> int:
        server.stdin.write("\n")
        server.stdin.flush()
        return int(server.stdout.readline())

    with tempfile.TemporaryDirectory() as folder:
        settings = {
            "source": "gutenberg",
            "directory": f"{folder}/books",
            "gutenberg": {"mirrors": [url], "catalogue_url": f"{url}/cache/epub/feeds/pg_catalog.csv"},
            "transfer": {"requests_per_second": 1000, "connections": arguments.connections},
        }
        before = 0
        for title in ("first run", "second run"):
            started = time.perf_counter()
            command = [sys.executable, REPOSITORY / "scripts" / "acquire_books.py", "--settings", json.dumps(settings)]
            fetching = subprocess.Popen(command, stderr=subprocess.DEVNULL)
            _, status, usage = os.wait4(fetching.pid, 0)
            seconds, peak = time.perf_counter() - started, usage.ru_maxrss / 1024
            if status:
                sys.exit(f"acquire_books failed with status {status}")
            count, before = requests() - before, requests()
            print(f"{title}: {arguments.books:,} books, {seconds:.1f} s, {count:,} requests, peak {peak:.0f} MiB")
        here = len(list((Path(folder) / "books" / "raw").iterdir()))
        print(f"books in the folder: {here:,}")
    server.stdin.close()
    server.wait()


if __name__ == "__main__":
    main()
