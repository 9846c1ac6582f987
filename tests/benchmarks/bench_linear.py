"""Time against size for every regular expression and every text function of the library: is each of them linear?

python tests/benchmarks/bench_linear.py [--parts patterns functions books] [--only WORD]

Patterns are found in the modules themselves, with the methods that the source calls on them; those that stand in a
call (``re.sub("...", ...)``) are read from the syntax tree. From each pattern's own parse tree come the inputs that
could make it slow: what it matches up to some point, then much of one of its repeats, characters or words, then
something that it cannot match. The slowest of some thousand short inputs is measured at three sizes.

Functions and whole books (decoding to selection) meet runs, alternations and near-matches of what rules look for.
A row fails if twice the size takes more than 2.3 times the time. Times are of the processor, the best of three.
"""

from __future__ import annotations

import argparse
import ast
import gc
import importlib
import inspect
import itertools
import pkgutil
import random
import re
import sys
import time
import typing
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from re import _constants as constants  # pyright: ignore[reportAttributeAccessIssue]
from re import _parser as parser  # pyright: ignore[reportAttributeAccessIssue]
from types import ModuleType
from typing import Any, Literal

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPOSITORY / "scripts"), str(REPOSITORY / "tests")]

import mamba_narrative  # noqa: E402

MAX_RATIO = 2.3
_PACKAGES = ("corpus", "tokens", "evaluation", "reporting", "acquisition", "config")
_SCANNING = frozenset(["finditer", "findall", "sub", "subn", "split"])
_METHODS = frozenset(["match", "fullmatch", "search", *_SCANNING])
_FLOOR = 1e-3
"""Seconds: a short input that takes less is not looked at further."""
_LONG = 8.0
"""Seconds: what is not linear here is not linear."""
_SHORT = 2_000
_SAMPLED = 150
"""Of the inputs that are no runs."""
_MAX_REPEAT = 20
"""Repeats of fewer are no matter of the size."""


@dataclass(frozen=True)
class Found:
    """A regular expression, where it stands, and how it is called: ``match``, ``fullmatch``, ``search``, ``scan``."""

    name: str
    pattern: re.Pattern[Any]
    methods: frozenset[str]


def modules() -> list[ModuleType]:
    """The modules of the library that handle text."""
    found = []
    for package in _PACKAGES:
        folder = REPOSITORY / "scripts" / "mamba_narrative" / package
        for info in pkgutil.walk_packages([str(folder)], f"{mamba_narrative.__name__}.{package}."):
            found.append(importlib.import_module(info.name))
    return found


def find_patterns(sources: Iterable[ModuleType]) -> list[Found]:
    """Every regular expression of the modules."""
    names: dict[int, tuple[str, re.Pattern[Any]]] = {}
    methods: dict[int, set[str]] = defaultdict(set)
    inline: list[Found] = []
    for module in sources:
        short = module.__name__.removeprefix("mamba_narrative.")
        here = {}
        for name, value in vars(module).items():
            for label, pattern in _patterns_in(name, value):
                here[id(pattern)] = names.setdefault(id(pattern), (f"{short}.{label}", pattern))
        tree = ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))
        unresolved: set[str] = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and node.attr in _METHODS:
                if isinstance(node.value, ast.Name) and node.value.id != "re":
                    target = vars(module).get(node.value.id)
                    if isinstance(target, re.Pattern):
                        methods[id(target)].add(node.attr)
                        continue
                if not (isinstance(node.value, ast.Name) and node.value.id == "re") and node.attr != "split":
                    unresolved.add(node.attr)
            inline += _inline(short, node)
        for key in here:
            # Called by another name: in a loop, from a dictionary, as an argument.
            if not methods[key]:
                methods[key] |= {f"?{method}" for method in unresolved}
    found = []
    for key, (name, pattern) in names.items():
        sure = {method for method in methods[key] if not method.startswith("?")}
        used = sure or {method.removeprefix("?") for method in methods[key]} or {"search"}
        found.append(Found(name, pattern, frozenset("scan" if m in _SCANNING else m for m in used)))
    return found + inline


