"""Training Mamba-130M on one GPU: our whole loop beside a mamba-ssm loop and a compiled GPT-2, in one run.

Ours is the trainer as users run it, on a token file of random ids: loading, fused loss, clipping, AdamW, logging. Times
are medians over steps, each waiting for its result. The peers are plain loops with float32 logits and no log, as
``bench_model_gpu`` has them. bfloat16 products, float32 parameters; a peer that is not installed is skipped.

    python tests/benchmarks/bench_training_gpu.py [--only mamba] [--json results/benchmarks/training.json]
"""

from __future__ import annotations

import argparse
import gc
import statistics
import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import bench_model_gpu
import numpy as np
import torch
from timing import Row, machine, show, write

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

from mamba_narrative.config.architectures.mamba import MambaSettings
from mamba_narrative.config.architectures.transformer import TransformerSettings
from mamba_narrative.config.base import Section
from mamba_narrative.config.training import TrainingSettings
from mamba_narrative.model.registry import build_model
from mamba_narrative.tokens.batches import Batches, ShuffledBatches, StatefulBatches
from mamba_narrative.tokens.reader import BookTokens
from mamba_narrative.tokens.windows import WindowSampler
from mamba_narrative.training.compute import choose_compute
from mamba_narrative.training.loop import Trainer
from mamba_narrative.training.validation import Opening

VOCABULARY, END_OF_TEXT = 50_257, 50_256
BOOKS, BOOK_TOKENS = 64, 131_072 + 300
"""Of the token file: books end within a window as real ones do."""
WARM_UP_STEPS = 4


@dataclass(frozen=True)
class Ours:
    """A run of our trainer."""

    architecture: str = "mamba"
    model: Section = field(default_factory=MambaSettings)
    sequence_length: int = 2048
    batch_size: int = 32
    micro_batch_size: int | None = 32
    steps: int = 16
    order: str = "shuffled"
    activation_checkpointing: bool = False
    dropout: float = 0.0
    cuda_graphs: bool = True


@dataclass(frozen=True)
class Result:
    """Of one candidate."""

    tokens_per_second: float
    peak_gib: float
    note: str = ""


def train(run: Ours, folder: Path) -> Result:
    """Some steps of our trainer, and a checkpoint at the end."""
    settings = TrainingSettings(
        steps=run.steps,
        sequence_length=run.sequence_length,
        batch_size=run.batch_size,
        micro_batch_size=run.micro_batch_size,
        order=run.order,
        activation_checkpointing=run.activation_checkpointing,
        residual_dropout=run.dropout,
        embedding_dropout=run.dropout,
        cuda_graphs=run.cuda_graphs,
        warmup_steps=run.steps,
        precision="bfloat16",
        device="cuda",
        checkpoint_every_steps=10 * run.steps,
    )
    torch.cuda.reset_peak_memory_stats()
    model = build_model(run.architecture, run.model, VOCABULARY, seed=1)
    opening = Opening(np.zeros(8, np.int64), 8)
    with tempfile.TemporaryDirectory() as work:
        compute = choose_compute(settings)
        trainer = Trainer(model, settings, batches(run, folder), [opening], compute, Path(work))
        saved = time_of_saves(trainer)
        trainer.run(f"{run.architecture}, {run.sequence_length}", lambda: False)
        times = trainer.train_log.column("tokens_per_second")[WARM_UP_STEPS:]
    speed = statistics.median(times)
    until_checkpoint = 500 * run.batch_size * run.sequence_length / speed
    kept = until_checkpoint / (until_checkpoint + saved[-1])
    started = time.perf_counter()
    for step in range(run.steps, 2 * run.steps):
        trainer.batches.batch(step)
    step_seconds = run.batch_size * run.sequence_length / speed
    loading = (time.perf_counter() - started) / run.steps / step_seconds
    loss = trainer.train_log.column("loss_nats")[-1]
    note = (
        f"a batch is made in {loading:.1%} of a step, while the GPU computes; loss {loss:.3f}; checkpoint "
        f"{saved[-1]:.2f} s: {kept:.1%} of the speed with one every 500 steps"
    )
    return Result(speed, torch.cuda.max_memory_allocated() / 2**30, note)


def time_of_saves(trainer: Trainer) -> list[float]:
    """A list that gets the seconds of every checkpoint."""
    seconds: list[float] = []
    save = trainer._save

    def timed() -> None:
        torch.cuda.synchronize()
        start = time.perf_counter()
        save()
        seconds.append(time.perf_counter() - start)

    trainer._save = timed
    return seconds


def batches(run: Ours, folder: Path) -> Batches:
    """Of the random token file."""
    ids = np.memmap(folder / "ids.bin", np.uint16, "r")
    books = [BookTokens(str(n), n * BOOK_TOKENS, BOOK_TOKENS, 1, 1, 1) for n in range(BOOKS)]
    if run.order == "stateful":
        return StatefulBatches(ids, books, run.sequence_length, run.batch_size, 1, END_OF_TEXT)
    return ShuffledBatches(WindowSampler(ids, books, run.sequence_length, 1, END_OF_TEXT), books, run.batch_size)


