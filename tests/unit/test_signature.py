"""A signature is a command line: what a function takes is what its parser reads, and explains."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest

from mamba_narrative.config.splits import SplitsSettings
from mamba_narrative.io import recorded_outputs
from mamba_narrative.signature import add_parameters, call


def even(text: str) -> int:
    if int(text) % 2:
        raise ArgumentTypeError(f"{text} is odd")
    return int(text)


def parser_of(function: Callable[..., object]) -> ArgumentParser:
    parser = ArgumentParser(prog="do")
    add_parameters(parser, function)
    return parser


def read(function: Callable[..., Any], words: str) -> Any:
    return call(function, parser_of(function).parse_args(words.split()))


def flag(books_folder: Path) -> object:
    return books_folder


def optional(name: str | None = None) -> object:
    return name


def number(share: float = 0.5) -> object:
    return share


def in_place(book: str, folders: Sequence[Path], /, *, count: int) -> object:
    return book, folders, count


def rest(*command: str, count: int = 1) -> object:
    return command, count


def switch(brief: bool = False) -> object:
    return brief


def two_way_switch(colour: bool | None = None) -> object:
    return colour


def choice(device: Literal["cpu", "cuda"] = "cpu") -> object:
    return device


def values(runs: Sequence[str]) -> object:
    return runs


def values_or_none(runs: Sequence[int] | None = None) -> object:
    return runs


def values_or_empty(runs: Sequence[str] = ()) -> object:
    return runs


def settings(settings: SplitsSettings = SplitsSettings(seed=7)) -> object:  # noqa: B008
    return settings.seed


def read_by(count: Annotated[int, even, "how many"]) -> object:
    return count


def chosen_from(figure: Annotated[str, ["curve", "bars"], "which"]) -> object:
    return figure


@recorded_outputs()
def decorated(count: int) -> object:
    return count


@pytest.mark.parametrize(
    ("function", "words", "value"),
    [
        (flag, "--books-folder a/b", Path("a/b")),
        (optional, "", None),
        (optional, "--name x", "x"),
        (number, "", 0.5),
        (number, "--share 1", 1.0),
        (in_place, "x a b --count 3", ("x", [Path("a"), Path("b")], 3)),
        (rest, "--count 2 python --version", (("python", "--version"), 2)),
        (switch, "", False),
        (switch, "--brief", True),
        (two_way_switch, "", None),
        (two_way_switch, "--colour", True),
        (two_way_switch, "--no-colour", False),
        (choice, "--device cuda", "cuda"),
        (values, "--runs a b", ["a", "b"]),
        (values_or_none, "", None),
        (values_or_none, "--runs 1 2", [1, 2]),
        (values_or_empty, "", ()),
        (values_or_empty, "--runs", []),
        (settings, "", 7),
        (settings, "--settings {}", SplitsSettings().seed),
        (read_by, "--count 4", 4),
        (chosen_from, "--figure bars", "bars"),
        (decorated, "--count 4", 4),
    ],
)
def test_parameters_are_read_by_their_types(function: Callable[..., object], words: str, value: object) -> None:
    assert read(function, words) == value


@pytest.mark.parametrize(
    ("function", "words", "message"),
    [
        (flag, "", "required: --books-folder"),
        (in_place, "x --count 3", "required: folders"),
        (number, "--share much", "invalid float value: 'much'"),
        (choice, "--device tpu", "invalid choice: 'tpu'"),
        (values, "", "required: --runs"),
        (values, "--runs", "expected at least one argument"),
        (values_or_none, "--runs", "expected at least one argument"),
        (settings, '--settings {"sede":7}', "sede: unknown key"),
        (read_by, "--count 3", "3 is odd"),
        (chosen_from, "--figure pie", "invalid choice: 'pie'"),
    ],
)
def test_other_words_are_refused(
    function: Callable[..., object], words: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        read(function, words)
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


def explained(
    count: Annotated[int, "how many"],
    share: Annotated[float, "part of it"] = 0.5,
    name: Annotated[str | None, "what to call it"] = None,
    brief: Annotated[bool, "shorten it"] = False,
    section: Annotated[SplitsSettings, "section `splits`"] = SplitsSettings(),  # noqa: B008
    other: Annotated[SplitsSettings | None, "another"] = None,
) -> None:
    pass


def test_help_is_what_is_annotated_and_the_default() -> None:
    shown = " ".join(parser_of(explained).format_help().split())
    for text in (
        "--count COUNT how many --share",
        "--share SHARE part of it (default: 0.5)",
        "--name NAME what to call it --brief",
        "--brief shorten it --section",
        "--section SECTION section `splits` as JSON or a file (default: its defaults)",
    ):
        assert text in shown
    assert shown.endswith("--other OTHER another as JSON or a file")
