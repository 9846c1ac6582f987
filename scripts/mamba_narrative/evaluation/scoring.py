"""Losses of several continuations of one text: the text is read once and its state repeated for each of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mamba_narrative.errors import UserError
from mamba_narrative.evaluation.book_reading import piece_losses, predict
from mamba_narrative.model.interface import LanguageModel, State
from mamba_narrative.model.reading import BATCH_SIZE, device_of, even_limits, read_books
from mamba_narrative.progress import Progress

Ids = npt.NDArray[np.uint16]
Losses = npt.NDArray[np.float64]
Prediction = tuple[Losses, npt.NDArray[np.bool_]]
"""-ln p of some tokens in nats, and whether each is the most likely one."""

# Tokens of continuations read side by side: a matter of memory and speed.
_TOKENS_AT_ONCE = {"cpu": 2_048, "cuda": 65_536}
# Bytes of the states of those continuations: a Transformer remembers 50 times as much of a text as Mamba.
_STATE_BYTES_AT_ONCE = {"cpu": 2**30, "cuda": 2**33}
# Tokens of a long text read at once.
_PIECE_TOKENS = 2_048


@dataclass(frozen=True)
class Trial:
    """A text (uint16, may be empty) and its possible continuations, of which the first is the true one."""

    book_id: str
    prefix: Ids
    candidates: tuple[Ids, ...]


@dataclass(frozen=True)
class Recall:
    """-ln p of a whole word in nats, and whether each of its tokens is the most likely one."""

    nats: float
    is_greedy: bool


class Scorer(Protocol):
    """Anything that gives the tokens of a text probabilities."""

    def score(self, trials: Sequence[Trial]) -> list[list[Losses]]:
        """-ln p in nats of every token of every candidate after its prefix, float64, in the order of ``trials``.

        A prefix is read from the empty state and an end-of-text token.
        """
        ...

    def recalls(self, trials: Sequence[Trial]) -> list[Recall]:
        """How the first candidate of each trial is predicted after its prefix."""
        ...

    def read(self, texts: Sequence[Ids], wanted: Sequence[npt.NDArray[np.int64]]) -> list[Losses]:
        """-ln p in nats of the ``wanted`` tokens of long texts, float64, each read from the empty state to its end.

        wanted: by text the places of its tokens that are looked at, rising.
        """
        ...


class ModelScorer:
    """Scores of a language model. Raises UserError where they are not finite."""

    def __init__(self, model: LanguageModel, end_of_text_id: int, title: str = "scoring") -> None:
        self._model, self._end_of_text_id, self._title = model, end_of_text_id, title

    def score(self, trials: Sequence[Trial]) -> list[list[Losses]]:
        """See ``Scorer``; results depend on what is scored side by side by rounding only."""
        results: list[list[Losses]] = [[] for _ in trials]
        for group, found in self._predictions(trials):
            parts = iter(found)
            for number in group:
                results[number] = [next(parts)[0] for _ in trials[number].candidates]
        return results

    def recalls(self, trials: Sequence[Trial]) -> list[Recall]:
        """See ``Scorer``."""
        results = [Recall(0.0, False)] * len(trials)
        words = [Trial(trial.book_id, trial.prefix, trial.candidates[:1]) for trial in trials]
        for group, found in self._predictions(words):
            for number, (losses, best) in zip(group, found, strict=True):
                results[number] = Recall(float(losses.sum()), bool(best.all()))
        return results

    @torch.inference_mode()
    def read(self, texts: Sequence[Ids], wanted: Sequence[npt.NDArray[np.int64]]) -> list[Losses]:
        """See ``Scorer``; side by side in pieces with carried state, in constant memory."""
        found: list[list[Losses]] = [[] for _ in texts]
        limits = even_limits(max(map(len, texts), default=0), _PIECE_TOKENS)
        at_once = BATCH_SIZE.get(self._device.type, BATCH_SIZE["cpu"])
        names = [f"number {number}" for number in range(1, len(texts) + 1)]
        with Progress(self._title, sum(map(len, texts)), "tokens") as progress:
            for piece in read_books(self._model, texts, self._end_of_text_id, limits, at_once):
                here = [
                    places[np.searchsorted(places, piece.start) : np.searchsorted(places, piece.start + length)]
                    for places, length in zip((wanted[n] for n in piece.books), piece.lengths, strict=True)
                ]
                inside = [places - piece.start for places in here]
                for number, losses in zip(piece.books, piece_losses(self._model, piece, names, inside), strict=True):
                    found[number].append(losses)
                progress.advance(sum(piece.lengths))
        return [np.concatenate(parts) if parts else np.empty(0) for parts in found]

    @torch.inference_mode()
    def _predictions(self, trials: Sequence[Trial]) -> Iterator[tuple[list[int], list[Prediction]]]:
        """Groups of trials with the predictions of all their candidates, one after the other."""
        total = sum(map(_size, trials))
        with Progress(self._title, total, "tokens") as progress:
            for group in self._groups(trials):
                members = [trials[number] for number in group]
                yield group, self._predict_group(members)
                progress.advance(sum(map(_size, members)))

    def _groups(self, trials: Sequence[Trial]) -> Iterator[list[int]]:
        """Trials of similar length, so that little is padded; each group fits into memory."""
        room = _TOKENS_AT_ONCE.get(self._device.type, _TOKENS_AT_ONCE["cpu"])
        rows = _STATE_BYTES_AT_ONCE.get(self._device.type, _STATE_BYTES_AT_ONCE["cpu"]) // self._state_bytes()
        order = sorted(range(len(trials)), key=lambda number: (len(trials[number].prefix), _longest(trials[number])))
        group: list[int] = []
        size = candidates = 0
        for number in order:
            trial = trials[number]
            needed = max(len(trial.prefix), len(trial.candidates) * _longest(trial))
            if group and (size + needed > room or candidates + len(trial.candidates) > rows):
                yield group
                group, size, candidates = [], 0, 0
            group.append(number)
            size += needed
            candidates += len(trial.candidates)
        if group:
            yield group

    def _state_bytes(self) -> int:
        """Of one text."""
        _, state = self._model(self._tensor(np.full((1, 1), self._end_of_text_id)))
        return sum(tensor.numel() * tensor.element_size() for tensor in state.values())

    def _predict_group(self, trials: Sequence[Trial]) -> list[Prediction]:
        rows = np.repeat(np.arange(len(trials)), [len(trial.candidates) for trial in trials])
        candidates = [candidate for trial in trials for candidate in trial.candidates]
        texts = [np.concatenate(([self._end_of_text_id], trial.prefix)).astype(np.int64) for trial in trials]
        state = self._read_prefixes([text[:-1] for text in texts])
        if state is not None:
            index = torch.from_numpy(rows).to(self._device)
            state = {name: tensor.index_select(0, index) for name, tensor in state.items()}
        # The last token of a prefix is read with each candidate, whose first token it predicts.
        ids = np.full((len(candidates), max(map(len, candidates))), self._end_of_text_id, np.int64)
        for row, candidate in enumerate(candidates):
            ids[row, 0] = texts[rows[row]][-1]
            ids[row, 1 : len(candidate)] = candidate[:-1]
        resets = np.zeros(ids.shape, bool)
        resets[:, 0] = [len(texts[row]) == 1 for row in rows]
        hidden, _ = self._model(self._tensor(ids), state, self._tensor(resets))
        lengths = np.array([len(candidate) for candidate in candidates])
        real = self._tensor(np.arange(ids.shape[1])[None] < lengths[:, None])
        losses, best = _predict(self._model, hidden[real], self._tensor(np.concatenate(candidates).astype(np.int64)))
        ends = np.cumsum(lengths)[:-1]
        return list(zip(np.split(losses, ends), np.split(best, ends), strict=True))

    def _read_prefixes(self, texts: Sequence[npt.NDArray[np.int64]]) -> State | None:
        """The state after each text; None where all are empty."""
        width = max(map(len, texts))
        if width == 0:
            return None
        # Aligned to the right; a reset where a text begins forgets the padding before it.
        ids = np.full((len(texts), width), self._end_of_text_id, np.int64)
        for row, text in enumerate(texts):
            ids[row, width - len(text) :] = text
        starts = width - np.array([len(text) for text in texts])
        _, state = self._model(self._tensor(ids), None, self._tensor(np.arange(width)[None] == starts[:, None]))
        return state

    @property
    def _device(self) -> torch.device:
        return device_of(self._model)

    def _tensor(self, values: npt.NDArray[np.int64] | npt.NDArray[np.bool_]) -> Tensor:
        return torch.from_numpy(values).to(self._device)


class TokenScorer:
    """Scores that depend on the token alone; ``losses_of``: -ln p, float64 [vocabulary]."""

    def __init__(self, losses_of: Losses) -> None:
        self._losses_of = losses_of

    def score(self, trials: Sequence[Trial]) -> list[list[Losses]]:
        """See ``Scorer``."""
        return [[self._losses_of[candidate] for candidate in trial.candidates] for trial in trials]

    def recalls(self, trials: Sequence[Trial]) -> list[Recall]:
        """See ``Scorer``."""
        least = self._losses_of.min()
        words = [self._losses_of[trial.candidates[0]] for trial in trials]
        return [Recall(float(losses.sum()), bool((losses == least).all())) for losses in words]

    def read(self, texts: Sequence[Ids], wanted: Sequence[npt.NDArray[np.int64]]) -> list[Losses]:
        """See ``Scorer``."""
        return [self._losses_of[text[places]] for text, places in zip(texts, wanted, strict=True)]


def _predict(model: LanguageModel, hidden: Tensor, targets: Tensor) -> Prediction:
    """See ``predict``. Raises UserError where a probability is not finite."""
    nats, best = predict(model, hidden, targets)
    if not np.isfinite(nats).all():
        raise UserError(
            "the model gives a token no finite probability; its training diverged: train it again, "
            "with a lower learning rate"
        )
    return nats, best


def _size(trial: Trial) -> int:
    return len(trial.prefix) + sum(map(len, trial.candidates))


def _longest(trial: Trial) -> int:
    return max(map(len, trial.candidates))
