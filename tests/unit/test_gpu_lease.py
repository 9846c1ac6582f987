"""No GPU is given to two commands at a time, with a driver that only says which GPUs there are."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mamba_narrative.errors import UserError
from mamba_narrative.gpu_lease import lease_gpus, visible_gpus

ROOT = Path(__file__).parents[2]
GPUS = ["GPU-1aaa", "GPU-2bbb", "GPU-3ccc"]
# Notes its GPUs at its beginning and its end, as one line each.
WORK = """\
import os, sys, time
with open(sys.argv[1], "a", buffering=1) as events:
    events.write(f"begin {os.environ['CUDA_VISIBLE_DEVICES']}\\n")
    time.sleep(0.15)
    events.write(f"end {os.environ['CUDA_VISIBLE_DEVICES']}\\n")
"""


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with three GPUs and a temporary folder of its own."""
    driver = tmp_path / "nvidia-smi"
    driver.write_text("#!/bin/sh\n" + "".join(f"echo {name}\n" for name in GPUS))
    driver.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for name in ("CUDA_VISIBLE_DEVICES", "SLURM_JOB_ID"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def start(count: int, *command: str) -> subprocess.Popen[str]:
    lease = [sys.executable, str(ROOT / "scripts" / "lease_gpus.py"), "--count", str(count)]
    return subprocess.Popen(
        [*lease, sys.executable, *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def seen(count: int) -> str:
    process = start(count, "-c", "import os; print(os.environ.get('CUDA_VISIBLE_DEVICES', 'as before'))")
    return process.communicate(timeout=60)[0].strip()


def test_jobs_that_are_more_than_the_gpus_take_turns_and_never_meet_on_one(machine):
    jobs = [start(count, "-c", WORK, str(machine / "events")) for count in (1, 2, 1, 3, 1, 2, 1)]
    assert [job.wait(120) for job in jobs] == [0] * len(jobs)
    busy: set[str] = set()
    most = 0
    for line in (machine / "events").read_text().splitlines():
        what, names = line.split()
        devices = set(names.split(","))
        assert devices <= set(GPUS)
        if what == "begin":
            assert not busy & devices
            busy |= devices
            most = max(most, len(busy))
        else:
            busy -= devices
    assert busy == set()
    assert most > 1


def test_the_gpu_of_a_killed_job_is_free_again(machine):
    holder = start(3, "-c", "import time; print('here', flush=True); time.sleep(600)")
    assert holder.stdout is not None
    assert holder.stdout.readline() == "here\n"
    waiting = start(1, "-c", "print('mine')")
    assert waiting.stderr is not None
    assert "waiting for 1 of 3 GPUs" in waiting.stderr.readline()
    assert waiting.poll() is None
    holder.send_signal(signal.SIGKILL)
    assert waiting.communicate(timeout=60)[0] == "mine\n"
    holder.communicate()


def test_the_command_takes_the_place_of_the_process_and_its_exit_code_is_kept(machine):
    process = start(1, "-c", "import os, sys; print(os.getpid()); sys.exit(75)")
    output = process.communicate(timeout=60)[0]
    assert (int(output), process.returncode) == (process.pid, 75)


def test_a_job_without_gpus_and_a_job_of_slurm_run_as_they_are(machine, monkeypatch):
    assert seen(0) == "as before"
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert seen(2) == "0"


def test_a_machine_without_a_driver_has_nothing_to_give(machine, monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert lease_gpus(1, {}) is None


def test_more_gpus_than_there_are_is_refused(machine):
    with pytest.raises(UserError, match="4 GPUs asked for, 3 here"):
        lease_gpus(4, {})
    with pytest.raises(UserError, match=r"2 GPUs asked for, 1 here \(GPU-2bbb\)"):
        lease_gpus(2, {"CUDA_VISIBLE_DEVICES": "1"})


@pytest.mark.parametrize(
    ("allowed", "expected"),
    [
        (None, GPUS),
        ("2,0", ["GPU-3ccc", "GPU-1aaa"]),
        ("GPU-2bbb", ["GPU-2bbb"]),
        ("GPU-3", ["GPU-3ccc"]),
        ("1, 9, 0", ["GPU-2bbb"]),
        ("-1", []),
        ("", []),
    ],
)
def test_only_gpus_that_are_allowed_are_given(allowed, expected):
    assert visible_gpus(allowed, GPUS) == expected
