"""What the benchmarks share: times by CUDA events, rows of a table, and their file."""

from __future__ import annotations

import json
import platform
import statistics
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch


@dataclass(frozen=True)
class Row:
    """One measure of ours beside a peer's; ``higher_is_better`` says which way the ratio goes."""

    measure: str
    unit: str
    peer: str
    peer_value: float | None
    our_value: float
    must: str
    aim: str
    higher_is_better: bool = True
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """How many times better ours is, or None without a peer."""
        if self.peer_value is None:
            return None
        return self.our_value / self.peer_value if self.higher_is_better else self.peer_value / self.our_value


def cuda_milliseconds(step: Callable[[], object], repeats: int, warm_up: int = 3, calls: int = 1) -> float:
    """Median time of a step by CUDA events around so many calls of it."""
    for _ in range(warm_up):
        step()
    torch.cuda.synchronize()
    times = []
    for _ in range(repeats):
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        for _ in range(calls):
            step()
        end.record()
        torch.cuda.synchronize()
        times.append(start.elapsed_time(end) / calls)
    return statistics.median(times)


def machine() -> str:
    """What was measured on, in a line."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    return f"{gpu}; {platform.machine()} CPU, {torch.get_num_threads()} threads; torch {torch.__version__}"


def show(rows: Iterable[Row]) -> None:
    """Print a table in Markdown."""
    print("| measure | unit | peer | peer's | ours | ratio | must | aim |\n|---|---|---|---|---|---|---|---|")
    for row in rows:
        peer_value = "-" if row.peer_value is None else f"{row.peer_value:,.4g}"
        ratio = "-" if row.ratio is None else f"{row.ratio:.2f}x"
        measure = f"{row.measure} ({row.note})" if row.note else row.measure
        print(
            f"| {measure} | {row.unit} | {row.peer} | {peer_value} | {row.our_value:,.4g} | {ratio} | {row.must} "
            f"| {row.aim} |"
        )


def write(rows: Iterable[Row], path: Path) -> None:
    """The rows and the machine as JSON."""
    content = {"machine": machine(), "rows": [asdict(row) | {"ratio": row.ratio} for row in rows]}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
