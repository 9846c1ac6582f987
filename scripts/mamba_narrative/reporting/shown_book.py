"""A raw book with everything that stripping removed from it, for reading: on the terminal or as a page.

Both show the decoded text line by line. Removed lines carry their rule; headings that were recognised stand out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby

from mamba_narrative.corpus.strip.spans import Span, without_overlaps
from mamba_narrative.corpus.strip.stripping import StrippedBook
from mamba_narrative.reporting.reasons import meaning_of

HEADING = "heading"
_GUTTER = 24
_SHOWN_HEAD, _SHOWN_TAIL = 8, 3
_BRIEF_LINES = 3
# Colours of the 256-colour palette that read well on dark and light backgrounds.
_PALETTE = (167, 172, 136, 71, 37, 68, 98, 133, 131, 66, 103, 108)


@dataclass(frozen=True)
class Line:
    """One line of the raw text in pieces, each with the rule that removed it (None: kept)."""

    pieces: tuple[tuple[str, str | None], ...]
    rule: str | None
    """The rule where all of the line was removed, ``heading``, or None."""
    begins: str | None
    """The rule of a removal that begins in this line."""

    @property
    def text(self) -> str:
        """The line as it is in the file."""
        return "".join(piece for piece, _ in self.pieces)


def lines_of(text: str, book: StrippedBook) -> list[Line]:
    """Every line of the decoded ``text`` with what became of it."""
    spans = without_overlaps(span for span, _ in book.removed)
    headings = [_letters(line) for chapter in book.chapters for line in chapter.heading.split("\n") if _letters(line)]
    found: list[Line] = []
    offset = first = next_heading = 0
    for raw in text.split("\n"):
        end = offset + len(raw)
        while first < len(spans) and spans[first].end <= offset:
            first += 1
        pieces, begins = _pieces(raw, offset, spans[first : first + 20])
        kept = "".join(piece for piece, rule in pieces if rule is None)
        rule = None
        if raw.strip() and not kept.strip():
            rule = next(rule for _, rule in pieces if rule is not None)
        elif not raw.strip() and first < len(spans) and spans[first].start <= offset and end < spans[first].end:
            rule = spans[first].rule
        elif next_heading < len(headings) and _letters(kept) == headings[next_heading]:
            rule, next_heading = HEADING, next_heading + 1
        found.append(Line(tuple(pieces), rule, begins))
        offset = end + 1
    return found


def _letters(line: str) -> str:
    return "".join(character for character in line.lower() if character.isalnum())


def _pieces(raw: str, offset: int, spans: Iterable[Span]) -> tuple[list[tuple[str, str | None]], str | None]:
    pieces: list[tuple[str, str | None]] = []
    begins = None
    position, end = offset, offset + len(raw)
    for span in spans:
        if span.start >= end:
            break
        if span.start > position:
            pieces.append((raw[position - offset : span.start - offset], None))
        start = max(span.start, position)
        stop = min(span.end, end)
        if stop > start:
            pieces.append((raw[start - offset : stop - offset], span.rule))
            begins = begins or (span.rule if span.start >= offset else None)
        position = max(position, stop)
    if position < end or not pieces:
        pieces.append((raw[position - offset :], None))
    return pieces, begins


def summary(book: StrippedBook) -> list[tuple[str, int, int]]:
    """Rule, number of removals and removed characters, the largest first."""
    counts: Counter[str] = Counter()
    characters: Counter[str] = Counter()
    for span, _ in book.removed:
        counts[span.rule] += 1
        characters[span.rule] += span.end - span.start
    return [(rule, counts[rule], size) for rule, size in characters.most_common()]


def to_terminal(name: str, text: str, book: StrippedBook, *, colour: bool, brief: bool = False) -> Iterator[str]:
    """Lines to print: the reason in a gutter beside each removal; long removals, and with ``brief`` long kept
    stretches too, are shortened.
    """
    paint = _painter(book) if colour else lambda words, _rule: words
    yield from _facts(name, text, book)
    yield ""
    for rule, count, size in summary(book):
        yield f"{paint(f'{rule:>{_GUTTER}}', rule)} │ {size:>9,} characters in {count:,}   {meaning_of(rule)}"
    yield ""
    for rule, group in groupby(lines_of(text, book), key=lambda line: line.rule):
        lines = _without_blank_runs(group)
        for line in _shortened(lines, rule, brief):
            if isinstance(line, int):
                yield f"{'':>{_GUTTER}} ┆ … {line:,} more lines …"
                continue
            label = line.begins or ("chapter" if rule == HEADING else "")
            gutter = paint(f"{label:>{_GUTTER}}", line.begins or rule)
            mark = "━" if rule == HEADING else "-" if rule else "│"
            words = "".join(paint(piece, HEADING if rule == HEADING else removed) for piece, removed in line.pieces)
            yield f"{gutter} {paint(mark, rule)} {words}".rstrip()


def _facts(name: str, text: str, book: StrippedBook) -> Iterator[str]:
    kept = len(book.text) / max(len(text), 1)
    yield f"{name}: {book.header.title or 'without a title'}, {book.header.author or 'author unknown'}"
    yield f"  encoding   {book.encoding} ({book.encoding_evidence})"
    yield f"  kept       {len(book.text):,} characters ({kept:.1%} of the file), {len(book.chapters)} headings"
    yield f"  start      {book.start_marker or 'no marker'}"
    yield f"  end        {book.end_marker or 'no marker'}"
    for warning in book.warnings:
        yield f"  warning    {warning}"


def _painter(book: StrippedBook) -> Callable[[str, str | None], str]:
    colours = {rule: _PALETTE[number % len(_PALETTE)] for number, (rule, _, _) in enumerate(summary(book))}

    def paint(words: str, rule: str | None) -> str:
        if rule is None or not words:
            return words
        if rule == HEADING:
            return f"\x1b[1m{words}\x1b[0m"
        return f"\x1b[38;5;{colours.get(rule, 7)}m{words}\x1b[0m"

    return paint


def _without_blank_runs(lines: Iterable[Line]) -> list[Line]:
    """The lines, with one blank line for several."""
    found: list[Line] = []
    for line in lines:
        if line.text.strip() or line.begins or not found or found[-1].text.strip():
            found.append(line)
    return found


def _shortened(lines: Sequence[Line], rule: str | None, brief: bool) -> Iterator[Line | int]:
    """The lines, or the first and last ones with the number of those between."""
    head, tail = (_SHOWN_HEAD, _SHOWN_TAIL) if rule else (_BRIEF_LINES, _BRIEF_LINES)
    if rule == HEADING or (rule is None and not brief) or len(lines) <= head + tail + 1:
        yield from lines
        return
    # A second removal inside the stretch keeps its label in sight.
    hidden = [line for line in lines[head:-tail] if line.begins is None]
    yield from lines[:head]
    yield from (line for line in lines[head:-tail] if line.begins is not None)
    yield len(hidden)
    yield from lines[-tail:]


def to_html(name: str, text: str, book: StrippedBook) -> str:
    """One self-contained page: facts, a legend with counts, a list of chapters, and the text."""
    title = escape(f"{book.header.title or name}")
    rows = "".join(_legend_row(number, *row) for number, row in enumerate(summary(book)))
    classes = {rule: number % len(_PALETTE) for number, (rule, _, _) in enumerate(summary(book))}
    body: list[str] = []
    contents: list[str] = []
    for rule, group in groupby(lines_of(text, book), key=lambda line: line.rule):
        lines = _without_blank_runs(group)
        if rule == HEADING:
            words = escape(" ".join(line.text.strip() for line in lines))
            contents.append(f'<li><a href="#c{len(contents)}">{words}</a></li>')
            body.append(f'<h2 id="c{len(contents) - 1}">{words}</h2>')
        elif rule is None:
            kept = "\n".join(_html_line(line, classes) for line in lines).strip("\n")
            body.append(f"<pre>{kept}</pre>" if kept else "")
        else:
            body += _removed_html(lines, classes)
    facts = "".join(f"<li>{escape(fact.strip())}</li>" for fact in _facts(name, text, book))
    chapters = f"<details><summary>{len(contents)} headings</summary><ol>{''.join(contents)}</ol></details>"
    return _PAGE.format(
        title=title,
        facts=facts,
        legend=rows,
        chapters=chapters if contents else "",
        body="\n".join(part for part in body if part),
        colours="\n".join(f".k{n} {{ --k: {_hex(colour)}; }}" for n, colour in enumerate(_PALETTE)),
    )


def _legend_row(number: int, rule: str, count: int, size: int) -> str:
    return (
        f'<tr class="k{number % len(_PALETTE)}"><td><span class="chip">{escape(rule)}</span></td>'
        f"<td>{size:,}</td><td>{count:,}</td><td>{escape(meaning_of(rule))}</td></tr>"
    )


def _removed_html(lines: Sequence[Line], classes: dict[str, int]) -> Iterator[str]:
    """A box for each removal among lines of the same rule."""
    boxes: list[list[Line]] = []
    for line in lines:
        if not boxes or (line.begins and any(earlier.text.strip() for earlier in boxes[-1])):
            boxes.append([])
        boxes[-1].append(line)
    for box in boxes:
        rule = next(rule for line in box for _, rule in [*line.pieces, ("", line.rule)] if rule is not None)
        words = escape("\n".join(line.text for line in box).strip("\n"))
        shown = f"<pre>{words}</pre>"
        if len(box) > _SHOWN_HEAD + _SHOWN_TAIL + 1:
            first = escape(next((line.text.strip() for line in box if line.text.strip()), ""))
            shown = f"<details><summary>{first} <i>({len(box):,} lines)</i></summary>{shown}</details>"
        yield (
            f'<div class="cut k{classes[rule]}" title="{escape(meaning_of(rule))}">'
            f'<span class="chip">{escape(rule)}</span>{shown}</div>'
        )


def _html_line(line: Line, classes: dict[str, int]) -> str:
    return "".join(
        escape(piece)
        if rule is None
        else f'<del class="k{classes[rule]}" title="{escape(rule)}: {escape(meaning_of(rule))}">{escape(piece)}</del>'
        for piece, rule in line.pieces
    )


def _hex(colour: int) -> str:
    """A colour of the 6 x 6 x 6 cube of the 256-colour palette, as ``#rrggbb``."""
    levels = (0, 95, 135, 175, 215, 255)
    red, rest = divmod(colour - 16, 36)
    return "#{:02x}{:02x}{:02x}".format(*(levels[level] for level in (red, *divmod(rest, 6))))


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}: what was removed</title>
<style>
:root {{ --ink: #1f2024; --soft: #62646d; --line: #dcdce0; --paper: #fdfdfb; color-scheme: light dark; }}
@media (prefers-color-scheme: dark) {{
  :root {{ --ink: #e6e6e3; --soft: #a5a7ae; --line: #3a3c42; --paper: #17181b; }}
}}
{colours}
body {{ margin: 0 auto; max-width: 62rem; padding: 2.5rem 1.25rem 5rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.55 "Iowan Old Style", Palatino, "Book Antiqua", Georgia, serif; }}
h1 {{ font-size: 1.9rem; line-height: 1.25; margin: 0 0 .6rem; }}
h2 {{ font: 600 1.05rem/1.4 system-ui, sans-serif; margin: 2.2rem 0 .6rem; padding-left: .8rem;
  border-left: 4px solid var(--ink); }}
ul {{ list-style: none; padding: 0; color: var(--soft); font: .875rem/1.6 system-ui, sans-serif; }}
table {{ border-collapse: collapse; font: .875rem/1.5 system-ui, sans-serif; margin: 1.2rem 0; }}
td, th {{ padding: .25rem 1rem .25rem 0; text-align: left; border-bottom: 1px solid var(--line); }}
td:nth-child(2), td:nth-child(3) {{ text-align: right; font-variant-numeric: tabular-nums; }}
pre {{ font: .82rem/1.5 ui-monospace, Menlo, Consolas, monospace; white-space: pre-wrap; margin: .4rem 0; }}
summary {{ cursor: pointer; font: .82rem/1.5 ui-monospace, Menlo, Consolas, monospace; }}
.chip {{ font: 600 .72rem/1 system-ui, sans-serif; color: var(--paper); background: var(--k); padding: .2rem .45rem;
  border-radius: .25rem; white-space: nowrap; }}
.cut {{ display: grid; grid-template-columns: 11.5rem minmax(0, 1fr); gap: 0 .8rem; align-items: start;
  margin: .35rem 0; padding: .3rem .6rem; border-left: 4px solid var(--k);
  background: color-mix(in srgb, var(--k) 13%, transparent); }}
.cut .chip {{ justify-self: start; margin-top: .3rem; }}
.cut pre {{ margin: 0; }}
del {{ background: color-mix(in srgb, var(--k) 28%, transparent); text-decoration-color: var(--k); }}
a {{ color: inherit; }}
@media (max-width: 40rem) {{ .cut {{ grid-template-columns: 1fr; }} }}
</style></head><body>
<h1>{title}</h1>
<ul>{facts}</ul>
<table><thead><tr><th>removed by</th><th>characters</th><th>stretches</th><th></th></tr></thead>
<tbody>{legend}</tbody></table>
{chapters}
{body}
</body></html>
"""
