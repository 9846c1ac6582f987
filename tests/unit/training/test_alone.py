"""Of several calls for one run one is at work; the others wait, and no call writes over another's results."""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from killing import contents
from mamba_narrative import lease as lease_module
from mamba_narrative.config.architectures.mamba import MambaRun
from mamba_narrative.errors import UserError
from mamba_narrative.io import read_json
from mamba_narrative.lease import Lease
from mamba_narrative.training.loop import Trainer
from mamba_narrative.training.run_training import train_run
from mamba_narrative.training.stop import EXIT_STOPPED
from unit.training.tiny_run import settings_of
from unit.training.torchrun import by_two_processes

CONTEXT = multiprocessing.get_context("fork")
SCRIPTS = Path(__file__).parents[3] / "scripts"
RUN = settings_of(steps=7)


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease_module, "_SECONDS_BETWEEN_LOOKS", 0.05)


class OtherCall:
    """A call for a run in another process, which stands still before step 5 until it may go on."""

    def __init__(self, tokens: Path, root: Path, run: MambaRun) -> None:
        self._at_work, self._may_go_on = CONTEXT.Event(), CONTEXT.Event()
        self.process = CONTEXT.Process(target=self._train, args=(tokens, root, run))
        self.process.start()
        assert self._at_work.wait(60)

    def _train(self, tokens: Path, root: Path, run: MambaRun) -> None:
        torch.set_num_threads(1)
        update = Trainer._update

        def update_or_wait(trainer: Trainer) -> str:
            if trainer.step == 5:
                self._at_work.set()
                self._may_go_on.wait(60)
            return update(trainer)

        Trainer._update = update_or_wait
        sys.exit(train_run("tiny", run, tokens, root / "output", root / "state"))

    def let_go(self) -> None:
        """To be called by any thread; only one may wait for the end of a process."""
        self._may_go_on.set()

    def go_on(self) -> None:
        self.let_go()
        self.process.join(60)


@pytest.fixture
def other(tokens: Path, tmp_path: Path) -> Iterator[OtherCall]:
    call = OtherCall(tokens, tmp_path, RUN)
    yield call
    call.process.kill()
    call.process.join()


