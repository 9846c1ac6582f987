"""Project Gutenberg's catalogue as an archive of RDF files, which says the rights of each book too."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from xml.etree.ElementTree import Element, ParseError

from defusedxml.ElementTree import fromstring

from mamba_narrative.acquisition.archives import DamagedMember, read_members
from mamba_narrative.corpus.raw.catalogue import CatalogueEntry
from mamba_narrative.errors import FileFormatError
from mamba_narrative.progress import track

_LOG = logging.getLogger(__name__)
_SHOWN = 5
_FILE_NAME = re.compile(r"pg(\d{1,9})\.rdf")
_MAX_FILE_BYTES = 10_000_000
_NAMES = {
    "dcterms": "http://purl.org/dc/terms/",
    "dcam": "http://purl.org/dc/dcam/",
    "pgterms": "http://www.gutenberg.org/2009/pgterms/",
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
}
_RESOURCE = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}resource"
_LCC = "http://purl.org/dc/terms/LCC"


def read_rdf_archive(path: Path) -> dict[str, CatalogueEntry]:
    """Entries by book id; files in it that are no harmless XML are told and passed over.

    Raises UserError where it is no archive, FileFormatError where it holds no RDF of books.
    """
    spoilt: list[str] = []
    entries = dict(track(_entries(path, spoilt), "reading RDF", None, "books"))
    if spoilt:
        _LOG.warning("%s: %s files are passed over: %s", path, f"{len(spoilt):,}", "; ".join(spoilt[:_SHOWN]))
    if not entries:
        found = f" ({spoilt[0]})" if spoilt else ""
        raise FileFormatError(
            f"{path}: no file such as cache/epub/1342/pg1342.rdf in it{found}; expected rdf-files.tar.bz2"
        )
    return entries


def _entries(path: Path, spoilt: list[str]) -> Iterator[tuple[str, CatalogueEntry]]:
    for member in read_members(path):
        name = _FILE_NAME.fullmatch(PurePosixPath(member.name).name)
        if name is None:
            continue
        if member.size > _MAX_FILE_BYTES:
            spoilt.append(f"{member.name} has {member.size:,} bytes")
            continue
        try:
            root = fromstring(member.stream.read())
        except DamagedMember as error:
            spoilt.append(f"{member.name}: {error}")
        except (ParseError, ValueError, LookupError) as error:  # ValueError: an entity, or an unknown encoding
            spoilt.append(f"{member.name} is not well-formed or not harmless XML ({error})")
        else:
            if (book := root.find("pgterms:ebook", _NAMES)) is not None:
                yield str(int(name[1])), _entry(book)


def _entry(book: Element) -> CatalogueEntry:
    subjects = book.findall("dcterms:subject/rdf:Description", _NAMES)
    classes = [_text(subject, "rdf:value") for subject in subjects if _vocabulary(subject) == _LCC]
    headings = [_text(subject, "rdf:value") for subject in subjects if _vocabulary(subject) != _LCC]
    return CatalogueEntry(
        title=_text(book, "dcterms:title"),
        languages=tuple(code.lower() for code in _values(book, "dcterms:language")),
        authors="; ".join(_agent(agent) for agent in book.findall("dcterms:creator/pgterms:agent", _NAMES)),
        issued=_text(book, "dcterms:issued"),
        subjects=tuple(filter(None, headings)),
        loc_classes=tuple(filter(None, classes)),
        bookshelves=_values(book, "pgterms:bookshelf"),
        kind="; ".join(_values(book, "dcterms:type")),
        rights=_text(book, "dcterms:rights"),
    )


def _agent(agent: Element) -> str:
    """``Austen, Jane, 1775-1817``, as ``pg_catalog.csv`` writes it."""
    born, died = _text(agent, "pgterms:birthdate"), _text(agent, "pgterms:deathdate")
    name = _text(agent, "pgterms:name")
    return f"{name}, {born}-{died}" if born or died else name


def _vocabulary(subject: Element) -> str:
    member = subject.find("dcam:memberOf", _NAMES)
    return "" if member is None else member.get(_RESOURCE, "")


def _values(book: Element, field: str) -> tuple[str, ...]:
    found = [*book.findall(f"{field}/rdf:Description/rdf:value", _NAMES), *book.findall(f"{field}/rdf:value", _NAMES)]
    texts = [" ".join((element.text or "").split()) for element in found]
    if not texts and (plain := _text(book, field)):
        texts = [plain]
    return tuple(filter(None, texts))


def _text(element: Element, field: str) -> str:
    return " ".join((element.findtext(field, "", _NAMES) or "").split())
