"""The selective scan on NVIDIA GPUs: hand-written kernels, compiled at run time, as torch custom operators.

The operators are differentiable, opaque to ``torch.compile`` (one graph) and safe in CUDA graphs once they have run
before (the first call compiles). They take contiguous last dimensions in one type, bfloat16 or float32, and float32 for
A, D, the bias and states; ``cuda_scan`` brings its arguments there. See ``kernels/scan_common`` for how the work is
divided.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from mamba_narrative.errors import UserError
from mamba_narrative.model.scan import cuda_runtime
from mamba_narrative.model.scan.inputs import aligned_rows, compute_dtype
from mamba_narrative.model.scan.kernels import elements, scan_backward, scan_backward_carry, scan_common, scan_forward
from mamba_narrative.model.scan.reference import reference_scan

CHUNK, TILE = 32, 4
"""Steps between saved states, and steps whose states the backward keeps in registers; as in the kernels."""
D_STATES = (8, 16, 32)
MAX_GRID_ROWS = 65_535
"""CUDA's limit on the second and third dimension of a grid."""


def problem(device: torch.device) -> str | None:
    """Why this backend cannot run on ``device``, or None."""
    if device.type != "cuda":
        return "it needs an NVIDIA GPU"
    if torch.version.hip is not None:
        return "it needs an NVIDIA GPU, and this torch is for AMD's"
    return cuda_runtime.problem()


