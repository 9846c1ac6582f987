"""What a text looks like: measures that tell narrative prose from verse, plays, lists and argument.

They need nothing but the stripped text. Paragraphs are first sorted by form (prose, verse, play, list); prose is
then read in passages of about 250 words, and each passage is judged narrative or not from its commonest words.
Figures are counted in prose, too: years and numbers tell what happened from what was made up.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from mamba_narrative.config.selection import SelectionSettings
from mamba_narrative.word_lists import words_beside

Form = Literal["prose", "verse", "play", "list"]
Cue = Literal["past", "present", "person"]
PASSAGE_WORDS = 250
"""Words of prose that are judged together: about a printed page."""
_QUOTED = re.compile(r"[\"“«][^\"“”«»\n]{1,3000}[\"”»]")
_SPEAKER = re.compile(
    r"\s*_?((?:[A-Z][\w'’-]*)(?: (?:[A-Z][\w'’-]*|of|the|and|\d+)){0,3})_?\s*"
    r"(?:[\[(][^\])\n]{0,80}[\])])?[.:](?=\s|—|_)"
)
_SPEAKER_ALONE = re.compile(r"\s*_?((?:[A-Z][\w'’-]*)(?: (?:[A-Z][\w'’-]*|of|the|and|\d+)){0,3})_?[.:]_?\s*")
_ENDS_SENTENCE = re.compile(r"[.!?…:;,—-][\"'”’»)\]_*]*$")
# The last of several numbers that commas part is enough.
_PAGE_REFERENCE = re.compile(r"(?:,|\.\.(?!\.)|…)\s*+\d{1,4}(?:\s*+[;–-]\s*+\d{1,4})*+\.?$")


_NO_SPEAKERS = frozenset(words_beside(__file__, "not_speakers"))
_CUES: dict[Cue, frozenset[str]] = {
    "past": frozenset(words_beside(__file__, "past_verbs")),
    "present": frozenset(words_beside(__file__, "present_verbs")),
    "person": frozenset(words_beside(__file__, "persons")),
}
# Rounded weights of a logistic regression on passages of 336 catalogued books (306 fiction, both kinds with equal
# weight); pronouns of the second person were added by hand, for stories in letters.
_PAST_WEIGHT, _PRESENT_WEIGHT, _PERSONS_WEIGHT, _BIAS = 40.0, -35.0, 20.0, -1.8
_CUE_OF = {word.encode(): cue for cue, words in _CUES.items() for word in words}
# Latin-1 letters in lower case, everything else a space: counting bytes is several times faster than a pattern.
_LETTERS_ONLY = bytes(
    ord(chr(code).lower()) if chr(code).isalpha() and chr(code).lower() < "\u0100" else ord(" ") for code in range(256)
)
_DIGITS_ONLY = bytes(code if chr(code) in "0123456789" else ord(" ") for code in range(256))
_LONG_LINE_CHARACTERS = 55
"""Mean of a block of prose that was not unwrapped: lines of verse are shorter, hexameters aside."""
_MIN_WRAPPED_CHARACTERS = 40
"""Mean of prose that was wrapped narrowly: lists are shorter."""
_VERSE_CAPITALS = 0.7
"""Part of the lines that begin with a capital: in verse most, though some sentences go on."""
# Hexameters are as long as lines of prose; but of prose one line in five begins with a capital.
_LONG_VERSE_CAPITALS, _LONG_VERSE_LINES = 0.95, 4
_HEADING_WORDS = 12
"""Words from which on a line is no heading and no entry of a list."""
_SPEAKER_TURNS = 3
"""Times that a name begins a block before it is a speaker's: a paragraph may begin with a name and a colon, too."""
_SHORT_PARAGRAPH = 120
"""Characters up to which a line may be a heading, an entry or a speaker; a longer one is prose."""
_SPEAKER_ALONE_TURNS, _SPEAKER_ALONE_SHARE = 5, 0.1
"""The same for names on lines of their own, and their part of all blocks: headings look like them and are fewer."""
_MIN_LAST_PASSAGE_WORDS = 100
"""Words of the last passage: of fewer the rates are chance."""
_YEAR_DIGITS = 4
"""Digits of a year after 999."""
# Chosen on the packed books of tests/data/narrative_labels.tsv, checked on the raw ones by bench_selection.py.
_SURELY_NARRATIVE = 0.6
_PERSONS_OF_LETTERS = 0.095
"""Pronouns of a novel in letters or a diary, which argues and tells by turns."""
_SCENES_NARRATIVE, _SCENES_DIALOGUE = 0.75, 0.2
"""Of a story with scenes, whatever dates it has."""
_FEW_YEARS, _FEW_NUMBERS = 10, 60
"""In all of a text: no short story is a report for the date of a letter."""


