"""The CUDA kernels, run on the CPU: outputs and gradients against the float64 reference.

Small sizes, as threads take turns; ``tests/gpu`` has the large ones.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from cuda_emulator.emulator import WHY_NOT, emulate
from mamba_narrative.config.architectures.mamba import MambaSettings
from mamba_narrative.config.architectures.transformer import TransformerSettings
from mamba_narrative.cuda import dropout
from mamba_narrative.cuda.cross_entropy import cross_entropy_
from mamba_narrative.cuda.dropout import drop
from mamba_narrative.model.dropout import Dropout, Site
from mamba_narrative.model.layers import RMSNorm
from mamba_narrative.model.mamba import MambaMixer
from mamba_narrative.model.registry import build_model
from mamba_narrative.model.scan import cuda, cuda_convolution, cuda_mixer, cuda_norm, cuda_passes, cuda_step, dispatch
from mamba_narrative.model.scan.convolution import causal_conv
from mamba_narrative.model.scan.dispatch import Backend
from mamba_narrative.model.scan.verify import largest_relative_difference, outputs_and_gradients, scan_case
from mamba_narrative.tokens.windows import IGNORED_TARGET
from unit.model.scan_reference import TOLERANCE, compared

pytestmark = pytest.mark.skipif(WHY_NOT is not None, reason=str(WHY_NOT))


@pytest.fixture
def kernels(monkeypatch, tmp_path_factory):
    """``cuda`` as a backend that runs on the CPU."""
    modules = (cuda, cuda_convolution, cuda_mixer, cuda_norm)
    operators = [operator for module in modules for operator in (module._forward_op, module._backward_op)]
    emulate(monkeypatch, tmp_path_factory.mktemp("kernels"), *operators, cuda_step._step_op, dropout._drop_op)
    monkeypatch.setitem(dispatch.BACKENDS, "cuda", Backend(dispatch._load_cuda, lambda device: None))


def slow(*values: object) -> object:
    """For `make test-all`: what is emulated takes seconds."""
    return pytest.param(*values, marks=pytest.mark.slow)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize(("length", "channels", "d_state", "with_resets"), [
    slow(1, 8, 16, True), slow(5, 20, 16, True), (70, 20, 16, True), (33, 8, 8, True), (37, 12, 32, False),
])  # fmt: skip
def test_scan(kernels, length, channels, d_state, with_resets, dtype):
    case = scan_case(length, batch=2, channels=channels, d_state=d_state, with_resets=with_resets)
    difference, name = compared(case, dtype)
    assert difference < TOLERANCE[dtype], name


@pytest.fixture
def cut(kernels, monkeypatch):
    """Call to have forward and backward in a few segments, whatever the size."""
    plan = cuda_passes.plan

    def cut(**plan_of_the_gpu):
        def in_segments(backward, batch, length, channels, d_state, device):
            usual = plan(backward, batch, length, channels, d_state, device)
            division = cuda_passes.divided(usual.lane_channels, usual.warps, usual.min_blocks, 3, length)
            return replace(division, **plan_of_the_gpu)

        monkeypatch.setattr(cuda_passes, "plan", in_segments)

    return cut


@pytest.fixture
def segments(cut):
    cut()


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize(("length", "channels", "d_state"), [slow(1, 8, 16), (150, 20, 16), (500, 8, 8), (290, 12, 32)])
@pytest.mark.parametrize("with_resets", [True, slow(False)])
def test_scan_in_segments(segments, with_resets, length, channels, d_state, dtype):
    case = scan_case(length, batch=1, channels=channels, d_state=d_state, with_resets=with_resets)
    difference, name = compared(case, dtype)
    assert difference < TOLERANCE[dtype], name


@pytest.mark.parametrize("d_state", [slow(8), 16, slow(32)])
@pytest.mark.parametrize(("chunk", "carry_buffers"), [(32, 2), (16, 1)], ids=["much shared memory", "little"])
def test_segments_of_several_chunks(cut, d_state, chunk, carry_buffers):
    cut(chunk=chunk, carry_buffers=carry_buffers)
    case = scan_case(900, with_resets=False, batch=1, channels=8, d_state=d_state)
    difference, name = compared(case, torch.float32)
    assert difference < TOLERANCE[torch.float32], name


def test_resets_where_shared_memory_is_little(cut):
    cut(chunk=16, carry_buffers=1)
    case = scan_case(200, batch=2, channels=8, d_state=16)
    difference, name = compared(case, torch.float32)
    assert difference < TOLERANCE[torch.float32], name


@pytest.mark.parametrize("softplus", [True, False])
def test_states_forgotten_within_a_segment_are_carried_right(segments, softplus):
    case = scan_case(600, delta_scale=6.0, with_resets=False, batch=1, channels=8, d_state=16)
    inputs = {name: tensor.float() for name, tensor in case.inputs.items()}
    inputs["delta"] = inputs["delta"] if softplus else inputs["delta"].abs()
    inputs["delta_bias"] = inputs["delta_bias"].abs()

    def results(backend, dtype):
        leaves = {name: tensor.to(dtype).requires_grad_() for name, tensor in inputs.items()}
        y, last = dispatch.selective_scan(**leaves, softplus=softplus, backend=backend)
        gradients = torch.autograd.grad(y.sum() + last.sum(), list(leaves.values()))
        found = {"y": y, "final_state": last, **dict(zip(leaves, gradients, strict=True))}
        return {name: one.double().detach() for name, one in found.items()}

    difference, name = largest_relative_difference(results("cuda", torch.float32), results("reference", torch.double))
    assert difference < TOLERANCE[torch.float32], name


def test_a_reset_at_either_end_of_a_segment_cuts_what_is_carried(segments):
    whole = scan_case(192, batch=1, channels=8, d_state=16)  # segments begin at 0, 64, 128
    for at in (63, 64, 127, 128):
        resets = torch.zeros(1, 192, dtype=torch.bool)
        resets[:, at] = True
        case = type(whole)(whole.inputs, resets)
        difference, name = compared(case, torch.float32)
        assert difference < TOLERANCE[torch.float32], (at, name)


def test_scan_without_what_may_be_left_out(kernels):
    case = scan_case(11, with_state=False, with_resets=False, batch=1, channels=4, d_state=16)
    inputs = {name: tensor for name, tensor in case.inputs.items() if name not in ("D", "z", "delta_bias")}
    difference, name = compared(type(case)(inputs, None), torch.float32)
    assert difference < TOLERANCE[torch.float32], name


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("length", [2, 70])
def test_convolution(kernels, length, dtype):
    generator = torch.Generator().manual_seed(length)

    def normal(*shape):
        return torch.randn(*shape, generator=generator).bfloat16().double()

    inputs = {"x": normal(2, length, 8), "weight": normal(8, 4), "bias": normal(8), "initial_window": normal(2, 3, 8)}
    resets = torch.rand(2, length, generator=generator) < 0.2
    weight = normal(2, length, 8)

    def results(backend, dtype):
        wide = torch.promote_types(dtype, torch.float32)
        leaves = {
            name: tensor.to(wide if name in ("weight", "bias") else dtype).requires_grad_()
            for name, tensor in inputs.items()
        }
        y, _ = causal_conv(**leaves, resets=resets, silu=True, backend=backend)
        return [y, *torch.autograd.grad((y * weight.to(dtype)).sum(), list(leaves.values()))]

    tolerance = 1e-5 if dtype == torch.float32 else 1e-2
    for one, right in zip(results("cuda", dtype), results("reference", torch.float64), strict=True):
        assert (one.double() - right).abs().max() <= tolerance * right.abs().max()


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("with_update", [True, False])
@pytest.mark.parametrize("rows", [slow(1), 37])
def test_residual_sum_and_norm(kernels, rows, with_update, dtype):
    generator = torch.Generator().manual_seed(rows)
    x, update, weight = (torch.randn(*shape, generator=generator) for shape in ((rows, 256), (rows, 256), (256,)))
    update = update.to(dtype) if with_update else None
    factors = torch.randn(rows, 256, generator=generator).to(dtype), torch.randn(rows, 256, generator=generator)

    def results(normed, total, leaves, factors):
        loss = (normed * factors[0]).sum().to(total.dtype) + (total * factors[1]).sum()
        return [normed, total, *torch.autograd.grad(loss, leaves)]

    leaves = [tensor.clone().requires_grad_() for tensor in (x, weight, *([update] if with_update else []))]
    fused = cuda_norm.add_norm(leaves[0], leaves[2] if with_update else None, leaves[1], dtype, "cuda")
    found = results(*fused, leaves, factors)
    leaves = [tensor.detach().double().requires_grad_() for tensor in leaves]
    total = leaves[0] + leaves[2] if with_update else leaves[0]
    plain = F.rms_norm(total, (256,), leaves[1], cuda_norm.EPSILON), total
    expected = results(*plain, leaves, [factor.double() for factor in factors])
    tolerance = 1e-5 if dtype == torch.float32 else 1e-2
    for one, right in zip(found, expected, strict=True):
        assert (one.double() - right).abs().max() <= tolerance * right.abs().max()


def site_of(rate, first_row=3):
    return Site(rate, 65_538, torch.tensor([-9_876_543_210_123_456_789 >> 1, first_row]))


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("width", [4, 132, 384, 520])
@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_dropped_are_the_values_of_the_reference(kernels, dtype, width, rate):
    x = torch.randn(2, 5, width, generator=torch.Generator().manual_seed(1)).to(dtype).requires_grad_()
    site = site_of(rate)
    found = drop(x, site.draw, site.number, site.dropped_levels)
    gradient = torch.autograd.grad(found.sum(), x)[0]
    scaled = torch.where(site.kept(2, 5, width), x.detach().double() * site.scale, 0.0)
    assert torch.equal(found == 0, ~site.kept(2, 5, width))
    torch.testing.assert_close(found.double(), scaled, rtol=2**-8 if dtype == torch.bfloat16 else 1e-6, atol=0)
    assert torch.equal(gradient, torch.where(site.kept(2, 5, width), torch.tensor(site.scale).to(dtype), 0))


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("width", [slow(128), slow(256), 384])
def test_residual_sum_and_norm_with_dropout(kernels, width, dtype):
    generator = torch.Generator().manual_seed(width)
    shape = (3, 7, width)
    x, update, weight = (torch.randn(*size, generator=generator) for size in (shape, shape, (width,)))
    factors = [torch.randn(*shape, generator=generator) for _ in range(2)]
    site = site_of(0.3)

    def results(normed, total, leaves):
        loss = (normed.double() * factors[0]).sum() + (total.double() * factors[1]).sum()
        return [normed, total, *torch.autograd.grad(loss, leaves)]

    leaves = [tensor.clone().requires_grad_() for tensor in (x, weight, update.to(dtype))]
    found = results(*cuda_norm.add_norm(leaves[0], leaves[2], leaves[1], dtype, "cuda", site), leaves)
    leaves = [tensor.detach().double().requires_grad_() for tensor in leaves]
    total = leaves[0] + torch.where(site.kept(*shape), leaves[2] * site.scale, 0.0)
    expected = results(F.rms_norm(total, (width,), leaves[1], cuda_norm.EPSILON), total, leaves)
    tolerance = 1e-5 if dtype == torch.float32 else 1e-2
    for one, right in zip(found, expected, strict=True):
        assert (one.double() - right).abs().max() <= tolerance * right.abs().max()
    assert torch.equal(found[-1] == 0, ~site.kept(*shape))


@pytest.mark.parametrize("architecture", ["mamba", "transformer"])
def test_a_whole_model_with_dropout(kernels, architecture):
    settings = {
        "mamba": MambaSettings(d_model=128, n_layer=2, scan_backend="cuda"),
        "transformer": TransformerSettings(d_model=128, n_layer=1, context_length=16),
    }[architecture]
    model, reference = (build_model(architecture, settings, 23, seed=1) for _ in range(2))
    for norm in (module for module in model.modules() if isinstance(module, RMSNorm)):
        norm.backend = "cuda"
    for module in reference.modules():
        if isinstance(module, RMSNorm):
            module.backend = "reference"
        if isinstance(module, MambaMixer):
            module.scan_backend = "reference"
    ids = torch.randint(0, 23, (2, 9), generator=torch.Generator().manual_seed(1))
    factors = torch.randn(2, 9, 128, generator=torch.Generator().manual_seed(2))

    def results(model):
        with model.dropping(Dropout(0.1, 0.2, 0.0, site_of(0).draw)):
            hidden, _ = model(ids)
            return [hidden, *torch.autograd.grad((hidden * factors).sum(), list(model.parameters()))]

    found, expected = results(model), results(reference.double())
    for one, right in zip(found, expected, strict=True):
        assert (one.double() - right).norm() <= 1e-4 * right.norm()


@pytest.mark.parametrize("autocast", [False, True], ids=["float32", "bfloat16"])
def test_whole_model_forward_backward_and_step(kernels, autocast):
    settings = MambaSettings(d_model=128, n_layer=2, scan_backend="cuda")
    model = build_model("mamba", settings, 23, seed=1)
    reference = build_model("mamba", settings.model_copy(update={"scan_backend": "reference"}), 23, seed=1).double()
    assert model.layers()[0].mixer._cuda_weights(torch.zeros(1, 1, 128)) is not None
    ids = torch.randint(0, 23, (2, 9), generator=torch.Generator().manual_seed(1))
    resets = torch.zeros(2, 9, dtype=torch.bool)
    resets[1, 4] = True
    factors = torch.randn(2, 9, 128, generator=torch.Generator().manual_seed(2))

    def results(model, autocast=False):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
            hidden, state = model(ids, None, resets)
        gradients = torch.autograd.grad((hidden * factors).sum() + state["1.scan"].sum(), list(model.parameters()))
        with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
            state = {name: tensor.detach().clone() for name, tensor in state.items()}
            after = model.step(ids[:, :1], state)
        return [hidden, *gradients, after, *state.values()]

    found, expected = results(model, autocast), results(reference)
    for one, right in zip(found, expected, strict=True):
        assert (one.double() - right).norm() <= (5e-2 if autocast else 1e-4) * right.norm()


def test_two_runs_are_equal_to_the_bit(kernels):
    case = scan_case(40, batch=2, channels=20, d_state=16)
    first, again = (outputs_and_gradients(case, "cuda", torch.bfloat16) for _ in range(2))
    assert all(torch.equal(first[name], again[name]) for name in first)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("z_loss", [slow(0.0), 0.1])
@pytest.mark.parametrize(("columns", "vocab_size"), [(4, 1), (12, 9), (4100, 4097)])
def test_cross_entropy(kernels, columns, vocab_size, z_loss, dtype):
    generator = torch.Generator().manual_seed(columns)
    scores = (torch.randn(3, columns, generator=generator) * 5).to(dtype)
    targets = torch.randint(0, vocab_size, (3,), generator=generator)
    wide = scores[:, :vocab_size].double().requires_grad_()
    nats, squares = F.cross_entropy(wide, targets, reduction="none"), wide.logsumexp(1).square()
    (expected,) = torch.autograd.grad((nats + z_loss * squares).sum(), wide)
    ignored = cross_entropy_(left_out := scores.clone(), torch.full((3,), IGNORED_TARGET), vocab_size, gradient=True)
    assert not any(tensor.any() for tensor in (*ignored, left_out))
    without = cross_entropy_(scores.clone(), targets, vocab_size, gradient=False)
    found = cross_entropy_(scores, targets, vocab_size, gradient=True, z_loss=z_loss)
    for one, same, right in zip(found, without, (nats, squares), strict=True):
        assert torch.equal(one, same)
        torch.testing.assert_close(one.double(), right.detach(), rtol=1e-5, atol=1e-5)
    assert not scores[:, vocab_size:].any()
    torch.testing.assert_close(
        scores[:, :vocab_size].double(), expected, rtol=1e-2 if dtype == torch.bfloat16 else 1e-5, atol=1e-6
    )
