"""What an update by each optimiser costs beside the whole step of which it is the end.

Steps are those of the trainer as users run it: loading, recorded kernels, clipping, the update, logging; an update
alone is timed with the gradients that a step left. torch's Muon does the same matrix by matrix, with AdamW for the
rest. bfloat16 products, float32 parameters; `--tiny` tries it with small models on a processor, in float32.

    python tests/benchmarks/bench_optimizer_gpu.py [--only mamba] [--json results/benchmarks/optimizer.json]
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from bench_training_gpu import VOCABULARY, Ours, batches, random_tokens
from timing import cuda_milliseconds, machine

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

from mamba_narrative.config.architectures.mamba import MambaSettings
from mamba_narrative.config.architectures.transformer import TransformerSettings
from mamba_narrative.config.training import TrainingSettings
from mamba_narrative.model.registry import build_model
from mamba_narrative.tokens.windows import IGNORED_TARGET
from mamba_narrative.training.compute import choose_compute
from mamba_narrative.training.loop import Trainer
from mamba_narrative.training.muon import UPDATE_RMS
from mamba_narrative.training.validation import Opening

WARM_UP_STEPS = 4
LARGE = {"mamba": Ours(), "transformer": Ours("transformer", TransformerSettings())}
TINY_SIZE = {"sequence_length": 32, "batch_size": 2, "micro_batch_size": None, "steps": WARM_UP_STEPS + 2}
TINY = {
    "mamba": Ours("mamba", MambaSettings(d_model=16, n_layer=2), **TINY_SIZE),
    "transformer": Ours("transformer", TransformerSettings(d_model=16, n_layer=2, n_head=1), **TINY_SIZE),
}


@dataclass(frozen=True)
class Cost:
    """Of an optimiser for a model."""

    model: str
    optimizer: str
    update_ms: float
    step_ms: float | None
    """The median of whole steps; None where the trainer does not have this optimiser."""


def costs(name: str, run: Ours, folder: Path, device: str) -> list[Cost]:
    """AdamW's, ours and torch's Muon's."""
    found = []
    for optimizer in ("adamw", "muon"):
        found += costs_of(name, *trained(run, folder, optimizer, device))
        gc.collect()
        if device == "cuda":
            torch.cuda.empty_cache()
    return found


def costs_of(name: str, trainer: Trainer, step_ms: float) -> list[Cost]:
    """That of the trainer's optimiser, and of torch's where it is Muon."""
    rows, device = trainer.batches.batch(0), trainer.compute.device.type
    trainer._gradients(rows, int((rows.targets != IGNORED_TARGET).sum()))
    optimizer = trainer.settings.optimizer
    found = [Cost(name, optimizer, milliseconds(lambda: trainer.optimizer.step(1e-4, 0.1), device), step_ms)]
    if optimizer == "muon":
        found.append(Cost(name, "torch.optim.Muon", milliseconds(torchs(trainer), device), None))
    return found


def trained(run: Ours, folder: Path, optimizer: str, device: str) -> tuple[Trainer, float]:
    """A trainer after some steps, and the median of their milliseconds."""
    settings = TrainingSettings(
        optimizer=optimizer,
        steps=run.steps,
        sequence_length=run.sequence_length,
        batch_size=run.batch_size,
        micro_batch_size=run.micro_batch_size,
        warmup_steps=run.steps,
        precision="bfloat16" if device == "cuda" else "float32",
        device=device,
        checkpoint_every_steps=10 * run.steps,
    )
    model = build_model(run.architecture, run.model, VOCABULARY, seed=1)
    with tempfile.TemporaryDirectory() as work:
        openings = [Opening(np.zeros(8, np.int64), 8)]
        trainer = Trainer(model, settings, batches(run, folder), openings, choose_compute(settings), Path(work))
        trainer._save = lambda: None
        trainer.run(f"{run.architecture}, {optimizer}", lambda: False)
    seconds = [0.0, *trainer.train_log.column("seconds")]
    steps = [1e3 * (after - before) for before, after in pairwise(seconds)]
    return trainer, statistics.median(steps[WARM_UP_STEPS:])


def torchs(trainer: Trainer) -> Callable[[], None]:
    """The update of the trainer's optimiser, with torch's Muon in place of ours."""
    roles = trainer.model.roles
    matrices = [parameter for name, parameter in trainer.model.named_parameters() if roles[name].kind == "matrix"]
    assert UPDATE_RMS == 0.2, "what match_rms_adamw means"
    muon = torch.optim.Muon(matrices, lr=1e-4, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")

    def step() -> None:
        trainer.optimizer.adamw.step()
        muon.step()

    return step


def milliseconds(step: Callable[[], object], device: str) -> float:
    """The median of several."""
    if device == "cuda":
        return cuda_milliseconds(step, repeats=30)
    times = []
    for _ in range(5):
        start = time.perf_counter()
        step()
        times.append(1e3 * (time.perf_counter() - start))
    return statistics.median(times)


def show(found: list[Cost]) -> None:
    """A table in Markdown. What an optimiser adds is beside AdamW, in whole steps and by updates alone."""
    print("| model | optimiser | update, ms | of a step | step, ms | added to AdamW's step | by updates alone |")
    print("|---|---|---|---|---|---|---|")
    for cost in found:
        adamw = next(other for other in found if (other.model, other.optimizer) == (cost.model, "adamw"))
        assert adamw.step_ms is not None
        by_updates = cost.update_ms - adamw.update_ms
        step, added = "-", "-"
        if cost.step_ms is not None:
            step, added = f"{cost.step_ms:.2f}", f"{cost.step_ms / adamw.step_ms - 1:+.2%}"
        print(
            f"| {cost.model} | {cost.optimizer} | {cost.update_ms:.3f} "
            f"| {cost.update_ms / (cost.step_ms or adamw.step_ms + by_updates):.2%} | {step} | {added} "
            f"| {by_updates / adamw.step_ms:+.2%} |"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=list(LARGE), help="one model")
    parser.add_argument("--tiny", action="store_true", help="small models on a processor")
    parser.add_argument(
        "--json", type=Path, default=Path("results/benchmarks/optimizer.json"), help="where to write it"
    )
    arguments = parser.parse_args()
    if arguments.tiny:
        torch.set_num_threads(1)
    print(machine())
    with random_tokens() as tokens:
        table = [
            cost
            for name, run in (TINY if arguments.tiny else LARGE).items()
            if arguments.only in (None, name)
            for cost in costs(name, run, tokens, "cpu" if arguments.tiny else "cuda")
        ]
    show(table)
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    content = {"machine": machine(), "costs": [asdict(cost) for cost in table]}
    arguments.json.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
