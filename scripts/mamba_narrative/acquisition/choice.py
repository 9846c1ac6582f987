"""Which books of a catalogue are wanted."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from mamba_narrative.config.acquisition import ChoiceSettings
from mamba_narrative.corpus.raw.catalogue import CatalogueEntry

UNKNOWN = CatalogueEntry("", ())
"""Stands for a book of which no catalogue says anything."""


def choose_books(catalogue: Mapping[str, CatalogueEntry], settings: ChoiceSettings) -> dict[str, CatalogueEntry]:
    """The wanted books by id. Ids that are asked for by name need not be in the catalogue."""
    if settings.ids:
        chosen = {book_id: catalogue.get(book_id, UNKNOWN) for book_id in settings.ids}
    else:
        chosen = {book_id: entry for book_id, entry in catalogue.items() if meets(entry, settings)}
    if settings.count is None or settings.count >= len(chosen):
        return chosen
    # By a hash of each id alone: a book that joins the catalogue pushes at most one other out of the sample.
    sample = sorted(chosen, key=lambda book_id: hashlib.sha256(f"{settings.seed}:{book_id}".encode()).digest())
    return {book_id: chosen[book_id] for book_id in sample[: settings.count]}


def meets(entry: CatalogueEntry, settings: ChoiceSettings) -> bool:
    """Whether a book meets all criteria but ``ids`` and ``count``."""
    return (
        (not settings.languages or not entry.languages or bool({*settings.languages} & {*entry.languages}))
        and (not settings.kinds or not entry.kind or entry.kind in settings.kinds)
        and (not settings.classes or any(name.startswith(settings.classes) for name in entry.loc_classes))
        and (not settings.subjects or _mentions((*entry.subjects, *entry.bookshelves), settings.subjects))
        and (not settings.authors or _mentions((entry.authors,), settings.authors))
    )


def _mentions(texts: tuple[str, ...], words: tuple[str, ...]) -> bool:
    return any(word.casefold() in text.casefold() for text in texts for word in words)
