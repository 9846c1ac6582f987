"""The selective scan alone on one GPU, ours beside mamba-ssm's kernel, forward and backward.

bfloat16, 1,536 channels, 16 states, with gate and softplus. CUDA events around 8 calls, medians, both in one run; each
side reads its own layout without copies (ours [batch, length, channels], mamba-ssm's [batch, channels, length]).

    python tests/benchmarks/bench_scan_gpu.py [--profile]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from timing import Row, cuda_milliseconds, machine, show
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

from mamba_narrative.model.scan.dispatch import BACKENDS, selective_scan

CHANNELS, D_STATE = 1536, 16
SIZES = ((16, 2048, "1.55 ms", "1.1 ms"), (8, 4096, "", ""), (2, 16_384, "", ""), (1, 65_536, "3.4 ms", "2 ms"))
"""Batch, length, and the times asked for."""


def inputs(batch: int, length: int) -> dict[str, Tensor]:
    """Values as in a model at the start of its training."""
    generator = torch.Generator("cuda").manual_seed(1)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, device="cuda")

    states = torch.arange(1, D_STATE + 1, dtype=torch.float32, device="cuda")
    timed = {
        "u": normal(batch, length, CHANNELS),
        "delta": normal(batch, length, CHANNELS) * 0.5,
        "B": normal(batch, length, D_STATE),
        "C": normal(batch, length, D_STATE),
        "z": normal(batch, length, CHANNELS),
    }
    return {name: tensor.bfloat16() for name, tensor in timed.items()} | {
        "A": -states.expand(CHANNELS, D_STATE).contiguous(),
        "D": torch.ones(CHANNELS, device="cuda"),
        "delta_bias": normal(CHANNELS) - 4.0,
    }


def both_passes(scan: Callable[..., Tensor], arguments: dict[str, Tensor], repeats: int) -> tuple[float, float]:
    """Median milliseconds of the forward alone (nothing kept) and of forward and backward."""
    leaves = {name: tensor.detach().clone().requires_grad_() for name, tensor in arguments.items()}
    dy = torch.randn_like(leaves["u"])

    def forward() -> None:
        with torch.no_grad():
            scan(**leaves)

    def forward_and_backward() -> None:
        torch.autograd.grad(scan(**leaves), list(leaves.values()), dy)

    return cuda_milliseconds(forward, repeats, calls=8), cuda_milliseconds(forward_and_backward, repeats, calls=8)


def ours(**arguments: Tensor) -> Tensor:
    return selective_scan(**arguments, softplus=True, backend="cuda")[0]


def theirs(u: Tensor, delta: Tensor, B: Tensor, C: Tensor, z: Tensor, A: Tensor, D: Tensor, delta_bias: Tensor):
    from mamba_ssm.ops.selective_scan_interface import selective_scan_fn

    return selective_scan_fn(u, delta, A, B, C, D, z=z, delta_bias=delta_bias, delta_softplus=True)


def rows(repeats: int = 20) -> list[Row]:
    """Forward and backward at every size."""
    peer_missing = BACKENDS["mamba_ssm"].problem(torch.device("cuda", 0))
    found = []
    for batch, length, must, aim in SIZES:
        arguments = inputs(batch, length)
        our_forward, our_time = both_passes(ours, arguments, repeats)
        peer = None
        note = f"forward {our_forward:.3f} ms"
        if not peer_missing:
            transposed = {
                name: tensor.transpose(1, 2).contiguous() if tensor.ndim == 3 else tensor
                for name, tensor in arguments.items()
            }
            peer_forward, peer = both_passes(theirs, transposed, repeats)
            note += f", peer's {peer_forward:.3f} ms"
        found.append(
            Row(
                f"scan forward + backward, {batch} x {length}",
                "ms",
                "mamba-ssm" if not peer_missing else f"mamba-ssm skipped: {peer_missing}",
                peer,
                our_time,
                must,
                aim,
                higher_is_better=False,
                note=note,
            )
        )
    return found


def profile() -> None:
    """Time of each kernel."""
    for batch, length, *_ in SIZES:
        leaves = {name: tensor.requires_grad_() for name, tensor in inputs(batch, length).items()}
        dy = torch.randn_like(leaves["u"])
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as recorded:
            for _ in range(5):
                torch.autograd.grad(ours(**leaves), list(leaves.values()), dy)
            torch.cuda.synchronize()
        print(f"{batch} x {length}")
        for event in sorted(recorded.key_averages(), key=lambda event: -event.self_device_time_total)[:8]:
            print(f"  {event.key[:70]:70s} {event.self_device_time_total / 5000:8.3f} ms")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--profile", action="store_true", help="also print the time of each of our kernels")
    options = parser.parse_args()
    print(machine())
    show(rows(options.repeats))
    if options.profile:
        profile()
