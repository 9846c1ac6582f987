"""The blocked scan, against the reference in float64: every output and every gradient."""

import pytest
import torch

from mamba_narrative.model.scan import cpu
from mamba_narrative.model.scan.dispatch import selective_scan
from mamba_narrative.model.scan.verify import largest_relative_difference, outputs_and_gradients, scan_case

TOLERANCE = {torch.float64: 1e-12, torch.float32: 2e-5}


@pytest.fixture(autouse=True)
def short_blocks(monkeypatch):
    """Blocks of 8 steps, so that the lengths tested end within, at and after several blocks."""
    monkeypatch.setattr(cpu, "BLOCK_BYTES", 1)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("with_resets", [False, True])
@pytest.mark.parametrize("with_state", [False, True])
@pytest.mark.parametrize("length", [1, 2, 7, 8, 9, 16, 17, 64, 257])
def test_outputs_and_gradients_are_the_reference(length, with_state, with_resets, dtype):
    case = scan_case(length, with_state, with_resets)
    found = outputs_and_gradients(case, "cpu", dtype)
    expected = outputs_and_gradients(case, "reference", torch.float64)
    assert found.keys() == expected.keys()
    difference, worst = largest_relative_difference(found, expected)
    assert difference < TOLERANCE[dtype], worst


@pytest.mark.parametrize("delta_scale", [1e-6, 30.0, 1e4])
def test_extreme_step_sizes_stay_finite_and_right(delta_scale):
    case = scan_case(64, with_state=True, with_resets=True, delta_scale=delta_scale)
    found = outputs_and_gradients(case, "cpu", torch.float32)
    expected = outputs_and_gradients(case, "reference", torch.float64)
    assert all(tensor.isfinite().all() for tensor in found.values())
    difference, worst = largest_relative_difference(found, expected)
    assert difference < 1e-4, worst


def test_a_block_length_changes_nothing_but_rounding(monkeypatch):
    case = scan_case(100, with_state=True, with_resets=True)
    short = outputs_and_gradients(case, "cpu", torch.float64)
    monkeypatch.setattr(cpu, "BLOCK_BYTES", 2**22)
    difference, _ = largest_relative_difference(outputs_and_gradients(case, "cpu", torch.float64), short)
    assert difference < 1e-13


def test_gradients_agree_with_finite_differences():
    case = scan_case(18, with_state=True, with_resets=True, batch=1, channels=2)
    inputs = [tensor.requires_grad_() for tensor in case.inputs.values()]

    def scan(*tensors):
        named = dict(zip(case.inputs, tensors, strict=True))
        return selective_scan(**named, softplus=True, resets=case.resets, backend="cpu")

    assert torch.autograd.gradcheck(scan, inputs)


def test_reading_in_pieces_with_carried_state_equals_reading_at_once_with_gradients():
    case = scan_case(50, with_state=True, with_resets=True)
    inputs = {name: tensor.requires_grad_() for name, tensor in case.inputs.items()}
    timed = ("u", "delta", "B", "C", "z")
    expected, expected_state = selective_scan(**inputs, resets=case.resets, softplus=True, backend="cpu")
    state, pieces = inputs.pop("initial_state"), []
    start = state
    for span in (slice(0, 1), slice(1, 20), slice(20, 50)):
        piece = {name: tensor[:, span] if name in timed else tensor for name, tensor in inputs.items()}
        y, state = selective_scan(
            **piece, initial_state=state, resets=case.resets[:, span], softplus=True, backend="cpu"
        )
        pieces.append(y)
    found = torch.cat(pieces, dim=1)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(state, expected_state, rtol=1e-12, atol=1e-12)
    of_interest = [start, inputs["A"], inputs["u"]]
    once = torch.autograd.grad(expected.square().sum() + expected_state.sum(), of_interest)
    piecewise = torch.autograd.grad(found.square().sum() + state.sum(), of_interest)
    for one, other in zip(piecewise, once, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-11)


def test_half_precision_inputs_are_computed_in_float32():
    case = scan_case(64, with_state=True, with_resets=False)
    timed = ("u", "delta", "B", "C", "z")
    half = {name: tensor.to(torch.bfloat16 if name in timed else torch.float32) for name, tensor in case.inputs.items()}
    exact = {name: tensor.double() for name, tensor in half.items()}

    y, state = selective_scan(**half, softplus=True, backend="cpu")
    expected, expected_state = selective_scan(**exact, softplus=True, backend="reference")

    assert y.dtype == torch.bfloat16
    assert state.dtype == torch.float32
    torch.testing.assert_close(y.double(), expected, rtol=2**-8, atol=1e-5)
    torch.testing.assert_close(state.double(), expected_state, rtol=1e-5, atol=1e-5)


def test_autocast_around_forward_and_backward_changes_no_bit():
    case = scan_case(40, with_state=True, with_resets=False)
    plain = outputs_and_gradients(case, "cpu", torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        under_autocast = outputs_and_gradients(case, "cpu", torch.float32)
    assert all(torch.equal(plain[name], under_autocast[name]) for name in plain)
