"""The use of context as metrics and files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from mamba_narrative.config.evaluation import ContextSettings
from mamba_narrative.evaluation.bootstrap import Estimate, ratio_of_sums
from mamba_narrative.evaluation.cases import Case, cases_csv
from mamba_narrative.evaluation.csv_text import csv_text
from mamba_narrative.evaluation.held_out import SPLIT, HeldOutBook
from mamba_narrative.io import write_json, write_text

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


@dataclass(frozen=True)
class BookContext:
    """Sums over the tokens of one book, in nats; targets are 0 where it is too short for them."""

    tokens: int
    carried_nats: float
    reset_nats: Mapping[int, float]
    targets: int
    whole_nats: float
    context_nats: Mapping[int, float]
    remembrance: Mapping[int, float]
    state_rms: Mapping[tuple[int, str], float]
    shuffled_tokens: int
    ordered_nats: float
    shuffled_nats: float


class ContextMeasures:
    """Estimates from the sums of books."""

    def __init__(self, books: Sequence[BookContext], samples: int, seed: int) -> None:
        self.books = books
        self.deep = [book for book in books if book.targets]
        self._bootstrap = (samples, seed)

    def gain(self, context: int) -> Estimate:
        """Loss from ``context`` tokens minus that from the whole book, same targets."""
        return self._per_target(lambda book: book.context_nats[context] - book.whole_nats)

    def step(self, shorter: int, longer: int) -> Estimate:
        """Loss from ``longer`` contexts minus that from ``shorter`` ones, same targets."""
        return self._per_target(lambda book: book.context_nats[longer] - book.context_nats[shorter])

    def loss(self, context: int | None) -> Estimate:
        """Loss of the targets from ``context`` tokens; None: from the whole book."""
        return self._per_target(lambda book: book.whole_nats if context is None else book.context_nats[context])

    def remembrance(self, context: int) -> Estimate:
        """Total variation between predictions from the whole book and from ``context`` tokens."""
        return self._per_target(lambda book: book.remembrance[context])

    def reset_loss(self, length: int | None) -> Estimate:
        """Loss of whole books with resets every ``length`` tokens; None: with the state carried."""
        return self._per_token(lambda book: book.carried_nats if length is None else book.reset_nats[length])

    def reset_excess(self, length: int) -> Estimate:
        """What resets every ``length`` tokens add to the loss."""
        return self._per_token(lambda book: book.reset_nats[length] - book.carried_nats)

    def shuffled_gap(self) -> Estimate:
        """What a random order of the tokens adds to the loss."""
        tops = [book.shuffled_nats - book.ordered_nats for book in self.books]
        return ratio_of_sums(tops, [book.shuffled_tokens for book in self.books], *self._bootstrap)

    def state_rms(self, position: int, kind: str) -> Estimate:
        """Mean over the books that are long enough."""
        found = [book.state_rms[position, kind] for book in self.books if (position, kind) in book.state_rms]
        return ratio_of_sums(found, [1] * len(found), *self._bootstrap)

    def _per_target(self, nats: Callable[[BookContext], float]) -> Estimate:
        if not self.deep:
            return Estimate(None, None, 0, _TOO_SHORT)
        return ratio_of_sums([nats(book) for book in self.deep], [book.targets for book in self.deep], *self._bootstrap)

    def _per_token(self, nats: Callable[[BookContext], float]) -> Estimate:
        return ratio_of_sums(
            [nats(book) for book in self.books], [book.tokens for book in self.books], *self._bootstrap
        )


def write_context(
    run: str, measured: Sequence[BookContext], books: Sequence[HeldOutBook], settings: ContextSettings, output: Path
) -> None:
    """Write `context.json` (main numbers) and `context_books.csv` (their sums by book), `context.csv`, `resets.csv` and
    `state.csv` of ``run``.
    """
    measures = ContextMeasures(measured, settings.bootstrap_samples, settings.seed)
    contexts, resets = sorted(settings.context_tokens), sorted(settings.reset_tokens)
    metrics = {
        "context_gain": measures.gain(contexts[0]),
        "effective_remembrance": measures.remembrance(contexts[-1]),
        "reset_excess": measures.reset_excess(resets[-1]),
        "shuffled_gap": measures.shuffled_gap(),
    }
    steps = [
        {"from": shorter, "to": longer, **measures.step(shorter, longer).record("context_step")}
        for shorter, longer in pairwise(contexts)
    ]
    cases = main_cases(measured, [book.book_id for book in books], contexts, resets[-1])
    write_text(output / "context_books.csv", cases_csv(cases))
    write_text(output / "context.csv", csv_text(CONTEXT_COLUMNS, _context_rows(measures, contexts)))
    write_text(output / "resets.csv", csv_text(RESET_COLUMNS, _reset_rows(measures, resets)))
    write_text(output / "state.csv", csv_text(STATE_COLUMNS, _state_rows(measures)))
    write_json(
        output / "context.json",
        {
            "run": run,
            "split": SPLIT,
            "books": len(books),
            "books_with_targets": len(measures.deep),
            "tokens": sum(book.tokens for book in measured),
            "targets": sum(book.targets for book in measured),
            "books_cut_short": sum(book.is_cut for book in books),
            "settings": settings.model_dump(mode="json"),
            "metrics": {name: estimate.record(name) for name, estimate in metrics.items()},
            "steps": steps,
            "columns": {
                "context.csv": {"gain_nats": "context_gain", "remembrance": "effective_remembrance"},
                "resets.csv": {"excess_nats": "reset_excess"},
                "state.csv": {"rms": "state_rms"},
            },
        },
    )


def main_cases(
    measured: Sequence[BookContext], book_ids: Sequence[str], contexts: Sequence[int], reset: int
) -> dict[str, list[Case]]:
    """The main numbers book by book, by definition id; ``contexts`` in rising order."""
    each = list(zip(book_ids, measured, strict=True))
    deep = [(name, book) for name, book in each if book.targets]
    shortest, longest = contexts[0], contexts[-1]
    return {
        "context_gain": [
            Case(name, book.context_nats[shortest] - book.whole_nats, book.targets) for name, book in deep
        ],
        "effective_remembrance": [Case(name, book.remembrance[longest], book.targets) for name, book in deep],
        "reset_excess": [Case(name, book.reset_nats[reset] - book.carried_nats, book.tokens) for name, book in each],
        "shuffled_gap": [
            Case(name, book.shuffled_nats - book.ordered_nats, book.shuffled_tokens) for name, book in each
        ],
    }


def _context_rows(measures: ContextMeasures, contexts: Sequence[int]) -> Iterable[Mapping[str, object]]:
    targets, books = sum(book.targets for book in measures.deep), len(measures.deep)
    for context in contexts:
        estimates = (measures.loss(context), measures.gain(context), measures.remembrance(context))
        values = (context, targets, books, *(field for estimate in estimates for field in _fields(estimate)))
        yield dict(zip(CONTEXT_COLUMNS, values, strict=True))
    yield dict(
        zip(CONTEXT_COLUMNS, ("whole book", targets, books, *_fields(measures.loss(None)), *[None] * 6), strict=True)
    )


def _reset_rows(measures: ContextMeasures, resets: Sequence[int]) -> Iterable[Mapping[str, object]]:
    tokens, books = sum(book.tokens for book in measures.books), len(measures.books)
    for length in resets:
        values = (length, tokens, books, *_fields(measures.reset_loss(length)), *_fields(measures.reset_excess(length)))
        yield dict(zip(RESET_COLUMNS, values, strict=True))
    yield dict(
        zip(RESET_COLUMNS, ("never", tokens, books, *_fields(measures.reset_loss(None)), *[None] * 3), strict=True)
    )


def _state_rows(measures: ContextMeasures) -> Iterable[Mapping[str, object]]:
    places = sorted({place for book in measures.books for place in book.state_rms})
    for position, kind in places:
        estimate = measures.state_rms(position, kind)
        yield dict(zip(STATE_COLUMNS, (position, kind, estimate.n, *_fields(estimate)), strict=True))


def _fields(estimate: Estimate) -> tuple[float | None, float | None, float | None]:
    low, high = estimate.interval or (None, None)
    return estimate.value, low, high
