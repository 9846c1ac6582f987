"""Runs with dropout: what is dropped does not depend on how a run is computed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mamba_narrative.config.architectures.mamba import MambaRun, MambaSettings
from mamba_narrative.config.architectures.transformer import TransformerRun, TransformerSettings
from mamba_narrative.model.dropout import Dropout
from mamba_narrative.model.interface import LanguageModel
from mamba_narrative.model.registry import build_model
from mamba_narrative.model.storage import load_model
from mamba_narrative.tokens.batches import Batches, ShuffledBatches, StatefulBatches
from mamba_narrative.training import loop
from mamba_narrative.training.compute import Compute
from mamba_narrative.training.gradients import GradientSum
from mamba_narrative.training.loop import Trainer
from mamba_narrative.training.run_training import train_run
from unit.training.test_processes import losses_of
from unit.training.tiny_run import DROPOUT, settings_of

CPU = Compute(torch.device("cpu"), torch.float32)
MODELS = {
    "mamba": MambaSettings(d_model=16, n_layer=2, d_state=4),
    "transformer": TransformerSettings(d_model=16, n_layer=2, context_length=16),
}


def run_of(architecture: str, **training: object) -> MambaRun | TransformerRun:
    settings = settings_of(**{"batch_size": 4, **DROPOUT, **training}).training
    if architecture == "mamba":
        return MambaRun(architecture="mamba", model=MODELS["mamba"], training=settings)
    settings = settings.model_copy(update={"attention_dropout": 0.1})
    return TransformerRun(architecture="transformer", model=MODELS["transformer"], training=settings)


@pytest.fixture(params=MODELS)
def architecture(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.mark.parametrize("order", ["shuffled", "stateful"])
def test_parts_of_a_batch_and_shares_of_processes_add_up_to_the_gradient_of_the_batch(
    architecture: str, order: str, batches: ShuffledBatches, stateful: StatefulBatches
) -> None:
    data: Batches = stateful if order == "stateful" else batches
    rows = data.batch(0)
    tokens = int((rows.targets >= 0).sum())
    rates = Dropout(0.2, 0.3, 0.1)

    def gradients(*shares: slice, micro_batch: int, key: int = 7) -> list[torch.Tensor]:
        model = build_model(architecture, MODELS[architecture], 50, seed=1).double()
        for share in shares:
            GradientSum(model, CPU, dropout=rates).add(rows.part(share), None, tokens, micro_batch, dropout_key=key)
        return [parameter.grad for parameter in model.parameters() if parameter.grad is not None]

    whole = gradients(slice(0, 3), micro_batch=3)
    for found in (
        gradients(slice(0, 3), micro_batch=1),
        gradients(slice(0, 1), slice(1, 3), micro_batch=2),
        gradients(slice(0, 1), slice(1, 3), micro_batch=1),
    ):
        for one, other in zip(found, whole, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)
    other_step = gradients(slice(0, 3), micro_batch=3, key=8)
    assert not all(torch.allclose(one, other, rtol=1e-3) for one, other in zip(other_step, whole, strict=True))


def test_every_step_and_seed_has_its_own_key_and_every_row_its_number(
    tokens: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[tuple[int, int]] = []
    dropping = LanguageModel.dropping

    def note(model: LanguageModel, dropout: Dropout) -> object:
        assert dropout.draw is not None
        assert (dropout.residual_dropout, dropout.embedding_dropout) == (0.2, 0.1)
        drawn.append(tuple(dropout.draw.tolist()))
        return dropping(model, dropout)

    monkeypatch.setattr(LanguageModel, "dropping", note)
    for seed in (1, 2):
        run = run_of("mamba", micro_batch_size=2, seed=seed)
        assert train_run("tiny", run, tokens, tmp_path / f"{seed}", tmp_path / "state") == 0
    assert [row for _, row in drawn] == [0, 2] * 8
    keys = [key for key, _ in drawn]
    assert keys[::2] == keys[1::2]
    assert len(set(keys)) == 8


@pytest.mark.parametrize("order", ["shuffled", pytest.param("stateful", marks=pytest.mark.slow)])
def test_parts_and_recomputation_and_a_stop_change_nothing(
    architecture: str, order: str, tokens: Path, tmp_path: Path
) -> None:
    def trained(name: str, **training: object) -> tuple[list[float], bytes]:
        output = tmp_path / name
        run = run_of(architecture, order=order, **training)
        assert train_run("tiny", run, tokens, output, tmp_path / f"{name}-state") == 0
        return losses_of(output), (output / "model" / "model.safetensors").read_bytes()

    straight = trained("straight")
    assert trained("recomputed", activation_checkpointing=True) == straight
    assert trained("parts", micro_batch_size=1)[0] == pytest.approx(straight[0], rel=1e-5)
    without = trained("without", residual_dropout=0.0, embedding_dropout=0.0)
    assert without[0] != straight[0]

    update = Trainer._update

    def update_and_die(trainer: Trainer) -> str:
        if trainer.step == 3:
            raise InterruptedError
        return update(trainer)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "_update", update_and_die)
        with pytest.raises(InterruptedError):
            trained("stopped")
    assert trained("stopped") == straight


def test_validation_and_the_trained_model_drop_nothing(
    architecture: str, tokens: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    validations: list[bool] = []
    validate: Callable[..., object] = loop.validate

    def note(model: LanguageModel, *arguments: object) -> object:
        validations.append(model.dropped.any)
        return validate(model, *arguments)

    monkeypatch.setattr(loop, "validate", note)
    run = run_of(architecture)
    assert train_run("tiny", run, tokens, tmp_path / "output", tmp_path / "state") == 0
    assert validations == [False, False]
    model = load_model(tmp_path / "output" / "model")
    assert (model.settings, model.dropped) == (run.model, Dropout())


def test_rows_keep_their_numbers_in_parts_of_parts(batches: ShuffledBatches) -> None:
    rows = replace(batches.batch(0), first=10)
    assert rows.part(slice(1, 3)).first == 11
    assert rows.part(slice(1, 3)).part(slice(1, None)).first == 12
    assert rows.part(slice(None)).first == 10
