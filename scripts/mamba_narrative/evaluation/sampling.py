"""Continuations by temperature and nucleus sampling (Holtzman et al. 2020), one token after the other.

Every continuation has its own random numbers, so it does not depend on what is sampled beside it. The end of text is
never drawn: all continuations have the same length, and their statistics compare.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mamba_narrative.errors import UserError
from mamba_narrative.evaluation.passages import Passage, seed_of
from mamba_narrative.model.decoding import Decoder
from mamba_narrative.model.interface import LanguageModel
from mamba_narrative.progress import Progress

# Continuations sampled side by side: a matter of memory and speed. On a GPU a step costs about the same for all these.
_ROWS_AT_ONCE = {"cpu": 64, "cuda": 512}
# Sorting a vocabulary is slow, and this many of its most likely tokens mostly hold the nucleus.
_LIKELY_TOKENS = 1024


def random_numbers(passages: Sequence[Passage], seed: int, count: int) -> Tensor:
    """Uniform numbers in [0, 1), float64 [passages, count]: each row depends on its passage and the seed alone."""
    rows = []
    for passage in passages:
        generator = torch.Generator().manual_seed(seed_of(seed, passage.book_id, passage.start))
        rows.append(torch.rand(count, generator=generator, dtype=torch.float64))
    return torch.stack(rows)


def sample_tokens(scores: Tensor, uniforms: Tensor, temperature: float, top_p: float) -> Tensor:
    """Token ids int64 [rows, draws] for uniform numbers [rows, draws], from scores [rows, vocabulary].

    From softmax(scores / temperature) only the most likely tokens are kept, as few as hold ``top_p`` together; the
    number u takes the first of them at which their cumulative probability exceeds u times that of all kept ones.
    """
    probabilities = (scores / temperature).softmax(dim=-1)
    if probabilities.is_cuda:
        # Sorting all of it is less than waiting for the answer whether that is needed.
        return _draw_sorted(*probabilities.sort(dim=-1, descending=True), uniforms, top_p)
    likely, ids = probabilities.topk(min(_LIKELY_TOKENS, probabilities.shape[-1]), dim=-1)
    drawn = _draw_sorted(likely, ids, uniforms, top_p)
    # Row by row, so that what a row draws never depends on the rows beside it.
    for row in (likely.double().sum(dim=-1) < top_p).nonzero().flatten().tolist():
        ordered, order = probabilities[row : row + 1].sort(dim=-1, descending=True)
        drawn[row] = _draw_sorted(ordered, order, uniforms[row : row + 1], top_p)[0]
    return drawn


def _draw_sorted(probabilities: Tensor, ids: Tensor, uniforms: Tensor, top_p: float) -> Tensor:
    cumulative = probabilities.double().cumsum(dim=-1)
    last = (cumulative < top_p).sum(dim=-1, keepdim=True).clamp(max=cumulative.shape[-1] - 1)
    kept = cumulative.gather(-1, last)
    places = torch.searchsorted(cumulative, uniforms.to(kept.device) * kept, right=True)
    return ids.gather(-1, torch.minimum(places, last))


@torch.inference_mode()
def continue_passages(
    model: LanguageModel,
    prompts: npt.NDArray[np.uint16],
    uniforms: Tensor,
    end_of_text_id: int,
    temperature: float,
    top_p: float,
    progress: Progress,
    batch_size: int | None = None,
) -> npt.NDArray[np.uint16]:
    """Continuations uint16 [rows, tokens] of ``prompts`` [rows, prompt tokens], with ``uniforms`` [rows, tokens].

    A prompt is from the middle of a book, so it is read from the empty state without an end of text before it. Raises
    UserError where the model's scores are not numbers.
    """
    device = next(model.parameters()).device
    at_once = batch_size or _ROWS_AT_ONCE.get(device.type, _ROWS_AT_ONCE["cpu"])
    groups = []
    for first in range(0, len(prompts), at_once):
        rows = slice(first, first + at_once)
        read, numbers = torch.from_numpy(prompts[rows].astype(np.int64)).to(device), uniforms[rows].to(device)
        decoder, columns = Decoder(model), []
        finite = torch.ones((), dtype=torch.bool, device=device)
        for step in range(numbers.shape[1]):
            scores = decoder.read(read)
            # Looked at once, at the end: each look would wait for the device.
            finite &= scores[:, : model.vocab_size].isfinite().all()
            scores[:, end_of_text_id] = float("-inf")
            read = sample_tokens(scores, numbers[:, step : step + 1], temperature, top_p)
            columns.append(read)
            progress.advance(len(read))
        if not finite:
            raise UserError("the model's scores are not finite; its training diverged: train it again")
        groups.append(torch.cat(columns, dim=1).cpu().numpy().astype(np.uint16))
    return np.concatenate(groups)
