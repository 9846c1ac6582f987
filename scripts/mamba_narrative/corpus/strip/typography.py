"""Signs inside a paragraph that are the typist's: emphasis, marks of notes, page numbers, hyphens at line ends."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence, Set
from html import unescape

from mamba_narrative.config.stripping import StrippingSettings

_PAGE_NUMBER = re.compile(
    r"[\[{|(](?:pg|page|p|pp)\.? ?(?:\d{1,4}|[ivxlc]{1,8})[\]}|)]|\{\d{1,4}\}|\[(?!ill)[ivxlc]{1,7}\]", re.IGNORECASE
)
_FOOTNOTE_MARK = r"\[\d{1,3}\]|(?<=\S)\[(?:\d{4}|[A-Z]|\*{1,3}|[†‡])\](?!\w)|(?<=\S)\{\d{1,4}[a-z]?\}"
_OPENING_UNDERSCORE = re.compile(r"(?<![\w_])_(?=[^\s_])")
_CLOSING_UNDERSCORE = re.compile(r"(?<=[^\s_])_(?![\w_])")
_PAIRED = re.compile(
    r"(?<![\w=~+*])(?P<sign>[=~+*])(?=[^\s=~+*])(?P<words>[^=~+*\n]{1,300}?)(?<=[^\s])(?P=sign)(?![\w=~+*])"
)
_TAG = re.compile(r"</?(?:i|b|em|strong|u|sc|small|big|sup|sub|tb)>", re.IGNORECASE)
_ENTITY = re.compile(r"&(?:[a-z]{2,8}|#\d{2,5});", re.IGNORECASE)
_DROP_CAPITAL = re.compile(r"^\|(?=[A-Z“\"‘'])")
_JOINT = "\x00"
"""Where a line ended in a hyphen; no decoded text has this character."""
_DIVIDED = re.compile(rf"(?<![^\W\d_])(?P<first>[^\W\d_]{{2,}}+)-{_JOINT}(?=(?P<second>[^\W\d_]{{2,}}+))")
_COMPOUND = re.compile(r"(?<![^\W\d_])(?P<first>[^\W\d_]{2,}+)-(?=(?P<second>[^\W\d_]{2,}+))")
_WHOLE_WORD = re.compile(r"\w+")
_MAX_PART = 40
"""Letters of each part of a divided word: more are no word."""
_STRAIGHT = str.maketrans({"‘": "'", "’": "'", "‚": "'", "“": '"', "”": '"', "„": '"', "´": "'", "`": "'"})
_DASHES = re.compile(r"(?<!-)-{2,3}(?!-)")


class Signs:
    """The signs of one book: which are removed, and how often each rule removed one (``changes``)."""

    def __init__(self, settings: StrippingSettings, footnote_marks: Iterable[str] = ()) -> None:
        """``footnote_marks``: forms of marks beyond ``[1]`` that lead to footnotes which were removed."""
        self.changes: Counter[str] = Counter()
        self._settings = settings
        marks = sorted(footnote_marks)
        numbers = "|".join(re.escape(mark) for mark in marks if mark[0] == "(")
        signs = "|".join(re.escape(mark) for mark in marks if mark[0] in "*†‡")
        forms = [_FOOTNOTE_MARK]
        # One look behind for all of a kind: a book may have hundreds.
        forms += [rf"(?<=\S)(?:{numbers})"] if numbers else []
        forms += [rf"(?<=[a-z.,;:!?\"'”’)])(?:{signs})(?![\w*])"] if signs else []
        self._marks = re.compile("|".join(forms))
        self._has_loose_marks = len(forms) > 1

    def removed_from(self, text: str) -> str:
        """``text`` without the signs."""
        settings = self._settings
        bracket = "[" in text or "{" in text
        if settings.remove_page_numbers and (bracket or "|" in text or "(p" in text or "(P" in text):
            text = self._substitute("page_number", _PAGE_NUMBER, "", text)
        if settings.remove_footnotes and (bracket or self._has_loose_marks):
            text = self._substitute("footnote_mark", self._marks, "", text)
        if settings.remove_markup:
            if "_" in text:
                text = self._substitute("markup", _OPENING_UNDERSCORE, "", text)
                text = self._substitute("markup", _CLOSING_UNDERSCORE, "", text)
            if "=" in text or "~" in text or "+" in text or "*" in text:
                text = self._substitute("markup", _PAIRED, r"\g<words>", text)
            if "<" in text:
                text = self._substitute("markup", _TAG, "", text)
            if "|" in text:
                text = self._substitute("markup", _DROP_CAPITAL, "", text)
            if "&" in text:
                text = self._substitute("markup", _ENTITY, lambda match: unescape(match[0]), text)
        if settings.normalise_punctuation:
            text = _DASHES.sub("—", text.translate(_STRAIGHT))
        return text

    def _substitute(
        self, rule: str, pattern: re.Pattern[str], replacement: str | Callable[[re.Match[str]], str], text: str
    ) -> str:
        text, count = pattern.subn(replacement, text)
        if count:
            self.changes[rule] += count
        return text


def join_lines(lines: Sequence[str], *, mark_joints: bool = False) -> str:
    """One line of text; a line that ends in a hyphen or an unspaced dash is joined without a space.

    ``mark_joints``: mark where a line ended in a hyphen, for ``mend_divided_words``.
    """
    if not any(line.rstrip().endswith(("-", "—")) for line in lines):
        return " ".join(" ".join(lines).split())
    pieces: list[str] = []
    for line in lines:
        piece = " ".join(line.split())
        if not piece:
            continue
        if pieces:
            last = pieces[-1]
            if not last.endswith(("-", "—")) or last.endswith((" -", " --", " —")):
                pieces.append(" ")
            elif mark_joints and last.endswith("-"):
                pieces.append(_JOINT)
        pieces.append(piece)
    return "".join(pieces)


def mend_divided_words(text: str, source: str) -> str:
    """``text`` without its marks of joints, and without the hyphens that a printer put there.

    Those are the hyphens of words that ``source``, the book before lines were joined, also writes in one, and nowhere
    with a hyphen.
    """
    if _JOINT not in text:
        return text
    divided = {
        (match["first"], match["second"])
        for match in _DIVIDED.finditer(text)
        if match["second"][0].islower() and max(len(match["first"]), len(match["second"])) <= _MAX_PART
    }
    wanted = {first + second for first, second in divided}
    whole = {word for match in _WHOLE_WORD.finditer(source) if (word := match[0]) in wanted}
    broken = {(first, second) for first, second in divided if first + second in whole}
    broken -= _hyphenated(source, broken)
    mended = _DIVIDED.sub(
        lambda match: match["first"] if (match["first"], match["second"]) in broken else match[0], text
    )
    return mended.replace(_JOINT, "")


def _hyphenated(source: str, parts: Set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Those of ``parts`` that ``source`` has with a hyphen between them, also inside a longer compound."""
    if not parts:
        return set()
    seconds: dict[str, set[str]] = defaultdict(set)
    for first, second in parts:
        seconds[first].add(second)
    found: set[tuple[str, str]] = set()
    for match in _COMPOUND.finditer(source):
        before, after = match["first"][-_MAX_PART:], match["second"][:_MAX_PART]
        for start in range(len(before) - 1):
            if (known := seconds.get(before[start:])) is not None:
                found.update(
                    (before[start:], part) for end in range(2, len(after) + 1) if (part := after[:end]) in known
                )
    return found
