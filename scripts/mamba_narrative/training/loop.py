"""The training loop: updates, validations and checkpoints, and how it continues where it stopped."""

from __future__ import annotations

import copy
import json
import logging
import math
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path

import torch
from torch import Tensor

from mamba_narrative.config.training import TrainingSettings
from mamba_narrative.errors import UserError
from mamba_narrative.io import canonical_json
from mamba_narrative.model.dropout import Dropout
from mamba_narrative.model.interface import LanguageModel, State
from mamba_narrative.progress import Progress
from mamba_narrative.tokens.batches import Batches, Rows
from mamba_narrative.tokens.windows import IGNORED_TARGET
from mamba_narrative.training import micro_batch, throughput
from mamba_narrative.training.checkpoint import Checkpoint, CheckpointStore
from mamba_narrative.training.compute import Compute
from mamba_narrative.training.energy import EnergyMeter
from mamba_narrative.training.gradients import Accumulated, GradientSum
from mamba_narrative.training.metrics_log import AVERAGE_COLUMNS, TRAIN_COLUMNS, VALIDATION_COLUMNS, MetricsLog
from mamba_narrative.training.optimizer import Optimizer
from mamba_narrative.training.processes import Processes
from mamba_narrative.training.schedule import Schedule, number_of_steps
from mamba_narrative.training.seeds import derived_seed
from mamba_narrative.training.validation import Opening, ValidationResult, openings_sha256, validate

_LOG = logging.getLogger(__name__)
_MEMORY_SHARE = 0.9
"""Of the GPU's memory that a micro-batch found by trying may fill."""


