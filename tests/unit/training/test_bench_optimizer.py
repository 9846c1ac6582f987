"""The benchmark of optimisers runs, in small, on a processor."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from unit.training.torchrun import ROOT


def test_every_optimiser_has_its_cost(tmp_path: Path) -> None:
    script, table = ROOT / "tests" / "benchmarks" / "bench_optimizer_gpu.py", tmp_path / "optimizer.json"
    command = [sys.executable, str(script), "--tiny", "--only", "transformer", "--json", str(table)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    costs = json.loads(table.read_text(encoding="utf-8"))["costs"]
    assert [cost["optimizer"] for cost in costs] == ["adamw", "muon", "torch.optim.Muon"]
    assert all(cost["update_ms"] > 0 for cost in costs)
    assert [cost["step_ms"] is not None for cost in costs] == [True, True, False]
    rows = [line for line in done.stdout.splitlines() if line.startswith("| transformer |")]
    assert len(rows) == 3
