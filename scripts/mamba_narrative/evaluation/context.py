"""What the text before is worth to a model: the same targets from short contexts and from the whole book,
whole books with and without resets, the size of the state along a book, and books with their tokens shuffled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from torch import Tensor

from mamba_narrative.config.evaluation import ContextSettings
from mamba_narrative.evaluation.arguments import OutputDirectory, RunDirectory, TestTokens
from mamba_narrative.evaluation.book_reading import Floats, Ids, finite_losses, piece_losses, read_short
from mamba_narrative.evaluation.held_out import SPLIT, HeldOutBook, held_out_books, open_tokens
from mamba_narrative.evaluation.passages import seed_of
from mamba_narrative.evaluation.sums import Sum, write_sums
from mamba_narrative.evaluation.trained_run import choose_device, load_run
from mamba_narrative.model.interface import LanguageModel, State
from mamba_narrative.model.reading import BATCH_SIZE, device_of, piece_limits, read_books
from mamba_narrative.progress import Progress

_ROWS_OF_PROBABILITIES = 128


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


@dataclass(frozen=True)
class WholeBook:
    """One book read with the state carried: losses of all of it, its opening and each target."""

    nats: float
    opening_nats: float
    target_nats: Floats
    target_hidden: Tensor | None
    state_rms: dict[tuple[int, str], float]


def evaluate_context(
    run_directory: RunDirectory,
    tokens: TestTokens,
    output_directory: OutputDirectory,
    settings: Annotated[ContextSettings, "section `evaluation.context`"] = ContextSettings(),
) -> None:
    """Measure a trained run on the test books and write the sums.

    Raises UserError where a file is missing or does not fit the others, or the model gives no finite probabilities.
    """
    test, tokenizer = open_tokens(tokens, SPLIT)
    model = load_run(run_directory, tokenizer, choose_device(settings.device))
    books = [book for book in held_out_books(test, tokenizer, settings.max_tokens_per_book) if len(book.ids)]
    measured = measure_books(model, books, test.end_of_text_id, settings, f"{run_directory.name}: context")
    facts = {
        "run": run_directory.name,
        "books": len(books),
        "books_with_targets": sum(found.targets > 0 for found in measured),
        "tokens": sum(found.tokens for found in measured),
        "targets": sum(found.targets for found in measured),
        "books_cut_short": sum(book.is_cut for book in books),
    }
    sums = context_sums(dict(zip((book.book_id for book in books), measured, strict=True)))
    write_sums(output_directory, "context", sums, facts)


def context_sums(measured: Mapping[str, BookContext]) -> dict[str, dict[str, Sum]]:
    """Sums by question, such as ``loss after 256``, and book; books too short for targets are not in all of them."""
    sums: dict[str, dict[str, Sum]] = {}

    def add(question: str, book: str, weight: float, score: float) -> None:
        sums.setdefault(question, {})[book] = Sum(int(weight), float(weight), float(score))

    for name, book in measured.items():
        add("loss of books", name, book.tokens, book.carried_nats)
        for length, nats in book.reset_nats.items():
            add(f"loss with resets {length}", name, book.tokens, nats)
        if book.targets:
            add("loss after all", name, book.targets, book.whole_nats)
            for context, nats in book.context_nats.items():
                add(f"loss after {context}", name, book.targets, nats)
                add(f"remembrance {context}", name, book.targets, book.remembrance[context])
        add("loss in order", name, book.shuffled_tokens, book.ordered_nats)
        add("loss shuffled", name, book.shuffled_tokens, book.shuffled_nats)
        for (position, kind), rms in book.state_rms.items():
            add(f"state {position} {kind}", name, 1, rms)
    return sums


@torch.inference_mode()
def measure_books(
    model: LanguageModel, books: Sequence[HeldOutBook], end_of_text_id: int, settings: ContextSettings, title: str
) -> list[BookContext]:
    """All measures of each book. A book too short for the targets of the longest context has none."""
    deepest, at_once = max(settings.context_tokens), BATCH_SIZE[device_of(model).type]
    starts = [
        target_starts(book, deepest, settings.spans_per_book, settings.span_tokens, settings.seed) for book in books
    ]
    order = sorted(range(len(books)), key=lambda number: -len(books[number].ids))
    found: dict[int, BookContext] = {}
    with Progress(title, len(books), "books") as progress:
        for first in range(0, len(books), at_once):
            group = order[first : first + at_once]
            chosen = [books[number] for number in group]
            wholes = read_whole(model, chosen, end_of_text_id, settings, [_targets(starts[n], settings) for n in group])
            for number, whole in zip(group, wholes, strict=True):
                found[number] = _measure_book(model, books[number], end_of_text_id, settings, starts[number], whole)
                progress.advance(1)
    return [found[number] for number in range(len(books))]


def _targets(starts: np.ndarray, settings: ContextSettings) -> np.ndarray:
    return (starts[:, None] + np.arange(settings.span_tokens)).ravel()


def _measure_book(
    model: LanguageModel,
    book: HeldOutBook,
    end_of_text_id: int,
    settings: ContextSettings,
    starts: np.ndarray,
    whole: WholeBook,
) -> BookContext:
    """The measures of one book that has been read whole."""
    targets, at_once = _targets(starts, settings), settings.chunk_tokens * settings.batch_size
    context_nats, remembrance = {}, {}
    for context in settings.context_tokens if len(targets) else ():
        hidden = hidden_after(model, book.ids, starts, context, settings.span_tokens, at_once)
        wanted = torch.from_numpy(book.ids[targets].astype(np.int64)).to(hidden.device)
        context_nats[context] = float(finite_losses(model, hidden, wanted, book.book_id).sum())
        assert whole.target_hidden is not None
        remembrance[context] = total_variation(model, whole.target_hidden, hidden)
    opening = book.ids[: settings.shuffled_tokens]
    shuffled = np.random.default_rng(seed_of(settings.seed, book.book_id, "shuffled")).permutation(opening)
    return BookContext(
        tokens=len(book.ids),
        carried_nats=whole.nats,
        reset_nats={
            length: reset_nats(model, book.ids, end_of_text_id, length, at_once, book.book_id)
            for length in settings.reset_tokens
        },
        targets=len(targets),
        whole_nats=float(whole.target_nats.sum()),
        context_nats=context_nats,
        remembrance=remembrance,
        state_rms=whole.state_rms,
        shuffled_tokens=len(shuffled),
        ordered_nats=whole.opening_nats,
        shuffled_nats=reset_nats(model, shuffled, end_of_text_id, len(shuffled), at_once, book.book_id),
    )


def target_starts(book: HeldOutBook, deepest: int, spans: int, span_tokens: int, seed: int) -> np.ndarray:
    """Where runs of targets start: int64 [up to spans], sorted, apart, each at least ``deepest`` tokens into the book.

    They depend on the book and the seed, not on the model. None where the book is too short.
    """
    places = max(0, (len(book.ids) - deepest) // span_tokens)
    chosen = np.random.default_rng(seed_of(seed, book.book_id, "targets")).permutation(places)[:spans]
    return deepest + span_tokens * np.sort(chosen).astype(np.int64)


def read_whole(
    model: LanguageModel,
    books: Sequence[HeldOutBook],
    end_of_text_id: int,
    settings: ContextSettings,
    targets: Sequence[np.ndarray],
) -> list[WholeBook]:
    """Read books once, side by side, with their states carried, in memory that does not grow with them but for the
    ``targets`` of each.
    """
    nats, opening_nats = np.zeros(len(books)), np.zeros(len(books))
    target_nats: list[list[Floats]] = [[] for _ in books]
    hidden: list[list[Tensor]] = [[] for _ in books]
    state_rms: list[dict[tuple[int, str], float]] = [{} for _ in books]
    texts, book_ids = [book.ids for book in books], [book.book_id for book in books]
    limits = piece_limits(max(map(len, texts)), settings.chunk_tokens)
    for piece in read_books(model, texts, end_of_text_id, limits, len(books)):
        for row, (number, losses) in enumerate(zip(piece.books, piece_losses(model, piece, book_ids), strict=True)):
            nats[number] += losses.sum()
            opening_nats[number] += losses[: max(0, settings.shuffled_tokens - piece.start)].sum()
            end = piece.start + len(losses)
            of_book = targets[number]
            here = of_book[(of_book >= piece.start) & (of_book < end)] - piece.start
            target_nats[number].append(losses[here])
            if len(here):
                hidden[number].append(piece.hidden[row, torch.from_numpy(here).to(piece.hidden.device)])
            if end & (end - 1) == 0 and len(losses) == max(piece.lengths):
                own = {name: tensor[row] for name, tensor in piece.state.items()}
                state_rms[number] |= {(end, kind): value for kind, value in rms_by_kind(own).items()}
    return [
        WholeBook(
            float(nats[number]),
            float(opening_nats[number]),
            np.concatenate(target_nats[number]),
            torch.cat(hidden[number]) if hidden[number] else None,
            state_rms[number],
        )
        for number in range(len(books))
    ]


def hidden_after(
    model: LanguageModel, ids: Ids, starts: np.ndarray, context: int, span_tokens: int, tokens_at_once: int
) -> Tensor:
    """Hidden states [targets, d_model] for runs of targets, each read from ``context`` tokens before its first one."""
    rows = ids[starts[:, None] + np.arange(-context, span_tokens - 1)].astype(np.int64)
    return torch.cat([part.flatten(0, 1) for part in read_short(model, rows, tokens_at_once, span_tokens)])


def reset_nats(
    model: LanguageModel, ids: Ids, end_of_text_id: int, length: int, tokens_at_once: int, book_id: str
) -> float:
    """Summed loss of a book whose state is thrown away every ``length`` tokens, so that a token has at most those."""
    inputs = np.concatenate(([end_of_text_id], ids[:-1])).astype(np.int64)
    full = len(ids) // length * length
    nats = 0.0
    for rows, targets in ((inputs[:full].reshape(-1, length), ids[:full]), (inputs[None, full:], ids[full:])):
        done = 0
        for hidden in read_short(model, rows, tokens_at_once, length) if rows.size else ():
            flat = hidden.flatten(0, 1)
            wanted = torch.from_numpy(targets[done : done + len(flat)].astype(np.int64)).to(flat.device)
            nats += float(finite_losses(model, flat, wanted, book_id).sum())
            done += len(flat)
    return nats


def total_variation(model: LanguageModel, one: Tensor, other: Tensor) -> float:
    """Summed over rows: half the absolute differences between the predictions from hidden states [rows, d_model]."""
    total = torch.zeros((), dtype=torch.float64, device=one.device)
    for first in range(0, len(one), _ROWS_OF_PROBABILITIES):
        rows = slice(first, first + _ROWS_OF_PROBABILITIES)
        difference = model.logits(one[rows]).softmax(-1) - model.logits(other[rows]).softmax(-1)
        total += difference.abs().sum(dtype=torch.float64) / 2
    return float(total)


def rms_by_kind(state: State) -> dict[str, float]:
    """Root mean square of all values of each kind of state; the kind is what follows the last dot of a name."""
    squares: dict[str, float] = {}
    values: dict[str, int] = {}
    for name, tensor in state.items():
        kind = name.rpartition(".")[2]
        if tensor.is_floating_point() and tensor.numel():
            squares[kind] = squares.get(kind, 0.0) + float(tensor.double().square().sum())
            values[kind] = values.get(kind, 0) + tensor.numel()
    return {kind: (squares[kind] / values[kind]) ** 0.5 for kind in squares}
