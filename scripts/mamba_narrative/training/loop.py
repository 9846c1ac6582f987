"""The training loop: updates, validations and checkpoints, and how it continues where it stopped."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from mamba_narrative.config.training import TrainingSettings
from mamba_narrative.errors import UserError
from mamba_narrative.io import canonical_json
from mamba_narrative.model.interface import LanguageModel
from mamba_narrative.progress import Progress
from mamba_narrative.tokens.windows import IGNORED_TARGET, WindowSampler
from mamba_narrative.training.checkpoint import Checkpoint, CheckpointStore
from mamba_narrative.training.compute import Compute
from mamba_narrative.training.loss import summed_cross_entropy
from mamba_narrative.training.metrics_log import TRAIN_COLUMNS, VALIDATION_COLUMNS, MetricsLog
from mamba_narrative.training.optimizer import (
    build_optimizer,
    load_optimizer_tensors,
    optimizer_tensors,
    set_learning_rate,
)
from mamba_narrative.training.schedule import learning_rate_at
from mamba_narrative.training.validation import Passage, ValidationResult, validate

_LOG = logging.getLogger(__name__)


class Trainer:
    """One run in one work folder.

    The number of finished updates fixes the learning rate and the data position, so weights, optimiser state, random
    number states and the tables are all that a checkpoint adds to it.
    """

    def __init__(
        self,
        model: LanguageModel,
        settings: TrainingSettings,
        sampler: WindowSampler,
        passages: list[Passage],
        compute: Compute,
        work: Path,
    ) -> None:
        """Take up the newest whole checkpoint in ``work``, or begin. ``model`` is moved to ``compute.device``."""
        self.settings, self.sampler, self.passages, self.compute = settings, sampler, passages, compute
        self.model = model.to(compute.device).train()
        self.optimizer = build_optimizer(self.model, settings)
        self.store = CheckpointStore(work / "checkpoints", settings.keep_checkpoints)
        self.step = self.tokens = self.resumed = 0
        self.seconds = 0.0
        """Time spent in updates, over all processes that took part in the run."""
        torch.manual_seed(settings.seed)
        checkpoint = self.store.newest()
        texts = checkpoint.texts if checkpoint else {}
        self.train_log = MetricsLog(work / "train.csv", TRAIN_COLUMNS, texts.get("train.csv"))
        self.validation_log = MetricsLog(work / "validation.csv", VALIDATION_COLUMNS, texts.get("validation.csv"))
        if checkpoint:
            try:
                self._restore(checkpoint)
            except (KeyError, RuntimeError, ValueError) as error:
                raise UserError(
                    f"{self.store.directory}: the state of this run does not fit the model ({error}); its code changed "
                    "since. Delete this folder to train from the beginning"
                ) from None
            _LOG.info("continuing after step %d of %d", self.step, settings.steps)

    def run(self, title: str, should_stop: Callable[[], bool]) -> bool:
        """Train to the last step; False where ``should_stop`` became true before, after saving the state.

        Raises UserError where the loss is not finite or memory runs out.
        """
        saved_step = self.step if self.resumed else -1
        with Progress(title, self.settings.steps, "steps", done=self.step) as progress:
            while True:
                if self._validation_is_due() and not should_stop():
                    self._validate(should_stop)
                stopping = should_stop()
                finished = self.step == self.settings.steps and not self._validation_is_due()
                if (stopping or finished or self._checkpoint_is_due()) and self.step != saved_step:
                    self._save()
                    saved_step = self.step
                if finished or stopping:
                    return finished
                progress.advance(note=self._update())

    def _update(self) -> str:
        """One update of the weights; returns a note for the progress line."""
        started = time.perf_counter()
        settings, sequences = self.settings, self.settings.batch_sequences
        learning_rate = learning_rate_at(self.step, settings)
        batch = self.sampler.batch(self.step * sequences, sequences)
        tokens = int((batch.targets != IGNORED_TARGET).sum())
        try:
            loss = self._accumulate_gradients(torch.from_numpy(batch.inputs), torch.from_numpy(batch.targets), tokens)
        except torch.OutOfMemoryError as error:
            raise UserError(
                f"the GPU's memory is too small for this step: lower training.micro_batch_sequences (now "
                f"{settings.micro_batch_sequences or sequences}) or training.sequence_length "
                f"(now {settings.sequence_length}). {str(error).splitlines()[0]}"
            ) from None
        grad_norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), settings.clip_grad_norm).item()
        if not (math.isfinite(loss) and math.isfinite(grad_norm)):
            raise UserError(
                f"step {self.step + 1}: loss {loss}, gradient norm {grad_norm} at learning rate {learning_rate:.3g}; "
                "the weights were not changed. Try a lower training.learning_rate, more training.warmup_steps, a lower "
                "training.clip_grad_norm, or training.precision float32"
            )
        set_learning_rate(self.optimizer, learning_rate)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        seconds = time.perf_counter() - started
        self.step += 1
        self.tokens += tokens
        self.seconds += seconds
        self.train_log.append(
            {
                "step": self.step,
                "tokens": self.tokens,
                "epoch": self.step * sequences / self.sampler.windows_per_epoch,
                "loss_nats": loss,
                "learning_rate": learning_rate,
                "grad_norm": grad_norm,
                "tokens_per_second": tokens / seconds,
                "seconds": self.seconds,
            }
        )
        return f"loss {loss:.3f}, {tokens / seconds:,.0f} tokens/s"

    def _accumulate_gradients(self, inputs: Tensor, targets: Tensor, tokens: int) -> float:
        """Add the gradient of the mean loss of the batch, micro-batch by micro-batch; returns that loss in nats.

        Every part is divided by the targets of the whole batch, so the sum is the full batch's gradient however
        padding falls.
        """
        device, loss = self.compute.device, 0.0
        sequences = self.settings.micro_batch_sequences or len(inputs)
        for rows in range(0, len(inputs), sequences):
            part = slice(rows, rows + sequences)
            with self.compute.autocast():
                hidden, _ = self.model(inputs[part].to(device, non_blocking=True))
            total, _ = summed_cross_entropy(
                hidden, self.model.head_weight(), self.model.vocab_size, targets[part].to(device), self.compute.dtype
            )
            (total / tokens).backward()
            loss += total.item() / tokens
        return loss

    def _validation_is_due(self) -> bool:
        last = self.validation_log.last()
        due = self.step == self.settings.steps or (
            self.step > 0 and self.step % self.settings.validate_every_steps == 0
        )
        return due and (last is None or last["step"] < self.step)

    def _checkpoint_is_due(self) -> bool:
        return self.step > 0 and self.step % self.settings.checkpoint_every_steps == 0

    def _validate(self, should_stop: Callable[[], bool]) -> None:
        result: ValidationResult | None = validate(
            self.model, self.passages, self.sampler.end_of_text_id, self.compute, should_stop
        )
        if result is not None:
            self.validation_log.append({"step": self.step, "tokens": self.tokens, **vars(result)})
            _LOG.info(
                "step %d: validation loss %.3f, %.3f bits per byte", self.step, result.loss_nats, result.bits_per_byte
            )

    def _save(self) -> None:
        random = {"cpu": torch.get_rng_state()}
        if self.compute.device.type == "cuda":
            random["cuda"] = torch.cuda.get_rng_state(self.compute.device)
        state = {"step": self.step, "tokens": self.tokens, "seconds": self.seconds, "resumed": self.resumed}
        self.store.save(
            Checkpoint(
                self.step,
                {"model": self._model_tensors(), "optimizer": optimizer_tensors(self.optimizer), "random": random},
                {
                    "state.json": canonical_json(state) + "\n",
                    "train.csv": self.train_log.text(),
                    "validation.csv": self.validation_log.text(),
                },
            )
        )

    def _restore(self, checkpoint: Checkpoint) -> None:
        state = json.loads(checkpoint.texts["state.json"])
        self.step, self.tokens, self.seconds = state["step"], state["tokens"], state["seconds"]
        self.resumed = state["resumed"] + 1
        with torch.no_grad():
            for name, tensor in self._model_tensors().items():
                tensor.copy_(checkpoint.tensors["model"][name])
        load_optimizer_tensors(self.optimizer, checkpoint.tensors["optimizer"])
        torch.set_rng_state(checkpoint.tensors["random"]["cpu"])
        if self.compute.device.type == "cuda" and "cuda" in checkpoint.tensors["random"]:
            torch.cuda.set_rng_state(checkpoint.tensors["random"]["cuda"], self.compute.device)

    def _model_tensors(self) -> dict[str, Tensor]:
        """Parameters and saved buffers; ones under two names appear once."""
        named: dict[str, Tensor] = dict(self.model.named_parameters())
        known = {tensor.data_ptr() for tensor in named.values()}
        saved = self.model.state_dict()
        return named | {name: saved[name] for name in saved if saved[name].data_ptr() not in known}
