"""A whole run: token files in; trained model, tables and record out."""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mamba_narrative.config.base import numbers_of
from mamba_narrative.config.runs import AnyRun
from mamba_narrative.errors import FileFormatError, UserError
from mamba_narrative.io import canonical_json, read_json, recorded_outputs, sha256_text, write_json, write_text
from mamba_narrative.lease import Lease
from mamba_narrative.model.registry import build_model
from mamba_narrative.model.storage import RECORD, model_hashes, save_model
from mamba_narrative.tokens.batches import Batches, ShuffledBatches, StatefulBatches
from mamba_narrative.tokens.reader import TokenFile
from mamba_narrative.tokens.tokenizer import Tokenizer, load_tokenizer, write_hugging_face_files
from mamba_narrative.tokens.windows import WindowSampler
from mamba_narrative.training.compute import Compute, choose_compute
from mamba_narrative.training.loop import Trainer
from mamba_narrative.training.processes import Processes
from mamba_narrative.training.run_record import describe_code, describe_hardware, describe_versions
from mamba_narrative.training.schedule import Schedule
from mamba_narrative.training.stop import EXIT_STOPPED, StopRequest
from mamba_narrative.training.throughput import peak_memory_gib
from mamba_narrative.training.try_record import Try
from mamba_narrative.training.validation import choose_openings

_LOG = logging.getLogger(__name__)


def train_run(name: str, run: AnyRun, tokens: Path, output: Path, states: Path, recorded: Try | None = None) -> int:
    """Train ``run`` on the files in ``tokens`` and write its results to ``output``.

    ``states`` keeps the state of unfinished runs, one folder for each combination of settings and data; a run that
    stopped there is continued, a finished one leaves only checkpoints that are kept for good. Where another call is at
    work on it, this one waits for its end; where that finished this very run, its results are taken. Under ``torchrun``
    all processes call this together. Returns 0, or ``EXIT_STOPPED`` (75) where a signal asked the run to stop before
    its state was cleared: the next call goes on from there, and where training was over, only validates and writes
    again. ``recorded`` gets a record of the run after each validation.

    Raises UserError for unusable token files, a GPU that is missing or too small, losses that are not finite,
    and where another call took this one for dead and its place.
    """
    train, validation = (_open_tokens(tokens, split) for split in ("train", "validation"))
    tokenizer = load_tokenizer(train.manifest["tokenizer"]["name"])
    for part in (train, validation):
        if part.manifest["tokenizer"] != tokenizer.describe():
            raise FileFormatError(
                f"{part.path}: encoded with another tokenizer than the installed {tokenizer.name!r} "
                f"(sha256 {part.manifest['tokenizer']['sha256']}, here {tokenizer.sha256}): encode the books again"
            )
    compute = choose_compute(run.training)
    folder = _state_folder(states, run, train, validation)
    batches = _batches(run, train)
    alone = Lease(states / "training.lock")
    with StopRequest() as stop, Processes(compute.device) as processes, alone:
        waiting = alone.acquire(
            lambda: processes.any(stop.requested), lambda: _progress(folder), processes.any, processes.is_main
        )
        if not waiting:
            return EXIT_STOPPED
        if processes.any(alone.waited and _is_finished(folder, output)):
            _LOG.info("%s: the other call finished this run; its results in %s are taken", name, output)
            return 0
        model = build_model(run.architecture, run.model, tokenizer.vocab_size, run.training.seed)
        openings = choose_openings(validation, tokenizer, run.training.validation_tokens)
        before_writing = alone.check if processes.is_main else None
        trainer = Trainer(model, run.training, batches, openings, compute, folder, processes, before_writing)
        if recorded is not None:
            trainer.on_validation = lambda: recorded.write(run, _described(train, validation), trainer)
        _LOG.info(
            "%s: %s parameters on %s; %s tokens of %s books, %s steps, %.1f epochs",
            name,
            f"{model.parameter_count():,}",
            compute.device.type,
            f"{len(train):,}",
            f"{len(train.books):,}",
            f"{trainer.schedule.steps:,}",
            batches.epochs(trainer.schedule.steps),
        )
        finished = trainer.run(name, lambda: stop.requested or alone.lost)
        if processes.is_main:
            alone.check()
        if finished and processes.is_main:
            data = _described(train, validation)
            _write_results(name, run, trainer, compute, data, tokenizer, output)
        # Snakemake in a job that was told to stop discards its results, even complete ones: the next needs the state.
        if not finished or processes.any(stop.requested):
            to_do = "write the results again" if finished else "continue"
            _LOG.warning(
                "stopped after step %d of %d; start it again to %s", trainer.step, trainer.schedule.steps, to_do
            )
            return EXIT_STOPPED
        if processes.is_main:
            alone.check()
            _clear(folder, trainer)
        processes.wait()
    return 0


def state_key(run: AnyRun, data: Mapping[str, Any]) -> str:
    """Name of the folder for a run's state: a hash of everything that its numbers depend on, but for the code."""
    return sha256_text(canonical_json({"settings": numbers_of(run), "data": data}))[:16]


def _batches(run: AnyRun, train: TokenFile) -> Batches:
    training = run.training
    if training.order == "stateful":
        return StatefulBatches(
            train.ids,
            train.books,
            training.sequence_length,
            training.batch_size,
            training.seed,
            train.end_of_text_id,
        )
    sampler = WindowSampler(
        train.ids,
        train.books,
        training.sequence_length,
        training.seed,
        train.end_of_text_id,
        training.window_offsets,
    )
    return ShuffledBatches(sampler, train.books, training.batch_size)


