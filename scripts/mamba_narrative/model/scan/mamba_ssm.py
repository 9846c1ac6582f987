"""The official kernels of mamba-ssm as a backend: for comparison, and never chosen by ``auto``."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from typing import Any, cast

import torch
from torch import Tensor

from mamba_narrative.errors import UserError

HOW_TO_INSTALL = "`make cuda` installs it (it needs nvcc and takes many minutes); `cuda` does all that it does"


@cache
def _installed() -> bool:
    return find_spec("mamba_ssm") is not None and find_spec("selective_scan_cuda") is not None


def problem(device: torch.device) -> str | None:
    """Why this backend cannot run on ``device``, or None."""
    if device.type != "cuda":
        return "it needs an NVIDIA GPU"
    if not _installed():
        return f"mamba-ssm with its Mamba-1 kernel is not installed: {HOW_TO_INSTALL}"
    return None


class _WithoutGradient(torch.autograd.Function):
    """A value from which no gradient may come: mamba-ssm would silently leave it out."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        return value.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        raise UserError("scan_backend mamba_ssm has no gradient of its final state; use `cuda` or `auto`")


def mamba_ssm_scan(
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
) -> tuple[Tensor, Tensor]:
    """See ``dispatch.selective_scan``. mamba-ssm's kernel knows no initial state and no resets.

    Raises UserError where a state, resets, float64 or a gradient from the final state are asked for.
    """
    if initial_state is not None or resets is not None:
        what = "an initial state" if initial_state is not None else "book starts inside a row"
        raise UserError(f"scan_backend mamba_ssm cannot take {what}; use `cuda` or `auto`")
    if u.dtype == torch.float64:
        raise UserError("scan_backend mamba_ssm cannot compute in float64; use `reference`")
    from mamba_ssm.ops.selective_scan_interface import selective_scan_fn  # type: ignore[reportMissingImports]

    def last(x: Tensor | None) -> Tensor | None:
        return None if x is None else x.transpose(1, 2).contiguous()

    y, state = selective_scan_fn(
        last(u),
        last(delta),
        A.float(),
        last(B),
        last(C),
        None if D is None else D.float(),
        z=last(z),
        delta_bias=None if delta_bias is None else delta_bias.float(),
        delta_softplus=softplus,
        return_last_state=True,
    )
    return y.transpose(1, 2).to(u.dtype), cast(Tensor, _WithoutGradient.apply(state))
