"""Where and in which number format a run computes."""

from __future__ import annotations

import logging
import os
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch

from mamba_narrative.config.training import TrainingSettings
from mamba_narrative.errors import UserError

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Compute:
    """A device and the type of its matrix products; parameters and optimiser state are float32 always."""

    device: torch.device
    dtype: torch.dtype

    def autocast(self) -> AbstractContextManager[object]:
        """Mixed precision for the model's forward pass, or nothing in float32."""
        if self.dtype == torch.float32:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=self.dtype)


def choose_compute(settings: TrainingSettings) -> Compute:
    """Device and precision of a run. Raises UserError where a GPU is asked for and there is none.

    float32 means float32: TensorFloat-32 stays off, so that results compare between devices; who wants speed asks for
    bfloat16. That needs a GPU; on the CPU it is computed in float32, with a warning.
    Deterministic algorithms are not forced: the CPU repeats results to the bit with the same number of threads, the
    GPU up to the order of its additions.
    """
    has_gpu = torch.cuda.is_available()
    if settings.device == "cuda" and not has_gpu:
        raise UserError(
            "training.device is 'cuda', but torch finds no GPU; install the torch build for the driver, "
            "or set training.device to auto or cpu"
        )
    # Of several processes of one machine each has its own GPU.
    number = int(os.environ.get("LOCAL_RANK", "0"))
    device = torch.device(f"cuda:{number}" if has_gpu and settings.device != "cpu" else "cpu")
    if device.type == "cuda" and number >= torch.cuda.device_count():
        raise UserError(
            f"training.processes asks for more GPUs than the {torch.cuda.device_count()} that this job was given; "
            "lower it, or let Snakemake give out more (--resources gpu=4)"
        )
    if device.type == "cuda":
        torch.cuda.set_device(device)
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False
    if settings.precision == "bfloat16" and device.type == "cpu":
        _LOG.warning("training.precision is bfloat16, which needs a GPU; this run computes in float32")
    in_bfloat16 = settings.precision == "bfloat16" and device.type == "cuda"
    return Compute(device, torch.bfloat16 if in_bfloat16 else torch.float32)
