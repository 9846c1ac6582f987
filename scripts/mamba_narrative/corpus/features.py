"""What a text looks like: measures that tell narrative prose from verse, plays, lists and argument.

They need nothing but the stripped text. Paragraphs are first sorted by form (prose, verse, play, list); prose is
then read in passages of about 250 words, and each passage is judged narrative or not from its commonest words.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

Form = Literal["prose", "verse", "play", "list"]
PASSAGE_WORDS = 250
_WORD = re.compile(r"[^\W\d_]+")
_QUOTED = re.compile(r"[\"“«][^\"“”«»\n]{1,3000}[\"”»]")
_SPEAKER = re.compile(
    r"\s*_?((?:[A-Z][\w'’-]*)(?: (?:[A-Z][\w'’-]*|of|the|and|\d+)){0,3})_?\s*"
    r"(?:[\[(][^\])\n]{0,80}[\])])?[.:](?=\s|—|_)"
)
_ENDS_SENTENCE = re.compile(r"[.!?…:;,—-][\"'”’»)\]_*]*$")
_PAGE_REFERENCE = re.compile(r"(?:,|\.{2,}|…)\s*\d{1,4}(?:\s*[,;–-]\s*\d{1,4})*\.?$")


def _words(*lines: str) -> frozenset[str]:
    return frozenset(word for line in lines for word in line.split())


# Words with a full stop that begin paragraphs of stories, too.
_NO_SPEAKERS = _words(
    "Mr Mrs Messrs Dr St M Mme Mlle Capt Col Gen Lieut Rev Sir Prof Chapter No Yes Oh Ah Well Very P.S PS I"
)
_PAST = _words(
    "was were had did said went came looked asked saw took turned stood thought knew felt heard told seemed began made",
    "gave found left replied cried answered sat ran got put fell held kept spoke brought rose walked called lay led",
    "met sent drew wore threw passed caught broke entered returned laughed smiled opened stopped",
)
_PRESENT = _words("is are has have am be do does may must shall should can will")
_PERSONS = _words("he she him her his hers himself herself i me my mine myself you your thou thee")
# Rounded weights of a logistic regression on passages of 336 catalogued books (306 fiction, both kinds with equal
# weight); pronouns of the second person were added by hand, for stories in letters.
_PAST_WEIGHT, _PRESENT_WEIGHT, _PERSONS_WEIGHT, _BIAS = 40.0, -35.0, 20.0, -1.8
_LONG_LINE_CHARACTERS = 55
_MIN_WRAPPED_CHARACTERS = 40
_VERSE_CAPITALS = 0.7
_HEADING_WORDS = 12
_SPEAKER_TURNS = 3
_MIN_LAST_PASSAGE_WORDS = 100


@dataclass(frozen=True)
class TextFeatures:
    """Measures of one text; shares are of all its words, rates per word outside double quotes."""

    words: int
    """Runs of characters without white space."""
    prose_share: float
    """In paragraphs of prose."""
    verse_share: float
    """In blocks of short lines that begin with capitals."""
    play_share: float
    """In paragraphs that begin with the name of a speaker who speaks several times."""
    list_share: float
    """In headings, lists, tables and indexes."""
    narrative_share: float
    """In passages of prose that read like narration (see ``reads_like_narration``)."""
    dialogue_share: float
    """Characters inside double quotes, as part of the characters of prose."""
    past_rate: float
    """Common verbs of narration in the past tense, in prose."""
    present_rate: float
    """Common verbs in the present tense and modal verbs, in prose."""
    person_rate: float
    """Personal pronouns of the singular, in prose, inside quotes too."""


@dataclass(frozen=True)
class Cues:
    """Counts behind the judgement of a passage."""

    words: int = 0
    unquoted_words: int = 0
    past: int = 0
    present: int = 0
    persons: int = 0

    @property
    def past_rate(self) -> float:
        """Verbs in the past tense per word outside double quotes."""
        return self.past / max(self.unquoted_words, 1)

    @property
    def present_rate(self) -> float:
        """Verbs in the present tense per word outside double quotes."""
        return self.present / max(self.unquoted_words, 1)

    @property
    def person_rate(self) -> float:
        """Singular pronouns per word, inside quotes too."""
        return self.persons / max(self.words, 1)

    @property
    def reads_like_narration(self) -> bool:
        """Whether persons act in the past tense here, rather than something being explained, argued or listed."""
        score = _PAST_WEIGHT * self.past_rate + _PRESENT_WEIGHT * self.present_rate
        return score + _PERSONS_WEIGHT * self.person_rate + _BIAS > 0


def measure_text(text: str) -> TextFeatures:
    """All measures of a stripped text (paragraphs separated by blank lines, wrapped or not)."""
    blocks = [block for block in text.split("\n\n") if block.strip()]
    forms = forms_of(blocks)
    words: Counter[Form] = Counter()
    for block, form in zip(blocks, forms, strict=True):
        words[form] += len(block.split())
    # In one line each, so that a quotation does not end where a line was wrapped.
    prose = [block.replace("\n", " ") for block, form in zip(blocks, forms, strict=True) if form == "prose"]
    total_words = max(words.total(), 1)
    narrative_words = 0
    passages = []
    for passage_words, passage in _passages(prose):
        cues = count_cues(passage)
        passages.append(cues)
        narrative_words += passage_words * cues.reads_like_narration
    unquoted = max(sum(cues.unquoted_words for cues in passages), 1)
    prose_characters = max(sum(map(len, prose)), 1)
    return TextFeatures(
        words=words.total(),
        prose_share=words["prose"] / total_words,
        verse_share=words["verse"] / total_words,
        play_share=words["play"] / total_words,
        list_share=words["list"] / total_words,
        narrative_share=narrative_words / total_words,
        dialogue_share=sum(len(match[0]) for block in prose for match in _QUOTED.finditer(block)) / prose_characters,
        past_rate=sum(cues.past for cues in passages) / unquoted,
        present_rate=sum(cues.present for cues in passages) / unquoted,
        person_rate=sum(cues.persons for cues in passages) / max(sum(cues.words for cues in passages), 1),
    )


def forms_of(blocks: Sequence[str]) -> list[Form]:
    """The form of each block of a text. A speaker's name counts if it begins several blocks, and not alone."""
    labels = [_speaker(block) for block in blocks]
    turns = Counter(label for label in labels if label)
    speakers = {label for label, number in turns.items() if number >= _SPEAKER_TURNS}
    is_play = len(speakers) >= 2
    return [
        "play" if is_play and label in speakers else _form_without_speakers(block)
        for block, label in zip(blocks, labels, strict=True)
    ]


