"""The algebra of the whole-mixer operator, with the kernels replaced by plain PyTorch on the CPU."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from mamba_narrative.model.scan import cuda_convolution, cuda_mixer, cuda_passes
from mamba_narrative.model.scan.convolution import causal_conv
from mamba_narrative.model.scan.dispatch import selective_scan

CHANNELS, D_STATE, RANK, WIDTH, D_MODEL = 16, 8, 8, 4, 12


def scan_forward(tensors, softplus, save, division=None):
    with torch.no_grad():
        y, last = scan(tensors, softplus)
    batch, length, channels = y.shape
    with torch.no_grad():
        ungated, _ = scan({**tensors, "z": None}, softplus)
    return y, last, y.new_zeros(batch, -(-length // cuda_passes.TILE), channels, D_STATE), ungated


def scan(tensors, softplus):
    return selective_scan(
        *(tensors[name] for name in ("u", "delta", "A", "B", "C", "D", "z")),
        delta_bias=tensors["bias"],
        softplus=softplus,
        initial_state=tensors["start"],
        resets=tensors["resets"],
        backend="reference",
    )


NAMES = ("u", "delta", "A", "B", "C", "D", "z", "bias", "start")


def derived(outputs_of, tensors, names, gradients):
    """Gradients by plain autograd: in a thread of its own, as it is switched off inside of an operator."""

    def differentiate():
        leaves = {name: tensors[name].detach().clone().requires_grad_() for name in names if tensors[name] is not None}
        outputs = outputs_of({**tensors, **leaves})
        pairs = [(out, grad) for out, grad in zip(outputs, gradients, strict=True) if grad is not None]
        found = torch.autograd.grad([out for out, _ in pairs], list(leaves.values()), [grad for _, grad in pairs])
        return dict(zip(leaves, found, strict=True))

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(differentiate).result()


def scan_backward(tensors, softplus, needs_start, into=None, division=None):
    found = derived(lambda given: scan(given, softplus), tensors, NAMES, (tensors["dy"], tensors["dlast"]))
    into["y"].copy_(tensors["ungated"] * torch.nn.functional.silu(tensors["z"]))
    for name in ("z", "B", "C"):
        found[name] = into[name].copy_(found[name])
    return {**found, "start": found.get("start", tensors["A"].new_empty(0))}


def convolve(tensors, silu):
    return causal_conv(
        tensors["x"], tensors["weight"], tensors["bias"], tensors["window"], tensors["resets"], silu, "reference"
    )[:1]


def conv_forward(x, weight, bias, window, resets, silu):
    with torch.no_grad():
        return convolve({"x": x, "weight": weight, "bias": bias, "window": window, "resets": resets}, silu)[0]


def conv_backward(x, weight, bias, window, resets, silu, dy, dx):
    tensors = {"x": x, "weight": weight, "bias": bias, "window": window, "resets": resets}
    found = derived(lambda given: convolve(given, silu), tensors, ("x", "weight", "bias", "window"), (dy,))
    dx.copy_(found["x"])
    return found["weight"], found.get("bias", weight.new_empty(0)), found.get("window")


@pytest.fixture
def on_cpu(monkeypatch):
    monkeypatch.setattr(cuda_passes, "run_forward", scan_forward)
    monkeypatch.setattr(cuda_passes, "run_backward", scan_backward)
    monkeypatch.setattr(cuda_convolution, "run_forward", conv_forward)
    monkeypatch.setattr(cuda_convolution, "run_backward", conv_backward)
    for operator in (cuda_mixer._forward_op, cuda_mixer._backward_op):
        operator.register_kernel("cpu")(operator._init_fn)


def plain(hidden, weights, window, start, resets):
    x, gate = (hidden @ weights.in_proj.t()).chunk(2, dim=-1)
    x, window = causal_conv(x, weights.conv_weight, weights.conv_bias, window, resets, True, "reference")
    dt, b, c = (x @ weights.x_proj.t()).split([RANK, D_STATE, D_STATE], dim=-1)
    y, last = selective_scan(
        x, dt @ weights.dt_proj.t(), -torch.exp(weights.A_log), b, c, weights.D, gate, weights.dt_bias, True,
        start, resets, "reference",
    )  # fmt: skip
    return y @ weights.out_proj.t(), window, last


@pytest.mark.parametrize("length", [1, 2, 3, 4, 13])
@pytest.mark.parametrize("with_bias", [True, False])
@pytest.mark.parametrize("with_state", [True, False])
@pytest.mark.parametrize("with_resets", [True, False])
def test_outputs_and_gradients_are_those_of_operator_by_operator(on_cpu, length, with_bias, with_state, with_resets):
    generator = torch.Generator().manual_seed(length)

    def normal(*shape):
        return torch.randn(*shape, generator=generator).mul_(0.5).requires_grad_()

    weights = cuda_mixer.MixerWeights(
        normal(2 * CHANNELS, D_MODEL),
        normal(CHANNELS, WIDTH),
        normal(CHANNELS) if with_bias else None,
        normal(RANK + 2 * D_STATE, CHANNELS),
        normal(CHANNELS, RANK),
        normal(CHANNELS),
        normal(CHANNELS, D_STATE),
        normal(CHANNELS),
        normal(D_MODEL, CHANNELS),
    )
    assert cuda_mixer.takes(weights, torch.float32)
    hidden = normal(2, length, D_MODEL)
    window = normal(2, WIDTH - 1, CHANNELS) if with_state else None
    start = normal(2, CHANNELS, D_STATE) if with_state else None
    resets = torch.rand(2, length, generator=generator) < 0.3 if with_resets else None
    leaves = [tensor for tensor in (hidden, *weights.tensors(), window, start) if tensor is not None]
    expected = plain(hidden, weights, window, start, resets)
    found = cuda_mixer.cuda_mixer(hidden, weights, window, start, resets)
    factors = [torch.randn(tensor.shape, generator=generator) for tensor in expected]
    for one, right in zip(found, expected, strict=True):
        torch.testing.assert_close(one, right)
    for chosen in ((0, 1, 2), (0,), (1, 2)):
        right, ours = (
            torch.autograd.grad(
                sum((outputs[i] * factors[i]).sum() for i in chosen), leaves, retain_graph=True, allow_unused=True
            )
            for outputs in (expected, found)
        )
        for leaf, one, other in zip(leaves, ours, right, strict=True):
            one, other = (torch.zeros_like(leaf) if gradient is None else gradient for gradient in (one, other))
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)
