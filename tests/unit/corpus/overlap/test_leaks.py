"""What held-out books share with training books, counted in runs of 13 words."""

from __future__ import annotations

import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mamba_narrative.config.splits import SplitsSettings
from mamba_narrative.corpus.formats.selection_table import write_selection
from mamba_narrative.corpus.formats.split_table import SPLITS, write_split
from mamba_narrative.corpus.overlap.leaks import LEAK_COLUMNS, RUN_WORDS, Leak, check_leaks, find_leaks, write_leaks
from mamba_narrative.errors import UserError
from mamba_narrative.io import read_json, read_table
from unit.corpus.stripped_shard import write_stripped

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def prose(seed: int, words: int) -> str:
    chance = random.Random(seed)
    return " ".join("".join(chance.choices(LETTERS, k=7)) for _ in range(words))


def brute_force(held_out: str, training: list[str]) -> float:
    def runs(text):
        words = re.findall(r"\w+", text.lower())
        return [tuple(words[start : start + RUN_WORDS]) for start in range(len(words) - RUN_WORDS + 1)]

    known = {run for text in training for run in runs(text)}
    own = runs(held_out)
    return sum(run in known for run in own) / max(len(own), 1)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text("ab", min_size=1, max_size=2), max_size=60), st.lists(st.text("ab ", max_size=80), max_size=3))
def test_rates_are_those_of_a_brute_force_count(words, training):
    held_out = " ".join(words)
    numbered = [(str(number), text) for number, text in enumerate(training)]
    (leak,), fraction = find_leaks([("x", held_out)], iter(numbered))
    assert leak.rate == pytest.approx(brute_force(held_out, training))
    assert fraction == 1


def test_the_source_and_the_longest_stretch_are_named():
    stolen = prose(1, 60)
    held_out = f"{prose(2, 500)} {stolen} {prose(3, 440)}"
    training = [("7", prose(4, 900)), ("8", f"{prose(5, 100)} {stolen} {prose(6, 10)}"), ("9", stolen[:200])]
    (leak,), _ = find_leaks([("1", held_out)], iter(training))
    assert (leak.runs, leak.shared) == (1_000 - RUN_WORDS + 1, 60 - RUN_WORDS + 1)
    assert (leak.largest_source, leak.largest_source_shared) == ("8", leak.shared)
    assert (leak.longest_start, leak.longest_words) == (500, 60)


def test_with_more_runs_than_fit_a_fixed_part_is_compared_and_the_rate_is_an_estimate():
    stolen = prose(1, 10_000)
    held_out = [("1", stolen + " " + prose(2, 10_000)), ("2", prose(3, 20_000))]
    (half, none), fraction = find_leaks(held_out, iter([("9", stolen)]), max_runs=4_000)
    assert fraction == pytest.approx(0.1, rel=0.01)
    assert half.runs == pytest.approx(2_000, rel=0.1)
    assert half.rate == pytest.approx(0.5, abs=0.05)
    assert none.shared == 0


def test_too_much_shared_text_is_an_error_that_says_what_to_do():
    leaks = [Leak("5", 1_000, 30, "77", 29), Leak("6", 1_000, 3, "77", 3)]
    check_leaks(leaks, SplitsSettings(max_shared_13gram_rate=0.03))
    with pytest.raises(
        UserError, match=r"1 held-out books .*: 5 shares 3\.00% .* most with 77\. Lower duplicates\."
    ) as error:
        check_leaks(leaks, SplitsSettings())
    assert "6 shares" not in str(error.value)


def corpus(folder, held_out):
    texts = {"1": prose(1, 900), "2": held_out, "3": prose(3, 900)}
    write_stripped(folder / "000", texts)
    rows = [
        {"book_id": book_id, "decision": "keep", "title": f"T{book_id}", "words": 1, "characters": 1}
        for book_id in texts
    ]
    write_selection(folder / "000.tsv", (), rows)
    manifests = {split: folder / f"{split}.tsv" for split in SPLITS}
    for (_, path), book_id in zip(manifests.items(), texts, strict=True):
        write_split(path, [{"book_id": book_id, "shard": "000"}])
    return manifests


def test_the_table_names_each_held_out_book_with_an_example(tmp_path):
    stolen = " ".join(prose(1, 900).split()[100:114])
    manifests = corpus(tmp_path, f"It was late. {prose(2, 900)} {stolen}, and so on.")
    write_leaks(
        manifests, tmp_path, tmp_path, ["000"], SplitsSettings(), tmp_path / "leaks.tsv", tmp_path / "leaks.json"
    )
    first, second = read_table(tmp_path / "leaks.tsv", LEAK_COLUMNS)
    assert (first["book_id"], first["split"], first["title"], first["shared"]) == ("2", "validation", "T2", "2")
    assert (first["largest_source"], first["example_words"]) == ("1", "14")
    text = (tmp_path / "000" / "2.txt").read_text()
    assert text[int(first["example_offset"]) :].startswith(first["example"])
    assert stolen.startswith(first["example"])
    assert (second["book_id"], second["shared"], second["example"]) == ("3", "0", "")
    summary = read_json(tmp_path / "leaks.json")
    assert summary["splits"]["validation"]["shared"] == 2
    assert summary["compared_fraction"] == 1


def test_a_leak_above_the_limit_writes_nothing(tmp_path):
    manifests = corpus(tmp_path, prose(1, 900) + prose(2, 300))
    with pytest.raises(UserError, match="max_shared_13gram_rate"):
        write_leaks(manifests, tmp_path, tmp_path, ["000"], SplitsSettings(), tmp_path / "l.tsv", tmp_path / "l.json")
    assert not (tmp_path / "l.tsv").exists()