def _patterns_in(name: str, value: object) -> Iterator[tuple[str, re.Pattern[Any]]]:
    if isinstance(value, re.Pattern):
        yield name, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _patterns_in(f"{name}[{key}]", inner)
    elif isinstance(value, tuple | list):
        for place, inner in enumerate(value):
            yield from _patterns_in(f"{name}[{place}]", inner)


def _inline(module: str, node: ast.AST) -> Iterator[Found]:
    """Calls such as ``re.sub("...", ...)`` whose pattern is a literal."""
    if (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in _METHODS
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "re"
        and node.args
        and isinstance(node.args[0], ast.Constant)
        and isinstance(node.args[0].value, str | bytes)
    ):
        method = "scan" if node.func.attr in _SCANNING else node.func.attr
        yield Found(f"{module}:{node.lineno}", re.compile(node.args[0].value), frozenset([method]))


class Samples:
    """Strings from the parse tree of a pattern."""

    def __init__(self, pattern: re.Pattern[Any], seed: int = 0) -> None:
        self._chance = random.Random(seed)
        source = pattern.pattern
        text = source.decode("latin-1") if isinstance(source, bytes) else source
        self.tree = parser.parse(text, pattern.flags & ~re.UNICODE if isinstance(source, bytes) else pattern.flags)
        self.words = sorted(set(re.findall(r"[^\W\d_]{2,}", re.sub(r"\\.|\(\?[a-zP][^)>:]*", " ", text))))

    def of(self, tree: Iterable[tuple[Any, Any]], extra: int = 1) -> str:
        """A string that ``tree`` matches, its look-arounds and back-references aside."""
        return "".join(self._one(kind, value, extra) for kind, value in tree)

    def _one(self, kind: Any, value: Any, extra: int) -> str:
        match kind:
            case constants.LITERAL:
                return chr(value)
            case constants.NOT_LITERAL:
                return "a" if value != ord("a") else "b"
            case constants.ANY:
                return self._chance.choice("a .")
            case constants.IN:
                return self._chance.choice(characters(value))
            case constants.CATEGORY:
                return self._chance.choice(_CATEGORIES[value])
            case constants.BRANCH:
                return self.of(self._chance.choice(value[1]), extra)
            case constants.SUBPATTERN:
                return self.of(value[3], extra)
            case constants.ATOMIC_GROUP:
                return self.of(value, extra)
            case constants.MAX_REPEAT | constants.MIN_REPEAT | constants.POSSESSIVE_REPEAT:
                least, most, body = value
                number = min(int(most), least + self._chance.randint(0, extra))
                return "".join(self.of(body, extra) for _ in range(number))
            case _:
                return ""

    def repeats(self) -> Iterator[Any]:
        """Bodies of the repeats that may go on for long."""
        yield from self._repeats(self.tree)

    def _repeats(self, tree: Iterable[tuple[Any, Any]]) -> Iterator[Any]:
        for kind, value in tree:
            match kind:
                case constants.BRANCH:
                    for branch in value[1]:
                        yield from self._repeats(branch)
                case constants.SUBPATTERN:
                    yield from self._repeats(value[3])
                case constants.ATOMIC_GROUP:
                    yield from self._repeats(value)
                case constants.ASSERT | constants.ASSERT_NOT:
                    yield from self._repeats(value[1])
                case constants.MAX_REPEAT | constants.MIN_REPEAT | constants.POSSESSIVE_REPEAT:
                    if value[1] > _MAX_REPEAT:
                        yield value[2]
                    yield from self._repeats(value[2])

    def prefixes(self) -> list[str]:
        """What the pattern matches up to some point."""
        items = list(self.tree)
        while len(items) == 1 and items[0][0] is constants.SUBPATTERN:
            items = list(items[0][1][3])
        starts = [self.of(items[:number]) for number in range(len(items) + 1) for _ in range(3)]
        for kind, value in items:
            if kind is constants.BRANCH:
                starts += [self.of(branch) for branch in value[1]]
        return list(dict.fromkeys(["", *starts]))[:40]

    def alphabet(self) -> list[str]:
        """Characters that the pattern names, and one of each common kind."""
        named = {chr(value) for value in _literals(self.tree)}
        return sorted(named)[:40] + [one for one in _COMMON if one not in named]


