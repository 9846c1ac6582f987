"""All of Mamba's speed in one table: scan, training step and generation on a GPU, training step and scan on a CPU.

Ours beside the peer's, in one run; on a machine without a GPU the rows of the CPU only. The table is printed in
Markdown and written as JSON.

    python tests/benchmarks/bench_mamba.py [--json results/benchmarks/mamba.json] [--without cpu]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import bench_mamba_cpu
import bench_model_gpu
import bench_scan_gpu
import torch
from timing import Row, machine, show, write


def main(json: Path, without: str) -> None:
    found: list[Row] = []
    print(machine(), flush=True)
    if not torch.cuda.is_available():
        print("torch finds no NVIDIA GPU: its rows are left out")
    elif without != "gpu":
        found += bench_scan_gpu.rows()
        found += bench_model_gpu.rows(bench_model_gpu.options().parse_args([]))
    if without != "cpu":
        found += bench_mamba_cpu.rows(bench_mamba_cpu.Size(), repetitions=7, peer_repetitions=1)
    show(found)
    write(found, json)
    print(f"written to {json}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, default=Path("results/benchmarks/mamba.json"), help="where to write it")
    parser.add_argument("--without", choices=["none", "cpu", "gpu"], default="none", help="rows to leave out")
    main(**vars(parser.parse_args()))
