"""Time and memory of planning the job graph for many (empty, generated) raw books.

python tests/benchmarks/bench_planning.py [--books 75000] [--shards 250]
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--books", type=int, default=75_000)
    parser.add_argument("--shards", type=int, default=250)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "raw"
        raw.mkdir()
        for number in range(1, arguments.books + 1):
            os.close(os.open(raw / f"{number}.txt", os.O_CREAT))
        configuration = Path(folder) / "planning.yaml"
        configuration.write_text(
            f"results_dir: {folder}/results\n"
            f"corpus: {{source: directory, directory: {raw}, shards: {arguments.shards}}}\n"
        )
        snakemake = [sys.executable, "-m", "snakemake"]
        started = time.perf_counter()
        planned = subprocess.run(
            [*snakemake, "--dry-run", "--quiet", "rules", "--cores", "1", "--configfile", str(configuration)],
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
        )
        seconds = time.perf_counter() - started
    if planned.returncode:
        sys.exit(planned.stdout + planned.stderr)
    jobs = next(line.split()[1] for line in planned.stdout.splitlines() if line.startswith("total"))
    memory_mib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"{arguments.books:,} books in {arguments.shards} shards: {jobs} jobs, {seconds:.1f} s, {memory_mib:.0f} MiB")


if __name__ == "__main__":
    main()