_CATEGORIES = {
    constants.CATEGORY_DIGIT: "07",
    constants.CATEGORY_NOT_DIGIT: "a .",
    constants.CATEGORY_SPACE: " \n\t",
    constants.CATEGORY_NOT_SPACE: "aA1.",
    constants.CATEGORY_WORD: "aZ0_",
    constants.CATEGORY_NOT_WORD: " .-*\n",
}
_COMMON = "aA0_i \n\t.,-*'\"[](){}!:#\u2014\u2019\u0301"


def characters(items: Sequence[tuple[Any, Any]]) -> str:
    """Some characters of a set."""
    if items and items[0][0] is constants.NEGATE:
        shut = {chr(value) for kind, value in items if kind is constants.LITERAL}
        categories = "".join(_CATEGORIES[value] for kind, value in items if kind is constants.CATEGORY)
        return "".join(one for one in "aA1 ._*-\n\u00e9" if one not in shut and one not in categories) or "\u4e00"
    found = ""
    for kind, value in items:
        if kind is constants.LITERAL:
            found += chr(value)
        elif kind is constants.RANGE:
            found += chr(value[0]) + chr(value[1])
        elif kind is constants.CATEGORY:
            found += _CATEGORIES[value]
    return found or "a"


def _literals(tree: Any) -> Iterator[int]:
    if isinstance(tree, tuple) and len(tree) == 2 and tree[0] is constants.LITERAL:
        yield tree[1]
    elif isinstance(tree, tuple) and len(tree) == 2 and tree[0] is constants.RANGE:
        yield tree[1][0]
    elif isinstance(tree, tuple | list | parser.SubPattern):
        for inner in tree:
            yield from _literals(inner)


Input = tuple[str, str, str]
"""What stands once in front, what is repeated, what stands once behind."""


def inputs_for(pattern: re.Pattern[Any]) -> Iterator[Input]:
    """Inputs that could make a pattern slow."""
    samples = Samples(pattern)
    alphabet = samples.alphabet()
    pumps = [samples.of(body, extra) for body in samples.repeats() for extra in (0, 1, 2)]
    pumps += [word + " " for word in samples.words[:60]] + samples.words[:60]
    pumps += [samples.of(samples.tree) for _ in range(6)] + [samples.of(samples.tree) + "\n" for _ in range(3)]
    pumps = [pump for pump in dict.fromkeys([*alphabet, *pumps]) if pump]
    behind = ["", "\x00", samples.of(samples.tree)]
    for before in samples.prefixes():
        for pump in pumps:
            for after in behind:
                yield before, pump, after
    for one, other in itertools.permutations(alphabet, 2):
        yield "", one + other, "\x00"
        yield "", one + other, ""


