"""How many rows of a batch are computed at once: as many as the GPU's memory holds, found by trying."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import torch

from mamba_narrative.errors import UserError
from mamba_narrative.io import read_json, write_json

_LOG = logging.getLogger(__name__)


def largest_that_fits(rows: int, attempt: Callable[[int], None]) -> int:
    """The largest divisor of ``rows`` for which ``attempt`` does not run out of memory.

    Raises UserError where not even one row fits.
    """
    for size in (size for size in range(rows, 0, -1) if rows % size == 0):
        try:
            attempt(size)
        except torch.OutOfMemoryError:
            _LOG.info("%d sequences at once do not fit into the GPU's memory", size)
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
        else:
            return size
    raise UserError(
        "the GPU's memory is too small for one sequence: lower training.sequence_length, or set "
        "training.activation_checkpointing"
    )


def remembered(path: Path, rows: int, device: str, find: Callable[[], int]) -> int:
    """What ``find`` found for so many rows on this device, from ``path`` where an earlier process left it there.

    ``device``: its name and memory; on another one it is found anew.
    """
    if path.is_file():
        known = read_json(path)
        if known.get("device") == device and known.get("rows") == rows:
            return int(known["micro_batch_size"])
    size = find()
    _LOG.info("%d sequences are computed at once", size)
    write_json(path, {"device": device, "rows": rows, "micro_batch_size": size})
    return size
