"""Where Project Gutenberg's header and footer end and the book begins.

Since 1991 the frame around a book has had many forms: lines ``*** START OF ... ***`` (also wrapped, unspaced,
misspelt, doubled), the "small print" before the book (whose last line begins with ``*END*``, so that a search for
END loses the whole book) or after it, ``End of Project Gutenberg's ...``, or nothing at all. Marker lines are
therefore only proposals. A cut is made where the stretch to be cut also reads like boilerplate, or, for the
explicit markers alone, where it is small; everything else is kept and reported.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from mamba_narrative.corpus.strip.spans import Span
from mamba_narrative.word_lists import any_of

_PROJECT = r"pro[jgy]\w{2,4}t?o?[\s-]+gutenb[eu]rg"
_BEGIN_WORDS = r"start|begin|beginning|d[ée]but|anfang|comienzo|inicio|in[ií]cio|inizio|alku|b[öo]rjan"
_END_WORDS = r"end|ende|fin|fine|fim|einde|slut|loppu|koniec"
# The repetitions before the first word are bounded: a line of a million asterisks must not take minutes.
_START_MARK = re.compile(rf"\W{{0,80}}\*\W{{0,80}}(?:{_BEGIN_WORDS})\b.{{0,40}}?{_PROJECT}", re.IGNORECASE)
_END_MARK = re.compile(rf"\W{{0,80}}\*\W{{0,80}}(?:{_END_WORDS})\b.{{0,40}}?{_PROJECT}", re.IGNORECASE)
_END_LINE = re.compile(rf"\W{{0,80}}(?:{_END_WORDS})\b.{{0,40}}?{_PROJECT}", re.IGNORECASE)
_SMALL_PRINT_START = re.compile(r"\W{0,80}\*\W{0,80}start\W+(?:of )?(?:the )?small print", re.IGNORECASE)
_SMALL_PRINT_END = re.compile(r"\W{0,80}\*\W{0,80}end\W+(?:of )?(?:the )?small print", re.IGNORECASE)
_LICENCE_START = re.compile(r"\W{0,80}\*\W{0,80}start\W+full licen[sc]e", re.IGNORECASE)
_LICENCE_END = re.compile(r"\W{0,80}\*\W{0,80}end\W+full licen[sc]e", re.IGNORECASE)
_HALF_MARK = re.compile(rf"\W{{0,80}}\*\*\W{{0,80}}(?:{_BEGIN_WORDS}|{_END_WORDS})\b", re.IGNORECASE)
_CLOSED = re.compile(r"\*\s*$")
_MAX_MARKER_LINES = 5
"""A long title wraps to as many."""
_SUSPICIOUS = re.compile(r"\*[^\n]*|utenb|UTENB|Utenb")

_FIELD = any_of(__file__, "header_fields")
_BOILERPLATE_WORDS = re.compile(
    rf"{any_of(__file__, 'boilerplate_words')}|^(?:{_FIELD}|produced by)\b", re.IGNORECASE | re.MULTILINE
)
# What only Project Gutenberg itself writes; used where there is no marker.
_SURE_WORDS = re.compile(
    r"project gutenberg|\be-?text|\bebook|small print|pgdp|gutenberg\.(?:org|net)|www\.|https?:|ftp\.|@\w+\.|"
    rf"^(?:{_FIELD}|produced by)\s*:",
    re.IGNORECASE | re.MULTILINE,
)
# Fields of the header that some files carry below their start marker; two in a row, so that a book which begins with
# "Title: ..." alone keeps it.
_FIELDS_AFTER_MARKER = re.compile(
    rf"\s*(?:^[ \t]*{_FIELD}[ \t]*:[^\n]*\n(?:[^\S\n]+\S[^\n]*\n)*\s*){{2,}}",
    re.IGNORECASE | re.MULTILINE,
)
_MAX_FOREIGN = 4_000
"""Characters in a row without any boilerplate word: more, and a stretch holds something else than boilerplate."""
_MAX_FOREIGN_BETWEEN = 2_500
"""The same between two markers of the same end of the file."""
_MAX_GAP_UNMARKED = 1_200
"""The same where there is no marker and only the sure words count."""


class Kind(Enum):
    """What a marker line says."""

    START = "start_marker"
    END = "end_marker"
    END_LINE = "end_line"
    SMALL_PRINT_START = "small_print_start"
    SMALL_PRINT_END = "small_print_end"
    LICENCE_START = "licence_start"
    LICENCE_END = "licence_end"


_OPENS_BOOK = (Kind.START, Kind.SMALL_PRINT_END)
_CLOSES_BOOK = (Kind.END, Kind.END_LINE)
_IN_FOOTER = (
    Kind.END,
    Kind.END_LINE,
    Kind.SMALL_PRINT_START,
    Kind.SMALL_PRINT_END,
    Kind.LICENCE_START,
    Kind.LICENCE_END,
)


@dataclass(frozen=True)
class Marker:
    """A marker line, or several where it wraps, at ``start`` to ``end`` (with its line end) of the text."""

    kind: Kind
    start: int
    end: int
    line: str


@dataclass(frozen=True)
class Boundaries:
    """The book is ``text[start:end]`` without ``removed``, which covers everything outside too."""

    start: int
    end: int
    removed: tuple[Span, ...]
    start_marker: str | None
    end_marker: str | None
    warnings: tuple[str, ...]


def find_boundaries(text: str, max_cut_fraction: float) -> Boundaries:
    """Separate the book from header, footer and any licence in between."""
    markers = find_markers(text)
    warnings: list[str] = []
    opening, start, header_rule = _header(text, markers, max_cut_fraction, warnings)
    if opening is not None and (fields := _FIELDS_AFTER_MARKER.match(text, start)):
        start = fields.end()
    closing, end, footer_rule = _footer(text, [m for m in markers if m.start >= start], max_cut_fraction, warnings)
    end = max(start, end)
    removed = [Span(0, start, header_rule)] if start else []
    removed += _inside(text, [m for m in markers if start <= m.start and m.end <= end], warnings)
    removed += [Span(end, len(text), footer_rule)] if end < len(text) else []
    return Boundaries(start, end, tuple(removed), opening and opening.line, closing and closing.line, tuple(warnings))


def find_markers(text: str) -> list[Marker]:
    """All marker lines in order."""
    markers: list[Marker] = []
    until = 0
    for start in _suspicious_lines(text):
        if start < until:
            continue
        lines = _lines_from(text, start)
        found = _marker_at(lines, 0) if _may_be_marker(lines[0]) else None
        if found is not None:
            kind, count = found
            whole = "\n".join(lines[:count])
            until = min(start + len(whole) + 1, len(text))
            markers.append(Marker(kind, start, until, " ".join(whole.split())[:200]))
    return markers


def _suspicious_lines(text: str) -> list[int]:
    """Offsets of the lines that hold an asterisk or the name, in order: the only ones that may be markers."""
    starts: list[int] = []
    position = 0
    while match := _SUSPICIOUS.search(text, position):
        starts.append(max(position, text.rfind("\n", position, match.start()) + 1))
        position = text.find("\n", match.end()) + 1
        if not position:
            break
    return starts


def _lines_from(text: str, start: int) -> list[str]:
    """The line at ``start`` and as many more as a marker may have."""
    end = start
    for _ in range(_MAX_MARKER_LINES):
        newline = text.find("\n", end)
        if newline < 0:
            return text[start:].split("\n")
        end = newline + 1
    return text[start : end - 1].split("\n")


def _may_be_marker(line: str) -> bool:
    # Cheap tests first: this is asked of every line of the book.
    if "*" in line:
        lowered = line.lower()
        return (
            "gutenb" in lowered or "small print" in lowered or "full licen" in lowered or bool(_HALF_MARK.match(line))
        )
    return "utenb" in line.lower() and bool(_END_LINE.match(line))


def _marker_at(lines: Sequence[str], number: int) -> tuple[Kind, int] | None:
    """Kind and number of lines of the marker that begins at line ``number``, or None."""
    line = lines[number]
    for pattern, kind in (
        (_SMALL_PRINT_START, Kind.SMALL_PRINT_START),
        (_SMALL_PRINT_END, Kind.SMALL_PRINT_END),
        (_LICENCE_START, Kind.LICENCE_START),
        (_LICENCE_END, Kind.LICENCE_END),
    ):
        if pattern.match(line):
            return kind, 1
    paragraph = " ".join(_lines_until_blank(lines, number)[:3])
    for pattern, kind in ((_START_MARK, Kind.START), (_END_MARK, Kind.END)):
        if pattern.match(paragraph):
            return kind, _lines_of_mark(lines, number)
    if _END_LINE.match(line):
        return Kind.END_LINE, 1
    return None


def _lines_until_blank(lines: Sequence[str], number: int) -> list[str]:
    found = []
    for line in lines[number : number + _MAX_MARKER_LINES]:
        if not line.strip():
            break
        found.append(line)
    return found


def _lines_of_mark(lines: Sequence[str], number: int) -> int:
    """How many lines the marker takes: up to the closing asterisks, only the first one where they are missing."""
    for count, line in enumerate(_lines_until_blank(lines, number), start=1):
        # The asterisks that open the marker do not close it.
        tail = line.lstrip(" \t*") if count == 1 else line
        if _CLOSED.search(tail):
            return count
    return 1


def longest_foreign_stretch(text: str, start: int, end: int) -> int:
    """The most characters in a row of ``text[start:end]``, white space not counted, without a boilerplate word."""
    longest, position = 0, start
    for match in _BOILERPLATE_WORDS.finditer(text, start, end):
        if match.start() - position > longest:
            longest = max(longest, _visible(text, position, match.start()))
        position = match.end()
    return max(longest, _visible(text, position, end))


def _visible(text: str, start: int, end: int) -> int:
    return sum(len(word) for word in text[start:end].split())


def _header(
    text: str, markers: Iterable[Marker], max_cut_fraction: float, warnings: list[str]
) -> tuple[Marker | None, int, str]:
    """The marker that ends the header, where the book starts, and the rule of the cut."""
    accepted: Marker | None = None
    for marker in markers:
        if marker.kind in _CLOSES_BOOK:
            break
        if marker.kind not in _OPENS_BOOK:
            continue
        begin, limit = (accepted.end, _MAX_FOREIGN_BETWEEN) if accepted else (0, _MAX_FOREIGN)
        foreign = longest_foreign_stretch(text, begin, marker.start)
        share = marker.end / len(text)
        if foreign <= limit:
            if share > max_cut_fraction:
                warnings.append(f"large_header: {share:.2f} of the file; it reads like boilerplate and was cut")
            accepted = marker
        elif accepted is None and marker.kind is Kind.START and share <= max_cut_fraction:
            warnings.append(
                f"text_in_header: {foreign} characters before the start marker do not read like boilerplate"
            )
            accepted = marker
        else:
            break
    if accepted is not None:
        return accepted, accepted.end, f"header_{accepted.kind.value}"
    end = _unmarked_header_end(text)
    if end / max(len(text), 1) > max_cut_fraction:
        warnings.append(f"header_not_cut: no usable marker, and boilerplate words reach to character {end}")
        return None, 0, ""
    warnings.append("no_start_marker: header found by its words" if end else "no_start_marker: no header found")
    return None, end, "header_without_marker"


def _unmarked_header_end(text: str) -> int:
    if "gutenberg" not in text[:5_000].lower():
        return 0
    end = 0
    for match in _SURE_WORDS.finditer(text):
        if _visible(text, end, match.start()) > _MAX_GAP_UNMARKED:
            break
        end = match.end()
    paragraph_end = text.find("\n\n", end)
    return len(text) if paragraph_end < 0 else paragraph_end + 2


def _footer(
    text: str, markers: Sequence[Marker], max_cut_fraction: float, warnings: list[str]
) -> tuple[Marker | None, int, str]:
    """The marker that begins the footer, where the book ends, and the rule of the cut."""
    accepted: Marker | None = None
    for marker in reversed(markers):
        if marker.kind not in _IN_FOOTER:
            break
        end, limit = (accepted.start, _MAX_FOREIGN_BETWEEN) if accepted else (len(text), _MAX_FOREIGN)
        foreign = longest_foreign_stretch(text, marker.end, end)
        share = (len(text) - marker.start) / len(text)
        if foreign <= limit:
            accepted = marker
        elif accepted is None and marker.kind is Kind.END and share <= max_cut_fraction:
            warnings.append(f"text_in_footer: {foreign} characters after the end marker do not read like boilerplate")
            accepted = marker
        else:
            break
    if accepted is not None:
        share = (len(text) - accepted.start) / len(text)
        if share > max_cut_fraction:
            warnings.append(f"large_footer: {share:.2f} of the file; it reads like boilerplate and was cut")
        return accepted, accepted.start, f"footer_{accepted.kind.value}"
    start = _unmarked_footer_start(text)
    if len(text) - start > max_cut_fraction * len(text):
        warnings.append(f"footer_not_cut: no usable marker, and boilerplate words begin at character {start}")
        return None, len(text), ""
    found = "footer found by its words" if start < len(text) else "no footer found"
    warnings.append(f"no_end_marker: {found}")
    return None, start, "footer_without_marker"


def _unmarked_footer_start(text: str) -> int:
    begin = max(0, len(text) - 30_000)
    if "gutenberg" not in text[begin:].lower():
        return len(text)
    start = len(text)
    for match in reversed(list(_SURE_WORDS.finditer(text, begin))):
        if _visible(text, match.end(), start) > _MAX_GAP_UNMARKED:
            break
        start = match.start()
    return text.rfind("\n\n", 0, start) + 2 if "\n\n" in text[:start] else 0


def _inside(text: str, markers: Sequence[Marker], warnings: list[str]) -> list[Span]:
    """Cuts between header and footer: a licence between two books of one file, or single marker lines."""
    spans: list[Span] = []
    position = 0
    last_openings = _last_openings(text, markers)
    while position < len(markers):
        marker = markers[position]
        last = max(position, last_openings[position]) if marker.kind in _CLOSES_BOOK else position
        rule = "licence_inside" if last > position else "marker_inside"
        spans.append(Span(marker.start, markers[last].end, rule))
        warnings.append(f"{rule}: {marker.line}")
        position = last + 1
    return spans


def _last_openings(text: str, markers: Sequence[Marker]) -> list[int]:
    """For each marker the last one that opens a book with nothing but boilerplate between; -1 for none."""
    last: list[int] = []
    for number in range(len(markers) - 1, -1, -1):
        after = last[-1] if last else -1
        if last and _is_foreign_between(text, markers[number], markers[number + 1]):
            after = -1
        last.append(number if after < 0 and markers[number].kind in _OPENS_BOOK else after)
    return last[::-1]


def _is_foreign_between(text: str, marker: Marker, following: Marker) -> bool:
    return longest_foreign_stretch(text, marker.end, following.start) > _MAX_FOREIGN_BETWEEN