def when_waiting(do: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> None:
    """Call ``do`` when the second call has found that it must wait."""
    take, waits = Lease.try_acquire, threading.Event()

    def take_or_say(lease: Lease) -> bool:
        taken = take(lease)
        if not taken and not waits.is_set():
            waits.set()
            do()
        return taken

    monkeypatch.setattr(Lease, "try_acquire", take_or_say)


def weights(root: Path) -> bytes:
    return (root / "output" / "model" / "model.safetensors").read_bytes()


@pytest.fixture(scope="module")
def straight(tokens: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("straight")
    assert train_run("tiny", RUN, tokens, root / "output", root / "state") == 0
    return root


def test_a_second_call_waits_says_for_whom_and_takes_the_results(
    other: OtherCall,
    tokens: Path,
    tmp_path: Path,
    straight: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    when_waiting(lambda: threading.Timer(0.3, other.let_go).start(), monkeypatch)
    monkeypatch.setattr(Trainer, "run", None)
    assert train_run("tiny", RUN, tokens, tmp_path / "output", tmp_path / "state") == 0
    assert f"held by process {other.process.pid} on " in caplog.text
    assert f"(to end it: kill {other.process.pid}), after step 5; waiting until it ends" in caplog.text
    assert "the other call finished this run" in caplog.text
    assert weights(tmp_path) == weights(straight)
    assert contents(tmp_path / "state") == {}
    other.process.join(60)  # It gave the lock back before it ended.
    assert other.process.exitcode == 0


def test_a_second_call_goes_on_where_a_killed_one_stopped(
    other: OtherCall, tokens: Path, tmp_path: Path, straight: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    when_waiting(other.process.kill, monkeypatch)
    assert train_run("tiny", RUN, tokens, tmp_path / "output", tmp_path / "state") == 0
    assert read_json(tmp_path / "output" / "run.json")["resumed"] == 1
    assert weights(tmp_path) == weights(straight)
    assert contents(tmp_path / "state") == {}


def test_a_second_call_goes_on_where_one_stopped_that_was_asked_to(
    other: OtherCall, tokens: Path, tmp_path: Path, straight: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop() -> None:
        assert other.process.pid is not None
        os.kill(other.process.pid, signal.SIGTERM)
        threading.Timer(0.1, other.let_go).start()

    when_waiting(stop, monkeypatch)
    assert train_run("tiny", RUN, tokens, tmp_path / "output", tmp_path / "state") == 0
    other.process.join(60)
    assert other.process.exitcode == EXIT_STOPPED
    assert read_json(tmp_path / "output" / "run.json")["resumed"] == 1
    assert weights(tmp_path) == weights(straight)


def test_a_call_with_other_settings_waits_too_and_the_results_are_its_own(
    other: OtherCall, tokens: Path, tmp_path: Path, straight: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    when_waiting(other.go_on, monkeypatch)
    changed = settings_of(steps=7, learning_rate=0.02)
    assert train_run("tiny", changed, tokens, tmp_path / "output", tmp_path / "state") == 0
    assert read_json(tmp_path / "output" / "run.json")["settings"]["training"]["learning_rate"] == 0.02
    assert weights(tmp_path) != weights(straight)


def test_a_call_that_waits_can_be_stopped_and_has_changed_nothing(
    other: OtherCall, tokens: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(tmp_path / "state")
    when_waiting(lambda: os.kill(os.getpid(), signal.SIGTERM), monkeypatch)
    assert train_run("tiny", RUN, tokens, tmp_path / "output", tmp_path / "state") == EXIT_STOPPED
    assert contents(tmp_path / "state") == before
    other.go_on()
    assert other.process.exitcode == 0


@pytest.mark.parametrize("step", [0, 3, 6])
def test_a_call_that_was_taken_for_dead_writes_nothing_any_more(
    tokens: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    update = Trainer._update
    after: dict[str, bytes | None] = {}

    def be_away(trainer: Trainer) -> str:
        note = update(trainer)
        if trainer.step == step + 1:
            lock = tmp_path / "state" / "training.lock"
            lock.unlink()
            assert Lease(lock).try_acquire()
            after.update(contents(tmp_path))
        return note

    monkeypatch.setattr(Trainer, "_update", be_away)
    with pytest.raises(UserError, match=rf"taken for dead.*process {os.getpid()} on "):
        train_run("tiny", RUN, tokens, tmp_path / "output", tmp_path / "state")
    found = contents(tmp_path)
    # The table for people to watch, of which no run reads anything.
    watched = {name for name in after if name.endswith(("train.csv", "validation.csv"))}
    assert after
    assert {name: found.get(name) for name in after if name not in watched} == {
        name: after[name] for name in after if name not in watched
    }
    assert found.keys() == after.keys()


def test_processes_of_one_run_wait_together_and_share_the_lock(tokens: Path, tmp_path: Path) -> None:
    with Lease(tmp_path / "state" / "training.lock") as lease:
        assert lease.try_acquire()

        def release() -> None:
            assert not (tmp_path / "output").exists()
            lease.release()

        threading.Timer(4, release).start()
        settings = {"steps": 6, "batch_size": 4}
        done = by_two_processes("torchrun_worker.py", str(tokens), str(tmp_path), json.dumps(settings), "none")
    assert done.returncode == 0, done.stderr
    assert read_json(tmp_path / "output" / "run.json")["processes"] == 2
    assert contents(tmp_path / "state") == {}


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone tells a process that its parent ended")
def test_a_command_is_asked_to_stop_when_what_started_it_is_killed(tmp_path: Path) -> None:
    program = (
        "import pathlib, signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: (pathlib.Path(sys.argv[1]).write_text('asked'), sys.exit()))\n"
        "print('ready', flush=True); time.sleep(60)"
    )
    command = [sys.executable, str(SCRIPTS / "lease_gpus.py"), "--count", "0", sys.executable, "-c", program]
    shell = ["bash", "-c", '"$@"; true', "bash", *command, str(tmp_path / "sign")]
    with subprocess.Popen(shell, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"ready\n"
        parent.kill()
        assert parent.stdout.read() == b""  # until the child has ended, too
    assert (tmp_path / "sign").read_text() == "asked"