def sized(text: Input, size: int) -> str:
    """The input with about ``size`` characters."""
    before, pump, after = text
    return before + pump * max(1, (size - len(before) - len(after)) // len(pump)) + after


def call_of(pattern: re.Pattern[Any], method: str) -> Callable[[str], object]:
    """How the pattern is used, on text."""
    if method == "scan":
        use: Callable[[Any], object] = lambda text: sum(1 for _ in pattern.finditer(text))  # noqa: E731
    else:
        use = getattr(pattern, method)
    if isinstance(pattern.pattern, bytes):
        return lambda text: use(text.encode("latin-1", "replace"))
    return use


def seconds(call: Callable[[str], object], text: str, repeats: int = 1) -> float:
    """Seconds of the processor, the best of ``repeats``."""
    best = float("inf")
    for _ in range(repeats):
        started = time.process_time()
        own = call(text)
        best = min(best, own if isinstance(own, Seconds) else time.process_time() - started)
    return best


@dataclass(frozen=True)
class Row:
    """Three sizes and their times."""

    name: str
    shown: str
    sizes: tuple[int, ...]
    times: tuple[float, ...]

    @property
    def ratio(self) -> float:
        """How many times longer the last doubling took."""
        return self.times[-1] / max(self.times[-2], 1e-9)

    @property
    def is_linear(self) -> bool:
        """Whether the last doubling took no more than it may; what is too short to be measured is taken for linear."""
        return self.times[-1] < _FLOOR or self.ratio <= MAX_RATIO

    def __str__(self) -> str:
        times = " ".join(f"{1e3 * one:9.2f}" for one in self.times)
        verdict = "" if self.is_linear else "  NOT LINEAR"
        each = 1e9 * self.times[-1] / self.sizes[-1]
        return f"{self.name:60} {self.sizes[0]:>9} {times} {self.ratio:6.2f} {each:8.0f}{verdict}  {self.shown}"


def measured(name: str, call: Callable[[str], object], text: Input, size: int) -> Row:
    """The row of one input from ``size`` characters on."""
    while True:
        sizes = (size, 2 * size, 4 * size)
        times = tuple(seconds(call, sized(text, one), 3) for one in sizes)
        row = Row(name, " + ".join(repr(part[:30]) for part in text), sizes, times)
        # Another process or the end of some limit may have disturbed it: what is not linear is so at any size.
        if row.is_linear or row.times[-1] > _LONG:
            return row
        size *= 2


def slowest(name: str, call: Callable[[str], object], texts: Iterable[Input], size: int = _SHORT) -> Row:
    """The row of the first input that is not linear, else of the one that took longest."""
    worst, worst_time = ("", "a", ""), 0.0
    for text in texts:
        # From a small size on: the cube of a large one would take hours.
        taken, length = seconds(call, sized(text, size // 8)), size // 8
        while length < 4 * size and (length < size or taken > _FLOOR):
            before, taken = taken, seconds(call, sized(text, 2 * length))
            length *= 2
            if taken > _FLOOR and taken > MAX_RATIO * before:
                row = measured(name, call, text, length)
                if not row.is_linear:
                    return row
        if taken / length > worst_time:
            worst, worst_time = text, taken / length
    return measured(name, call, worst, 4 * size)


def check_patterns(only: str) -> Iterator[Row]:
    """A row for every pattern and method."""
    for found in find_patterns(modules()):
        for method in sorted(found.methods):
            name = f"{found.name} {method}"
            if only in name:
                yield slowest(name, call_of(found.pattern, method), inputs_for(found.pattern))


# Lines that rules look for, or nearly.
_LINES = """\
*** START OF THIS PROJECT GUTENBERG EBOOK A TALE ***
*** END OF THE PROJECT GUTENBERG EBOOK A TALE ***
*END*THE SMALL PRINT! FOR PUBLIC DOMAIN ETEXTS*Ver.04.29.93*END*
***START**THE SMALL PRINT!**
End of Project Gutenberg's A Tale
*** START: FULL LICENSE ***
Title: A Tale
  of two words
Author: A. B. Smith
CHAPTER I
CHAPTER II. The Lamp
I
IV.
1
12
PART THE FIRST
CONTENTS
The Lamp ..... 12
The Lamp
LIST OF ILLUSTRATIONS
PREFACE
PREFACE BY THE EDITOR
INTRODUCTION TO THE SECOND EDITION
TO MY FRIEND
DEDICATION
THE END
INDEX
APPENDIX
GLOSSARY
NOTES
Footnotes
Transcriber's Note:
Spelling was retained; typos were corrected.
Produced by A. B. at pgdp.net
By the same author
12mo, cloth, $1.50 net
London: Printed by Smith & Sons
Copyright, 1901, by A. Smith
[Illustration: A dog
[Illustration]
[
]
[Footnote 1: A note.]
[1] A note.
* A note.
A word,[1] and another*
[Transcriber's note: [sic]]
[Sidenote: A dog
[Pg 12]
{12}
(1)
con-
gregation
the con-
_a_ =b= *c*
* * *
. . .
-----
#
"Yes," said he.
He went to the town of Ware.
Smith, A., 12, 14
See Smith
HAMLET. To be, or not to be.
HAMLET.
In the year 1815 there were 12,000 men.
and then he went
A
&mdash;<i>a</i>
\u00c3\u00a9\u00e2\u0080\u0099
e\u0301\u0316\u0301
    indented
Mr. St. A. Dr.
...?!
'' \u2019\u2019 ''
___
Part One of them, that is
My own book, the present author wishes
""".splitlines()
_BETWEEN = ("", " ", "\n", "\n\n")


def all_texts() -> Iterator[Input]:
    """Runs of each character and line, and two lines by turns."""
    for unit in [*_COMMON, *_LINES]:
        for between in _BETWEEN:
            yield "", unit + between, ""
    for one, other in itertools.permutations(_LINES, 2):
        yield "", f"{one}\n\n{other}\n\n", ""
    for one, other in itertools.combinations(_LINES, 2):
        yield "", f"{one}\n{other}\n", ""
    for head in _LINES:
        for unit in (*_COMMON, "A\n\n", "a b c\n", "The Lamp\n\n", "12\n"):
            yield f"{head}\n\n", unit, ""
            yield f"{head} ", unit, "\nA\n\nThe end of it."


@dataclass(frozen=True)
class TextFunction:
    """A function and how its arguments are made from a text."""

    name: str
    call: Callable[[str], object]


def _settings(kind: type[Any]) -> Callable[[str], Any]:
    return lambda _: kind()


def builders() -> dict[Any, Callable[[str], Any]]:
    """How an argument of each type is made from a text."""
    from mamba_narrative.config.selection import SelectionSettings
    from mamba_narrative.config.stripping import StrippingSettings
    from mamba_narrative.corpus.formats.chapter_table import Heading
    from mamba_narrative.corpus.raw.catalogue import CatalogueEntry
    from mamba_narrative.corpus.raw.header import Header
    from mamba_narrative.corpus.strip.back_matter import BackSwitches
    from mamba_narrative.corpus.strip.boilerplate import Marker, find_markers
    from mamba_narrative.corpus.strip.chapters import Chapter, find_chapters
    from mamba_narrative.corpus.strip.front_pages import FrontSwitches
    from mamba_narrative.corpus.strip.paragraphs import Block, split_blocks
    from mamba_narrative.corpus.strip.spans import Span
    from mamba_narrative.evaluation.book_texts import BookText
    from mamba_narrative.tokens.tokenizer import Tokenizer, load_tokenizer

    gpt2 = load_tokenizer("gpt2")

    def block(text: str) -> Block:
        lines = tuple(line for line in text.split("\n") if line.strip()) or ("a",)
        return Block(0, sum(map(len, lines)) + len(lines) - 1, lines)

    return {
        str: lambda text: text,
        str | None: lambda text: text,
        bytes: lambda text: text.encode("utf-8"),
        Block: block,
        Sequence[Block]: lambda text: list(split_blocks(text)) or [block(text)],
        Sequence[str]: lambda text: [line for line in text.split("\n") if line.strip()] or ["a"],
        Iterable[str]: lambda text: text.split("\n"),
        Sequence[int]: lambda text: list(map(ord, text)),
        Iterable[int]: lambda text: [chapter.offset for chapter in find_chapters(text)],
        tuple[int, int]: lambda text: (0, len(text)),
        Mapping[str, Any]: lambda text: {"book_id": "1", "header": {"title": text, "author": text, "language": text}},
        Set[tuple[str, str]]: lambda text: set(itertools.pairwise(text.split())),
        Literal["NFC", "NFD", "NFKC", "NFKD"]: lambda _: "NFKC",
        Literal["NFD", "NFKD"]: lambda _: "NFKD",
        Sequence[Marker]: find_markers,
        Iterable[Marker]: find_markers,
        Iterable[Span]: lambda text: [Span(i, i + 3, "index") for i in range(0, len(text), 5)],
        Sequence[Span]: lambda text: [Span(i, i + 3, "index") for i in range(0, len(text), 5)],
        Iterable[Chapter]: find_chapters,
        Sequence[Heading]: lambda text: [Heading(c.offset + 1, c.heading) for c in find_chapters(text)],
        Header: lambda text: Header(text, text, "English"),
        CatalogueEntry: lambda text: CatalogueEntry(text, ("en",), text, subjects=(text,), bookshelves=(text,)),
        CatalogueEntry | None: lambda text: None,
        BookText: lambda text: BookText("1", text),
        Tokenizer: lambda _: gpt2,
        StrippingSettings: _settings(StrippingSettings),
        SelectionSettings: _settings(SelectionSettings),
        BackSwitches: lambda _: BackSwitches(*[True] * 6),
        FrontSwitches: lambda _: FrontSwitches(*[True] * 3),
        frozenset[str]: lambda text: frozenset(line.lower() for line in text.split("\n")),
        set[str]: lambda _: set(),
        list[str]: lambda _: [],
        bool: lambda _: True,
    }


_NUMBERS: dict[str, Callable[[int], float]] = {
    "start": lambda _: 0,
    "opening": lambda _: 0,
    "number": lambda _: 0,
    "back": lambda _: 0,
    "end": lambda size: size,
    "close": lambda size: size,
    "length": lambda size: size,
    "place": lambda size: size // 2,
    "max_cut_fraction": lambda _: 0.4,
    "run_words": lambda _: 8,
    "shingle_words": lambda _: 8,
    "n": lambda _: 3,
    "least": lambda _: 2,
    "width": lambda _: 72,
    "sentences": lambda _: 5,
    "units": lambda _: 5,
    "count": lambda _: 10,
    "max_tokens": lambda _: 1_000,
    "seed": lambda _: 0,
    "level": lambda _: 3,
}


def find_functions() -> tuple[list[TextFunction], list[str]]:
    """The functions of the library that take text, and the names of those whose arguments are not known here."""
    known = builders()
    found: list[TextFunction] = []
    unknown: list[str] = []
    for module in modules():
        short = module.__name__.removeprefix("mamba_narrative.")
        for name, function in vars(module).items():
            if (
                not inspect.isfunction(function)
                or function.__module__ != module.__name__
                or _is_no_text_code(short, name)
            ):
                continue
            try:
                hints = typing.get_type_hints(function)
            except (NameError, AttributeError):
                continue
            parameters = [p for p in inspect.signature(function).parameters.values() if p.default is p.empty]
            kinds = [hints.get(parameter.name) for parameter in parameters]
            if not any(kind in known and kind not in (bool, list[str], set[str]) for kind in kinds):
                continue
            if all(
                k in known or (k in (int, float) and p.name in _NUMBERS) for p, k in zip(parameters, kinds, strict=True)
            ):
                found.append(TextFunction(f"{short}.{name}", _caller(function, parameters, kinds, known)))
            else:
                unknown.append(f"{short}.{name}")
    return found, unknown


def _is_no_text_code(module: str, name: str) -> bool:
    """Whether a function reads or writes files, or belongs to what writes pages about numbers."""
    return (
        module.split(".")[0] not in ("corpus", "tokens", "evaluation") or module in _ABOUT_FILES or name in _ABOUT_FILES
    )


_ABOUT_FILES = (
    "corpus.inventory",
    "corpus.reading",
    "corpus.splits",
    "tokens.staging",
    "tokens.writer",
    "evaluation.published",
    "evaluation.compressor",
    "load_tokenizer",
)


def _caller(
    function: Callable[..., Any],
    parameters: Sequence[inspect.Parameter],
    kinds: Sequence[Any],
    known: Mapping[Any, Any],
) -> Callable[[str], object]:
    def call(text: str) -> object:
        made = {p.name: known[k](text) for p, k in zip(parameters, kinds, strict=True) if k in known}
        size = max((len(value) for value in made.values() if isinstance(value, list)), default=len(text))
        made |= {p.name: _NUMBERS[p.name](size) for p, k in zip(parameters, kinds, strict=True) if k not in known}
        started = time.process_time()
        try:
            result = function(**made)
            if isinstance(result, Iterator):
                for _ in result:
                    pass
        except Exception:
            # Some arguments are none that the function meets, such as a name of an encoding.
            pass
        # The time to make the arguments is not that of the function.
        return Seconds(time.process_time() - started)

    return call


class Seconds(float):
    """What a call took by its own measure."""


def check_functions(only: str) -> Iterator[Row]:
    """A row for every function, and for the tokenizer."""
    from mamba_narrative.tokens.tokenizer import Gpt2Tokenizer, load_tokenizer

    gpt2 = load_tokenizer("gpt2")
    encoders = [TextFunction("tokens.tokenizer.encode_array", gpt2.encode_array)]
    if isinstance(gpt2, Gpt2Tokenizer):
        encoders.append(TextFunction("tokens.tokenizer.encode_with_tiktoken", gpt2.encode_with_tiktoken))
    for function in [*find_functions()[0], *encoders]:
        if only in function.name:
            yield slowest(function.name, function.call, chosen_texts(), 1_000)


def chosen_texts() -> Iterator[Input]:
    """All runs and a sample of the others."""
    everything = list(all_texts())
    runs = len(_BETWEEN) * (len(_COMMON) + len(_LINES))
    yield from everything[:runs]
    yield from random.Random(0).sample(everything[runs:], _SAMPLED)


_HEAD = (
    "The Project Gutenberg EBook of A Tale, by Ann Smith\n\nTitle: A Tale\nAuthor: Ann Smith\nLanguage: English\n\n"
    "*** START OF THIS PROJECT GUTENBERG EBOOK A TALE ***\n\n"
)
_PROSE = "It was a cold evening when she came to the door and knocked,\nand nobody in the house answered.\n\n"


def read_book(text: str) -> object:
    """A raw book through everything that reads its text."""
    from mamba_narrative.config.selection import SelectionSettings
    from mamba_narrative.config.stripping import StrippingSettings
    from mamba_narrative.corpus.overlap.shingles import shingle_hashes
    from mamba_narrative.corpus.select.selection import select_book
    from mamba_narrative.corpus.strip.stripping import strip_book
    from mamba_narrative.evaluation.book_texts import BookText, prose_runs
    from mamba_narrative.evaluation.names import mentions
    from mamba_narrative.evaluation.text_statistics import count_quoted_characters, count_sentence_ends

    book = strip_book(text.encode("utf-8"), StrippingSettings())
    offsets = [chapter.offset for chapter in book.chapters]
    select_book({"book_id": "1"}, book.text, None, SelectionSettings(), offsets)
    shingle_hashes(book.text, 8)
    mentions(book.text, 3)
    count_sentence_ends(book.text)
    count_quoted_characters("", book.text)
    return prose_runs(BookText("1", book.text).text)


PLACES: dict[str, tuple[str, str]] = {
    "whole file": ("", ""),
    "front": (_HEAD, _PROSE * 300),
    "book": (_HEAD + _PROSE * 20, _PROSE * 20),
    "back": (_HEAD + _PROSE * 300, "\n\n*** END OF THIS PROJECT GUTENBERG EBOOK A TALE ***\n"),
}


def check_books(only: str) -> Iterator[Row]:
    """A row for every place in a book."""
    read_book(_HEAD + _PROSE)
    for name, (before, after) in PLACES.items():
        if only in f"book: {name}":
            texts = ((before + text[0], text[1], text[2] + after) for text in chosen_texts())
            yield slowest(f"book: {name}", read_book, texts, 4_000)


CHECKS = {"patterns": check_patterns, "functions": check_functions, "books": check_books}


def main() -> None:
    gc.freeze()
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--parts", nargs="+", choices=CHECKS, default=list(CHECKS))
    arguments.add_argument("--only", default="", help="only rows whose name holds this word")
    chosen = arguments.parse_args()
    rows = failed = 0
    print(f"{'':60} {'size':>9} {'ms':>9} {'twice':>9} {'4 times':>9} {'ratio':>6} {'ns a chr':>8}  slowest input")
    for part in chosen.parts:
        for row in CHECKS[part](chosen.only):
            print(row, flush=True)
            rows, failed = rows + 1, failed + (not row.is_linear)
    print(f"{rows} rows, {failed} not linear")
    if "functions" in chosen.parts:
        print(f"not tried, for their arguments are no text: {', '.join(find_functions()[1])}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
