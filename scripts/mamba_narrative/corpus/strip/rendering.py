"""The final form of a book: paragraphs of one line, one blank line between them, no typist's signs."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from mamba_narrative.config.stripping import StrippingSettings
from mamba_narrative.corpus.strip.paragraphs import (
    Block,
    is_wrapped_prose,
    split_at_indents,
    split_at_short_lines,
    without_margin,
    wrapping_width,
)
from mamba_narrative.corpus.strip.typography import Signs, join_lines, mend_divided_words

SCENE_BREAK = "* * *"
# Stars; dots of which three stand apart; dashes and the like of which three stand together; a lone sign; three signs.
_SCENE_BREAK = re.compile(
    r"\s*+\*[\s*]*+|\s*+(?:\.(?!(?:\s++\.){2})\s*+)*+\.(?:\s++\.){2}[\s.]*+|"
    r"\s*+(?:[_~=+#•·—–-](?![_~=+#•·—–-]{2})\s*+)*+[_~=+#•·—–-]{3}[\s_~=+#•·—–-]*+|"
    r"\s*+[#•·~]\s*+|(?:\s*+[-—–+#•·~]){3,}+\s*+"
)
_MIN_INTERRUPTED = 60
"""Characters of a paragraph that a picture or a note may have interrupted: shorter ones are headings and captions."""
_INSIDE_SPACES = re.compile(r"(?<=\S)  +")


@dataclass(frozen=True)
class Rendered:
    """The text, and how often each rule changed something inside a paragraph."""

    text: str
    changes: dict[str, int]


def render(
    blocks: Sequence[Block],
    settings: StrippingSettings,
    footnote_marks: frozenset[str] = frozenset(),
    after_removal: frozenset[int] = frozenset(),
) -> Rendered:
    """Write the blocks (what no rule has removed) as paragraphs.

    ``footnote_marks``: forms of marks beyond ``[1]`` that lead to footnotes which were removed. ``after_removal``:
    offsets of the blocks right above which something was removed; a sentence that it interrupted is made whole.
    """
    renderer = _Renderer(blocks, settings, footnote_marks)
    pieces: list[str] = []
    last = _Paragraph()
    for block in blocks:
        for position, paragraph in enumerate(renderer.paragraphs_of(block)):
            is_break = paragraph == SCENE_BREAK
            if not paragraph or (is_break and (not pieces or last.is_break)):
                continue
            if not position and pieces and block.start in after_removal and last.goes_on_with(paragraph):
                pieces += [" ", paragraph]
                last.append(paragraph)
                renderer.changes["paragraphs_joined"] += 1
            else:
                pieces += ["\n\n", paragraph] if pieces else [paragraph]
                last = _Paragraph(len(paragraph), paragraph[-1], "\n" not in paragraph, is_break)
    text = "".join(pieces[: -2 if last.is_break else None]) + "\n" if pieces else ""
    if renderer.marks_joints:
        text = mend_divided_words(text, "\n\n".join(block.text for block in blocks))
    return Rendered(text, dict(sorted(renderer.changes.items())))


@dataclass
class _Paragraph:
    """What decides whether the next one belongs to the same sentence."""

    characters: int = 0
    end: str = ""
    is_one_line: bool = True
    is_break: bool = False

    def goes_on_with(self, after: str) -> bool:
        """Whether a sentence that began in this paragraph of prose ends in ``after``."""
        return (
            self.is_one_line
            and "\n" not in after
            and self.characters > _MIN_INTERRUPTED
            and after[0].islower()
            and (self.end.islower() or self.end in ",;")
        )

    def append(self, after: str) -> None:
        """Add what stands in the same line."""
        self.characters += 1 + len(after)
        self.end = after[-1]


class _Renderer:
    """What the paragraphs of one book have in common."""

    def __init__(self, blocks: Sequence[Block], settings: StrippingSettings, footnote_marks: frozenset[str]) -> None:
        self.settings = settings
        self.signs = Signs(settings, footnote_marks)
        self.changes: Counter[str] = self.signs.changes
        self.width = wrapping_width(blocks)
        self.marks_joints = settings.mend_hyphenation and any("-\n" in block.text for block in blocks)

    def paragraphs_of(self, block: Block) -> list[str]:
        if self.settings.normalise_scene_breaks and _is_scene_break(block):
            self.changes["scene_break"] += block.text.strip() != SCENE_BREAK
            return [SCENE_BREAK]
        text = self.signs.removed_from(block.text)
        lines = [line for line in text.split("\n") if line.strip()]
        if not lines:
            return []
        if not self.settings.unwrap_paragraphs:
            return ["\n".join(without_margin(lines))]
        rendered: list[str] = []
        for part in split_at_indents(lines):
            unspaced = split_at_short_lines(part)
            if len(unspaced) > 1:
                rendered += [self._joined(paragraph) for paragraph in unspaced]
                self.changes["paragraphs_separated"] += len(unspaced) - 1
            elif is_wrapped_prose(part, self.width):
                rendered.append(self._joined(part))
            else:
                kept = without_margin(part)
                rendered.append("\n".join(_INSIDE_SPACES.sub(" ", line) if len(part) < 3 else line for line in kept))
        return rendered

    def _joined(self, lines: Sequence[str]) -> str:
        self.changes["lines_joined"] += len(lines) - 1
        return join_lines(lines, mark_joints=self.marks_joints)


def _is_scene_break(block: Block) -> bool:
    return len(block.lines) <= 2 and len(block.text) < 200 and _SCENE_BREAK.fullmatch(block.text) is not None