def _clear(folder: Path, trainer: Trainer) -> None:
    """Remove the state of a finished run but for checkpoints that are kept for good."""
    trainer.store.remove_passing()
    for path in folder.iterdir():
        if path.is_file():
            path.unlink()
        elif path != trainer.store.directory or not any(path.iterdir()):
            shutil.rmtree(path)
    if not any(folder.iterdir()):
        folder.rmdir()


def _open_tokens(directory: Path, split: str) -> TokenFile:
    tokens = TokenFile(directory, split)
    if not len(tokens):
        raise UserError(f"{tokens.path}: no books; training needs at least one in this split: add books")
    return tokens


def _state_folder(states: Path, run: AnyRun, train: TokenFile, validation: TokenFile) -> Path:
    data = {part.manifest["split"]: part.manifest["sha256"] for part in (train, validation)}
    key = state_key(run, {**data, "tokenizer": train.manifest["tokenizer"]["sha256"]})
    folders = sorted(path.name for path in states.iterdir() if path.is_dir()) if states.is_dir() else []
    if others := [name for name in folders if name != key]:
        _LOG.info("%s: unfinished runs with other settings or data: %s; delete what is not needed", states, others)
    return states / key


def _progress(folder: Path) -> str:
    """How far the run in ``folder`` has come, for a sentence; nothing before its first step."""
    try:
        last = (folder / "train.csv").read_text(encoding="utf-8").splitlines()[-1].split(",")[0]
    except (OSError, IndexError):
        return ""
    return f", after step {last}" if last.isdecimal() else ""


def _is_finished(folder: Path, output: Path) -> bool:
    """Whether ``output`` holds the results of the run that had its state in ``folder``, which is cleared."""
    record = output / "run.json"  # written last
    return not (folder / "train.csv").exists() and record.is_file() and read_json(record).get("state") == folder.name


def _described(*parts: TokenFile) -> dict[str, Any]:
    """What records say of the data: hash and sizes of each split."""
    return {
        part.manifest["split"]: {"sha256": part.manifest["sha256"], "books": len(part.books), "tokens": len(part)}
        for part in parts
    }


def _write_results(
    name: str,
    run: AnyRun,
    trainer: Trainer,
    compute: Compute,
    data: Mapping[str, Any],
    tokenizer: Tokenizer,
    output: Path,
) -> None:
    weights_of_step = trainer.load_result()
    _warn_of_weights_before_the_end(weights_of_step, trainer.schedule)
    steps = trainer.validation_log.column("step")
    assert weights_of_step in steps, "a run ends with a validation"
    kind = "ema_" if run.training.result == "ema" else ""
    of_weights = {
        name: trainer.validation_log.column(f"{kind}{name}")[steps.index(weights_of_step)]
        for name in ("loss_nats", "bits_per_byte")
    }
    record: dict[str, Any] = {
        "run": name,
        "architecture": run.architecture,
        "settings": run.model_dump(mode="json"),
        "data": data,
        "parameters": trainer.model.parameter_count(),
        "tokens_seen": trainer.tokens,
        "steps": trainer.step,
        "planned_steps": trainer.schedule.steps,
        "weights_of_step": weights_of_step,
        "learning_rate_of_weights": trainer.schedule.learning_rate(weights_of_step - 1),
        "skipped_steps": trainer.skipped,
        "epochs": trainer.batches.epochs(trainer.step),
        "seconds": round(trainer.seconds, 3),
        "tokens_per_second": round(trainer.tokens / trainer.seconds, 1),
        "mfu": trainer.mfu,
        "energy_kwh": None if trainer.joules is None else trainer.joules / 3.6e6,
        "peak_memory_gib": peak_memory_gib(compute.device),
        "processes": trainer.processes.count,
        "micro_batch_size": trainer.micro_batch_size,
        "resumed": trainer.resumed,
        "state": trainer.folder.name,
        "validation": {
            **of_weights,
            "tokens": sum(len(opening.ids) for opening in trainer.openings),
            "bytes": sum(opening.bytes for opening in trainer.openings),
        },
        "versions": describe_versions(),
        "code": describe_code(run.architecture),
        "hardware": describe_hardware(compute),
        "tokenizer": tokenizer.describe(),
    }
    files = _tokenizer_files(tokenizer)
    weights_sha256 = save_model(trainer.model, run, output / "model", tokenizer.end_of_text_id, files)
    hashes = {"weights_sha256": weights_sha256, "model_sha256": model_hashes(output / "model")}
    with recorded_outputs():
        write_text(output / "train.csv", trainer.train_log.text())
        write_text(output / "validation.csv", trainer.validation_log.text())
        write_json(output / RECORD, record | hashes)


def _warn_of_weights_before_the_end(step: int, schedule: Schedule) -> None:
    rate, last = schedule.learning_rate(step - 1), schedule.learning_rate(schedule.steps - 1)
    if rate > last:
        _LOG.warning(
            "the result is of step %d of %d: the learning rate was %.3g then and was to fall to %.3g, so these weights "
            "are not annealed. A run that is planned to end there (training.steps, epochs or tokens) may be better, "
            "and compares with others that ended with their schedule",
            step,
            schedule.steps,
            rate,
            last,
        )


def _tokenizer_files(tokenizer: Tokenizer) -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        write_hugging_face_files(tokenizer, Path(folder))
        return {path.name: path.read_bytes() for path in Path(folder).iterdir() if path.is_file()}
