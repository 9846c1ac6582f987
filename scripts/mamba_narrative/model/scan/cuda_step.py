"""One step of generation through a mixer on NVIDIA GPUs, with window and state updated in place."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from mamba_narrative.cuda import elements, runtime
from mamba_narrative.model.scan.cuda_mixer import MixerWeights
from mamba_narrative.model.scan.kernels import step

_THREADS = 256
_PROJECT_WARPS = 16
"""Rows of ``x_proj`` in a block."""

_PARAMETERS = runtime.Struct(
    pointers=(
        *("xz", "window", "conv_weight", "conv_bias", "x_proj", "dt_proj", "dt_bias", "A_log", "D", "state"),
        *("projected", "y"),
    ),
    rows=(),
    sizes=("batch", "channels"),
)
"""The structure ``Params`` of the kernels."""


def cuda_step(hidden: Tensor, weights: MixerWeights, window: Tensor, state: Tensor) -> Tensor:
    """The mixer's output for one position, [batch, d_model], from ``hidden`` [batch, d_model] in its type.

    ``window`` [batch, width - 1, channels] in the type of ``hidden`` and ``state`` float32 [batch, channels, d_state]
    become those after the position: both must be contiguous. No gradients. For sizes that ``cuda_mixer.takes``.
    """
    if not (window.is_contiguous() and state.is_contiguous()):
        raise ValueError(
            f"window and state are updated in place: contiguous ones expected, got strides "
            f"{window.stride()} and {state.stride()}"
        )
    dtype = hidden.dtype
    xz = hidden @ weights.in_proj.to(dtype).t()
    y = torch.ops.mamba_narrative.mixer_step(
        xz,
        window,
        weights.conv_weight.float(),
        None if weights.conv_bias is None else weights.conv_bias.float(),
        weights.x_proj.to(dtype),
        weights.dt_proj.to(dtype),
        weights.dt_bias.float(),
        weights.A_log.float(),
        weights.D.float(),
        state,
    )
    return y @ weights.out_proj.to(dtype).t()


@cache
def _module(bfloat16: bool, d_state: int, rank: int, width: int, device: int) -> runtime.Module:
    macros = {"BF16": bfloat16, "D_STATE": d_state, "RANK": rank, "WIDTH": width}
    return runtime.Module(
        elements.SOURCE + step.SOURCE, tuple((name, int(value)) for name, value in macros.items()), device
    )


@torch.library.custom_op(
    "mamba_narrative::mixer_step",
    mutates_args=("window", "state"),
    device_types="cuda",
    schema=(
        "(Tensor xz, Tensor(a!) window, Tensor conv_weight, Tensor? conv_bias, Tensor x_proj, Tensor dt_proj, "
        "Tensor dt_bias, Tensor A_log, Tensor D, Tensor(b!) state) -> Tensor"
    ),
)
def _step_op(
    xz: Tensor,
    window: Tensor,
    conv_weight: Tensor,
    conv_bias: Tensor | None,
    x_proj: Tensor,
    dt_proj: Tensor,
    dt_bias: Tensor,
    A_log: Tensor,
    D: Tensor,
    state: Tensor,
) -> Tensor:
    batch, (channels, d_state) = xz.shape[0], A_log.shape
    rows = x_proj.shape[0]
    projected = A_log.new_empty(batch, rows)
    y = xz.new_empty(batch, channels)
    module = _module(xz.dtype == torch.bfloat16, d_state, dt_proj.shape[1], conv_weight.shape[1], xz.device.index)
    tensors = {
        "xz": xz,
        "window": window,
        "conv_weight": conv_weight,
        "conv_bias": conv_bias,
        "x_proj": x_proj,
        "dt_proj": dt_proj,
        "dt_bias": dt_bias,
        "A_log": A_log,
        "D": D,
        "state": state,
        "projected": projected,
        "y": y,
    }
    parameters = _PARAMETERS.pack(tensors, {"batch": batch, "channels": channels})
    stream = torch.cuda.current_stream(xz.device).cuda_stream
    project = module.kernel("step_project", 4 * channels)
    project.launch((-(-rows // _PROJECT_WARPS), batch, 1), 32 * _PROJECT_WARPS, parameters, stream)
    lanes = channels * d_state // 4
    module.kernel("step_scan").launch((-(-lanes // _THREADS), batch, 1), _THREADS, parameters, stream)
    return y


@_step_op.register_fake
def _(
    xz: Tensor,
    window: Tensor,
    conv_weight: Tensor,
    conv_bias: Tensor | None,
    x_proj: Tensor,
    dt_proj: Tensor,
    dt_bias: Tensor,
    A_log: Tensor,
    D: Tensor,
    state: Tensor,
) -> Tensor:
    return xz.new_empty(xz.shape[0], A_log.shape[0])
