"""Signs inside a paragraph that are the typist's: emphasis, marks of notes, page numbers, hyphens at line ends."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
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
_LINE_END_HYPHEN = re.compile(r"([^\W\d_]{2,})-$")
_LEADING_WORD = re.compile(r"\s*([^\W\d_]{2,})")
_STRAIGHT = str.maketrans({"‘": "'", "’": "'", "‚": "'", "“": '"', "”": '"', "„": '"', "´": "'", "`": "'"})
_DASHES = re.compile(r"(?<!-)-{2,3}(?!-)")


class Signs:
    """The signs of one book: which are removed, and how often each rule removed one (``changes``)."""

    def __init__(self, settings: StrippingSettings, footnote_marks: Iterable[str] = ()) -> None:
        """``footnote_marks``: forms of marks beyond ``[1]`` that lead to footnotes which were removed."""
        self.changes: Counter[str] = Counter()
        self._settings = settings
        forms = [_FOOTNOTE_MARK]
        for mark in sorted(footnote_marks):
            if mark[0] in "(":
                forms.append(rf"(?<=\S){re.escape(mark)}")
            elif mark[0] in "*†‡":
                forms.append(rf"(?<=[a-z.,;:!?\"'”’)]){re.escape(mark)}(?![\w*])")
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


class Hyphens:
    """Which hyphens at line ends were put there by a printer: those of words that the book also writes in one."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._mended: dict[tuple[str, str], bool] = {}

    def is_broken_word(self, before: str, after: str) -> bool:
        """Whether the line ``before``, which ends in a hyphen, and the line ``after`` divide one word."""
        first, second = _LINE_END_HYPHEN.search(before), _LEADING_WORD.match(after)
        if first is None or second is None or not second[1][0].islower():
            return False
        parts = (first[1], second[1])
        if parts not in self._mended:
            whole = "".join(parts)
            self._mended[parts] = (
                whole in self._text
                and f"{first[1]}-{second[1]}" not in self._text
                and re.search(rf"\b{whole}\b", self._text) is not None
            )
        return self._mended[parts]


def join_lines(lines: Sequence[str], hyphens: Hyphens | None = None) -> str:
    """One line of text; a line that ends in a hyphen or an unspaced dash is joined without a space.

    The hyphen itself stays, unless ``hyphens`` is sure that it divides a word.
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
            elif hyphens is not None and hyphens.is_broken_word(last, piece):
                pieces[-1] = last[:-1]
        pieces.append(piece)
    return "".join(pieces)
