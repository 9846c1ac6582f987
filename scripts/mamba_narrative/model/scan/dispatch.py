"""The table of scan backends and the one function that the model calls.

To add a backend: a module with a function of the signature ``ScanFunction``, one entry in ``BACKENDS``, and its name
in ``MambaSettings.scan_backend``. Backends are imported when they are first used.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from mamba_narrative.errors import UserError

ScanFunction = Callable[..., tuple[Tensor, Tensor]]
"""Takes the arguments of ``selective_scan`` but ``backend``."""


@dataclass(frozen=True)
class Backend:
    """One implementation of the scan."""

    load: Callable[[], ScanFunction]
    """Imports it."""
    problem: Callable[[torch.device], str | None]
    """Why it cannot run on a device and what to do about it, or None where it can."""
    carries_state: bool = True
    """Whether it takes initial states and resets, and gradients flow from the final state."""


def _load_cpu() -> ScanFunction:
    from mamba_narrative.model.scan.cpu import cpu_scan

    return cpu_scan


def _load_cuda() -> ScanFunction:
    from mamba_narrative.model.scan.cuda import cuda_scan

    return cuda_scan


def _load_mamba_ssm() -> ScanFunction:
    from mamba_narrative.model.scan.mamba_ssm import mamba_ssm_scan

    return mamba_ssm_scan


def _load_reference() -> ScanFunction:
    from mamba_narrative.model.scan.reference import reference_scan

    return reference_scan


def _runs_everywhere(device: torch.device) -> None:
    return None


def _cuda_problem(device: torch.device) -> str | None:
    if device.type != "cuda":
        return "it needs an NVIDIA GPU"
    from mamba_narrative.model.scan.cuda import problem

    return problem(device)


def _mamba_ssm_problem(device: torch.device) -> str | None:
    from mamba_narrative.model.scan.mamba_ssm import problem

    return problem(device)


BACKENDS: dict[str, Backend] = {
    "cuda": Backend(_load_cuda, _cuda_problem),
    "cpu": Backend(_load_cpu, _runs_everywhere),
    "reference": Backend(_load_reference, _runs_everywhere),
    "mamba_ssm": Backend(_load_mamba_ssm, _mamba_ssm_problem, carries_state=False),
}
"""Fastest first: ``auto`` takes the first that has no problem. ``cpu`` is plain tensor code, right on any device;
``mamba_ssm`` comes last, as it can do less and needs a compiler."""


@torch.compiler.assume_constant_result  # what is installed is no part of a compiled graph
def resolve_backend(name: str, device: torch.device) -> str:
    """The name of the backend that ``name`` (perhaps ``auto``) means on ``device``.

    Raises UserError where it is unknown or cannot run there, with the reason.
    """
    if name == "auto":
        return next(candidate for candidate, backend in BACKENDS.items() if backend.problem(device) is None)
    if name not in BACKENDS:
        raise UserError(f"scan_backend {name!r} is unknown; there are: auto, {', '.join(BACKENDS)}")
    if problem := BACKENDS[name].problem(device):
        raise UserError(f"scan_backend {name!r} cannot run on {device}: {problem}; `auto` takes one that can")
    return name


def selective_scan(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None = None,
    z: Tensor | None = None,
    delta_bias: Tensor | None = None,
    softplus: bool = False,
    initial_state: Tensor | None = None,
    resets: Tensor | None = None,
    backend: str = "auto",
) -> tuple[Tensor, Tensor]:
    """The recurrence of Mamba-1 (arXiv 2312.00752, equation 2 with the discretisation of section 3.2).

    ``s = delta + delta_bias`` (through softplus where asked); ``h_t = exp(s_t A) h_(t-1) + s_t u_t B_t``;
    ``y_t = (C_t . h_t + D u_t) silu(z_t)``. At a reset ``h_(t-1)`` is taken as zero.

    u, delta, z: [batch, length, channels]; A: [channels, d_state], negative; B, C: [batch, length, d_state];
    D, delta_bias: [channels]; initial_state: [batch, channels, d_state], None for zeros; resets: bool
    [batch, length]. Computed in float32, or in float64 where u, delta, A or the state is. Returns y in the type of u,
    and the state after the last position. Every floating point input has a gradient, also from the final state.
    Raises UserError where the backend cannot run.
    """
    scan = BACKENDS[resolve_backend(backend, u.device)].load()
    with torch.autocast(u.device.type, enabled=False):
        return scan(u, delta, A, B, C, D, z, delta_bias, softplus, initial_state, resets)
