"""The batches of a training run, one a step: a pure function of the step, so that nothing of the order is ever saved.

``shuffled``: windows of whole books in a seeded order (see ``windows``). ``stateful``: every row of the batch reads one
book after the other from start to end, so that a model can carry its state from step to step; a row that ends its book
goes on with the next one that no row has had yet, in a seeded order of books that is a new one each epoch. Either way
every token of every book is a target exactly once an epoch, and a row never looks across the start of a book.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from mamba_narrative.tokens.reader import BookTokens
from mamba_narrative.tokens.windows import WindowSampler, permuted


@dataclass(frozen=True)
class Rows:
    """What the rows of a batch read and must predict, int64 [rows, sequence_length] each."""

    inputs: npt.NDArray[np.int64]
    targets: npt.NDArray[np.int64]
    resets: npt.NDArray[np.bool_] | None
    """Where a book starts inside of a row, [rows, sequence_length]; None where rows hold one book each."""
    first: int = 0
    """Number in the batch of the first of these rows."""

    def part(self, rows: slice) -> Rows:
        """Neighbouring ones of the rows."""
        resets = None if self.resets is None else self.resets[rows]
        return Rows(self.inputs[rows], self.targets[rows], resets, self.first + range(len(self.inputs))[rows].start)


class Batches(Protocol):
    """The batches of a run."""

    carries_state: bool
    """Whether row ``i`` of a step goes on where row ``i`` of the step before ended."""
    end_of_text_id: int
    tokens_per_epoch: int
    """Targets that an epoch has: every token once."""

    def batch(self, step: int) -> Rows:
        """The batch of step 0, 1, ..."""
        ...

    def books(self, step: int) -> list[str]:
        """Ids of the books that a batch reads."""
        ...

    def epochs(self, steps: int) -> float:
        """How often so many steps see every token."""
        ...


class ShuffledBatches:
    """Independent windows in a seeded order."""

    carries_state = False

    def __init__(self, sampler: WindowSampler, books: list[BookTokens], sequences: int) -> None:
        self.sampler, self.sequences, self._books = sampler, sequences, books
        self.end_of_text_id = sampler.end_of_text_id
        self.tokens_per_epoch = sum(book.tokens for book in books)

    def batch(self, step: int) -> Rows:
        """See ``Batches``."""
        batch = self.sampler.batch(step * self.sequences, self.sequences)
        return Rows(batch.inputs, batch.targets, None)

    def books(self, step: int) -> list[str]:
        """See ``Batches``."""
        positions = range(step * self.sequences, (step + 1) * self.sequences)
        return sorted({self._books[self.sampler.window(position).book].book_id for position in positions})

    def epochs(self, steps: int) -> float:
        """See ``Batches``."""
        return self.sampler.epochs(steps * self.sequences)


class StatefulBatches:
    """Rows that read on from step to step."""

    carries_state = True

    def __init__(
        self,
        ids: npt.NDArray[np.uint16],
        books: list[BookTokens],
        sequence_length: int,
        sequences: int,
        seed: int,
        end_of_text_id: int,
    ) -> None:
        """``ids``: uint16 [tokens] of all ``books``. Raises ValueError where there is no token."""
        self._ids, self._books = ids, [book for book in books if book.tokens]
        if not self._books:
            raise ValueError("there is no token to train on")
        self.sequence_length, self.sequences, self.seed = sequence_length, sequences, seed
        self.end_of_text_id = end_of_text_id
        self.tokens_per_epoch = sum(book.tokens for book in self._books)
        self._rewind()

    def batch(self, step: int) -> Rows:
        """See ``Batches``. Steps in order cost nothing; another one is reached by running through those before."""
        pieces = self._pieces_of(step)
        shape = (self.sequences, self.sequence_length)
        inputs, targets = np.empty(shape, np.int64), np.empty(shape, np.int64)
        resets = np.zeros(shape, np.bool_)
        for row, row_pieces in enumerate(pieces):
            column = 0
            for book, start, length in row_pieces:
                first, end = self._books[book].first_token + start, column + length
                targets[row, column:end] = self._ids[first : first + length]
                inputs[row, column + 1 : end] = targets[row, column : end - 1]
                inputs[row, column] = self._ids[first - 1] if start else self.end_of_text_id
                resets[row, column] = start == 0
                column = end
        return Rows(inputs, targets, resets)

    def books(self, step: int) -> list[str]:
        """See ``Batches``."""
        return sorted({self._books[book].book_id for pieces in self._pieces_of(step) for book, _, _ in pieces})

    def epochs(self, steps: int) -> float:
        """See ``Batches``."""
        return steps * self.sequences * self.sequence_length / self.tokens_per_epoch

    def _pieces_of(self, step: int) -> list[list[tuple[int, int, int]]]:
        """For each row the parts of books that it reads in a step: book, first target, number of targets."""
        if step + 1 < self._step:
            self._rewind()
        while self._step <= step:
            self._pieces = [self._read_on(row) for row in range(self.sequences)]
            self._step += 1
        return self._pieces

    def _rewind(self) -> None:
        self._step, self._given = 0, 0
        self._places = [(0, self._books[0].tokens)] * self.sequences  # the end of a book: every row takes a new one
        self._pieces: list[list[tuple[int, int, int]]] = []

    def _read_on(self, row: int) -> list[tuple[int, int, int]]:
        book, start = self._places[row]
        pieces, missing = [], self.sequence_length
        while missing:
            if start == self._books[book].tokens:
                book, start = self._next_book(), 0
            length = min(missing, self._books[book].tokens - start)
            pieces.append((book, start, length))
            start, missing = start + length, missing - length
        self._places[row] = book, start
        return pieces

    def _next_book(self) -> int:
        epoch, place = divmod(self._given, len(self._books))
        self._given += 1
        return permuted(place, len(self._books), f"{self.seed}/{epoch}/books")
