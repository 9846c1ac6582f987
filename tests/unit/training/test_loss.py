from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from cuda_emulator.emulator import WHY_NOT, emulate
from mamba_narrative.tokens.windows import IGNORED_TARGET
from mamba_narrative.training import loss as module
from mamba_narrative.training.loss import summed_cross_entropy


def problem(rows: int, masked: int, dtype: torch.dtype, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    hidden = torch.randn(2, rows, 6, generator=generator, dtype=torch.float64).to(dtype).requires_grad_()
    weight = torch.randn(24, 6, generator=generator, dtype=torch.float64).to(dtype).requires_grad_()
    targets = torch.randint(0, 20, (2, rows), generator=generator)
    targets.view(-1)[torch.randperm(2 * rows, generator=generator)[:masked]] = IGNORED_TARGET
    return hidden, weight, targets


def reference(hidden: Tensor, weight: Tensor, targets: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    hidden, weight = (tensor.detach().double().requires_grad_() for tensor in (hidden, weight))
    logits = hidden @ weight[:20].T
    total = F.cross_entropy(logits.view(-1, 20), targets.view(-1), ignore_index=IGNORED_TARGET, reduction="sum")
    total.backward()
    assert hidden.grad is not None
    assert weight.grad is not None
    return total, hidden.grad, weight.grad


@settings(max_examples=40, deadline=None)
@given(rows=st.integers(1, 9), masked=st.integers(0, 12), chunk=st.integers(1, 20))
def test_sum_and_gradients_are_those_of_the_plain_formula_however_it_is_cut(rows: int, masked: int, chunk: int) -> None:
    hidden, weight, targets = problem(rows, min(masked, 2 * rows), torch.float64)
    expected = reference(hidden, weight, targets)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(module._CHUNK_ROWS, "cpu", chunk)
        total, count = summed_cross_entropy(hidden, weight, 20, targets)
    total.backward()
    assert count == int((targets != IGNORED_TARGET).sum())
    for found, wanted in zip((total, hidden.grad, weight.grad), expected, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_the_z_loss_adds_the_squared_logarithm_of_the_denominator(dtype: torch.dtype) -> None:
    # bfloat16 goes the way of the GPU.
    hidden, weight, targets = problem(9, 3, torch.float64 if dtype == torch.float64 else torch.float32)
    total, _ = summed_cross_entropy(hidden, weight, 20, targets, dtype, z_loss=0.1)
    total.backward()
    one, other = (tensor.detach().double().requires_grad_() for tensor in (hidden, weight))
    logits = (one @ other[:20].T).view(-1, 20)[targets.view(-1) != IGNORED_TARGET]
    kept = targets[targets != IGNORED_TARGET]
    expected = F.cross_entropy(logits, kept, reduction="sum") + 0.1 * logits.logsumexp(1).square().sum()
    expected.backward()
    tolerance = {torch.float64: 1e-12, torch.float32: 1e-5, torch.bfloat16: 3e-2}[dtype]
    for found, wanted in ((total, expected), (hidden.grad, one.grad), (weight.grad, other.grad)):
        assert (found - wanted).norm() <= tolerance * wanted.norm()


def test_gradients_are_handed_out_once_and_a_second_call_is_refused() -> None:
    hidden, weight, targets = problem(3, 1, torch.float64)
    total, _ = summed_cross_entropy(hidden, weight, 20, targets)
    total.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="compute the loss again"):
        total.backward()


@pytest.mark.parametrize("columns", [1, 7, 20, 100])
def test_the_columns_passed_over_together_change_only_rounding(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    hidden, weight, targets = problem(5, 2, torch.float64)
    expected = reference(hidden, weight, targets)
    monkeypatch.setattr(module, "_COLUMNS", columns)
    total, _ = summed_cross_entropy(hidden, weight, 20, targets)
    total.backward()
    for found, wanted in zip((total, hidden.grad, weight.grad), expected, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("compute_dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 3e-2)])
def test_lower_precision_stays_near_float64(compute_dtype: torch.dtype, tolerance: float) -> None:
    hidden, weight, targets = problem(40, 7, torch.float32)
    wanted_total, wanted_hidden, wanted_weight = reference(hidden, weight, targets)
    total, _ = summed_cross_entropy(hidden, weight, 20, targets, compute_dtype)
    total.backward()
    assert total.dtype == torch.float32
    assert hidden.grad is not None
    assert weight.grad is not None
    assert hidden.grad.dtype == weight.grad.dtype == torch.float32
    assert abs(total.item() - wanted_total.item()) <= tolerance * wanted_total.item()
    for found, wanted in ((hidden.grad, wanted_hidden), (weight.grad, wanted_weight)):
        assert (found - wanted).norm() <= tolerance * wanted.norm()


def test_padding_rows_of_the_vocabulary_take_no_probability_and_no_gradient() -> None:
    hidden, weight, targets = problem(5, 0, torch.float64)
    total, _ = summed_cross_entropy(hidden, weight, 20, targets)
    total.backward()
    with torch.no_grad():
        weight[20:] = 1e3
    assert summed_cross_entropy(hidden, weight, 20, targets)[0].item() == total.item()
    assert weight.grad is not None
    assert torch.count_nonzero(weight.grad[20:]) == 0


def test_without_gradients_the_sum_is_the_same() -> None:
    hidden, weight, targets = problem(5, 2, torch.float64)
    with torch.no_grad():
        total, _ = summed_cross_entropy(hidden, weight, 20, targets)
    assert not total.requires_grad
    assert total.item() == summed_cross_entropy(hidden, weight, 20, targets)[0].item()


def test_huge_scores_stay_finite() -> None:
    hidden, weight, targets = problem(4, 0, torch.float32)
    total, _ = summed_cross_entropy(hidden * 1e4, weight, 20, targets)
    total.backward()
    assert total.isfinite()
    assert hidden.grad is not None
    assert hidden.grad.isfinite().all()


@pytest.mark.skipif(WHY_NOT is not None, reason=str(WHY_NOT))
@pytest.mark.parametrize(("compute_dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 3e-2)])
def test_the_kernel_of_gpus_gives_the_same(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, compute_dtype: torch.dtype, tolerance: float
) -> None:
    emulate(monkeypatch, tmp_path)
    monkeypatch.setattr(module, "_chunk_kind", lambda weight, dtype: module._KernelChunk)
    hidden, weight, targets = problem(9, 4, torch.float32)
    total, count = summed_cross_entropy(hidden, weight, 20, targets, compute_dtype)
    total.backward()
    assert count == 14
    assert not weight.grad[20:].any()
    for found, wanted in zip((total, hidden.grad, weight.grad), reference(hidden, weight, targets), strict=True):
        assert (found - wanted).norm() <= tolerance * wanted.norm()
