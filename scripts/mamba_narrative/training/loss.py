"""Cross entropy over a large vocabulary without the logits of a whole batch in memory."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mamba_narrative.tokens.windows import IGNORED_TARGET

# Rows of logits at once, float32 [rows, vocabulary]. The CPU's caches like few, the GPU's matrix products many.
_CHUNK_ROWS = {"cpu": 128, "cuda": 4096}


def summed_cross_entropy(
    hidden: Tensor, head_weight: Tensor, vocab_size: int, targets: Tensor, compute_dtype: torch.dtype = torch.float32
) -> tuple[Tensor, int]:
    """Sum of -log p(target) in nats over all targets that are not ``IGNORED_TARGET``, and their number.

    hidden: [..., d_model]; head_weight: [at least vocab_size, d_model], rows past ``vocab_size`` are padding and take
    no probability; targets: int64 [...]. Matrix products run in ``compute_dtype``, the softmax in float32 (float64 for
    float64 input). Gradients flow to ``hidden`` and ``head_weight``; they are computed along with the sum, chunk by
    chunk, so memory stays at [rows of a chunk, vocab_size].
    """
    flat_targets = targets.reshape(-1)
    rows = (flat_targets != IGNORED_TARGET).nonzero().squeeze(1)
    kept = hidden.reshape(-1, hidden.shape[-1]).index_select(0, rows)
    wants_gradient = torch.is_grad_enabled() and (kept.requires_grad or head_weight.requires_grad)
    with torch.autocast(hidden.device.type, enabled=False):
        total: Any = _ChunkedCrossEntropy.apply(
            kept, head_weight[:vocab_size], flat_targets.index_select(0, rows), compute_dtype, wants_gradient
        )
    return total, len(rows)


class _ChunkedCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, targets: Tensor, compute_dtype: torch.dtype, wants_gradient: bool
    ) -> Tensor:
        if hidden.dtype == torch.float64:
            compute_dtype = torch.float64
        sum_dtype = torch.promote_types(compute_dtype, torch.float32)
        matrix = weight.to(compute_dtype)
        total = torch.zeros((), dtype=sum_dtype, device=hidden.device)
        hidden_gradient = torch.empty_like(hidden) if wants_gradient else None
        weight_gradient = torch.zeros_like(weight) if wants_gradient else None
        chunk_rows = _CHUNK_ROWS.get(hidden.device.type, _CHUNK_ROWS["cpu"])
        for start in range(0, len(hidden), chunk_rows):
            rows = slice(start, start + chunk_rows)
            features, wanted = hidden[rows].to(compute_dtype), targets[rows].unsqueeze(1)
            log_probabilities = (features @ matrix.T).to(sum_dtype).log_softmax(dim=1)
            total -= log_probabilities.gather(1, wanted).sum()
            if hidden_gradient is not None and weight_gradient is not None:
                # d loss / d logits = softmax - one_hot(target).
                error = log_probabilities.exp_()
                error.scatter_add_(1, wanted, error.new_full(wanted.shape, -1.0))
                error = error.to(compute_dtype)
                hidden_gradient[rows] = error @ matrix
                if compute_dtype == weight_gradient.dtype:
                    weight_gradient.addmm_(error.T, features)
                else:
                    weight_gradient += error.T @ features
        ctx.save_for_backward(hidden_gradient, weight_gradient)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (scale,) = gradients
        hidden_gradient, weight_gradient = ctx.saved_tensors
        return hidden_gradient * scale, weight_gradient * scale, None, None, None
