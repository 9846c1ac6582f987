"""Which books are English narrative prose: a decision for every raw book, with reason codes and scores.

Three witnesses are heard: Project Gutenberg's catalogue (where there is one), the header, and the text itself.
Language, length and form are decided by each book's own text; the catalogue decides what words cannot show well
(a memoir is not fiction, a novel in letters is), and where the two contradict each other the reasons say so.

``keep``: narrative prose. ``partial``: narrative prose with a good part of something else (a magazine of stories, a
collection with verse), of which the ranges in the table are used. ``drop``: everything else.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal

from mamba_narrative.config.selection import SelectionSettings
from mamba_narrative.corpus.formats.audit import read_audit
from mamba_narrative.corpus.formats.chapter_table import read_chapters
from mamba_narrative.corpus.formats.decisions import Decision
from mamba_narrative.corpus.formats.selection_table import format_ranges, kept_text, write_selection
from mamba_narrative.corpus.formats.stripped_texts import read_manifest, read_stripped_text
from mamba_narrative.corpus.raw.catalogue import FORM_GENRES, CatalogueEntry, genre_of, read_catalogue, year_of
from mamba_narrative.corpus.raw.raw_bytes import UnreadableBook
from mamba_narrative.corpus.select.features import TextFeatures, measure_text, narrates, reads_like_fact
from mamba_narrative.corpus.select.language import DetectedLanguage, codes_of_header, detect_language
from mamba_narrative.corpus.select.parts import Range, is_collection, narrative_ranges, promises_stories
from mamba_narrative.corpus.time_limit import seconds_allowed, time_limit
from mamba_narrative.progress import track

_LOG = logging.getLogger(__name__)
_WHOLE_SHARE = 0.97
"""A collection of so much narration is used whole."""
_MIN_PARTS_SHARE = 0.1
"""Of a collection of less narration nothing is used: what seems to narrate is anecdotes."""
_SCORES = tuple(field.name for field in fields(TextFeatures) if field.name != "words")


@dataclass(frozen=True)
class DeclaredLanguages:
    """ISO codes that catalogue or header name, and which of the two (``text`` where neither does)."""

    codes: tuple[str, ...]
    source: Literal["catalogue", "header", "text"]


def declared_languages(entry: CatalogueEntry | None, header_field: str | None) -> DeclaredLanguages:
    """What is said of the language; the catalogue goes before the header."""
    if entry is not None and entry.languages:
        return DeclaredLanguages(entry.languages, "catalogue")
    codes = codes_of_header(header_field)
    return DeclaredLanguages(codes, "header" if codes else "text")


def judge_language(
    declared: DeclaredLanguages, detected: DetectedLanguage | None, settings: SelectionSettings
) -> tuple[list[str], list[str]]:
    """Reasons to drop a book for its language, and remarks that drop nothing."""
    codes = declared.codes or ((detected.language,) if detected is not None else ())
    disagrees = detected is not None and detected.language not in codes
    remarks = ["language_disagrees"] if disagrees else []
    if not set(codes) & set(settings.languages):
        return ["other_language" if codes else "language_unknown"], remarks
    if detected is None or detected.language not in settings.languages:
        return ["text_in_other_language"], remarks
    if detected.share < settings.min_language_fraction:
        return ["mixed_languages"], remarks
    return [], remarks


def judge_text(
    features: TextFeatures, entry: CatalogueEntry | None, settings: SelectionSettings
) -> tuple[Decision, list[str]]:
    """Decision on form and genre, language and length aside; ``keep`` may have remarks as reasons."""
    genre, says_fiction = genre_of(entry) if entry is not None else ("unknown", False)
    drops: list[str] = []
    remarks: list[str] = []
    other_forms = {
        "mostly_verse": features.verse_fraction,
        "play": features.play_fraction,
        "mostly_lists": features.list_fraction,
    }
    other_fraction = sum(other_forms.values())
    if other_fraction > settings.max_other_form_fraction:
        drops.append(max(other_forms, key=lambda code: other_forms[code]))
    elif other_fraction > settings.partial_other_form_fraction:
        remarks.append("other_forms")
    is_fiction = says_fiction and (genre == "fiction" or genre in FORM_GENRES)
    reads_narrative = narrates(features, settings)
    if is_fiction:
        reads_narrative |= features.narrative_fraction >= settings.min_narrative_fraction
        reads_narrative |= features.person_rate >= settings.min_person_rate_of_fiction
    elif reads_narrative and reads_like_fact(features, settings):
        drops.append("reads_like_fact")
    if not reads_narrative:
        drops.append("little_narration")
    if genre not in ("fiction", "unknown"):
        # The text shows a form better than a subject heading does; of contents the catalogue knows more.
        trust_text = reads_narrative and (says_fiction or genre in FORM_GENRES)
        (remarks if trust_text else drops).append(f"catalogue_{genre}")
    if drops:
        return "drop", drops
    return ("partial" if remarks else "keep"), remarks


def select_book(
    record: Mapping[str, Any],
    text: str | None,
    entry: CatalogueEntry | None,
    settings: SelectionSettings,
    headings: Sequence[int] = (),
) -> dict[str, Any]:
    """The row of one raw book.

    ``record`` is its audit record, ``text`` its stripped text (None where there is none), ``headings`` the offsets of
    its chapter headings. ``words`` and ``characters`` of a book in parts are those of its ranges.
    """
    header = record.get("header") or {}
    declared = declared_languages(entry, header.get("language"))
    title = (entry.title if entry is not None else "") or header.get("title") or ""
    row: dict[str, Any] = {
        "book_id": record["book_id"],
        "title": title,
        "author": (entry.authors if entry is not None else "") or header.get("author") or "",
        "year": year_of(title),
        "language": declared.codes[0] if declared.codes else "",
        "language_source": declared.source if declared.codes else "",
        "words": record.get("words") or 0,
        "characters": record.get("characters") or 0,
    }
    if text is None:
        return row | {"decision": "drop", "reasons": f"unreadable_{record.get('reason') or 'unknown'}"}
    detected = detect_language(text)
    features = measure_text(text)
    language_drops, language_remarks = judge_language(declared, detected, settings)
    drops = language_drops + _formal_drops(features, header, entry, settings)
    decision, reasons = judge_text(features, entry, settings)
    ranges: list[Range] = []
    may_hold_stories = decision != "drop" or promises_stories(title, entry)
    if settings.keep_narrative_parts and not drops and may_hold_stories and is_collection(title, entry):
        decision, reasons, ranges = _judge_parts(text, headings, features.words, decision, reasons, settings)
    # The measures know English words: of a book in another language they say nothing.
    if language_drops:
        reasons = []
    if drops:
        decision = "drop"
    if not declared.codes and detected is not None:
        row |= {"language": detected.language, "language_source": "text"}
    used = kept_text(text, ranges)
    return (
        row
        | {name: value for name, value in asdict(features).items() if name != "words"}
        | {
            "decision": decision,
            "reasons": ";".join(drops + reasons + language_remarks),
            "detected_language": detected.language if detected is not None else "",
            "detected_language_fraction": detected.share if detected is not None else None,
            "catalogue_genre": genre_of(entry)[0] if entry is not None else "",
            "words": len(used.split()) if ranges else features.words,
            "characters": len(used),
            "ranges": format_ranges(ranges),
        }
    )


def _formal_drops(
    features: TextFeatures, header: Mapping[str, Any], entry: CatalogueEntry | None, settings: SelectionSettings
) -> list[str]:
    """Reasons to drop a book that have nothing to do with how it is written."""
    drops = ["too_short"] if features.words < settings.min_words else []
    if entry is not None and entry.kind not in ("", "Text"):
        drops.append("not_a_text")
    if settings.drop_copyrighted and (header.get("copyrighted") or (entry is not None and entry.is_copyrighted)):
        drops.append("copyrighted")
    return drops


def _judge_parts(
    text: str,
    headings: Sequence[int],
    words: int,
    decision: Decision,
    reasons: list[str],
    settings: SelectionSettings,
) -> tuple[Decision, list[str], list[Range]]:
    """What becomes of a collection whose sections are judged one by one: as it was, or ``partial`` with ranges."""
    ranges, kept_words = narrative_ranges(text, headings, settings, doubtful=decision != "drop")
    if decision != "drop" and kept_words >= _WHOLE_SHARE * words:
        return decision, reasons, []
    if kept_words < max(settings.min_words, _MIN_PARTS_SHARE * words):
        return decision, reasons, []
    return "partial", ["narrative_parts", *reasons], ranges


def select_shard(
    audit: Annotated[Path, "audit of strip_books, one record a raw book"],
    stripped: Annotated[Path, "folder of the shard's stripped texts"],
    manifest: Annotated[Path, "table of the books that have a text"],
    chapters: Annotated[Path, "table of chapter headings"],
    output: Annotated[Path, "table to write"],
    catalogue: Annotated[Path | None, "CSV file with Project Gutenberg's own columns"] = None,
    settings: Annotated[SelectionSettings, "section `selection`"] = SelectionSettings(),
) -> None:
    """Decide on every raw book in ``audit``, in its order, and write the table.

    Raises UserError where a text that ``manifest`` lists cannot be read.
    """
    entries = read_catalogue(catalogue) if catalogue is not None else {}
    with_text = read_manifest(manifest)
    headings = read_chapters(chapters)
    records = read_audit(audit)
    rows = []
    for record in track(records, "selection", len(records), "books"):
        book_id = record["book_id"]
        text = read_stripped_text(stripped, book_id, manifest) if book_id in with_text else None
        offsets = [heading.offset for heading in headings.get(book_id, [])]
        rows.append(_select_in_time(record, text, entries.get(book_id), settings, offsets))
    write_selection(output, _SCORES, rows)
    _report(rows)


def _select_in_time(
    record: Mapping[str, Any],
    text: str | None,
    entry: CatalogueEntry | None,
    settings: SelectionSettings,
    headings: Sequence[int],
) -> dict[str, Any]:
    """``select_book``; a book that takes too long is dropped with the reason ``unreadable_too_slow``."""
    try:
        with time_limit(seconds_allowed(len(text or ""))):
            return select_book(record, text, entry, settings, headings)
    except UnreadableBook as error:
        _LOG.warning("book %s: %s (%s)", record["book_id"], error.reason, error.detail)
        return select_book({**record, "reason": error.reason}, None, entry, settings)


def _report(rows: Sequence[Mapping[str, Any]]) -> None:
    decisions = Counter(row["decision"] for row in rows)
    reasons = Counter(code for row in rows if row["decision"] == "drop" for code in row["reasons"].split(";"))
    listed = ", ".join(
        f"{code} {number}" for code, number in sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    )
    _LOG.info(
        "%d books: %d kept, %d kept in part, %d dropped%s",
        len(rows), decisions["keep"], decisions["partial"], decisions["drop"], f" ({listed})" if listed else "",
    )  # fmt: skip