class Trainer:
    """One run, its state in one folder.

    The number of finished steps fixes the learning rate, the data and all random numbers, so weights, optimiser state,
    carried state and the tables are all that a checkpoint adds to it.
    """

    def __init__(
        self,
        model: LanguageModel,
        settings: TrainingSettings,
        batches: Batches,
        openings: list[Opening],
        compute: Compute,
        folder: Path,
        processes: Processes | None = None,
        before_writing: Callable[[], None] | None = None,
    ) -> None:
        """Take up the newest whole checkpoint in ``folder``, or begin. ``model`` is moved to ``compute.device``.

        ``before_writing`` is called before each checkpoint, and raises where this process may not write any more.
        """
        self._before_writing = before_writing or (lambda: None)
        self.settings, self.batches, self.openings, self.compute = settings, batches, openings, compute
        self.processes = processes or Processes(compute.device)
        self.rows = self.processes.rows(settings.batch_size)
        self.model = model.to(compute.device).train()
        self.model.activation_checkpointing = settings.activation_checkpointing
        self.average: LanguageModel | None = None
        """The moving average of the weights, as a model."""
        if settings.ema_decay is not None:
            self.average = copy.deepcopy(self.model).requires_grad_(False)
        self.schedule = Schedule(settings, number_of_steps(settings, batches))
        self.optimizer = Optimizer(self.model, settings, compute.dtype)
        self._gradient_sum = GradientSum(
            self.model,
            compute,
            settings.z_loss,
            keep_state=batches.carries_state,
            record=settings.cuda_graphs,
            processes=self.processes,
            reduction=getattr(torch, settings.reduce_dtype),
            dropout=Dropout(settings.embedding_dropout, settings.residual_dropout, settings.attention_dropout),
        )
        self.folder = folder
        self.store = CheckpointStore(folder / "checkpoints", settings.keep_checkpoints, settings.keep_every_steps)
        self._passages_sha256 = openings_sha256(openings)
        self.best = CheckpointStore(folder / f"best-{self._passages_sha256[:16]}", keep=1)
        self.step = self.tokens = self.resumed = self.skipped = 0
        self.seconds = 0.0
        """Time spent in updates, over all that took part in the run."""
        self.joules: float | None = 0.0
        """Energy of the GPUs over the whole run; None where they do not tell."""
        self.on_validation: Callable[[], None] = lambda: None
        """Called by the first process after each validation, whose row is the last one of ``validation_log``."""
        self._meter = EnergyMeter(compute.device)
        self._state: State | None = None
        self._skipped_in_a_row = 0
        self._micro_batch = settings.micro_batch_size
        self._upcoming: tuple[int, Rows] | None = None
        self._parameters = self.model.parameter_count()
        self._peak_flops = throughput.peak_flops(compute.device, compute.dtype)
        checkpoint = self.store.newest()
        texts = checkpoint.texts if checkpoint else {}
        # Only the first process leaves files.
        train_csv, validation_csv = (
            folder / name if self.processes.is_main else None for name in ("train.csv", "validation.csv")
        )
        self.train_log = MetricsLog(train_csv, TRAIN_COLUMNS, texts.get("train.csv"))
        columns = VALIDATION_COLUMNS + (AVERAGE_COLUMNS if self.average else ())
        self.validation_log = MetricsLog(validation_csv, columns, self._comparable_validations(texts))
        if checkpoint:
            try:
                self._restore(checkpoint)
            except (KeyError, RuntimeError, ValueError) as error:
                raise UserError(
                    f"{self.store.directory}: the state of this run does not fit the model ({error}); its code changed "
                    "since. Delete this folder to train from the beginning"
                ) from None
            _LOG.info("continuing after step %d of %d", self.step, self.schedule.steps)

    def run(self, title: str, should_stop: Callable[[], bool]) -> bool:
        """Train and validate to the end; False where ``should_stop`` became true before, after saving the state.

        Raises UserError where too many steps in a row had to be skipped or memory runs out.
        """

        def stop_requested() -> bool:
            return self.processes.any(should_stop())

        saved_step = self.step if self.resumed else -1
        with Progress(title, self.schedule.steps, "steps", done=self.step) as progress, ExitStack() as end:
            end.callback(self._gradient_sum.forget_recorded)
            while True:
                if self._validation_is_due() and not stop_requested():
                    self._validate(stop_requested)
                stopping = stop_requested()
                finished = self.is_finished() and not self._validation_is_due()
                if (stopping or finished or self._checkpoint_is_due()) and self.step != saved_step:
                    self._save()
                    saved_step = self.step
                if finished or stopping:
                    return finished and not stop_requested()
                progress.advance(note=self._update())

    @property
    def micro_batch_size(self) -> int | None:
        """Rows computed at once, in each process; None before the first step."""
        return self._micro_batch

    @property
    def mfu(self) -> float | None:
        """Of the GPUs' arithmetic, over the whole run; None where it is not known."""
        if not self.seconds:
            return None
        rate = self.tokens / self.seconds / self.processes.count
        return throughput.mfu(self._parameters, rate, self._peak_flops)

    def load_result(self) -> int:
        """Take the weights that ``training.result`` asks for; returns their step.

        Raises UserError where those of the best validation are lost.
        """
        if self.settings.result == "best":
            return self._load_best()
        if self.settings.result == "ema":
            assert self.average is not None, "settings are checked"
            _copy(dict(self.average.named_parameters()), dict(self.model.named_parameters()))
        return self.step

    def _load_best(self) -> int:
        checkpoint = self.best.newest()
        if checkpoint is None:
            raise UserError(f"{self.best.directory}: the weights of the best validation are missing or damaged")
        self._load_model(checkpoint)
        return checkpoint.step

    def _update(self) -> str:
        """One update of the weights; returns a note for the progress line."""
        started = time.perf_counter()
        settings = self.settings
        learning_rate = self.schedule.learning_rate(self.step)
        # For models that draw from torch's own generator: each process has other rows and so other numbers.
        torch.manual_seed(derived_seed(settings.seed, self.step, self.processes.rank))
        batch = self._batch()
        tokens = int((batch.targets != IGNORED_TARGET).sum())
        result = self._gradients(batch.part(self.rows), tokens)
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), settings.max_grad_norm)
        if self.compute.device.type == "cuda":
            self._upcoming = (self.step + 1, self.batches.batch(self.step + 1))  # while the GPU computes
        loss, grad_norm = self.processes.total(result.loss_nats()), norm.item()
        limit = math.inf if settings.skip_grad_norm is None else settings.skip_grad_norm
        if math.isfinite(loss) and math.isfinite(grad_norm) and grad_norm <= limit:
            self.optimizer.step(learning_rate, self.schedule.weight_decay(self.step))
            self._take_into_average()
            self._skipped_in_a_row = 0
            if self.batches.carries_state:
                self._state = result.state
        else:
            self._skip(loss, grad_norm, learning_rate)
        self.model.zero_grad(set_to_none=True)
        seconds = time.perf_counter() - started
        self.step += 1
        self.tokens += tokens
        self.seconds += seconds
        self.train_log.append(
            {
                "step": self.step,
                "tokens": self.tokens,
                "epoch": self.batches.epochs(self.step),
                "loss_nats": loss,
                "learning_rate": learning_rate,
                "grad_norm": grad_norm,
                "skipped": self.skipped,
                "tokens_per_second": tokens / seconds,
                "seconds": self.seconds,
            }
        )
        return self._note(loss, learning_rate, grad_norm, tokens / seconds)

    @torch.no_grad()
    def _take_into_average(self) -> None:
        """The mean of all weights since the first update, each with ``ema_decay`` times the share of the next.

        Their shares add up to 1, by the correction of Adam's moments (Kingma and Ba 2015).
        """
        decay = self.settings.ema_decay
        if self.average is None or decay is None:
            return
        updates = self.step - self.skipped + 1
        share = (1 - decay) / (1 - decay**updates)
        averages: list[Tensor] = [*self.average.parameters()]
        weights: list[Tensor] = [*self.model.parameters()]
        torch._foreach_lerp_(averages, weights, share)  # pyright: ignore[reportPrivateImportUsage]

    def _batch(self) -> Rows:
        step, batch = self._upcoming or (None, None)
        return batch if batch is not None and step == self.step else self.batches.batch(self.step)

    def _note(self, loss: float, learning_rate: float, grad_norm: float, tokens_per_second: float) -> str:
        parts = [f"loss {loss:.3f}", f"lr {learning_rate:.2e}", f"gradient {grad_norm:.2f}"]
        parts.append(f"{tokens_per_second:,.0f} tokens/s")
        if share := throughput.mfu(self._parameters, tokens_per_second / self.processes.count, self._peak_flops):
            parts.append(f"{share:.0%} of peak")
        if memory := throughput.peak_memory_gib(self.compute.device):
            parts.append(f"{memory:.1f} GiB")
        return ", ".join(parts)

    def _skip(self, loss: float, grad_norm: float, learning_rate: float) -> None:
        """Leave the weights as they are. Raises UserError after too many such steps in a row."""
        self.skipped += 1
        self._skipped_in_a_row += 1
        books = self.batches.books(self.step)
        what = (
            f"step {self.step + 1}: loss {loss}, gradient norm {grad_norm} at learning rate {learning_rate:.3g}; the "
            f"weights were not changed. Books of the batch: {', '.join(books[:20])}{' ...' if len(books) > 20 else ''}"
        )
        if self._skipped_in_a_row > self.settings.max_skipped_steps:
            raise UserError(
                f"{what}. {self._skipped_in_a_row} steps in a row had to be skipped (training.max_skipped_steps). Try "
                "a lower training.learning_rate, more training.warmup_steps, a lower training.max_grad_norm, or "
                "training.precision float32"
            )
        _LOG.warning("%s", what)

    def _gradients(self, rows: Rows, tokens: int) -> Accumulated:
        """Raises UserError where the GPU's memory is too small for the parts that were asked for."""

        def attempt(size: int, trial: bool = True) -> Accumulated:
            key = derived_seed(self.settings.seed, self.step, "dropout")
            return self._gradient_sum.add(rows, self._state, tokens, size, trial, key)

        if self._micro_batch is None:
            self._micro_batch = self._find_micro_batch(len(rows.inputs), attempt)
        try:
            return attempt(min(self._micro_batch, len(rows.inputs)), trial=False)
        except torch.OutOfMemoryError as error:
            raise UserError(
                "the GPU's memory is too small for this step: lower training.micro_batch_size (now "
                f"{self._micro_batch}; null finds what fits) or training.sequence_length (now "
                f"{self.settings.sequence_length}), or set training.activation_checkpointing. "
                f"{str(error).splitlines()[0]}"
            ) from None

    def _find_micro_batch(self, rows: int, attempt: Callable[[int], Accumulated]) -> int:
        device = self.compute.device
        if device.type != "cuda":
            return rows

        def try_size(size: int) -> None:
            try:
                attempt(size)
            finally:
                self.model.zero_grad(set_to_none=True)

        properties = torch.cuda.get_device_properties(device)
        name = f"{properties.name}, {properties.total_memory} bytes, {self.compute.dtype}"
        path = self.folder / f"micro_batch-{self.processes.rank}.json"
        # Recorded steps keep their memory while validation needs some, too.
        torch.cuda.set_per_process_memory_fraction(_MEMORY_SHARE, device)
        try:
            return micro_batch.remembered(path, rows, name, lambda: micro_batch.largest_that_fits(rows, try_size))
        finally:
            torch.cuda.set_per_process_memory_fraction(1.0, device)

    def is_finished(self) -> bool:
        """Whether the last step is done."""
        return self.step == self.schedule.steps or self._is_past_its_best()

    def _is_past_its_best(self) -> bool:
        patience = self.settings.early_stopping_patience
        losses = self.validation_log.column("ema_loss_nats" if self.settings.result == "ema" else "loss_nats")
        return patience is not None and len(losses) > patience and min(losses[-patience:]) >= min(losses[:-patience])

    def _validation_is_due(self) -> bool:
        last = self.validation_log.last()
        due = self.step == self.schedule.steps or (
            self.step > 0 and self.step % self.settings.validate_every_steps == 0
        )
        return due and (last is None or last["step"] < self.step)

    def _checkpoint_is_due(self) -> bool:
        settings = self.settings
        multiples = (settings.checkpoint_every_steps, settings.keep_every_steps)
        return self.step > 0 and any(every and self.step % every == 0 for every in multiples)

    def _validate(self, should_stop: Callable[[], bool]) -> None:
        found = {"": self.model, "ema_": self.average} if self.average else {"": self.model}
        row: dict[str, int | float] = {"step": self.step, "tokens": self.tokens}
        for prefix, model in found.items():
            result = validate(model, self.openings, self.batches.end_of_text_id, self.compute, should_stop)
            if result is None:
                return
            result = ValidationResult(*self.processes.broadcast((result.loss_nats, result.bits_per_byte)))
            row |= {f"{prefix}{name}": value for name, value in vars(result).items()}
        if (self.settings.result == "best" and self.processes.is_main) and row["loss_nats"] < min(
            self.validation_log.column("loss_nats"), default=math.inf
        ):
            self._before_writing()
            self.best.save(Checkpoint(self.step, {"model": self._model_tensors()}, {}))
        self.validation_log.append(row)
        _LOG.info(
            "step %d: validation loss %.3f, %.3f bits per byte", self.step, row["loss_nats"], row["bits_per_byte"]
        )
        if self.average:
            _LOG.info("its average: %.3f, %.3f bits per byte", row["ema_loss_nats"], row["ema_bits_per_byte"])
        if self.processes.is_main:
            self.on_validation()

    def _save(self) -> None:
        spent = self._meter.since_last()
        of_all = self.processes.total(spent or 0.0)
        self.joules = None if spent is None or self.joules is None else self.joules + of_all
        counts = {name: getattr(self, name) for name in ("step", "tokens", "seconds", "joules", "resumed", "skipped")}
        counts |= {"skipped_in_a_row": self._skipped_in_a_row, "openings_sha256": self._passages_sha256}
        state = self.processes.all_gather(self._state)
        if self.processes.is_main:
            self._before_writing()
            self.store.save(
                Checkpoint(
                    self.step,
                    {
                        "model": self._model_tensors(),
                        "optimizer": self.optimizer.tensors(),
                        "average": dict(self.average.named_parameters()) if self.average else {},
                        "state": state or {},
                    },
                    {
                        "state.json": canonical_json(counts) + "\n",
                        "train.csv": self.train_log.text(),
                        "validation.csv": self.validation_log.text(),
                    },
                )
            )
        self.processes.wait()

    def _comparable_validations(self, texts: Mapping[str, str]) -> str | None:
        """The validations in a checkpoint's ``texts``; None without any and, with a warning, where openings are others.

        Passages have no part in the training, so a run goes on where newer code chooses others. But the best weights
        and the end are found by comparing, and a curve of two kinds would show a change that is none.
        """
        table, counts = texts.get("validation.csv"), json.loads(texts.get("state.json", "{}"))
        openings = counts.get("openings_sha256")  # checkpoints of older code do not say
        if table is None or table.count("\n") == 1 or openings == self._passages_sha256:
            return table
        _LOG.warning(
            "%s: the validations up to step %d are of %s and cannot be compared with those to come. They are left out: "
            "the table, the search for the best weights (training.result) and the wait for a new best "
            "(training.early_stopping_patience) begin anew. To keep them, continue with the code that made them",
            self.folder,
            counts["step"],
            "other openings" if openings else "openings that the checkpoint does not name",
        )
        return None

    def _restore(self, checkpoint: Checkpoint) -> None:
        counts = json.loads(checkpoint.texts["state.json"])
        self.step, self.tokens, self.seconds = counts["step"], counts["tokens"], counts["seconds"]
        self.joules = counts.get("joules")
        self.skipped, self._skipped_in_a_row = counts["skipped"], counts["skipped_in_a_row"]
        self.resumed = counts["resumed"] + 1
        self._load_model(checkpoint)
        if self.average:
            _copy(checkpoint.tensors["average"], dict(self.average.named_parameters()))
        self.optimizer.load(checkpoint.tensors["optimizer"])
        if state := checkpoint.tensors.get("state"):
            # A copy: tensors read from a file start at any address, and matrix products depend on it in the last bit.
            self._state = {name: tensor[self.rows].to(self.compute.device, copy=True) for name, tensor in state.items()}

    def _load_model(self, checkpoint: Checkpoint) -> None:
        _copy(checkpoint.tensors["model"], self._model_tensors())

    def _model_tensors(self) -> dict[str, Tensor]:
        """Parameters and saved buffers; ones under two names appear once."""
        named: dict[str, Tensor] = dict(self.model.named_parameters())
        known = {tensor.data_ptr() for tensor in named.values()}
        saved = self.model.state_dict()
        return named | {name: saved[name] for name in saved if saved[name].data_ptr() not in known}


@torch.no_grad()
def _copy(source: Mapping[str, Tensor], target: Mapping[str, Tensor]) -> None:
    for name, tensor in target.items():
        tensor.copy_(source[name])
