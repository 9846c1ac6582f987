"""GPUs of one machine for commands that know nothing of each other: none is given to two at a time.

A command holds a lock on a file for each of its GPUs as long as it runs; the system frees the lock however it ends.
Under a scheduler that assigns devices itself (SLURM) there is nothing to do.
"""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from mamba_narrative.errors import UserError

_SECONDS_BETWEEN_LOOKS = 1.0
_LOG = logging.getLogger(__name__)


def lease_gpus(count: int, environment: Mapping[str, str] = os.environ) -> list[str] | None:
    """Wait until ``count`` GPUs are free and hold them until this process, or what it becomes, ends.

    Returns their names for CUDA_VISIBLE_DEVICES; None where nothing is to be assigned: a count of 0, a SLURM job, no
    GPU. Raises UserError for more GPUs than the machine has or CUDA_VISIBLE_DEVICES allows.
    """
    if count == 0 or "SLURM_JOB_ID" in environment:
        return None
    devices = visible_gpus(environment.get("CUDA_VISIBLE_DEVICES"), _gpus_of_machine())
    if not devices:
        return None
    if count > len(devices):
        raise UserError(
            f"{count} GPUs asked for, {len(devices)} here ({', '.join(devices)}); lower training.processes, or look at "
            "CUDA_VISIBLE_DEVICES"
        )
    folder = Path(tempfile.gettempdir()) / f"mamba-narrative-gpus-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    waiting = False
    while (leased := _try_lease(count, devices, folder)) is None:
        if not waiting:
            _LOG.info("waiting for %d of %d GPUs; others use them", count, len(devices))
        waiting = True
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    _LOG.info("on %s", ", ".join(leased))
    return leased


def visible_gpus(allowed: str | None, present: Sequence[str]) -> list[str]:
    """Names of GPUs that may be used. ``allowed``: CUDA_VISIBLE_DEVICES, numbers or names; ``present``: all names.

    As CUDA does, what follows an unknown entry is left out.
    """
    if allowed is None:
        return list(present)
    chosen: list[str] = []
    for entry in filter(None, (part.strip() for part in allowed.split(","))):
        matches = [name for name in present if name.startswith(entry)]
        if entry.isdecimal() and int(entry) < len(present):
            chosen.append(present[int(entry)])
        elif len(matches) == 1:
            chosen.append(matches[0])
        else:
            break
    return chosen


def _gpus_of_machine() -> list[str]:
    """Unique names of all GPUs, in the order of their numbers; none without NVIDIA's driver."""
    if shutil.which("nvidia-smi") is None:
        return []
    query = ["nvidia-smi", "--query-gpu=uuid", "--format=csv,noheader"]
    done = subprocess.run(query, capture_output=True, text=True, timeout=60)
    return done.stdout.split() if done.returncode == 0 else []


def _try_lease(count: int, devices: Sequence[str], folder: Path) -> list[str] | None:
    """All or nothing: two that wait for each other's GPUs would wait for ever."""
    held: dict[str, int] = {}
    with (folder / "all.lock").open("w") as one_at_a_time:
        fcntl.flock(one_at_a_time, fcntl.LOCK_EX)
        for device in devices:
            descriptor = os.open(folder / f"{device}.lock", os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                continue
            held[device] = descriptor
            if len(held) == count:
                for kept in held.values():
                    # The lock goes with the open file, which lives on in the program that replaces this one.
                    os.set_inheritable(kept, True)
                return list(held)
        for descriptor in held.values():
            os.close(descriptor)
    return None
