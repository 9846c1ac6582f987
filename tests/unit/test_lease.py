"""One holder at a time, on any file system and over machines, and never a dead one."""

from __future__ import annotations

import errno
import fcntl
import json
import multiprocessing
import os
import random
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from killing import NEVER, contents, run_and_kill
from mamba_narrative import lease as module
from mamba_narrative import process_identity
from mamba_narrative.errors import UserError
from mamba_narrative.lease import BEAT_SECONDS, EXPIRES_SECONDS, Lease

CONTEXT = multiprocessing.get_context("fork")


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    return tmp_path / "state" / "run" / "training.lock"


@contextmanager
def another_process_holding(lock: Path) -> Iterator[multiprocessing.process.BaseProcess]:
    held = CONTEXT.Event()

    def hold() -> None:
        assert Lease(lock).try_acquire()
        held.set()
        time.sleep(600)

    process = CONTEXT.Process(target=hold)
    process.start()
    assert held.wait(60)
    yield process
    process.kill()
    process.join()


def written_elsewhere(path: Path, token: str = "0123456789abcdef") -> None:
    """A lock or claim of a process that cannot be looked at from here."""
    record = {"holder": "process 7 on node12 since yesterday", "process": "0badcafe-7-700", "token": token}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record))


class Clock:
    """Stands in for ``time``; sleeping makes it go on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: self.now, sleep=self.sleep))

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_a_released_lock_leaves_nothing_and_is_free(lock: Path) -> None:
    for _ in range(2):
        with Lease(lock) as lease:
            assert lease.try_acquire()
            assert not lease.waited
            lease.check()
        assert contents(lock.parent) == {}


def test_a_lock_that_was_not_acquired_is_not_released(lock: Path) -> None:
    with another_process_holding(lock):
        before = contents(lock.parent)
        with Lease(lock) as lease:
            assert not lease.try_acquire()
        assert contents(lock.parent) == before


def test_a_living_holder_keeps_it_and_is_named(lock: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with another_process_holding(lock) as holder:
        clock = Clock(monkeypatch)
        lease = Lease(lock)
        assert not lease.acquire(lambda: clock.now > 1000 + 100 * EXPIRES_SECONDS)
        assert lease.waited
        named = str(lease.holder)
    assert f"process {holder.pid} on {socket.gethostname()} since 20" in named
    assert f"kill {holder.pid}" in named


def test_who_is_waited_for_and_how_far_that_is_can_be_read_in_the_log(
    lock: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with another_process_holding(lock) as holder:
        clock = Clock(monkeypatch)
        Lease(lock).acquire(lambda: clock.now > 1150, lambda: ", after step 120")
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == 3
    assert f"held by process {holder.pid} " in messages[0]
    assert ", after step 120; waiting until it ends (0:00 so far)" in messages[0]
    assert "(2:00 so far)" in messages[2]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_lock_of_a_killed_process_is_taken_over_at_once(lock: Path, number: int) -> None:
    with another_process_holding(lock) as holder:
        assert holder.pid is not None
        os.kill(holder.pid, number)
        os.waitid(os.P_PID, holder.pid, os.WEXITED | os.WNOWAIT)  # It is a zombie still.
        with Lease(lock) as lease:
            assert lease.try_acquire()
            lease.check()
    assert contents(lock.parent) == {}


def test_a_process_that_has_the_number_of_a_dead_one_is_not_taken_for_it(lock: Path) -> None:
    assert Lease(lock).try_acquire()
    record = json.loads(lock.read_text())
    machine, pid, start = record["process"].split("-")
    lock.write_text(json.dumps({**record, "process": f"{machine}-{pid}-{int(start) - 1}"}))
    with Lease(lock) as lease:
        assert lease.try_acquire()


def test_a_holder_on_another_machine_keeps_it_while_it_shows_life(lock: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written_elsewhere(lock)
    clock, lease = Clock(monkeypatch), Lease(lock)

    def show_life() -> bool:
        os.utime(lock, ns=(0, int(clock.now // BEAT_SECONDS)))
        return clock.now > 1000 + 10 * EXPIRES_SECONDS

    assert not lease.acquire(show_life)


@pytest.mark.parametrize("content", ["whole", "half-written", "empty"])
def test_a_holder_on_another_machine_loses_it_when_it_falls_silent(
    lock: Path, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    written_elsewhere(lock)
    whole = lock.read_text()
    lock.write_text({"whole": whole, "half-written": whole[: len(whole) // 2], "empty": ""}[content])
    clock = Clock(monkeypatch)
    with Lease(lock) as lease:
        assert lease.acquire(lambda: clock.now > 1000 + 2 * EXPIRES_SECONDS)
        assert clock.now >= 1000 + EXPIRES_SECONDS
        assert lease.waited
    assert contents(lock.parent) == {}


def test_a_clock_of_another_machine_that_is_wrong_changes_nothing(lock: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for second in (0, 2**33):
        written_elsewhere(lock)
        os.utime(lock, (second, second))
        clock = Clock(monkeypatch)
        with Lease(lock) as lease:
            assert not lease.acquire(lambda clock=clock: clock.now >= 1000 + EXPIRES_SECONDS / 2)
            assert lease.acquire(lambda clock=clock: clock.now > 1000 + 2 * EXPIRES_SECONDS)


def test_a_file_system_that_stood_still_for_an_hour_counts_as_one_beat(
    lock: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written_elsewhere(lock)
    clock, lease = Clock(monkeypatch), Lease(lock)
    assert not lease.try_acquire()
    clock.now += 3600
    assert not lease.try_acquire()


def test_one_that_was_taken_for_dead_finds_out_and_takes_nothing_back(
    lock: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BEAT_SECONDS", 0.01)
    paused = Lease(lock)
    assert paused.try_acquire()
    with another_process_holding(lock.with_name("other")) as other:
        os.replace(lock.with_name("other"), lock)  # as a take-over does
        with pytest.raises(UserError, match=rf"taken for dead.*now process {other.pid} on "):
            paused.check()
        while not paused.lost:
            time.sleep(0.01)
        paused.release()
        assert not Lease(lock).try_acquire()


def test_a_lock_that_was_deleted_is_lost(lock: Path) -> None:
    lease = Lease(lock)
    assert lease.try_acquire()
    lock.unlink()
    with pytest.raises(UserError, match="now nobody holds it"):
        lease.check()


def test_a_holder_shows_life(lock: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BEAT_SECONDS", 0.01)
    with Lease(lock) as lease:
        assert lease.try_acquire()
        os.utime(lock, ns=(0, 0))
        while lock.stat().st_mtime_ns == 0:
            time.sleep(0.01)


def test_containers_and_other_boots_are_other_machines(lock: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Lease(lock).try_acquire()
    monkeypatch.setattr(process_identity, "_machine", lambda: "00000000")
    lease = Lease(lock)
    assert not lease.try_acquire()
    assert lease.holder is not None
    assert "kill" not in str(lease.holder)


@pytest.mark.parametrize("before", ["free", "held by a dead process", "with the claim of a dead process"])
def test_killed_anywhere_it_blocks_nobody_and_leaves_nothing(tmp_path: Path, before: str) -> None:
    def dead(lock: Path) -> None:
        run_and_kill(lambda: Lease(lock).try_acquire(), tmp_path, NEVER)

    def prepare(lock: Path) -> None:
        if before != "free":
            dead(lock)
        if before == "with the claim of a dead process":
            dead(tmp_path / "claim")
            os.replace(tmp_path / "claim", lock.with_name(f"{lock.name}.{json.loads(lock.read_text())['token']}"))

    def use(lock: Path) -> None:
        with Lease(lock) as lease:
            assert lease.try_acquire()

    change = began = 0
    while began == change:
        change += 1
        lock = tmp_path / str(change) / "lock"
        lock.parent.mkdir()
        prepare(lock)
        began = run_and_kill(lambda lock=lock: use(lock), tmp_path, change)
        use(lock)
        assert contents(lock.parent) == {}
    assert change > 4


def _work_and_die(lock: Path, oracle: Path, seed: int, seconds: float) -> None:
    """Take turns for a while; the system says whether anybody else has one at the same time."""
    chance = random.Random(seed)
    with open(oracle, "w") as alone:
        while time.monotonic() < seconds:
            with Lease(lock) as lease:
                if lease.try_acquire():
                    fcntl.flock(alone, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    lease.check()
                    time.sleep(chance.random() / 1000)
                    if chance.random() < 0.3:
                        os.kill(os.getpid(), signal.SIGKILL)
                    fcntl.flock(alone, fcntl.LOCK_UN)


def test_many_that_die_while_they_hold_it_never_hold_it_together(lock: Path, tmp_path: Path) -> None:
    end = time.monotonic() + 3
    killed, seed, running = 0, 0, []
    while time.monotonic() < end:
        while len(running) < 6:
            running.append(CONTEXT.Process(target=_work_and_die, args=(lock, tmp_path / "oracle", seed, end)))
            running[-1].start()
            seed += 1
        time.sleep(0.005)
        ended = [process for process in running if process.exitcode is not None]
        assert {process.exitcode for process in ended} <= {0, -signal.SIGKILL}
        killed += sum(process.exitcode == -signal.SIGKILL for process in ended)
        running = [process for process in running if process.exitcode is None]
    for process in running:
        process.join(60)
        assert process.exitcode in (0, -signal.SIGKILL)
    assert killed > 3
    with Lease(lock) as lease:
        assert lease.try_acquire()
    assert contents(lock.parent) == {}


def test_a_file_system_without_hard_links_will_do(lock: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refuse)
    with another_process_holding(lock) as holder:
        assert not Lease(lock).try_acquire()
        holder.kill()
        holder.join()
        with Lease(lock) as lease:
            assert lease.try_acquire()
    assert contents(lock.parent) == {}
