"""The CUDA operators without a GPU: what they promise ``torch.compile`` about shapes, types and gradients.

Meta tensors have no data; the operators' fake implementations run on them, and their gradients are formed as on a GPU.
"""

from __future__ import annotations

import pytest
import torch

from mamba_narrative.cuda.dropout import drop
from mamba_narrative.model.scan import cuda, cuda_convolution, cuda_mixer, cuda_norm, cuda_passes, cuda_step

BATCH, LENGTH, CHANNELS, D_STATE, WIDTH, RANK, D_MODEL = 3, 70, 16, 16, 4, 8, 12
BFLOAT16, FLOAT32 = torch.bfloat16, torch.float32
DRAW = torch.empty(2, dtype=torch.int64, device="meta")


def meta(*shape, dtype=FLOAT32):
    return torch.empty(*shape, dtype=dtype, device="meta", requires_grad=dtype.is_floating_point)


def scan_inputs(dtype, optional):
    """Arguments by name, in the order of the operator; without ``optional`` those that may be left out are None."""
    wide, narrow = (BATCH, LENGTH, CHANNELS), (BATCH, LENGTH, D_STATE)
    return {
        "u": meta(*wide, dtype=dtype),
        "delta": meta(*wide, dtype=dtype),
        "A": meta(CHANNELS, D_STATE),
        "B": meta(*narrow, dtype=dtype),
        "C": meta(*narrow, dtype=dtype),
        "D": meta(CHANNELS) if optional else None,
        "z": meta(*wide, dtype=dtype) if optional else None,
        "bias": meta(CHANNELS) if optional else None,
        "softplus": True,
        "start": meta(BATCH, CHANNELS, D_STATE) if optional else None,
        "resets": meta(BATCH, LENGTH, dtype=torch.bool) if optional else None,
    }


def convolution_inputs(dtype, optional):
    return {
        "x": meta(BATCH, LENGTH, CHANNELS, dtype=dtype),
        "weight": meta(CHANNELS, WIDTH),
        "bias": meta(CHANNELS) if optional else None,
        "window": meta(BATCH, WIDTH - 1, CHANNELS, dtype=dtype) if optional else None,
        "resets": meta(BATCH, LENGTH, dtype=torch.bool) if optional else None,
        "silu": True,
    }


def assert_gradients_are_like_their_inputs(outputs, inputs):
    leaves = [value for value in inputs.values() if isinstance(value, torch.Tensor) and value.requires_grad]
    gradients = torch.autograd.grad(outputs, leaves, [torch.empty_like(output) for output in outputs])
    for leaf, gradient in zip(leaves, gradients, strict=True):
        assert (gradient.shape, gradient.dtype, gradient.device) == (leaf.shape, leaf.dtype, leaf.device)


