"""What the benchmark of several GPUs says of a profile."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks.profile_processes_gpu import merged, shares
from unit.training.tiny_run import settings_of
from unit.training.torchrun import ROOT, by_two_processes


def event(name: str, start: float, duration: float, kind: str = "kernel") -> dict[str, object]:
    return {"ph": "X", "name": name, "cat": kind, "ts": start, "dur": duration}


def test_exchange_is_hidden_where_other_kernels_run() -> None:
    events = [
        event("gemm", 0, 10),
        event("scan", 5, 10),  # to 15, on another stream
        event("ncclDevKernel_AllReduce_Sum_f32_RING_LL(ncclDevKernelArgsStorage<4096ul>)", 8, 12),  # to 20
        event("scan", 18, 1),
        event("ncclDevKernel_AllReduce_Sum_f32_RING_LL(ncclDevKernelArgsStorage<4096ul>)", 30, 4),
        # Neither kernels of their own nor computing.
        event("nccl:all_reduce", 0, 100, "gpu_user_annotation"),
        event("cudaGraphLaunch", 0, 100, "cuda_runtime"),
        {"ph": "M", "name": "process_name"},
    ]
    found = shares(events)
    assert (found.exchange, found.hidden, found.exchanges) == (16, 7 + 1, 2)
    assert shares([]).exchange == 0
    assert merged([(3, 4), (0, 2), (1, 3)]) == [(0, 4)]


def test_two_processes_of_a_cpu_are_profiled(tokens: Path) -> None:
    settings = settings_of(steps=8, processes=2).model_dump_json()
    script = str(ROOT / "tests" / "benchmarks" / "profile_processes_gpu.py")
    options = ["--tokens", str(tokens), "--settings", settings, "--steps", "3", "--warm-up", "1"]
    done = by_two_processes(script, *options)
    assert done.returncode == 0, done.stderr
    (line,) = (line for line in done.stdout.splitlines() if "beside computing" in line)
    found = re.search(r"2 processes, cpu.*step (\S+) ms, exchange (\S+) ms in (\d+) kernels, (\S+)% of it", line)
    assert found, line
    step, exchange, number, share = map(float, found.groups())
    assert 0 < exchange < step
    assert number == pytest.approx(2, abs=0.5)  # a bucket of gradients, and the loss
    assert 0 <= share <= 100