@dataclass(frozen=True)
class TextFeatures:
    """Measures of one text; shares are of all its words, rates per word outside double quotes."""

    words: int
    """Runs of characters without white space."""
    prose_fraction: float
    """In paragraphs of prose."""
    verse_fraction: float
    """In blocks of short lines that begin with capitals."""
    play_fraction: float
    """In paragraphs that begin with the name of a speaker who speaks several times."""
    list_fraction: float
    """In headings, lists, tables and indexes."""
    narrative_fraction: float
    """In passages of prose that read like narration (see ``reads_like_narration``)."""
    dialogue_fraction: float
    """Characters inside double quotes, as part of the characters of prose."""
    past_rate: float
    """Common verbs of narration in the past tense, in prose."""
    present_rate: float
    """Common verbs in the present tense and modal verbs, in prose."""
    person_rate: float
    """Personal pronouns of the singular, in prose, inside quotes too."""
    years_per_1000: float
    """Years between 1000 and 1999 in digits, per thousand words of prose."""
    numbers_per_1000: float
    """Numbers in digits, per thousand words of prose."""


@dataclass(frozen=True)
class Cues:
    """Counts behind the judgement of a passage."""

    words: int = 0
    unquoted_words: int = 0
    past: int = 0
    present: int = 0
    persons: int = 0
    quoted_characters: int = 0

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
    blocks = [block for block in text.split("\n\n") if block and not block.isspace()]
    lengths = [len(block.split()) for block in blocks]
    forms = forms_of(blocks)
    words: Counter[Form] = Counter()
    for length, form in zip(lengths, forms, strict=True):
        words[form] += length
    total_words = max(words.total(), 1)
    # In one line each, so that a quotation does not end where a line was wrapped.
    prose = [
        (length, block.replace("\n", " "))
        for block, length, form in zip(blocks, lengths, forms, strict=True)
        if form == "prose"
    ]
    narrative_words = 0
    passages = []
    for passage_words, passage in _passages(prose):
        cues = count_cues(passage)
        passages.append(cues)
        narrative_words += passage_words * cues.reads_like_narration
    unquoted = max(sum(cues.unquoted_words for cues in passages), 1)
    prose_characters = max(sum(len(block) for _, block in prose), 1)
    numbers = " ".join(block for _, block in prose).encode("latin-1", "replace").translate(_DIGITS_ONLY).split()
    years = sum(len(number) == _YEAR_DIGITS and number.startswith(b"1") for number in numbers)
    return TextFeatures(
        words=words.total(),
        prose_fraction=words["prose"] / total_words,
        verse_fraction=words["verse"] / total_words,
        play_fraction=words["play"] / total_words,
        list_fraction=words["list"] / total_words,
        narrative_fraction=narrative_words / total_words,
        dialogue_fraction=sum(cues.quoted_characters for cues in passages) / prose_characters,
        past_rate=sum(cues.past for cues in passages) / unquoted,
        present_rate=sum(cues.present for cues in passages) / unquoted,
        person_rate=sum(cues.persons for cues in passages) / max(sum(cues.words for cues in passages), 1),
        years_per_1000=1_000 * years / max(words["prose"], 1),
        numbers_per_1000=1_000 * len(numbers) / max(words["prose"], 1),
    )


def reads_like_fact(features: TextFeatures, settings: SelectionSettings) -> bool:
    """Whether prose is so full of dates and numbers that it reports what happened; scenes with dialogue do not."""
    has_scenes = features.narrative_fraction >= _SCENES_NARRATIVE and features.dialogue_fraction >= _SCENES_DIALOGUE
    thousands = features.words * features.prose_fraction / 1_000
    # A letter in a short story is dated, too.
    return not has_scenes and (
        features.years_per_1000 > max(settings.max_years_per_1000_words, _FEW_YEARS / max(thousands, 1))
        or features.numbers_per_1000 > max(settings.max_numbers_per_1000_words, _FEW_NUMBERS / max(thousands, 1))
    )


def narrates(features: TextFeatures, settings: SelectionSettings) -> bool:
    """Whether enough of a text is narration about persons, or it is written in letters or a diary."""
    if features.narrative_fraction >= max(settings.min_narrative_fraction, _SURELY_NARRATIVE):
        return True
    if features.narrative_fraction >= settings.min_narrative_fraction:
        return features.person_rate >= settings.min_person_rate
    return (
        features.narrative_fraction >= settings.min_narrative_fraction / 2
        and features.person_rate >= _PERSONS_OF_LETTERS
    )


