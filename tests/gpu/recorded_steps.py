"""What the tests of all language models on a GPU share: generation token by token against reading at once."""

from __future__ import annotations

import torch
from torch import Tensor

from mamba_narrative.model.decoding import Decoder
from mamba_narrative.model.interface import LanguageModel


def assert_steps_score_as_reading_at_once(
    model: LanguageModel, ids: Tensor, dtype: torch.dtype | None = None, tolerance: float = 1e-4
) -> None:
    """``ids``: int64 [batch, more than 60]; the second text is read with what was recorded for the first."""
    decoder = Decoder(model, dtype)
    with torch.no_grad():
        for text in (ids, ids.flip(0)):
            decoder.forget()
            decoder.read(text[:, :20])
            for position in range(20, 60):
                scores = decoder.read(text[:, position : position + 1]).clone()
            expected = model.logits(model(text[:, :60])[0][:, -1])
            torch.testing.assert_close(scores, expected, rtol=tolerance, atol=tolerance)
            scores = decoder.read(text[:, 60:])
            torch.testing.assert_close(scores, model.logits(model(text)[0][:, -1]), rtol=tolerance, atol=tolerance)
