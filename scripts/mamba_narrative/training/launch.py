"""Start the processes of a run: one ``torchrun`` on every node.

Each launcher takes the place of the process before it (``exec``), so that signals reach it and it hands them on:
`train_run` on one machine becomes ``torchrun``; of several nodes, `train_run` in the batch step of a SLURM job becomes
``srun``, which starts it again once on every node, and there it becomes ``torchrun``.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sys

from mamba_narrative.errors import UserError
from mamba_narrative.orphans import stop_with_parent

_MEETING_POINT = "MAMBA_NARRATIVE_MEETING_POINT"
"""host:port of the first node, where the processes of all nodes find each other; set by the one that runs `srun`."""


def start_together(processes: int, nodes: int = 1) -> None:
    """Become the launcher of ``processes`` over ``nodes``; returns where that is not needed or has happened.

    Raises UserError where several nodes are asked for outside a SLURM job.
    """
    if "RANK" in os.environ:
        stop_with_parent()  # torchrun, whose processes would go on without it
        return
    if processes == 1:
        return
    per_node = processes // nodes
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // per_node)))
    # SLURM sends its warning to every process of a step. It is for the training processes, which handle it; launchers
    # would die of it.
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    if nodes == 1:
        _become_torchrun("--standalone", f"--nproc_per_node={per_node}")
    elif point := os.environ.get(_MEETING_POINT):
        host, _, port = point.rpartition(":")
        _become_torchrun(
            *(f"--nnodes={nodes}", f"--node_rank={os.environ['SLURM_NODEID']}", f"--nproc_per_node={per_node}"),
            *(f"--master_addr={host}", f"--master_port={port}"),
        )
    else:
        _become_srun(nodes)


def _become_torchrun(*options: str) -> None:
    os.execv(sys.executable, [sys.executable, "-m", "torch.distributed.run", *options, "--", *sys.argv])


def _become_srun(nodes: int) -> None:
    if "SLURM_JOB_ID" not in os.environ or shutil.which("srun") is None:
        raise UserError(
            f"training.nodes is {nodes}, which needs a job of SLURM on as many nodes (snakemake --workflow-profile "
            "workflow/profiles/slurm); on this machine set training.nodes to 1"
        )
    # The batch step runs on the job's first node, whose tasks are ranked first.
    with socket.create_server(("", 0)) as free:
        os.environ[_MEETING_POINT] = f"{socket.gethostname()}:{free.getsockname()[1]}"
    # Without --cpu-bind one task would be bound to one core. When one node fails, none waits for it.
    options = [f"--nodes={nodes}", f"--ntasks={nodes}", "--ntasks-per-node=1", "--cpu-bind=none", "--mpi=none"]
    os.execvp("srun", ["srun", *options, "--kill-on-bad-exit=1", sys.executable, *sys.argv])
