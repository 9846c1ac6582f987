"""The record of a try of a recipe: one JSON file, written anew after each validation, so that none goes unrecorded."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mamba_narrative.config.runs import AnyRun
from mamba_narrative.io import write_json
from mamba_narrative.training.loop import Trainer
from mamba_narrative.training.run_record import describe_code, describe_hardware, describe_versions
from mamba_narrative.training.throughput import peak_memory_gib

LOSSES_OF_MEAN = 150
"""Steps behind the training loss of a record."""


@dataclass(frozen=True)
class Try:
    """What is tried, why, and where its record goes."""

    name: str
    purpose: str
    path: Path
    commit: str | None

    def write(self, run: AnyRun, data: Mapping[str, Any], trainer: Trainer) -> None:
        """Write the record of a run as far as it has come. ``data``: hash and sizes of each split."""
        settings = run.model_dump(mode="json")
        losses = trainer.train_log.column("loss_nats")[-LOSSES_OF_MEAN:]
        record = {
            "name": self.name,
            "purpose": self.purpose,
            "architecture": run.architecture,
            "model": settings["model"],
            "training": settings["training"],
            "data": data,
            "parameters": trainer.model.parameter_count(),
            "finished": trainer.is_finished(),
            "steps": trainer.step,
            "epochs": round(trainer.batches.epochs(trainer.step), 4),
            "validations": trainer.validation_log.rows(),
            "training_loss_nats": round(sum(losses) / len(losses), 4),
            "tokens_per_second": round(trainer.tokens / trainer.seconds, 1),
            "seconds": round(trainer.seconds, 1),
            "skipped_steps": trainer.skipped,
            "resumed": trainer.resumed,
            "peak_memory_gib": peak_memory_gib(trainer.compute.device),
            "hardware": describe_hardware(trainer.compute),
            "versions": describe_versions(),
            "code": describe_code(run.architecture),
            "commit": self.commit,
        }
        write_json(self.path, record)


def commit_of_project() -> str | None:
    """The checked-out commit, with ``+`` where files differ from it; None outside a repository."""

    def git(*arguments: str) -> str:
        folder = Path(__file__).parent
        return subprocess.run(
            ["git", *arguments], cwd=folder, capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        return git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return None
