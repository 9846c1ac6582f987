"""One forward or backward of the selective scan on a GPU: how it is divided, its kernels and its tensors."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import torch
from torch import Tensor

from mamba_narrative.cuda import elements, runtime
from mamba_narrative.model.scan.kernels import scan_backward, scan_carry, scan_common, scan_forward

CHUNK, TILE = 32, 4
"""Steps of which segments are multiples, and steps between saved states, as in the kernels."""
_CARRY_QUADS = 8
"""Groups of 4 channels, each a warp, in a block of the kernels that only carry states or gradients."""
_RESERVED_BYTES = 1024
"""Shared memory of each block that the system takes."""

Tensors = dict[str, Tensor | None]


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
    chunk: int = CHUNK
    """Steps of B and C that a block of the backward holds in shared memory: fewer where blocks would not fit."""
    carry_buffers: int = 2
    """Chunks that the kernels that carry states hold in shared memory: 2, or 1 on a GPU that has too little."""


@cache
def plan(backward: bool, batch: int, length: int, channels: int, d_state: int, device: int) -> Plan:
    """The division for a size: as many segments as run at the same time, and no more."""
    lane_channels = 4 if d_state == 32 else 2
    warps = (2 if d_state == 32 else 4) if backward else 4
    min_blocks = (3 if d_state == 16 else 2) if backward else 4
    block_channels = warps * lane_channels * 32 // (d_state // 4)
    rows = batch * -(-channels // block_channels)
    gpu = torch.cuda.get_device_properties(device)
    segments = max(1, min(min_blocks * gpu.multi_processor_count // rows, length // (4 * CHUNK)))
    if not backward and rows >= gpu.multi_processor_count:
        segments = 1  # what idles costs less than carrying states
    division = divided(lane_channels, warps, min_blocks, segments, length)
    of_float32 = backward_shared_bytes(division, d_state, 4)
    fits = min_blocks * (of_float32 + _RESERVED_BYTES) <= gpu.shared_memory_per_multiprocessor
    two_fit = carry_shared_bytes(d_state, 2) <= gpu.shared_memory_per_block_optin
    chunk = CHUNK // 2 if backward and not fits else CHUNK
    return replace(division, chunk=chunk, carry_buffers=2 if two_fit else 1)


def carry_shared_bytes(d_state: int, buffers: int) -> int:
    """What ``carry_scan`` counts as BUFFER_FLOATS: step sizes and inputs of the channels, and B or C."""
    return 4 * buffers * (2 * _CARRY_QUADS * 548 + 160 * d_state + 128)


def backward_shared_bytes(division: Plan, d_state: int, element_bytes: int) -> int:
    """What ``backward_scan`` counts as VERSION and WARP_FLOATS."""
    of_lane = TILE * division.lane_channels // (d_state // 4)
    scalars = 3 * 32 * of_lane
    parts = TILE * (2 * 32 + 1) * division.lane_channels
    raw = 32 * (5 * of_lane + 4 * division.lane_channels)
    warp_floats = 2 * scalars + division.chunk // TILE * 2 * d_state * TILE + parts + 2 * raw * element_bytes // 4
    return 4 * (4 * (2 * division.chunk * d_state + 8) + division.warps * warp_floats)


def divided(lane_channels: int, warps: int, min_blocks: int, segments: int, length: int) -> Plan:
    """A plan with about ``segments`` segments of whole chunks."""
    segment_length = -(-length // (segments * CHUNK)) * CHUNK
    return Plan(lane_channels, warps, min_blocks, -(-length // segment_length), segment_length)


_PARAMETERS = runtime.Struct(
    pointers=(
        *("u", "delta", "B", "C", "z", "dy", "A", "D", "bias", "resets", "start", "states", "last"),
        *("alone", "decay", "joined"),
        *("y", "ungated", "du", "ddelta", "dz", "dlast", "dstart", "dA", "dA_sum", "dvectors"),
        *("dD_sum", "dbias_sum", "dBC", "dB", "dC"),
    ),
    rows=("u", "delta", "B", "C", "z", "dy", "dz", "dB", "dC"),
    sizes=("batch", "length", "channels", "segments", "segment_length", "tiles", "blocks"),
)
"""The structure ``Params`` of the kernels."""

_SHARED_SOURCE = elements.SOURCE + scan_common.SOURCE + scan_carry.SOURCE
_FORWARD_SOURCE, _BACKWARD_SOURCE = _SHARED_SOURCE + scan_forward.SOURCE, _SHARED_SOURCE + scan_backward.SOURCE


@cache
def _module(
    backward: bool, dtype: torch.dtype, d_state: int, resets: bool, z: bool, softplus: bool, division: Plan, device: int
) -> runtime.Module:
    macros = {
        "BF16": dtype == torch.bfloat16,
        "CARRY_BUFFERS": division.carry_buffers,
        "CHUNK": division.chunk,
        "D_STATE": d_state,
        "HAS_RESETS": resets,
        "HAS_Z": z,
        "LANE_CHANNELS": division.lane_channels,
        "MIN_BLOCKS": division.min_blocks,
        "SOFTPLUS": softplus,
        "WARPS": division.warps,
    }
    named = tuple((name, int(value)) for name, value in macros.items())
    return runtime.Module(_BACKWARD_SOURCE if backward else _FORWARD_SOURCE, named, device)


class _Pass:
    """One forward or backward over tensors: its kernels and their parameters."""

    def __init__(self, backward: bool, division: Plan, softplus: bool, tensors: Tensors) -> None:
        u, A = tensors["u"], tensors["A"]
        assert u is not None
        assert A is not None
        self._direction, self.division = "backward" if backward else "forward", division
        batch, length, channels = u.shape
        self._batch, self._channels, self._d_state = batch, channels, A.shape[1]
        self._element_bytes = u.element_size()
        z, resets = tensors["z"] is not None, tensors["resets"] is not None
        self._module = _module(backward, u.dtype, self._d_state, resets, z, softplus, division, u.device.index)
        self._stream = torch.cuda.current_stream(u.device).cuda_stream
        self.blocks = -(-channels // (division.warps * division.lane_channels * 32 // (self._d_state // 4)))
        self._sizes = {
            "batch": batch,
            "length": length,
            "channels": channels,
            "segments": division.segments,
            "segment_length": division.segment_length,
            "tiles": -(-length // TILE),
            "blocks": self.blocks,
        }
        self._tensors = tensors

    def scan(self, tensors: Tensors) -> None:
        """Launch the kernel over blocks of channels, segments and batch."""
        shared = 0
        if self._direction == "backward":
            shared = backward_shared_bytes(self.division, self._d_state, self._element_bytes)
        grid = (self.blocks, self.division.segments, self._batch)
        self._launch(f"scan_{self._direction}", grid, tensors, 32 * self.division.warps, shared)

    def carried(self) -> Tensor:
        """The state before each segment, in a backward its gradient after each: what segments do alone, then joined."""
        A, segments = self._tensors["A"], self.division.segments
        assert A is not None
        alone, decay, joined = A.new_empty(3, self._batch, segments, self._channels, self._d_state)
        tensors: Tensors = {"alone": alone, "decay": decay, "joined": joined}
        grid = (-(-self._channels // (4 * _CARRY_QUADS)), segments - 1, self._batch)
        shared = carry_shared_bytes(self._d_state, self.division.carry_buffers)
        self._launch(f"scan_{self._direction}_carry", grid, tensors, 32 * _CARRY_QUADS, shared)
        grid = (-(-self._channels * self._d_state // 128), self._batch, 1)
        self._launch(f"scan_{self._direction}_join", grid, tensors, 128)
        return joined

    def sums(self, tensors: Tensors) -> None:
        """Launch the ordered sums of dB, dC, dA, dD and dbias."""
        rows = self._batch * self._sizes["length"]
        quads = (rows * 2 * self._d_state + self._channels * (self._d_state + 2)) // 4
        self._launch("scan_sums", (-(-quads // 128), 1, 1), tensors, 128)

    def _launch(self, name: str, grid: tuple[int, int, int], tensors: Tensors, threads: int, shared: int = 0) -> None:
        parameters = _PARAMETERS.pack({**self._tensors, **tensors}, self._sizes)
        self._module.kernel(name, shared).launch(grid, threads, parameters, self._stream)


def run_forward(
    tensors: Tensors, softplus: bool, save: bool, division: Plan | None = None
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """y, the state after the last position, and (``save``) what the backward needs, in the type of u: the states before
    each tile and, where there is a gate, what it multiplies.
    """
    u, A = tensors["u"], tensors["A"]
    assert u is not None
    assert A is not None
    batch, length, channels = u.shape
    d_state = A.shape[1]
    division = division or plan(False, batch, length, channels, d_state, u.device.index)
    work = _Pass(False, division, softplus, tensors)
    y = torch.empty((batch, length, channels), dtype=u.dtype, device=u.device)
    last = A.new_empty(batch, channels, d_state)
    states = u.new_empty((batch, -(-length // TILE), channels, d_state) if save else (0,))
    ungated = u.new_empty((batch, length, channels) if save and tensors["z"] is not None else (0,))
    start = work.carried() if division.segments > 1 else tensors["start"]
    kept: Tensors = {"states": states if save else None, "ungated": ungated if ungated.numel() else None}
    work.scan({"y": y, "last": last, "start": start, **kept})
    return y, last, states, ungated


def run_backward(
    tensors: Tensors,
    softplus: bool,
    needs_start: bool,
    into: dict[str, Tensor] | None = None,
    division: Plan | None = None,
) -> dict[str, Tensor]:
    """Gradients of u, delta, A, B, C, D, z, bias and start (where ``needs_start``).

    ``into``: where to write those of z, B and C, as views of rows with a contiguous last dimension, and, where the
    forward's y is wanted again, a contiguous tensor "y" for it: rounded once more, since it is made of what was saved.
    """
    u, A, z = tensors["u"], tensors["A"], tensors["z"]
    assert u is not None
    assert A is not None
    batch, length, channels = u.shape
    d_state = A.shape[1]
    division = division or plan(True, batch, length, channels, d_state, u.device.index)
    work = _Pass(True, division, softplus, tensors)
    into = into or {
        "z": u.new_empty((batch, length, channels) if z is not None else (0, 0, 0)),
        "B": u.new_empty(batch, length, d_state),
        "C": u.new_empty(batch, length, d_state),
    }
    result = {
        "u": u.new_empty(batch, length, channels),
        "delta": u.new_empty(batch, length, channels),
        "start": A.new_empty((batch, channels, d_state) if needs_start else (0,)),
        **into,
        "A": A.new_empty(channels, d_state),
        "D": A.new_empty(channels),
        "bias": A.new_empty(channels),
    }
    pieces = batch * division.segments
    outputs: Tensors = {f"d{name}": result[name] for name in ("u", "delta", "z", "B", "C")}
    outputs["y"] = into.get("y")
    outputs |= {f"d{name}_sum": result[name] for name in ("A", "D", "bias")}
    outputs["dstart"] = result["start"] if needs_start else None
    outputs["dA"] = A.new_empty(pieces, channels, d_state)
    outputs["dvectors"] = A.new_empty(pieces, 2, channels)
    outputs["dBC"] = A.new_empty(work.blocks, batch, length, 2 * d_state)
    if division.segments > 1:
        outputs["dlast"] = work.carried()
    work.scan(outputs)
    work.sums(outputs)
    return result