def count_cues(passage: str) -> Cues:
    """Count the words that tell narration from explanation. Tense is read outside double quotes."""
    words = _WORD.findall(passage.lower())
    unquoted = _WORD.findall(_QUOTED.sub(" ", passage).lower())
    return Cues(
        words=len(words),
        unquoted_words=len(unquoted),
        past=sum(map(_PAST.__contains__, unquoted)),
        present=sum(map(_PRESENT.__contains__, unquoted)),
        persons=sum(map(_PERSONS.__contains__, words)),
    )


def _speaker(block: str) -> str | None:
    match = _SPEAKER.match(block)
    # A label needs words after it: a heading such as "Part One." is none.
    if match is None or match[1] in _NO_SPEAKERS or not block[match.end() :].strip():
        return None
    return match[1].upper()


def _form_without_speakers(block: str) -> Form:
    lines = [line.strip() for line in block.split("\n") if line.strip()]
    if len(lines) == 1:
        is_short = len(lines[0].split()) < _HEADING_WORDS
        is_entry = bool(_PAGE_REFERENCE.search(lines[0])) or not _ENDS_SENTENCE.search(lines[0])
        return "list" if is_short and is_entry else "prose"
    width = sum(map(len, lines[:-1])) / (len(lines) - 1)
    if width >= _LONG_LINE_CHARACTERS:
        return "prose"
    entries = sum(bool(_PAGE_REFERENCE.search(line)) or not any(map(str.isalpha, line)) for line in lines)
    if entries > len(lines) / 3:
        return "list"
    capitals = sum(line.lstrip("\"'“‘([_—").replace(" ", "")[:1].isupper() for line in lines) / len(lines)
    if capitals >= _VERSE_CAPITALS:
        return "verse"
    # Some books were wrapped narrowly.
    return "prose" if width >= _MIN_WRAPPED_CHARACTERS else "list"


def _passages(prose: Iterable[str]) -> Iterator[tuple[int, str]]:
    """Runs of whole paragraphs with at least ``PASSAGE_WORDS`` words; a short rest joins nothing."""
    collected: list[str] = []
    words = 0
    yielded = False
    for paragraph in prose:
        collected.append(paragraph)
        words += len(paragraph.split())
        if words >= PASSAGE_WORDS:
            yield words, "\n\n".join(collected)
            collected, words, yielded = [], 0, True
    if words >= _MIN_LAST_PASSAGE_WORDS or (words and not yielded):
        yield words, "\n\n".join(collected)
