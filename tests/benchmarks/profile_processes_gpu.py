"""How much of the exchange between processes lies beside what they compute, by a profile of whole updates.

Started by ``torchrun``; prints one line, means over the processes. Exchange is the time of NCCL's kernels, in which a
process that is early waits for the others, too; computing is the time of all other kernels, recorded in CUDA graphs or
not. Without a GPU the same is told of gloo and the operators of a CPU.

    torchrun --nproc-per-node 2 tests/benchmarks/profile_processes_gpu.py --tokens results/baseline-697/tokens \
        --settings '{"architecture": "mamba", "training": {"batch_size": 32, "precision": "bfloat16"}}'
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

from mamba_narrative.config.runs import AnyRun, RunSettings
from mamba_narrative.model.registry import build_model
from mamba_narrative.tokens.batches import ShuffledBatches
from mamba_narrative.tokens.reader import TokenFile
from mamba_narrative.tokens.tokenizer import load_tokenizer
from mamba_narrative.tokens.windows import WindowSampler
from mamba_narrative.training.compute import choose_compute
from mamba_narrative.training.loop import Trainer
from mamba_narrative.training.processes import Processes

Span = tuple[float, float]
"""Start and end, in microseconds."""


@dataclass(frozen=True)
class Shares:
    """Of a profile, in microseconds."""

    exchange: float
    hidden: float
    """Of the exchange, what lies beside computing."""
    exchanges: int
    """Their number."""


def merged(spans: Iterable[Span]) -> list[Span]:
    """The same time as spans that do not overlap, in their order."""
    found: list[Span] = []
    for start, end in sorted(spans):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found


def length(spans: Iterable[Span]) -> float:
    """Microseconds of spans that do not overlap."""
    return sum(end - start for start, end in spans)


def shares(events: Iterable[Mapping[str, Any]]) -> Shares:
    """What the events of a trace ("traceEvents" of Chrome's format) say."""
    exchange, computing = [], []
    for event in events:
        name, kind = str(event.get("name")), event.get("cat")
        if "dur" not in event:
            continue
        span = (float(event["ts"]), float(event["ts"]) + float(event["dur"]))
        if name.startswith("gloo:") or (kind == "kernel" and "nccl" in name.lower()):
            exchange.append(span)
        elif kind == "kernel" or (kind == "cpu_op" and name.startswith("aten::")):
            computing.append(span)
    of_exchange, of_computing = length(merged(exchange)), length(merged(computing))
    hidden = of_exchange + of_computing - length(merged(exchange + computing))
    return Shares(of_exchange, hidden, len(exchange))


def trainer_of(run: AnyRun, tokens: Path, folder: Path, processes: Processes) -> Trainer:
    """A run on shuffled windows without validation."""
    train = TokenFile(tokens, "train")
    tokenizer = load_tokenizer(train.manifest["tokenizer"]["name"])
    training = run.training
    sampler = WindowSampler(train.ids, train.books, training.sequence_length, training.seed, train.end_of_text_id)
    batches = ShuffledBatches(sampler, train.books, training.batch_size)
    model = build_model(run.architecture, run.model, tokenizer.vocab_size, training.seed)
    return Trainer(model, training, batches, [], choose_compute(training), folder, processes)


def profiled(trainer: Trainer, steps: int, trace: Path) -> tuple[float, Shares]:
    """Seconds of so many updates, and what the profile of them says; ``trace``: a file for it."""
    gpu = trainer.compute.device.type == "cuda"
    # On a GPU without the processor's events, which would slow it down.
    with profile(activities=[ProfilerActivity.CUDA if gpu else ProfilerActivity.CPU]) as recorded:
        trainer.processes.wait()
        started = time.perf_counter()
        for _ in range(steps):
            trainer._update()
        if gpu:
            torch.cuda.synchronize()
        seconds = time.perf_counter() - started
    recorded.export_chrome_trace(str(trace))
    return seconds, shares(json.loads(trace.read_text(encoding="utf-8"))["traceEvents"])


def main(arguments: argparse.Namespace) -> None:
    """Print the line."""
    run = RunSettings.model_validate_json(arguments.settings).root
    processes = Processes(choose_compute(run.training).device)
    with processes, tempfile.TemporaryDirectory() as folder:
        trainer = trainer_of(run, arguments.tokens, Path(folder), processes)
        for _ in range(arguments.warm_up):
            trainer._update()
        seconds, found = profiled(trainer, arguments.steps, Path(folder) / "trace.json")
        graphs = trainer._gradient_sum._graphs
        how = "recorded" if graphs and graphs._recorded else "not recorded"
        trainer._gradient_sum.forget_recorded()
        step, exchange, hidden = (
            processes.total(value) / processes.count / arguments.steps
            for value in (seconds * 1e3, found.exchange / 1e3, found.hidden / 1e3)
        )
        if processes.is_main:
            left = exchange - hidden
            print(
                f"{processes.count} processes, {trainer.compute.device.type}, {how}, "
                f"{run.training.reduce_dtype}: "
                f"step {step:.2f} ms, exchange {exchange:.2f} ms in {found.exchanges / arguments.steps:.0f} kernels, "
                f"{hidden / exchange if exchange else 0:.1%} of it beside computing; "
                f"not hidden {left:.2f} ms, {left / step:.1%} of the step",
                flush=True,
            )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=Path, required=True, help="folder of token files")
    parser.add_argument("--settings", required=True, help="the run as JSON")
    parser.add_argument("--steps", type=int, default=10, help="updates of the profile (default: 10)")
    parser.add_argument("--warm-up", type=int, default=8, help="updates before, which record the steps (default: 8)")
    main(parser.parse_args())