def cuda_scan(
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
    """See ``dispatch.selective_scan``. Kept for backward: the inputs and one state every 32 steps.

    bfloat16 where u, delta, B, C and z all are, float32 otherwise; float64 is computed by the reference. Raises
    UserError for more than 32 states.
    """
    if compute_dtype(u, delta, A, initial_state) == torch.float64 or u.shape[1] == 0:
        return reference_scan(u, delta, A, B, C, D, z, delta_bias, softplus, initial_state, resets)
    channels, d_state = A.shape
    if d_state > D_STATES[-1]:
        raise UserError(f"d_state is {d_state}; the CUDA scan holds at most {D_STATES[-1]}: choose another backend")
    timed = [u, delta, B, C, *([] if z is None else [z])]
    dtype = torch.bfloat16 if all(tensor.dtype == torch.bfloat16 for tensor in timed) else torch.float32
    # Added channels and states see zeros only, and nothing of them reaches the others.
    more_channels = -channels % 4
    more_states = next(size for size in D_STATES if size >= d_state) - d_state
    y, last, _ = torch.ops.mamba_narrative.selective_scan(
        aligned_rows(u, dtype, more_channels),
        aligned_rows(delta, dtype, more_channels),
        F.pad(A.float(), (0, more_states, 0, more_channels)).contiguous(),
        aligned_rows(B, dtype, more_states),
        aligned_rows(C, dtype, more_states),
        None if D is None else F.pad(D.float(), (0, more_channels)).contiguous(),
        None if z is None else aligned_rows(z, dtype, more_channels),
        None if delta_bias is None else F.pad(delta_bias.float(), (0, more_channels)).contiguous(),
        softplus,
        None
        if initial_state is None
        else F.pad(initial_state.float(), (0, more_states, 0, more_channels)).contiguous(),
        None if resets is None else resets.contiguous(),
        torch.is_grad_enabled(),
    )
    return y[..., :channels].to(u.dtype), last[:, :channels, :d_state]


@dataclass(frozen=True)
class Plan:
    """How a pass is divided."""

    lane_channels: int
    """Channels of one lane: more share more work, fewer make more warps."""
    warps: int
    """Warps of a block."""
    min_blocks: int
    """Blocks that must fit on a multiprocessor: bounds the registers."""
    segments: int
    """Pieces of a sequence that run at the same time."""
    segment_length: int


def plan(backward: bool, batch: int, length: int, channels: int, d_state: int, device: int) -> Plan:
    """The division for a size, from measurements on one H200."""
    properties = torch.cuda.get_device_properties(device)
    lane_channels = 4 if d_state == 32 else 2
    warps = (2 if d_state == 32 else 4) if backward else 4
    min_blocks = (3 if d_state == 16 else 2) if backward else 4
    warp_channels = lane_channels * 32 // (d_state // 4)
    in_flight = batch * -(-channels // warp_channels)
    wanted = 12 * properties.multi_processor_count
    segments = 1 if 2 * in_flight >= wanted else min(-(-wanted // in_flight), -(-length // (4 * CHUNK)))
    return divided(lane_channels, warps, min_blocks, segments, length)


def divided(lane_channels: int, warps: int, min_blocks: int, segments: int, length: int) -> Plan:
    """A plan with about ``segments`` segments of whole chunks."""
    segment_length = -(-length // (max(1, segments) * CHUNK)) * CHUNK
    return Plan(lane_channels, warps, min_blocks, -(-length // segment_length), segment_length)


_POINTERS = (
    *("u", "delta", "B", "C", "z", "dy", "A", "D", "bias", "resets", "start", "states", "last", "decay"),
    *("y", "du", "ddelta", "dz", "dlast", "dstart", "dA", "dvectors", "dBC", "dB", "dC"),
)
_STRIDES = ("u", "delta", "B", "C", "z", "dy")
_SIZES = ("batch", "length", "channels", "segments", "segment_length", "chunks", "blocks")


class _Parameters(ctypes.Structure):
    """The structure ``Params`` of the kernels."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in _POINTERS),
        *((f"{name}_stride", cuda_runtime.Rows) for name in _STRIDES),
        *((name, ctypes.c_int) for name in _SIZES),
    )


_FORWARD_SOURCE = elements.SOURCE + scan_common.SOURCE + scan_forward.SOURCE
_BACKWARD_SOURCE = elements.SOURCE + scan_common.SOURCE + scan_backward.SOURCE + scan_backward_carry.SOURCE


@cache
def _module(backward: bool, macros: tuple[tuple[str, int], ...], device: int) -> cuda_runtime.Module:
    return cuda_runtime.Module(_BACKWARD_SOURCE if backward else _FORWARD_SOURCE, macros, device)


class _Pass:
    """One forward or backward over tensors: its kernels and their parameters."""

    def __init__(self, backward: bool, division: Plan, softplus: bool, tensors: dict[str, Tensor | None]) -> None:
        u, A = tensors["u"], tensors["A"]
        assert u is not None
        assert A is not None
        self.division = division
        batch, length, channels = u.shape
        d_state = A.shape[1]
        self._device = u.device.index
        self._d_state, self._backward = d_state, backward
        macros = {
            "BF16": u.dtype == torch.bfloat16,
            "D_STATE": d_state,
            "HAS_RESETS": tensors["resets"] is not None,
            "HAS_Z": tensors["z"] is not None,
            "LANE_CHANNELS": division.lane_channels,
            "MIN_BLOCKS": division.min_blocks,
            "SOFTPLUS": softplus,
            "WARPS": division.warps,
        }
        named = tuple((name, int(value)) for name, value in macros.items())
        self._module = _module(backward, named, self._device)
        self._stream = torch.cuda.current_stream(u.device).cuda_stream
        self.blocks = -(-channels // (division.warps * division.lane_channels * 32 // (d_state // 4)))
        self.parameters = _Parameters(
            batch=batch,
            length=length,
            channels=channels,
            segments=division.segments,
            segment_length=division.segment_length,
            chunks=-(-length // CHUNK),
            blocks=self.blocks,
        )
        self.point(**tensors)
        for name in _STRIDES:
            if (tensor := tensors.get(name)) is not None:
                setattr(self.parameters, f"{name}_stride", cuda_runtime.Rows(tensor.stride(0), tensor.stride(1)))

    def point(self, **tensors: Tensor | None) -> None:
        """Pass these tensors to the launches that follow."""
        for name, tensor in tensors.items():
            setattr(self.parameters, name, None if tensor is None else tensor.data_ptr())

    def scan(self, name: str) -> None:
        """Launch a kernel over blocks of channels, segments and batch."""
        shared = self._backward_shared_bytes() if name == "scan_backward" else 0
        grid = (self.blocks, self.division.segments, self.parameters.batch)
        kernel = self._module.kernel(name, shared)
        kernel.launch(grid, 32 * self.division.warps, self.parameters, self._stream)

    def join(self, name: str) -> None:
        """Launch a kernel over states."""
        states = self.parameters.channels * self._d_state
        self._module.kernel(name).launch(
            (-(-states // 128), self.parameters.batch, 1), 128, self.parameters, self._stream
        )

    def sum_blocks(self) -> None:
        """Launch the ordered sum of dB and dC."""
        quads = self.parameters.batch * self.parameters.length * 2 * self._d_state // 4
        self._module.kernel("scan_sum_blocks").launch((-(-quads // 128), 1, 1), 128, self.parameters, self._stream)

    def _backward_shared_bytes(self) -> int:
        """``BACKWARD_SHARED`` of the kernels."""
        n, lane_channels, groups = self._d_state, self.division.lane_channels, 32 // (self._d_state // 4)
        tiles = CHUNK // TILE
        states = tiles * 32 * lane_channels * 4
        scalars = 3 * tiles * groups * TILE * lane_channels
        return 4 * (4 * (2 * CHUNK * n + 8) + self.division.warps * (states + scalars))


def run_forward(
    tensors: dict[str, Tensor | None], softplus: bool, save: bool, division: Plan | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """y, the state after the last position, and (``save``) the states before each chunk."""
    u, A = tensors["u"], tensors["A"]
    assert u is not None
    assert A is not None
    batch, length, channels = u.shape
    d_state = A.shape[1]
    division = division or plan(False, batch, length, channels, d_state, u.device.index)
    work = _Pass(False, division, softplus, tensors)
    y = torch.empty((batch, length, channels), dtype=u.dtype, device=u.device)
    last = A.new_empty(batch, channels, d_state)
    states = A.new_empty((batch, -(-length // CHUNK), channels, d_state) if save else (0,))
    if division.segments > 1:
        ends, decay, starts = A.new_empty(3, batch, division.segments, channels, d_state)
        work.point(last=ends, decay=decay, states=starts)
        work.scan("scan_forward_carry")
        work.join("scan_join_forward")
        work.point(start=starts)
    work.point(y=y, last=last, states=states if save else None)
    work.scan("scan_forward")
    return y, last, states


def run_backward(
    tensors: dict[str, Tensor | None], softplus: bool, needs_start: bool, division: Plan | None = None
) -> dict[str, Tensor]:
    """Gradients of u, delta, A, B, C, D, z, bias and start (where ``needs_start``)."""
    u, A, z = tensors["u"], tensors["A"], tensors["z"]
    assert u is not None
    assert A is not None
    batch, length, channels = u.shape
    d_state = A.shape[1]
    division = division or plan(True, batch, length, channels, d_state, u.device.index)
    work = _Pass(True, division, softplus, tensors)
    segments = division.segments
    wide = {"dtype": u.dtype, "device": u.device}
    result = {
        "u": torch.empty((batch, length, channels), **wide),
        "delta": torch.empty((batch, length, channels), **wide),
        "B": torch.empty((batch, length, d_state), **wide),
        "C": torch.empty((batch, length, d_state), **wide),
        "z": torch.empty((batch, length, channels) if z is not None else (0,), **wide),
        "start": A.new_empty((batch, channels, d_state) if needs_start else (0,)),
    }
    dA = A.new_empty(batch * segments, channels, d_state)
    dvectors = A.new_empty(batch * segments, 2, channels)
    dBC = A.new_empty(work.blocks, batch, length, 2 * d_state)
    if segments > 1:
        # Segment ends carry gradients back as segment starts carry states on.
        decay, alone, ends = A.new_empty(3, batch, segments, channels, d_state)
        work.point(decay=decay, dstart=alone, dlast=None)
        work.scan("scan_backward_carry")
        work.point(dlast=tensors["dlast"], states=ends)
        work.join("scan_join_backward")
        work.point(dlast=ends, states=tensors["states"])
    work.point(du=result["u"], ddelta=result["delta"], dz=result["z"], dB=result["B"], dC=result["C"])
    work.point(dstart=result["start"] if needs_start else None, dA=dA, dvectors=dvectors, dBC=dBC)
    work.scan("scan_backward")
    work.sum_blocks()
    result["A"] = dA.sum(0)
    result["D"], result["bias"] = dvectors[:, 0].sum(0), dvectors[:, 1].sum(0)
    return result


_NAMES = ("u", "delta", "A", "B", "C", "D", "z", "bias", "start", "resets")
_ARGUMENTS = (
    "Tensor u, Tensor delta, Tensor A, Tensor B, Tensor C, Tensor? D, Tensor? z, Tensor? bias, bool softplus, "
    "Tensor? start, Tensor? resets"
)


@torch.library.custom_op(
    "mamba_narrative::selective_scan",
    mutates_args=(),
    device_types="cuda",
    schema=f"({_ARGUMENTS}, bool save) -> (Tensor, Tensor, Tensor)",
)
def _forward_op(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    z: Tensor | None,
    bias: Tensor | None,
    softplus: bool,
    start: Tensor | None,
    resets: Tensor | None,
    save: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    tensors: dict[str, Tensor | None] = dict(zip(_NAMES, (u, delta, A, B, C, D, z, bias, start, resets), strict=True))
    return run_forward(tensors, softplus, save)


@_forward_op.register_fake
def _(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    z: Tensor | None,
    bias: Tensor | None,
    softplus: bool,
    start: Tensor | None,
    resets: Tensor | None,
    save: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    batch, length, channels = u.shape
    d_state = A.shape[1]
    states = (batch, (length + CHUNK - 1) // CHUNK, channels, d_state) if save else (0,)
    return u.new_empty(batch, length, channels), A.new_empty(batch, channels, d_state), A.new_empty(states)


@torch.library.custom_op(
    "mamba_narrative::selective_scan_backward",
    mutates_args=(),
    device_types="cuda",
    schema=f"({_ARGUMENTS}, Tensor states, Tensor dy, Tensor? dlast, bool needs_start) -> Tensor[]",
)
def _backward_op(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    z: Tensor | None,
    bias: Tensor | None,
    softplus: bool,
    start: Tensor | None,
    resets: Tensor | None,
    states: Tensor,
    dy: Tensor,
    dlast: Tensor | None,
    needs_start: bool,
) -> list[Tensor]:
    tensors: dict[str, Tensor | None] = dict(zip(_NAMES, (u, delta, A, B, C, D, z, bias, start, resets), strict=True))
    result = run_backward({**tensors, "states": states, "dy": dy, "dlast": dlast}, softplus, needs_start)
    return [result[name] for name in _GRADIENTS]


_GRADIENTS = ("u", "delta", "A", "B", "C", "D", "z", "bias", "start")


@_backward_op.register_fake
def _(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    z: Tensor | None,
    bias: Tensor | None,
    softplus: bool,
    start: Tensor | None,
    resets: Tensor | None,
    states: Tensor,
    dy: Tensor,
    dlast: Tensor | None,
    needs_start: bool,
) -> list[Tensor]:
    batch, length, channels = u.shape
    d_state = A.shape[1]
    wide, narrow = (batch, length, channels), (batch, length, d_state)
    return [
        u.new_empty(wide),
        u.new_empty(wide),
        A.new_empty(channels, d_state),
        u.new_empty(narrow),
        u.new_empty(narrow),
        A.new_empty(channels),
        u.new_empty((0,) if z is None else wide),
        A.new_empty(channels),
        A.new_empty((batch, channels, d_state) if needs_start else (0,)),
    ]


def _save_for_backward(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor, Tensor]) -> None:
    *arguments, ctx.softplus, start, resets, _ = inputs
    ctx.save_for_backward(*arguments, start, resets, output[2])
    ctx.set_materialize_grads(False)


def _differentiate(ctx: Any, dy: Tensor | None, dlast: Tensor | None, _: Tensor | None) -> tuple[Tensor | None, ...]:
    *arguments, start, resets, states = ctx.saved_tensors
    u = arguments[0]
    dy = u.new_zeros(u.shape) if dy is None else aligned_rows(dy, u.dtype, 0)
    dlast = None if dlast is None else dlast.contiguous()
    gradients = torch.ops.mamba_narrative.selective_scan_backward(
        *arguments, ctx.softplus, start, resets, states, dy, dlast, start is not None
    )
    given = [
        None if value is None else gradient for value, gradient in zip([*arguments, start], gradients, strict=True)
    ]
    return *given[:-1], None, given[-1], None, None


_forward_op.register_autograd(_differentiate, setup_context=_save_for_backward)
