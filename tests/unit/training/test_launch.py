"""Which launcher a training command becomes."""

from __future__ import annotations

import os
import signal
import socket
import sys

import pytest

from mamba_narrative.errors import UserError
from mamba_narrative.training.launch import start_together


class Became(Exception):  # noqa: N818
    """The process would be another program now."""


@pytest.fixture
def replaced(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The command lines of programs that took the place of this process."""
    commands: list[list[str]] = []

    def become(program: str, arguments: list[str]) -> None:
        commands.append(arguments)
        raise Became

    monkeypatch.setattr(os, "execv", become)
    monkeypatch.setattr(os, "execvp", become)
    monkeypatch.setattr(sys, "argv", ["scripts/train_run.py", "--run", "small"])
    monkeypatch.setattr(os, "environ", {"OMP_NUM_THREADS": "1"})
    before = signal.getsignal(signal.SIGUSR1)
    yield commands
    signal.signal(signal.SIGUSR1, before)


def test_one_process_and_processes_that_were_started_go_on(replaced):
    start_together(1)
    os.environ["RANK"] = "0"
    start_together(4, nodes=2)
    assert replaced == []


def test_several_processes_of_one_machine_are_torchruns(replaced):
    with pytest.raises(Became):
        start_together(4)
    (command,) = replaced
    assert command[:3] == [sys.executable, "-m", "torch.distributed.run"]
    assert command[3:] == ["--standalone", "--nproc_per_node=4", "--", "scripts/train_run.py", "--run", "small"]
    # SLURM's warning is for the processes, not for their launcher; what is ignored stays so in the new program.
    assert signal.getsignal(signal.SIGUSR1) == signal.SIG_IGN


def test_of_several_nodes_srun_starts_one_torchrun_on_each(replaced, monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    os.environ["SLURM_JOB_ID"] = "12"
    with pytest.raises(Became):
        start_together(8, nodes=2)
    os.environ["SLURM_NODEID"] = "1"
    with pytest.raises(Became):
        start_together(8, nodes=2)
    on_first_node, on_each = replaced
    assert on_first_node[0] == "srun"
    assert {"--nodes=2", "--ntasks=2", "--ntasks-per-node=1"} <= set(on_first_node)
    assert on_first_node[-4:] == [sys.executable, "scripts/train_run.py", "--run", "small"]
    assert {"--nnodes=2", "--node_rank=1", "--nproc_per_node=4"} <= set(on_each)
    assert f"--master_addr={socket.gethostname()}" in on_each


@pytest.mark.parametrize("missing", ["a job", "srun"])
def test_several_nodes_without_slurm_are_refused(replaced, monkeypatch, missing):
    if missing == "srun":
        os.environ["SLURM_JOB_ID"] = "12"
        monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(UserError, match=r"training\.nodes is 2, which needs a job of SLURM"):
        start_together(2, nodes=2)