def forms_of(blocks: Sequence[str]) -> list[Form]:
    """The form of each block of a text.

    A speaker's name counts if it begins several blocks. Names that stand alone above what is said count if there are
    many of them, and then for the block below, too.
    """
    labels = [_speaker(block) for block in blocks]
    speakers = _repeated(labels, _SPEAKER_TURNS)
    alone = [_speaker_alone(block) for block in blocks]
    lone_speakers = _repeated(alone, _SPEAKER_ALONE_TURNS)
    if sum(label in lone_speakers for label in alone) < _SPEAKER_ALONE_SHARE * len(blocks):
        lone_speakers = frozenset()
    forms: list[Form] = []
    below_speaker = False
    for block, label, lone_label in zip(blocks, labels, alone, strict=True):
        is_name = lone_label in lone_speakers
        forms.append("play" if label in speakers or is_name or below_speaker else _form_without_speakers(block))
        below_speaker = is_name
    return forms


def count_cues(passage: str) -> Cues:
    """Count the words that tell narration from explanation. Tense is read outside double quotes."""
    words, cues = _count(passage)
    quotations = _QUOTED.findall(passage)
    quoted_words, quoted_cues = _count(" ".join(quotations))
    return Cues(
        words=words,
        unquoted_words=words - quoted_words,
        past=cues["past"] - quoted_cues["past"],
        present=cues["present"] - quoted_cues["present"],
        persons=cues["person"],
        quoted_characters=sum(map(len, quotations)),
    )


def _count(text: str) -> tuple[int, Counter[str | None]]:
    """Number of words (runs of letters), and how many of them are cues of each kind."""
    words = text.encode("latin-1", "replace").translate(_LETTERS_ONLY).split()
    return len(words), Counter(map(_CUE_OF.get, words))


def _repeated(labels: Sequence[str | None], turns: int) -> frozenset[str | None]:
    """Labels that occur often enough, if there are two of them at least: nobody holds a dialogue alone."""
    counts = Counter(label for label in labels if label)
    found = frozenset(label for label, number in counts.items() if number >= turns)
    return found if len(found) >= 2 else frozenset()


def _speaker(block: str) -> str | None:
    match = _SPEAKER.match(block)
    # A label needs words after it: a heading such as "Part One." is none.
    if match is None or match[1] in _NO_SPEAKERS or not block[match.end() :].strip():
        return None
    return match[1].upper()


def _speaker_alone(block: str) -> str | None:
    """The name in a block that is nothing but a name and a stop."""
    match = _SPEAKER_ALONE.fullmatch(block) if len(block) < _SHORT_PARAGRAPH // 2 else None
    return match[1].upper() if match is not None and match[1] not in _NO_SPEAKERS else None


def _form_without_speakers(block: str) -> Form:
    if "\n" not in block and len(block) > _SHORT_PARAGRAPH:
        return "prose"
    lines = [line.strip() for line in block.split("\n") if line.strip()]
    if len(lines) == 1:
        is_short = len(lines[0].split()) < _HEADING_WORDS
        is_entry = bool(_PAGE_REFERENCE.search(lines[0])) or not _ENDS_SENTENCE.search(lines[0])
        return "list" if is_short and is_entry else "prose"
    width = sum(map(len, lines[:-1])) / (len(lines) - 1)
    if width >= _LONG_LINE_CHARACTERS:
        is_verse = len(lines) >= _LONG_VERSE_LINES and _capitals(lines) >= _LONG_VERSE_CAPITALS
        return "verse" if is_verse else "prose"
    entries = sum(bool(_PAGE_REFERENCE.search(line)) or not any(map(str.isalpha, line)) for line in lines)
    if entries > len(lines) / 3:
        return "list"
    if _capitals(lines) >= _VERSE_CAPITALS:
        return "verse"
    # Some books were wrapped narrowly.
    return "prose" if width >= _MIN_WRAPPED_CHARACTERS else "list"


def _capitals(lines: Sequence[str]) -> float:
    """Share of lines that begin with a capital."""
    return sum(line.lstrip("\"'“‘([_—").replace(" ", "")[:1].isupper() for line in lines) / len(lines)


def _passages(prose: Iterable[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """Runs of whole paragraphs (each with its words) of at least ``PASSAGE_WORDS``; a short rest joins nothing."""
    collected: list[str] = []
    words = 0
    yielded = False
    for paragraph_words, paragraph in prose:
        collected.append(paragraph)
        words += paragraph_words
        if words >= PASSAGE_WORDS:
            yield words, "\n\n".join(collected)
            collected, words, yielded = [], 0, True
    if words >= _MIN_LAST_PASSAGE_WORDS or (words and not yielded):
        yield words, "\n\n".join(collected)