def mamba_ssm_loop(batch: int) -> Result:
    """mamba-ssm's model in a plain loop."""
    found = bench_model_gpu.their_training(Namespace(batch=batch, length=2048, repeats=8))
    return Result(found["tokens_per_second"], found["peak_gib"])


def gpt2_loop(batch: int) -> Result:
    """transformers' GPT-2 of 124M parameters, SDPA, all of it compiled."""
    from transformers import GPT2Config, GPT2LMHeadModel

    model = GPT2LMHeadModel(GPT2Config(n_positions=2048, attn_implementation="sdpa", use_cache=False)).cuda()
    compiled = torch.compile(model)
    found = bench_model_gpu.training(
        model, lambda ids: compiled(ids).logits, Namespace(batch=batch, length=2048, repeats=8)
    )
    return Result(found["tokens_per_second"], found["peak_gib"])


MAMBA = Ours()
TRANSFORMER = replace(MAMBA, architecture="transformer", model=TransformerSettings())
AT_4096 = {"sequence_length": 4096, "batch_size": 16, "micro_batch_size": 16}
CANDIDATES: dict[str, Callable[[Path], Result]] = {
    "mamba-ssm loop, 16 rows": lambda folder: mamba_ssm_loop(16),
    "mamba-ssm loop, 32 rows": lambda folder: mamba_ssm_loop(32),
    "GPT-2 loop, torch.compile, 16 rows": lambda folder: gpt2_loop(16),
    "GPT-2 loop, torch.compile, 32 rows": lambda folder: gpt2_loop(32),
    "mamba, 32 rows": lambda folder: train(MAMBA, folder),
    "mamba, 32 rows, dropout": lambda folder: train(replace(MAMBA, dropout=0.1), folder),
    "mamba, without CUDA graphs": lambda folder: train(replace(MAMBA, cuda_graphs=False), folder),
    "mamba, 4 x 8 rows": lambda folder: train(replace(MAMBA, micro_batch_size=8), folder),
    "mamba, 2 x 16 rows": lambda folder: train(replace(MAMBA, micro_batch_size=16), folder),
    "mamba, 4 x 8 rows, without CUDA graphs": lambda folder: train(
        replace(MAMBA, micro_batch_size=8, cuda_graphs=False), folder
    ),
    "mamba, recomputed": lambda folder: train(replace(MAMBA, activation_checkpointing=True), folder),
    "mamba, stateful": lambda folder: train(replace(MAMBA, order="stateful"), folder),
    "mamba, length 4096": lambda folder: train(replace(MAMBA, **AT_4096), folder),
    "transformer, 32 rows": lambda folder: train(TRANSFORMER, folder),
    "transformer, 32 rows, dropout": lambda folder: train(replace(TRANSFORMER, dropout=0.1), folder),
    "transformer, length 4096": lambda folder: train(
        replace(TRANSFORMER, **AT_4096, model=TransformerSettings(context_length=4096)), folder
    ),
}


def rows(only: str) -> list[Row]:
    """The table; speeds beside the better of the mamba-ssm loop's."""
    found: dict[str, Result] = {}
    with random_tokens() as folder:
        for name, candidate in CANDIDATES.items():
            if only not in name:
                continue
            try:
                found[name] = candidate(folder)
            except ImportError as error:
                print(f"{name} skipped: {error}")
                continue
            gc.collect()  # models, and the memory of recorded steps
            torch.cuda.empty_cache()
            result = found[name]
            print(f"{name}: {result.tokens_per_second:,.0f} tokens/s, peak {result.peak_gib:.1f} GiB, {result.note}")
    peers = [result.tokens_per_second for name, result in found.items() if name.startswith("mamba-ssm")]
    peer = max(peers, default=None)
    return [
        Row(
            f"training, {name}", "tokens/s", "mamba-ssm loop", peer, result.tokens_per_second, "2x", "2.4x",
            note=f"peak {result.peak_gib:.1f} GiB {result.note}",
        )
        for name, result in found.items()
    ]  # fmt: skip


@contextmanager
def random_tokens() -> Iterator[Path]:
    """A folder with a token file."""
    with tempfile.TemporaryDirectory() as folder:
        ids = np.random.default_rng(1).integers(0, END_OF_TEXT, BOOKS * BOOK_TOKENS, np.uint16)
        ids.tofile(Path(folder) / "ids.bin")
        yield Path(folder)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="candidates with this in their name")
    parser.add_argument("--json", type=Path, default=Path("results/benchmarks/training.json"), help="where to write it")
    arguments = parser.parse_args()
    started = time.perf_counter()
    print(machine())
    table = rows(arguments.only)
    show(table)
    write(table, arguments.json)
    print(f"{time.perf_counter() - started:.0f} s")
