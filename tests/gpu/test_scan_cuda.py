"""The CUDA scan computes what the float64 reference defines, to the bit the same every time."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
import torch

from mamba_narrative.model.scan import cuda_passes
from mamba_narrative.model.scan.dispatch import BACKENDS, resolve_backend, selective_scan
from mamba_narrative.model.scan.verify import largest_relative_difference, outputs_and_gradients, scan_case
from unit.model.scan_reference import TOLERANCE, compared

CUDA = torch.device("cuda", 0)


def test_auto_takes_it():
    assert resolve_backend("auto", CUDA) == "cuda"


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("length", [1, 2, 3, 4, 5, 31, 32, 33, 63, 127, 257, 1000, 2048, 8191, 8192])
def test_every_output_and_gradient_is_that_of_the_reference(length, dtype):
    channels = 96 if length < 3000 else 20
    difference, name = compared(scan_case(length, batch=2, channels=channels, d_state=16), dtype, CUDA)
    assert difference < TOLERANCE[dtype], name


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize(("batch", "channels", "d_state"), [
    (1, 1, 16), (64, 64, 16), (3, 5, 4), (2, 130, 8), (2, 130, 32), (1, 1536, 16), (5, 17, 3), (33, 8, 20),
])  # fmt: skip
def test_any_batch_width_and_state_size(batch, channels, d_state, dtype):
    difference, name = compared(scan_case(77, batch=batch, channels=channels, d_state=d_state), dtype, CUDA)
    assert difference < TOLERANCE[dtype], name


@pytest.fixture(params=["planned", "segments", "segments and little shared memory"])
def division(request, monkeypatch):
    """As planned, or forward and backward with five segments, also as on a GPU with little shared memory."""
    plan = cuda_passes.plan

    def chosen(backward, batch, length, channels, d_state, device):
        usual = plan(True, batch, length, channels, d_state, device)
        warps, min_blocks = (usual.warps, usual.min_blocks) if backward else (4, 4)
        division = cuda_passes.divided(usual.lane_channels, warps, min_blocks, 5, length)
        little = "little" in request.param
        return replace(division, chunk=16, carry_buffers=1) if little else division

    if request.param != "planned":
        monkeypatch.setattr(cuda_passes, "plan", chosen)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize(("length", "channels", "d_state"), [
    (1, 12, 16), (127, 20, 16), (129, 100, 16), (1001, 44, 16), (1500, 1536, 16), (770, 52, 8), (515, 36, 32),
])  # fmt: skip
@pytest.mark.parametrize("with_resets", [False, True])
def test_any_division(division, length, channels, d_state, with_resets, dtype):
    case = scan_case(length, with_resets=with_resets, batch=2, channels=channels, d_state=d_state)
    difference, name = compared(case, dtype, CUDA)
    assert difference < TOLERANCE[dtype], name


@pytest.mark.parametrize("left_out", [
    set(both) for size in range(3) for both in itertools.combinations(("D", "z", "delta_bias", "initial_state"), size)
], ids=lambda names: "-".join(sorted(names)) or "nothing")  # fmt: skip
@pytest.mark.parametrize("resets", [False, True])
def test_inputs_that_may_be_left_out(left_out, resets):
    case = scan_case(100, with_resets=resets, batch=2, channels=48, d_state=16)
    inputs = {name: tensor for name, tensor in case.inputs.items() if name not in left_out}
    difference, name = compared(type(case)(inputs, case.resets), torch.float32, CUDA)
    assert difference < TOLERANCE[torch.float32], name


def on_gpu(case, dtype=torch.float32):
    inputs = {
        name: tensor.to(CUDA, dtype if name in ("u", "delta", "B", "C", "z") else torch.float32)
        for name, tensor in case.inputs.items()
    }
    return inputs, None if case.resets is None else case.resets.to(CUDA)


@pytest.mark.parametrize("pieces", [[500, 524], [1, 1023], [37, 400, 1, 586], [1023, 1]])
def test_pieces_with_carried_state_are_the_whole(pieces):
    inputs, resets = on_gpu(scan_case(1024, batch=2, channels=64, d_state=16))
    whole, last = selective_scan(**inputs, softplus=True, resets=resets, backend="cuda")
    state, parts, start = inputs["initial_state"], [], 0
    for piece in pieces:
        window = slice(start, start + piece)
        part = {
            name: value[:, window] if name in ("u", "delta", "B", "C", "z") else value for name, value in inputs.items()
        }
        part["initial_state"] = state
        y, state = selective_scan(**part, softplus=True, resets=resets[:, window], backend="cuda")
        parts.append(y)
        start += piece
    torch.testing.assert_close(torch.cat(parts, 1), whole, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(state, last, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("reset", [1, 31, 32, 33, 63, 100, 199])
def test_nothing_crosses_a_reset(division, reset):
    case = scan_case(200, with_resets=False, batch=1, channels=64, d_state=16)
    inputs, _ = on_gpu(case)
    resets = torch.zeros(1, 200, dtype=torch.bool, device=CUDA)
    resets[:, reset] = True
    inputs = {name: tensor.requires_grad_() for name, tensor in inputs.items()}
    y, last = selective_scan(**inputs, softplus=True, resets=resets, backend="cuda")
    gradients = torch.autograd.grad(y[:, reset:].sum() + last.sum(), list(inputs.values()))
    for name, gradient in zip(inputs, gradients, strict=True):
        if name in ("u", "delta", "B", "C", "z"):
            assert not gradient[:, :reset].any(), name
    assert not gradients[list(inputs).index("initial_state")].any()
    changed = {name: tensor.detach().clone() for name, tensor in inputs.items()}
    for name in ("u", "delta", "B"):
        changed[name][:, reset - 1] += 1.0
    other, other_last = selective_scan(**changed, softplus=True, resets=resets, backend="cuda")
    assert torch.equal(other[:, reset:], y[:, reset:])
    assert torch.equal(other_last, last)
    assert not torch.equal(other[:, :reset], y[:, :reset])


@pytest.mark.parametrize(("batch", "length"), [(2, 4096), (16, 512)])
def test_two_runs_are_equal_to_the_bit(division, batch, length):
    case = scan_case(length, batch=batch, channels=256, d_state=16)
    first = outputs_and_gradients(case, "cuda", torch.bfloat16, CUDA)
    again = outputs_and_gradients(case, "cuda", torch.bfloat16, CUDA)
    assert all(torch.equal(first[name], again[name]) for name in first)


def test_views_of_wider_tensors_are_read_where_they_are():
    inputs, resets = on_gpu(scan_case(64, batch=2, channels=64, d_state=16))
    wide = torch.cat([inputs["u"], inputs["z"]], dim=-1)
    views = inputs | {"u": wide[..., :64], "z": wide[..., 64:]}
    y, _ = selective_scan(**inputs, softplus=True, resets=resets, backend="cuda")
    again, _ = selective_scan(**views, softplus=True, resets=resets, backend="cuda")
    assert torch.equal(y, again)


def test_torch_compile_keeps_one_graph():
    inputs, resets = on_gpu(scan_case(64, batch=2, channels=64, d_state=16))
    inputs = {name: tensor.requires_grad_() for name, tensor in inputs.items()}

    def scan():
        y, last = selective_scan(**inputs, softplus=True, resets=resets, backend="cuda")
        return (y * 2).sum() + last.sum()

    eager = scan()
    compiled = torch.compile(scan, fullgraph=True, backend="aot_eager")()
    torch.testing.assert_close(compiled, eager)
    for found, expected in zip(
        torch.autograd.grad(compiled, list(inputs.values())),
        torch.autograd.grad(eager, list(inputs.values())),
        strict=True,
    ):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_it_runs_under_cuda_graphs():
    inputs, resets = on_gpu(scan_case(128, batch=2, channels=64, d_state=16))

    def scan():
        return selective_scan(**inputs, softplus=True, resets=resets, backend="cuda")

    expected, _ = scan()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        y, _ = scan()
    y.zero_()
    graph.replay()
    assert torch.equal(y, expected)


def test_mamba_ssm_agrees_where_it_is_installed():
    if problem := BACKENDS["mamba_ssm"].problem(CUDA):
        pytest.skip(problem)
    case = scan_case(257, False, False, batch=2, channels=64, d_state=16)
    ours = outputs_and_gradients(case, "cuda", torch.float32, CUDA, through_state=False)
    theirs = outputs_and_gradients(case, "mamba_ssm", torch.float32, CUDA, through_state=False)
    difference, name = largest_relative_difference(ours, theirs)
    assert difference < 1e-4, name
