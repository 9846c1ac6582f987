"""Checks of the model: every scan backend against the reference, the parameter count, a step of training."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.nn import functional as F

from mamba_narrative.config.architectures.mamba import MambaSettings
from mamba_narrative.model.registry import build_model, outline_model
from mamba_narrative.model.scan.dispatch import BACKENDS, resolve_backend
from mamba_narrative.model.scan.verify import largest_relative_difference, outputs_and_gradients, scan_case
from mamba_narrative.verification.check import Check

VOCABULARY = 50_257
MAMBA_130M = MambaSettings(d_model=768, n_layer=24)
PARAMETERS_130M = 129_117_696
SCAN_LENGTHS = (1, 7, 64, 257)
SCAN_TOLERANCE = 1e-4
"""Largest difference over largest value, of float32 to the float64 reference."""
TRAINING_BYTES_130M = 4 * 2**30
"""Weights and gradients take 1 GiB, AdamW's moments would take another, one short window the rest."""
STEP_LENGTH = 0.1
"""Of the step against the gradient, in parameter space: small enough to be sure to go downhill."""


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one core: threads would wait for each other longer than these small checks take."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def devices() -> list[torch.device]:
    """The CPU and, where there is one, the first GPU."""
    return [torch.device("cpu")] + ([torch.device("cuda", 0)] if torch.cuda.is_available() else [])


def check_scan(backend: str, device: torch.device) -> Check:
    """Forward and every gradient of a backend at several lengths, with book starts and a carried state."""
    name = f"scan {backend} on {device.type}"
    required = resolve_backend("auto", device) == backend or backend == "reference"
    if problem := BACKENDS[backend].problem(device):
        return Check(name, "skipped", problem, required=False)
    remedy = "do not use this backend here (scan_backend in config.yaml) and report this page with the versions above"
    carries = BACKENDS[backend].carries_state
    worst, where = 0.0, ""
    try:
        for length in SCAN_LENGTHS:
            case = scan_case(length, carries, carries, batch=2, channels=32, d_state=16)
            found = outputs_and_gradients(case, backend, torch.float32, device, through_state=carries)
            expected = outputs_and_gradients(case, "reference", torch.float64, through_state=carries)
            difference, tensor = largest_relative_difference(found, expected)
            if difference >= worst:
                worst, where = difference, f"{tensor} at length {length}"
    except (RuntimeError, ImportError) as error:  # a kernel that does not launch or load, memory that is not there
        return Check(name, "fail", f"did not run: {error}", remedy, required)
    inputs = "with carried state and book starts" if carries else "without carried state and book starts"
    detail = (
        f"forward and backward at lengths {', '.join(map(str, SCAN_LENGTHS))} {inputs}: "
        f"largest relative difference to the float64 reference {worst:.1e} ({where}), allowed {SCAN_TOLERANCE:.0e}"
    )
    return Check(
        name, "pass" if worst < SCAN_TOLERANCE else "fail", detail, "" if worst < SCAN_TOLERANCE else remedy, required
    )


def check_parameter_count() -> Check:
    """Mamba-130M has the size that its name says."""
    count = outline_model("mamba", MAMBA_130M, VOCABULARY).parameter_count()
    twelve = outline_model("mamba", MAMBA_130M.model_copy(update={"n_layer": 12}), VOCABULARY).parameter_count()
    detail = (
        f"d_model 768 with 24 layers and {VOCABULARY:,} tokens (padded to a multiple of 8) has {count:,} parameters; "
        f"with 12 layers it would be {twelve / 1e6:.0f}M: Mamba has twice the layers of a Transformer of its size"
    )
    if count != PARAMETERS_130M:
        return Check(
            "parameters of Mamba-130M", "fail", f"{detail}; expected {PARAMETERS_130M:,}", "report this as a bug"
        )
    return Check("parameters of Mamba-130M", "pass", detail)


def check_training_step(device: torch.device) -> Check:
    """Forward, backward and update on a device: all 24 layers on a GPU, 2 of them on a CPU, which is slow."""
    name = f"training step on {device.type}"
    settings, length, precision = MAMBA_130M, 256, torch.bfloat16
    if device.type == "cpu":
        settings, length, precision = MAMBA_130M.model_copy(update={"n_layer": 2}), 32, torch.float32
    elif (free := torch.cuda.mem_get_info(device)[0]) < TRAINING_BYTES_130M:
        detail = f"{free / 2**30:.1f} GiB of GPU memory free; a step of Mamba-130M is tried from 4 GiB on"
        return Check(name, "skipped", detail, "end other programs on this GPU", required=False)
    remedy = "see the checks above this one; if they all pass, report this page"
    try:
        before, after, seconds = _descend(settings, length, precision, device)
    except RuntimeError as error:
        return Check(name, "fail", f"did not run: {error}", remedy)
    detail = (
        f"{settings.n_layer} layers of width 768, {length} tokens, {str(precision).removeprefix('torch.')}, scan "
        f"{resolve_backend('auto', device)}: loss {before:.3f} nats (a new model guesses: ln {VOCABULARY:,} = "
        f"{math.log(VOCABULARY):.3f}), {after:.3f} after one step against the gradient, {seconds:.2f} s"
    )
    if device.type == "cuda":
        detail += f", peak GPU memory {torch.cuda.max_memory_allocated(device) / 2**30:.1f} GiB"
    right = abs(before - math.log(VOCABULARY)) < 0.5 and after < before
    return Check(name, "pass" if right else "fail", detail, "" if right else remedy)


def _descend(
    settings: MambaSettings, length: int, precision: torch.dtype, device: torch.device
) -> tuple[float, float, float]:
    """Loss before and after one step against the gradient on the same tokens, and the seconds it took."""
    model = build_model("mamba", settings, VOCABULARY, seed=1).to(device)
    ids = torch.randint(0, VOCABULARY, (1, length + 1), generator=torch.Generator().manual_seed(1)).to(device)

    def loss() -> torch.Tensor:
        with torch.autocast(device.type, dtype=precision, enabled=precision != torch.float32):
            hidden, _ = model(ids[:, :-1])
            return F.cross_entropy(model.logits(hidden).flatten(0, 1), ids[:, 1:].flatten())

    start = time.perf_counter()
    before = loss()
    before.backward()
    gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    norm = torch.sqrt(torch.stack([gradient.square().sum() for gradient in gradients]).sum())
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.grad is not None:
                parameter -= STEP_LENGTH * parameter.grad / norm
        after = loss()
    return float(before.detach()), float(after), time.perf_counter() - start
