"""Cross entropy over a large vocabulary without the logits of a whole batch in memory."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor

from mamba_narrative.cuda import runtime
from mamba_narrative.cuda.cross_entropy import cross_entropy_
from mamba_narrative.cuda.products import add_product_over_rows
from mamba_narrative.tokens.windows import IGNORED_TARGET

# Rows of logits at once, float32 [rows, vocabulary]. The GPU likes more of them than the CPU.
_CHUNK_ROWS = {"cpu": 256, "cuda": 8192}
_COLUMNS = 2048
"""Of a chunk of logits, passed over together on the CPU."""


def summed_cross_entropy(
    hidden: Tensor,
    head_weight: Tensor,
    vocab_size: int,
    targets: Tensor,
    compute_dtype: torch.dtype = torch.float32,
    z_loss: float = 0.0,
) -> tuple[Tensor, Tensor]:
    """Sum of -log p(target) in nats over all targets that are not ``IGNORED_TARGET``, and their number (int64).

    With ``z_loss`` the sum also has that many times the squared logarithm of the softmax's denominator at each of those
    targets (PaLM, arXiv 2204.02311, section 5).

    hidden: [..., d_model]; head_weight: [at least vocab_size, d_model], rows past ``vocab_size`` are padding and take
    no probability; targets: int64 [...]. Matrix products run in ``compute_dtype``, the softmax in float32 (float64 for
    float64 input). Gradients flow to ``hidden`` and ``head_weight``, once; they are computed along with the sum, chunk
    by chunk, so memory stays at [rows of a chunk, vocab_size]. On NVIDIA GPUs nothing waits for the device.
    """
    features, flat_targets = hidden.reshape(-1, hidden.shape[-1]), targets.reshape(-1)
    kept = flat_targets != IGNORED_TARGET
    if hidden.dtype == torch.float64:
        compute_dtype = torch.float64
    kind = _chunk_kind(head_weight, compute_dtype)
    if kind is not _KernelChunk:  # which ignores targets itself
        rows = kept.nonzero().squeeze(1)
        features, flat_targets = features.index_select(0, rows), flat_targets.index_select(0, rows)
    wants_gradient = torch.is_grad_enabled() and (features.requires_grad or head_weight.requires_grad)
    with torch.autocast(hidden.device.type, enabled=False):
        total: Any = _ChunkedCrossEntropy.apply(
            features, head_weight, vocab_size, flat_targets, kind, compute_dtype, z_loss, wants_gradient
        )
    return total, kept.sum()


class _ChunkedCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        vocab_size: int,
        targets: Tensor,
        kind: type[_Chunk],
        compute_dtype: torch.dtype,
        z_loss: float,
        wants_gradient: bool,
    ) -> Tensor:
        columns = len(weight) if kind is _KernelChunk else vocab_size
        matrix = weight[:columns].to(compute_dtype)
        total = torch.zeros((), dtype=torch.promote_types(compute_dtype, torch.float32), device=hidden.device)
        hidden_gradient = torch.empty_like(hidden) if wants_gradient else None
        weight_gradient = torch.zeros_like(weight) if wants_gradient else None
        chunk_rows = _CHUNK_ROWS.get(hidden.device.type, _CHUNK_ROWS["cpu"])
        scores = None
        for start in range(0, len(hidden), chunk_rows):
            rows = slice(start, start + chunk_rows)
            part = kind(hidden[rows].to(compute_dtype), matrix, targets[rows], vocab_size, z_loss, scores)
            scores = part.scores
            total += part.total
            if hidden_gradient is not None and weight_gradient is not None:
                hidden_gradient[rows] = part.hidden_gradient()
                part.add_weight_gradient(weight_gradient[:columns])
        # Not `save_for_backward`: backward hands these out without a copy, and they are as large as the weights.
        ctx.gradients = hidden_gradient, weight_gradient
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (scale,) = gradients
        if ctx.gradients is None:
            raise RuntimeError("the gradient of this loss was taken before; compute the loss again")
        hidden_gradient, weight_gradient = ctx.gradients
        ctx.gradients = None
        return hidden_gradient.mul_(scale), weight_gradient.mul_(scale), None, None, None, None, None, None


def _chunk_kind(weight: Tensor, compute_dtype: torch.dtype) -> type[_Chunk]:
    if weight.device.type == "cpu":
        return _InPlaceChunk if compute_dtype != torch.bfloat16 else _PlainChunk
    kernel = weight.is_cuda and len(weight) % 4 == 0 and compute_dtype in (torch.bfloat16, torch.float32)
    return _KernelChunk if kernel and torch.version.hip is None and runtime.problem() is None else _PlainChunk


class _Chunk(ABC):
    """Loss and gradients of some rows: features [rows, d_model], matrix [vocabulary, d_model], targets [rows]."""

    def __init__(
        self,
        features: Tensor,
        matrix: Tensor,
        targets: Tensor,
        vocab_size: int,
        z_loss: float,
        scores: Tensor | None,
    ) -> None:
        """``scores``: those of the chunk before, memory to be used again."""
        self.features, self.matrix, self.targets, self.scores = features, matrix, targets, scores
        self.total = self._summed_loss(vocab_size, z_loss)

    @abstractmethod
    def _summed_loss(self, vocab_size: int, z_loss: float) -> Tensor:
        """Of all rows; keeps what the gradients need."""

    @abstractmethod
    def hidden_gradient(self) -> Tensor:
        """[rows, d_model]"""

    @abstractmethod
    def add_weight_gradient(self, gradient: Tensor) -> None:
        """Add to ``gradient`` [vocabulary, d_model] what these rows give."""

    def _scores_in_place(self) -> Tensor:
        """features times matrix, [rows, vocabulary], in the memory of the chunk before where there was one."""
        if self.scores is None:
            self.scores = self.features.new_empty(len(self.features), len(self.matrix))
        return torch.mm(self.features, self.matrix.T, out=self.scores[: len(self.features)])


class _PlainChunk(_Chunk):
    """For any device and type."""

    def _summed_loss(self, vocab_size: int, z_loss: float) -> Tensor:
        wanted = self.targets.unsqueeze(1)
        sum_dtype = torch.promote_types(self.features.dtype, torch.float32)
        plain = (self.features @ self.matrix.T).to(sum_dtype)
        log_denominator = plain.gather(1, wanted) if z_loss else None
        log_probabilities = plain.log_softmax(dim=1)
        nats = -log_probabilities.gather(1, wanted)
        total = nats.sum()
        # d loss / d scores = softmax - one_hot(target), and of the z-loss 2 z log(denominator) softmax.
        error = log_probabilities.exp_()
        if log_denominator is not None:
            log_denominator += nats
            total += z_loss * log_denominator.square().sum()
            error *= 1 + 2 * z_loss * log_denominator
        error.scatter_add_(1, wanted, error.new_full(wanted.shape, -1.0))
        self._error = error.to(self.features.dtype)
        return total

    def hidden_gradient(self) -> Tensor:
        return self._error @ self.matrix

    def add_weight_gradient(self, gradient: Tensor) -> None:
        if gradient.dtype == self._error.dtype:
            gradient.addmm_(self._error.T, self.features)
        else:
            gradient += self._error.T @ self.features


class _InPlaceChunk(_Chunk):
    """With one large tensor, passed over few times and in parts that fit in cache. Probabilities are not normalised
    there but in the small products."""

    def _summed_loss(self, vocab_size: int, z_loss: float) -> Tensor:
        self._weights = self._scores_in_place()
        wanted = self._weights.gather(1, self.targets.unsqueeze(1))
        largest = self._weights.amax(dim=1, keepdim=True)
        denominator = torch.zeros_like(largest)
        for part in self._weights.split(_COLUMNS, dim=1):
            denominator += part.sub_(largest).exp_().sum(dim=1, keepdim=True)
        log_denominator = denominator.log() + largest
        total = (log_denominator - wanted).sum()
        self._scale = 1 / denominator
        if z_loss:
            total += z_loss * log_denominator.square().sum()
            self._scale *= 1 + 2 * z_loss * log_denominator
        return total

    def hidden_gradient(self) -> Tensor:
        return (self._weights @ self.matrix).mul_(self._scale).sub_(self.matrix[self.targets])

    def add_weight_gradient(self, gradient: Tensor) -> None:
        gradient.addmm_(self._weights.T, self.features * self._scale)
        gradient.index_add_(0, self.targets, self.features, alpha=-1)


class _KernelChunk(_Chunk):
    """By a kernel that replaces scores by their gradients; ``matrix`` has the padding rows, too."""

    def _summed_loss(self, vocab_size: int, z_loss: float) -> Tensor:
        self._gradient = self._scores_in_place()
        nats, squares = cross_entropy_(self._gradient, self.targets, vocab_size, gradient=True, z_loss=z_loss)
        return nats.sum() + z_loss * squares.sum() if z_loss else nats.sum()

    def hidden_gradient(self) -> Tensor:
        return self._gradient @ self.matrix

    def add_weight_gradient(self, gradient: Tensor) -> None:
        add_product_over_rows(gradient, self._gradient, self.features)
