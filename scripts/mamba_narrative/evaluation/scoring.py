"""Losses of several continuations of one text: the text is read once and its state repeated for each of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch

from mamba_narrative.errors import UserError
from mamba_narrative.evaluation.likelihood import token_losses
from mamba_narrative.model.interface import LanguageModel
from mamba_narrative.progress import Progress

Ids = npt.NDArray[np.uint16]
Losses = npt.NDArray[np.float64]

# Tokens of continuations read side by side: a matter of memory and speed.
_TOKENS_AT_ONCE = {"cpu": 2_048, "cuda": 65_536}


@dataclass(frozen=True)
class Trial:
    """A text (uint16, may be empty) and its possible continuations, of which the first is the true one."""

    book_id: str
    prefix: Ids
    candidates: tuple[Ids, ...]


class Scorer(Protocol):
    """Anything that gives the tokens of a text probabilities."""

    def score(self, trials: Sequence[Trial]) -> list[list[Losses]]:
        """-ln p in nats of every token of every candidate after its prefix, float64, in the order of ``trials``.

        A prefix is read from the empty state and an end-of-text token.
        """
        ...


class ModelScorer:
    """Scores of a language model. Raises UserError where they are not finite."""

    def __init__(self, model: LanguageModel, end_of_text_id: int, title: str = "scoring") -> None:
        self._model, self._end_of_text_id, self._title = model, end_of_text_id, title

    @torch.inference_mode()
    def score(self, trials: Sequence[Trial]) -> list[list[Losses]]:
        """See ``Scorer``; results depend on what is scored side by side by rounding only."""
        results: list[list[Losses]] = [[] for _ in trials]
        total = sum(len(trial.prefix) + sum(map(len, trial.candidates)) for trial in trials)
        with Progress(self._title, total, "tokens") as progress:
            for group in self._groups(trials):
                members = [trials[number] for number in group]
                for number, losses in zip(group, self._score_group(members), strict=True):
                    results[number] = losses
                progress.advance(
                    sum(len(trial.prefix) + sum(map(len, trial.candidates)) for trial in members),
                )
        return results

    def _groups(self, trials: Sequence[Trial]) -> Iterator[list[int]]:
        """Trials of similar length, so that little is padded; each group fits into memory."""
        device = next(self._model.parameters()).device.type
        room = _TOKENS_AT_ONCE.get(device, _TOKENS_AT_ONCE["cpu"])
        order = sorted(range(len(trials)), key=lambda number: (len(trials[number].prefix), _longest(trials[number])))
        group: list[int] = []
        size = 0
        for number in order:
            trial = trials[number]
            needed = max(len(trial.prefix), len(trial.candidates) * _longest(trial))
            if group and size + needed > room:
                yield group
                group, size = [], 0
            group.append(number)
            size += needed
        if group:
            yield group

    def _score_group(self, trials: Sequence[Trial]) -> list[list[Losses]]:
        device = next(self._model.parameters()).device
        end = self._end_of_text_id
        texts = [np.concatenate(([end], trial.prefix)).astype(np.int64) for trial in trials]
        # The last token of a prefix is read with each candidate, whose first token it predicts.
        width = max(map(len, texts)) - 1
        rows = np.repeat(np.arange(len(trials)), [len(trial.candidates) for trial in trials])
        state = None
        if width:
            # Aligned to the right; the end of text that begins each row forgets the padding before it.
            ids = np.full((len(trials), width), end, np.int64)
            for row, text in enumerate(texts):
                ids[row, width - (len(text) - 1) :] = text[:-1]
            resets = np.arange(width)[None] == np.array([width - (len(text) - 1) for text in texts])[:, None]
            _, state = self._model(torch.from_numpy(ids).to(device), None, torch.from_numpy(resets).to(device))
            index = torch.from_numpy(rows).to(device)
            state = {name: tensor.index_select(0, index) for name, tensor in state.items()}
        candidates = [candidate for trial in trials for candidate in trial.candidates]
        ids = np.full((len(candidates), max(map(len, candidates))), end, np.int64)
        for row, candidate in enumerate(candidates):
            ids[row, 0] = texts[rows[row]][-1]
            ids[row, 1 : len(candidate)] = candidate[:-1]
        resets = np.zeros(ids.shape, bool)
        resets[:, 0] = [len(texts[row]) == 1 for row in rows]
        hidden, _ = self._model(torch.from_numpy(ids).to(device), state, torch.from_numpy(resets).to(device))
        targets = torch.from_numpy(np.concatenate(candidates).astype(np.int64)).to(device)
        real = torch.from_numpy(np.arange(ids.shape[1])[None] < np.array([[len(c)] for c in candidates])).to(device)
        losses = token_losses(self._model, hidden[real], targets)
        if not np.isfinite(losses).all():
            raise UserError(
                f"book {trials[0].book_id} or one beside it: the model gives a token no finite probability; "
                "its training diverged: train it again, with a lower learning rate"
            )
        parts = iter(np.split(losses, np.cumsum([len(candidate) for candidate in candidates])[:-1]))
        return [[next(parts) for _ in trial.candidates] for trial in trials]


class TokenScorer:
    """Scores that depend on the token alone; ``losses_of``: -ln p, float64 [vocabulary]."""

    def __init__(self, losses_of: Losses) -> None:
        self._losses_of = losses_of

    def score(self, trials: Sequence[Trial]) -> list[list[Losses]]:
        """See ``Scorer``."""
        return [[self._losses_of[candidate] for candidate in trial.candidates] for trial in trials]


def _longest(trial: Trial) -> int:
    return max(map(len, trial.candidates))
