"""The final form of a book: paragraphs of one line, one blank line between them, no typist's signs."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

from mamba_narrative.config.stripping import StrippingSettings
from mamba_narrative.corpus.paragraphs import (
    Block,
    is_wrapped_prose,
    join_lines,
    split_at_indents,
    without_margin,
    wrapping_width,
)

SCENE_BREAK = "* * *"
_SCENE_BREAK = re.compile(
    r"[\s*]*\*[\s*]*|[\s.]*\.(?:\s+\.){2,}[\s.]*|[\s_~=+#•·—–-]*[_~=+#•·—–-]{3,}[\s_~=+#•·—–-]*|"
    r"\s*[#•·~]\s*|(?:\s*[-—–+#•·~]){3,}\s*"
)
_PAGE_NUMBER = re.compile(
    r"[\[{|(](?:pg|page|p|pp)\.? ?(?:\d{1,4}|[ivxlc]{1,8})[\]}|)]|\{\d{1,4}\}|\[(?!ill)[ivxlc]{1,7}\]", re.IGNORECASE
)
_FOOTNOTE_MARK = re.compile(r"\[\d{1,3}\]|(?<=\S)\[(?:\d{4}|[A-Z]|\*{1,3}|[†‡])\](?!\w)|(?<=\S)\{\d{1,4}[a-z]?\}")
_OPENING_UNDERSCORE = re.compile(r"(?<![\w_])_(?=[^\s_])")
_CLOSING_UNDERSCORE = re.compile(r"(?<=[^\s_])_(?![\w_])")
_BOLD = re.compile(r"(?<![\w=])=(?=[^\s=])([^=\n]{1,300}?)(?<=[^\s=])=(?![\w=])")
_TAG = re.compile(r"</?(?:i|b|em|strong|u|sc|small|big|sup|sub|tb)>", re.IGNORECASE)
_INSIDE_SPACES = re.compile(r"(?<=\S)  +")


@dataclass(frozen=True)
class Rendered:
    """The text, and how often each rule changed something inside a paragraph."""

    text: str
    changes: dict[str, int]


def render(
    blocks: list[Block], settings: StrippingSettings, footnote_marks: frozenset[str] = frozenset()
) -> Rendered:
    """Write the blocks (what no rule has removed) as paragraphs.

    ``footnote_marks``: forms of marks beyond ``[1]`` that are known to lead to footnotes which were removed.
    """
    changes: Counter[str] = Counter()
    width = wrapping_width(blocks)
    paragraphs: list[str] = []
    for block in blocks:
        for paragraph in _paragraphs_of(block, width, settings, changes):
            is_break = paragraph == SCENE_BREAK
            if paragraph and not (is_break and (not paragraphs or paragraphs[-1] == SCENE_BREAK)):
                paragraphs.append(paragraph)
    while paragraphs and paragraphs[-1] == SCENE_BREAK:
        paragraphs.pop()
    return Rendered("\n\n".join(paragraphs) + "\n" if paragraphs else "", dict(sorted(changes.items())))


def _paragraphs_of(block: Block, width: int, settings: StrippingSettings, changes: Counter[str]) -> list[str]:
    if settings.normalise_scene_breaks and _is_scene_break(block):
        changes["scene_break"] += block.text.strip() != SCENE_BREAK
        return [SCENE_BREAK]
    text = _without_signs(block.text, settings, changes)
    lines = [line for line in text.split("\n") if line.strip()]
    if not lines:
        return []
    if not settings.unwrap_paragraphs:
        return ["\n".join(without_margin(lines))]
    rendered = []
    for part in split_at_indents(lines):
        if is_wrapped_prose(part, width):
            changes["lines_joined"] += len(part) - 1
            rendered.append(join_lines(part))
        else:
            rendered.append(
                "\n".join(_INSIDE_SPACES.sub(" ", line) if len(part) < 3 else line for line in without_margin(part))
            )
    return rendered


def _is_scene_break(block: Block) -> bool:
    return len(block.lines) <= 2 and len(block.text) < 200 and _SCENE_BREAK.fullmatch(block.text) is not None


def _without_signs(text: str, settings: StrippingSettings, changes: Counter[str]) -> str:
    """Without page numbers, footnote marks and signs of emphasis."""
    substitutions: list[tuple[str, re.Pattern[str], str]] = []
    if settings.remove_page_numbers and ("[" in text or "{" in text or "|" in text or "(p" in text.lower()):
        substitutions.append(("page_number", _PAGE_NUMBER, ""))
    if settings.remove_footnotes and ("[" in text or "{" in text):
        substitutions.append(("footnote_mark", _FOOTNOTE_MARK, ""))
    if settings.remove_markup:
        if "_" in text:
            substitutions += [("markup", _OPENING_UNDERSCORE, ""), ("markup", _CLOSING_UNDERSCORE, "")]
        if "=" in text:
            substitutions.append(("markup", _BOLD, r"\1"))
        if "<" in text:
            substitutions.append(("markup", _TAG, ""))
    for rule, pattern, replacement in substitutions:
        text, count = pattern.subn(replacement, text)
        if count:
            changes[rule] += count
    return text
