"""The causal convolution, against PyTorch's own, with carried windows and book starts."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from mamba_narrative.model.scan.convolution import causal_conv


def inputs(length, width=4, batch=2, channels=3):
    generator = torch.Generator().manual_seed(length)
    shapes = [(batch, length, channels), (channels, width), (channels,), (batch, width - 1, channels)]
    return [torch.randn(*shape, generator=generator, dtype=torch.float64) for shape in shapes]


@pytest.mark.parametrize("width", [1, 2, 4])
@pytest.mark.parametrize("length", [1, 2, 7, 64])
def test_it_is_torchs_depthwise_convolution_of_the_past(length, width):
    x, weight, bias, _ = inputs(length, width)
    y, window = causal_conv(x, weight, bias)
    padded = F.pad(x.transpose(1, 2), (width - 1, 0))
    expected = F.conv1d(padded, weight.unsqueeze(1), bias, groups=3)
    torch.testing.assert_close(y, expected.transpose(1, 2))
    assert torch.equal(window, padded.transpose(1, 2)[:, length:])
    assert window.is_contiguous()  # a step of generation updates it in place


@given(st.lists(st.booleans(), min_size=12, max_size=12), st.integers(1, 11))
def test_reading_in_two_pieces_equals_reading_at_once(starts, cut):
    x, weight, bias, before = inputs(12)
    resets = torch.tensor([starts, starts[::-1]])
    y, window = causal_conv(x, weight, bias, before, resets)
    first, between = causal_conv(x[:, :cut], weight, bias, before, resets[:, :cut])
    second, after = causal_conv(x[:, cut:], weight, bias, between, resets[:, cut:])
    assert torch.equal(torch.cat([first, second], dim=1), y)
    assert torch.equal(after, window)


@pytest.mark.parametrize("start", [0, 1, 5, 9])
def test_after_a_reset_outputs_are_those_of_a_book_read_alone(start):
    x, weight, bias, before = inputs(10)
    resets = torch.zeros(2, 10, dtype=torch.bool)
    resets[:, start] = True
    y, window = causal_conv(x, weight, bias, before, resets)
    alone, alone_window = causal_conv(x[:, start:], weight, bias)
    assert torch.equal(y[:, start:], alone)
    assert torch.equal(window, alone_window)


def test_gradients_agree_with_finite_differences():
    tensors = [tensor.requires_grad_() for tensor in inputs(6)]
    resets = torch.tensor([[False, False, True, False, False, False], [False] * 6])
    assert torch.autograd.gradcheck(lambda *t: causal_conv(*t, resets), tensors)