@pytest.mark.parametrize("dtype", [FLOAT32, BFLOAT16])
@pytest.mark.parametrize("optional", [False, True])
def test_the_scan_returns_outputs_a_state_one_saved_state_a_tile_and_what_a_gate_multiplies(dtype, optional):
    inputs = scan_inputs(dtype, optional)
    y, last, states, ungated = torch.ops.mamba_narrative.selective_scan(*inputs.values(), True)
    assert (y.shape, y.dtype) == (inputs["u"].shape, dtype)
    assert (last.shape, last.dtype) == ((BATCH, CHANNELS, D_STATE), FLOAT32)
    assert states.shape == (BATCH, -(-LENGTH // cuda_passes.TILE), CHANNELS, D_STATE)
    assert ungated.shape == (y.shape if optional else (0,))
    assert all(output.is_contiguous() for output in (y, last, states, ungated))
    assert [kept.numel() for kept in torch.ops.mamba_narrative.selective_scan(*inputs.values(), False)[2:]] == [0, 0]


@pytest.mark.parametrize("dtype", [FLOAT32, BFLOAT16])
@pytest.mark.parametrize("optional", [False, True])
@pytest.mark.parametrize("used", ["y", "last", "both"])
def test_every_input_of_the_scan_has_a_gradient_of_its_shape_and_type_from_either_output(dtype, optional, used):
    inputs = scan_inputs(dtype, optional)
    y, last, *_ = torch.ops.mamba_narrative.selective_scan(*inputs.values(), True)
    assert_gradients_are_like_their_inputs({"y": [y], "last": [last], "both": [y, last]}[used], inputs)


@pytest.mark.parametrize("dtype", [FLOAT32, BFLOAT16])
@pytest.mark.parametrize("optional", [False, True])
def test_the_convolution_keeps_shape_and_type_and_has_every_gradient(dtype, optional):
    inputs = convolution_inputs(dtype, optional)
    y = torch.ops.mamba_narrative.causal_conv(*inputs.values())
    assert (y.shape, y.dtype) == (inputs["x"].shape, dtype)
    assert y.is_contiguous()
    assert_gradients_are_like_their_inputs([y], inputs)


@pytest.mark.parametrize(("channels", "d_state"), [(12, 16), (5, 3), (7, 20)])
@pytest.mark.parametrize("dtype", [FLOAT32, BFLOAT16])
def test_the_scan_function_takes_any_width_and_state_size_by_padding(channels, d_state, dtype):
    u, delta, z = (meta(2, 9, channels, dtype=dtype) for _ in range(3))
    B, C = (meta(2, 9, d_state, dtype=dtype) for _ in range(2))
    A, D, bias, start = meta(channels, d_state), meta(channels), meta(channels), meta(2, channels, d_state)
    y, last = cuda.cuda_scan(u, delta, A, B, C, D, z, bias, True, start)
    assert (y.shape, y.dtype) == (u.shape, dtype)
    assert (last.shape, last.dtype) == (start.shape, FLOAT32)
    named = dict(enumerate((u, delta, z, B, C, A, D, bias, start)))
    assert_gradients_are_like_their_inputs([y, last], named)


@pytest.mark.parametrize("channels", [12, 5])
@pytest.mark.parametrize("width", cuda_convolution.WIDTHS)
def test_the_convolution_function_takes_any_number_of_channels(channels, width):
    x, weight, bias, window = meta(2, 9, channels), meta(channels, width), meta(channels), meta(2, width - 1, channels)
    y = cuda_convolution.cuda_convolution(x, weight, bias, window, None, True)
    assert y.shape == x.shape
    assert_gradients_are_like_their_inputs([y], dict(enumerate((x, weight, bias, window))))


def mixer_weights(bias):
    return cuda_mixer.MixerWeights(
        in_proj=meta(2 * CHANNELS, D_MODEL),
        conv_weight=meta(CHANNELS, WIDTH),
        conv_bias=meta(CHANNELS) if bias else None,
        x_proj=meta(RANK + 2 * D_STATE, CHANNELS),
        dt_proj=meta(CHANNELS, RANK),
        dt_bias=meta(CHANNELS),
        A_log=meta(CHANNELS, D_STATE),
        D=meta(CHANNELS),
        out_proj=meta(D_MODEL, CHANNELS),
    )


@pytest.mark.parametrize("dtype", [FLOAT32, BFLOAT16])
@pytest.mark.parametrize("optional", [False, True])
@pytest.mark.parametrize("length", [1, 2, LENGTH])
def test_a_whole_mixer_keeps_shape_and_type_and_has_every_gradient(dtype, optional, length):
    weights = mixer_weights(optional)
    hidden = meta(BATCH, length, D_MODEL, dtype=dtype)
    window = meta(BATCH, WIDTH - 1, CHANNELS, dtype=dtype) if optional else None
    start = meta(BATCH, CHANNELS, D_STATE) if optional else None
    out, window_after, last = cuda_mixer.cuda_mixer(hidden, weights, window, start, None)
    assert (out.shape, out.dtype) == (hidden.shape, dtype)
    assert window_after.shape == (BATCH, WIDTH - 1, CHANNELS)
    assert (last.shape, last.dtype) == ((BATCH, CHANNELS, D_STATE), FLOAT32)
    given = {"hidden": hidden, "window": window, "start": start, **dict(enumerate(weights.tensors()))}
    assert_gradients_are_like_their_inputs([out, window_after, last], given)


@pytest.mark.parametrize("bfloat16", [False, True])
@pytest.mark.parametrize(("with_update", "drops"), [(False, False), (True, False), (True, True)])
def test_the_norm_returns_the_narrow_result_and_the_float32_sum(bfloat16, with_update, drops):
    narrow = BFLOAT16 if bfloat16 else FLOAT32
    inputs = {"x": meta(BATCH, LENGTH, 128), "update": None, "weight": meta(128)}
    if with_update:
        inputs["update"] = meta(BATCH, LENGTH, 128, dtype=narrow)
    normed, total = cuda_norm._forward_op(*inputs.values(), bfloat16, *((DRAW, 7, 6554) if drops else (None, 0, 0)))
    assert (normed.shape, normed.dtype) == (inputs["x"].shape, narrow)
    assert total.dtype == FLOAT32
    assert total.shape == (inputs["x"].shape if with_update else (0,))
    assert_gradients_are_like_their_inputs([normed, total] if with_update else [normed], inputs)


@pytest.mark.parametrize("dtype", [FLOAT32, BFLOAT16])
def test_dropout_keeps_shape_and_type_and_so_does_its_gradient(dtype):
    x = meta(BATCH, LENGTH, D_MODEL, dtype=dtype)
    out = drop(x, DRAW, 7, 6554)
    assert (out.shape, out.dtype) == (x.shape, dtype)
    assert_gradients_are_like_their_inputs([out], {"x": x})


@pytest.mark.parametrize("dtype", [FLOAT32, BFLOAT16])
def test_a_step_of_generation_returns_one_row_of_channels_each(dtype):
    weights = [None if tensor is None else tensor.detach() for tensor in (
        meta(CHANNELS, WIDTH), None, meta(RANK + 2 * D_STATE, CHANNELS, dtype=dtype),
        meta(CHANNELS, RANK, dtype=dtype), meta(CHANNELS), meta(CHANNELS, D_STATE), meta(CHANNELS),
    )]  # fmt: skip
    xz, window = meta(BATCH, 2 * CHANNELS, dtype=dtype).detach(), meta(BATCH, WIDTH - 1, CHANNELS, dtype=dtype).detach()
    state = meta(BATCH, CHANNELS, D_STATE).detach()
    y = cuda_step._step_op(xz, window, *weights, state)
    assert (y.shape, y.dtype) == ((BATCH, CHANNELS), dtype)
