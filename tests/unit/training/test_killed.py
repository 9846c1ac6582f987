"""A run that dies at any instant, and is started again, ends to the bit as one that was left alone."""

from __future__ import annotations

import errno
import multiprocessing
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from mamba_narrative.errors import UserError
from mamba_narrative.training import checkpoint, gradients
from mamba_narrative.training.loop import Trainer
from mamba_narrative.training.run_training import train_run
from unit.training.tiny_run import settings_of

STEPS = 7
Kill = Callable[[], None]


def run(order: str) -> object:
    return settings_of(
        steps=STEPS,
        order=order,
        batch_size=4,
        micro_batch_size=2,
        checkpoint_every_steps=2,
        validate_every_steps=3,
    )


@pytest.fixture(scope="module", params=["shuffled", pytest.param("stateful", marks=pytest.mark.slow)])
def order(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def straight(order: str, tokens: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("straight")
    assert train_run("tiny", run(order), tokens, root / "output", root / "state") == 0
    return root / "output"


def in_a_process_that_dies(order: str, tokens: Path, root: Path, arm: Callable[[Kill], None]) -> None:
    """Start the run in a process in which ``arm`` has put the kill somewhere."""

    def child() -> None:
        torch.set_num_threads(1)
        arm(lambda: os.kill(os.getpid(), signal.SIGKILL))
        train_run("tiny", run(order), tokens, root / "output", root / "state")

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join(120)
    assert process.exitcode == -signal.SIGKILL


def assert_continues_to_the_same_end(order: str, tokens: Path, root: Path, straight: Path) -> None:
    assert not (root / "output").exists()
    assert train_run("tiny", run(order), tokens, root / "output", root / "state") == 0
    for name in ("model/model.safetensors", "validation.csv"):
        assert (root / "output" / name).read_bytes() == (straight / name).read_bytes(), name
    without_times = [
        [line.split(",")[:-2] for line in (folder / "train.csv").read_text(encoding="utf-8").splitlines()]
        for folder in (root / "output", straight)
    ]
    assert without_times[0] == without_times[1]
    assert not any((root / "state").iterdir())


@pytest.mark.parametrize("step", range(STEPS))
def test_killed_before_or_after_a_step(order: str, tokens: Path, tmp_path: Path, straight: Path, step: int) -> None:
    update = Trainer._update

    def arm(kill: Kill) -> None:
        def update_or_die(trainer: Trainer) -> str:
            if trainer.step == step:
                kill()
            return update(trainer)

        Trainer._update = update_or_die

    in_a_process_that_dies(order, tokens, tmp_path, arm)
    assert_continues_to_the_same_end(order, tokens, tmp_path, straight)


def test_killed_in_the_middle_of_accumulation(order: str, tokens: Path, tmp_path: Path, straight: Path) -> None:
    def arm(kill: Kill) -> None:
        calls = iter(range(100))
        loss = gradients.summed_cross_entropy

        def loss_or_die(*arguments: object, **named: object) -> object:
            # Two parts a step: the fourth call is the second part of the second step.
            if next(calls) == 7:
                kill()
            return loss(*arguments, **named)

        gradients.summed_cross_entropy = loss_or_die

    in_a_process_that_dies(order, tokens, tmp_path, arm)
    assert_continues_to_the_same_end(order, tokens, tmp_path, straight)


@pytest.mark.parametrize("file", range(1, 9))
def test_killed_while_a_checkpoint_is_written(
    order: str, tokens: Path, tmp_path: Path, straight: Path, file: int
) -> None:
    def arm(kill: Kill) -> None:
        written = iter(range(1, 100))

        def dying(write: Callable[..., object]) -> Callable[..., object]:
            def write_or_die(*arguments: object, **named: object) -> object:
                result = write(*arguments, **named)
                if next(written) == file:
                    kill()
                return result

            return write_or_die

        checkpoint.save_file, checkpoint.write_text = dying(checkpoint.save_file), dying(checkpoint.write_text)

    in_a_process_that_dies(order, tokens, tmp_path, arm)
    assert_continues_to_the_same_end(order, tokens, tmp_path, straight)


@pytest.mark.parametrize("damage", ["torn", "bit flipped", "missing"])
@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.safetensors", "state.json", "manifest.json"])
def test_damaged_checkpoints(order: str, tokens: Path, tmp_path: Path, straight: Path, name: str, damage: str) -> None:
    update = Trainer._update

    def arm(kill: Kill) -> None:
        def update_or_die(trainer: Trainer) -> str:
            if trainer.step == 5:
                kill()
            return update(trainer)

        Trainer._update = update_or_die

    in_a_process_that_dies(order, tokens, tmp_path, arm)
    (newest,) = tmp_path.glob("state/*/checkpoints/step-*4")
    content = bytearray((newest / name).read_bytes())
    if damage == "torn":
        (newest / name).write_bytes(content[: len(content) // 2])
    elif damage == "missing":
        (newest / name).unlink()
    else:
        content[-3] ^= 4
        (newest / name).write_bytes(content)
    assert_continues_to_the_same_end(order, tokens, tmp_path, straight)


def test_a_full_disk_is_named_and_leaves_the_checkpoint_before(
    order: str, tokens: Path, tmp_path: Path, straight: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = checkpoint.save_file
    written = iter(range(100))

    def save_until_full(tensors: object, path: Path) -> None:
        if next(written) == 5:
            path.write_bytes(b"half a file")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        save(tensors, path)

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save_file", save_until_full)
        with pytest.raises(UserError, match=r"step-000000004: the checkpoint could not be written .*No space left"):
            train_run("tiny", run(order), tokens, tmp_path / "output", tmp_path / "state")
    assert [path.name for path in tmp_path.glob("state/*/checkpoints/*")] == ["step-000000002"]
    assert_continues_to_the_same_end(order, tokens, tmp_path, straight)


@pytest.mark.parametrize("change", [{"learning_rate": 0.02}, {"sequence_length": 8}, {"order": "other"}])
def test_other_settings_never_continue_an_old_state(
    order: str, tokens: Path, tmp_path: Path, straight: Path, change: dict[str, object]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "is_finished", lambda trainer: False)
        patch.setattr(Trainer, "run", lambda trainer, title, stop: trainer._save())
        train_run("tiny", run(order), tokens, tmp_path / "output", tmp_path / "state")
    if change == {"order": "other"}:
        change = {"order": "stateful" if order == "shuffled" else "shuffled"}
    other = run(order).training.model_copy(update=change)
    changed = run(order).model_copy(update={"training": other})
    assert train_run("tiny", changed, tokens, tmp_path / "other", tmp_path / "state") == 0
    assert (tmp_path / "other" / "model" / "model.safetensors").read_bytes() != (
        straight / "model" / "model.safetensors"
    ).read_bytes()
