"""Whether a file that was brought is a book that may be used: its content, its rights, and the hash of a lock."""

from __future__ import annotations

import re
from pathlib import Path

from mamba_narrative.acquisition.lock import LockedBook
from mamba_narrative.config.acquisition import Rights
from mamba_narrative.corpus.raw.catalogue import CatalogueEntry
from mamba_narrative.corpus.raw.encoding import wide_encoding
from mamba_narrative.corpus.raw.header import rights_of
from mamba_narrative.corpus.raw.raw_bytes import UnreadableBook, read_raw
from mamba_narrative.io import sha256_file

REFUSALS = frozenset({"copyrighted", "rights_unknown"})
"""Reasons why a book is not to be used; all others say why it could not be had."""
LASTING = REFUSALS | {"not_found", "forbidden", "robots", "main_site", "too_large", "empty_file"}
"""Reasons that another attempt would not change; nothing is asked again because of them."""


_START = re.compile(r"\*\*\*\s*START OF (?:THE|THIS) PROJECT GUTENBERG", re.IGNORECASE)
_END = re.compile(r"\bEND OF (?:(?:THE|THIS) )?PROJECT GUTENBERG", re.IGNORECASE)
_MARKER_CHARACTERS = 60_000


class NotAccepted(Exception):  # noqa: N818 (it is the book that is not accepted)
    """``reason`` is a code, ``detail`` says what was found."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail = reason, detail


def check_book(
    path: Path,
    entry: CatalogueEntry,
    rights: Rights,
    max_bytes: int,
    pinned: LockedBook | None = None,
    has_footer: bool = True,
) -> str:
    """The SHA-256 of the file.

    Raises NotAccepted where it is no text, may not be used, is not the pinned one, or was cut off: a server may promise
    too few bytes, or none, and break off, but a book with a START marker has an end line too (``has_footer``).
    """
    sha256 = sha256_file(path)
    if pinned is not None and sha256 != pinned.sha256:
        raise NotAccepted("changed", f"has SHA-256 {sha256}, the lock file says {pinned.sha256}")
    try:
        raw = read_raw(path, max_bytes)
    except UnreadableBook as error:
        raise NotAccepted(error.reason, error.detail) from None
    text = _readable(raw)
    if has_footer and _START.search(text[:_MARKER_CHARACTERS]) and not _END.search(text[-_MARKER_CHARACTERS:]):
        raise NotAccepted("truncated", "it has a START marker and no line that says END OF PROJECT GUTENBERG")
    if refusal := _refusal(entry, text, rights):
        raise NotAccepted(*refusal)
    return sha256


def check_rights(path: Path, entry: CatalogueEntry, rights: Rights) -> None:
    """Raise NotAccepted where a book that was brought under other settings may not be used under these."""
    with open(path, "rb") as stream:
        beginning = stream.read(_MARKER_CHARACTERS)
        stream.seek(max(len(beginning), path.stat().st_size - _MARKER_CHARACTERS))
        text = _readable(beginning + stream.read())
    if refusal := _refusal(entry, text, rights):
        raise NotAccepted(*refusal)


def excluded_by_catalogue(entry: CatalogueEntry, rights: Rights) -> bool:
    """Whether the catalogue alone rules a book out, so that it need not be fetched."""
    return rights != "any" and entry.is_copyrighted


def _readable(raw: bytes) -> str:
    """Text in which headers and licences can be read; they are ASCII in all encodings that books have but wide ones."""
    return raw.decode(wide_encoding(raw) or "latin-1", "replace")


def _refusal(entry: CatalogueEntry, text: str, rights: Rights) -> tuple[str, str] | None:
    if rights == "any":
        return None
    header = rights_of(text)
    if entry.is_copyrighted or header == "copyrighted":
        return "copyrighted", "by the catalogue" if entry.is_copyrighted else "by its header"
    if rights == "public_domain" and header == "unknown" and not entry.is_public_domain:
        return "rights_unknown", "neither header nor catalogue says that it is in the public domain in the USA"
    return None
