"""The use of context as metrics and tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from mamba_narrative.config.evaluation import ContextSettings
from mamba_narrative.evaluation.bootstrap import Estimate
from mamba_narrative.evaluation.summary import Summary, Table, fields, mean_over_books
from mamba_narrative.evaluation.sums import Sum, Sums, cases_of, variants

CONTEXT_COLUMNS = (
    "context_tokens", "targets", "books", "loss_nats", "low", "high", "gain_nats", "gain_low", "gain_high",
    "remembrance", "remembrance_low", "remembrance_high",
)  # fmt: skip
RESET_COLUMNS = (
    "reset_tokens",
    "tokens",
    "books",
    "loss_nats",
    "low",
    "high",
    "excess_nats",
    "excess_low",
    "excess_high",
)
STATE_COLUMNS = ("position", "state", "books", "rms", "low", "high")
_TOO_SHORT = "no test book is longer than the longest of evaluation.context.context_tokens"


class ContextMeasures:
    """Estimates from the sums of books (``context.context_sums``)."""

    def __init__(self, sums: Sums, samples: int, seed: int) -> None:
        self._sums, self._bootstrap = sums, (samples, seed)

    def gain(self, context: int) -> Estimate:
        """Loss from ``context`` tokens minus that from the whole book, same targets."""
        return self.mean(self.difference(f"loss after {context}", "loss after all"))

    def step(self, shorter: int, longer: int) -> Estimate:
        """Loss from ``longer`` contexts minus that from ``shorter`` ones, same targets."""
        return self.mean(self.difference(f"loss after {longer}", f"loss after {shorter}"))

    def loss(self, context: int | None) -> Estimate:
        """Loss of the targets from ``context`` tokens; None: from the whole book."""
        return self.mean(self.books(f"loss after {'all' if context is None else context}"))

    def remembrance(self, context: int) -> Estimate:
        """Total variation between predictions from the whole book and from ``context`` tokens."""
        return self.mean(self.books(f"remembrance {context}"))

    def reset_loss(self, length: int | None) -> Estimate:
        """Loss of whole books with resets every ``length`` tokens; None: with the state carried."""
        return self.mean(self.books("loss of books" if length is None else f"loss with resets {length}"))

    def reset_excess(self, length: int) -> Estimate:
        """What resets every ``length`` tokens add to the loss."""
        return self.mean(self.difference(f"loss with resets {length}", "loss of books"))

    def books(self, question: str) -> Mapping[str, Sum]:
        """The sums of the books that the question was asked of."""
        return self._sums.get(question, {})

    def difference(self, question: str, other: str) -> dict[str, Sum]:
        """The sums of ``question`` minus those of ``other``, which was asked of the same tokens."""
        subtracted = self.books(other)
        return {
            book: found._replace(score=found.score - subtracted[book].score)
            for book, found in self.books(question).items()
        }

    def mean(self, books: Mapping[str, Sum]) -> Estimate:
        """Over all tokens of these books."""
        return mean_over_books(books, *self._bootstrap, _TOO_SHORT)


def summary(sums: Sums, facts: Mapping[str, Any], settings: ContextSettings) -> Summary:
    """The main numbers; all contexts, resets and states as tables."""
    measures = ContextMeasures(sums, settings.bootstrap_samples, settings.seed)
    contexts, resets = sorted(settings.context_tokens), sorted(settings.reset_tokens)
    books = {
        "context_gain": measures.difference(f"loss after {contexts[0]}", "loss after all"),
        "effective_remembrance": measures.books(f"remembrance {contexts[-1]}"),
        "reset_excess": measures.difference(f"loss with resets {resets[-1]}", "loss of books"),
        "shuffled_gap": measures.difference("loss shuffled", "loss in order"),
    }
    steps = [
        {"from": shorter, "to": longer, **measures.step(shorter, longer).record("context_step")}
        for shorter, longer in pairwise(contexts)
    ]
    of_context = {"gain_nats": "context_gain", "remembrance": "effective_remembrance"}
    return Summary(
        {name: measures.mean(found) for name, found in books.items()},
        books,
        {
            "context.csv": Table(CONTEXT_COLUMNS, list(_context_rows(measures, contexts)), of_context),
            "resets.csv": Table(RESET_COLUMNS, list(_reset_rows(measures, resets)), {"excess_nats": "reset_excess"}),
            "state.csv": Table(STATE_COLUMNS, list(_state_rows(measures, sums)), {"rms": "state_rms"}),
        },
        {"steps": steps},
    )


def _context_rows(measures: ContextMeasures, contexts: Sequence[int]) -> Iterable[Mapping[str, object]]:
    deep = measures.books("loss after all")
    counts = (cases_of(deep), len(deep))
    for context in contexts:
        estimates = (measures.loss(context), measures.gain(context), measures.remembrance(context))
        values = (context, *counts, *(field for estimate in estimates for field in fields(estimate)))
        yield dict(zip(CONTEXT_COLUMNS, values, strict=True))
    values = ("whole book", *counts, *fields(measures.loss(None)), *[None] * 6)
    yield dict(zip(CONTEXT_COLUMNS, values, strict=True))


def _reset_rows(measures: ContextMeasures, resets: Sequence[int]) -> Iterable[Mapping[str, object]]:
    whole = measures.books("loss of books")
    counts = (cases_of(whole), len(whole))
    for length in resets:
        values = (length, *counts, *fields(measures.reset_loss(length)), *fields(measures.reset_excess(length)))
        yield dict(zip(RESET_COLUMNS, values, strict=True))
    yield dict(zip(RESET_COLUMNS, ("never", *counts, *fields(measures.reset_loss(None)), *[None] * 3), strict=True))


def _state_rows(measures: ContextMeasures, sums: Sums) -> Iterable[Mapping[str, object]]:
    places = [place.split(" ", 1) for place, _ in variants(sums, "state")]
    for position, kind in sorted((int(position), kind) for position, kind in places):
        estimate = measures.mean(measures.books(f"state {position} {kind}"))
        yield dict(zip(STATE_COLUMNS, (position, kind, estimate.n, *fields(estimate)), strict=True))
