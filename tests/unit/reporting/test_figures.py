from __future__ import annotations

import csv
import itertools
import math
import re
import shutil
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from synthetic_results import RUNS, write_csv

from mamba_narrative.errors import FileFormatError, UserError
from mamba_narrative.io import read_table
from mamba_narrative.reporting.drawing import draw_figure, figure_names
from mamba_narrative.reporting.figures import (
    corpus_composition,
    loss_by_position,
    name_recall,
    next_chapter,
    training_curve,
    use_of_context,
)
from mamba_narrative.reporting.style import PALETTE, run_line

NAMES = ["corpus_composition", "loss_by_position", "name_recall", "next_chapter", "training_curve", "use_of_context"]
MODULES = {
    "training_curve": training_curve,
    "loss_by_position": loss_by_position,
    "next_chapter": next_chapter,
    "name_recall": name_recall,
    "corpus_composition": corpus_composition,
    "use_of_context": use_of_context,
}
LOSSES = st.lists(st.floats(0, 20) | st.just(math.nan), min_size=1, max_size=80)


def svg_texts(path: Path) -> list[str]:
    return [
        "".join(element.itertext()).strip()
        for element in ElementTree.parse(path).iter()
        if element.tag.endswith("text")
    ]


def line_named(figure: Figure, label: str) -> Axes:
    return next(line for axes in figure.axes for line in axes.get_lines() if line.get_label() == label)


def test_the_figures_are_the_modules_of_the_folder() -> None:
    assert figure_names() == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_drawing_again_gives_the_same_bytes_whatever_the_users_style(
    name: str, drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import matplotlib

    monkeypatch.setitem(matplotlib.rcParams, "font.size", 23)
    draw_figure(name, drawn, RUNS, tmp_path / "again.svg", tmp_path / "again.png")
    assert (tmp_path / "again.svg").read_bytes() == (drawn / f"{name}.svg").read_bytes()
    assert (tmp_path / "again.png").read_bytes() == (drawn / f"{name}.png").read_bytes()
    assert matplotlib.rcParams["font.size"] == 23


@pytest.mark.parametrize("name", NAMES)
def test_text_stays_text_and_nothing_is_fetched(name: str, drawn: Path) -> None:
    svg = (drawn / f"{name}.svg").read_text(encoding="utf-8")
    assert svg_texts(drawn / f"{name}.svg")
    assert not re.search(r"(href|src)=\"(?!#)|<image|url\((?!#)|<dc:date", svg)
    assert (drawn / f"{name}.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        (
            "training_curve",
            ["Training tokens seen (tokens)", "Loss (nats per token)", "Validation loss (bits per byte)"],
        ),
        ("loss_by_position", ["Position in the book (tokens, logarithmic)", "Loss (nats per token)"]),
        (
            "use_of_context",
            ["Context (tokens)", "Gain from the whole book (nats per token)", "Position in the book (tokens)"],
        ),
        ("next_chapter", ["Tokens read before the chapter (at most, logarithmic)", "Chapters identified (share)"]),
        (
            "name_recall",
            ["Tokens since the last mention, at least (logarithmic)", "Gain (nats per mention)"],
        ),
        ("corpus_composition", ["Books (number)", "Words (number)"]),
    ],
)
def test_axes_name_what_they_show_with_its_unit(name: str, labels: list[str], drawn: Path) -> None:
    assert set(labels) <= set(svg_texts(drawn / f"{name}.svg"))


@pytest.mark.parametrize("name", NAMES)
def test_a_figure_reads_only_the_files_it_documents(name: str, results: Path, tmp_path: Path) -> None:
    for pattern in MODULES[name].INPUTS:
        for run in RUNS:
            path = pattern.format(run=run)
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(results / path, tmp_path / path)
    assert MODULES[name].draw(tmp_path, RUNS).axes


def test_every_run_has_its_own_line_in_both_curves(results: Path) -> None:
    for module, suffix in ((training_curve, ", training"), (loss_by_position, "")):
        figure = module.draw(results, RUNS)
        colours = {line_named(figure, f"{run}{suffix}").get_color() for run in RUNS}
        assert len(colours) == len(RUNS)


def test_the_first_runs_differ_in_colour_and_later_ones_in_line_style() -> None:
    lines = [run_line(position) for position in range(3 * len(PALETTE))]
    assert len({(line["color"], str(line["linestyle"])) for line in lines}) == len(lines)


def test_validation_points_are_those_of_the_file(results: Path) -> None:
    rows = list(csv.DictReader((results / "runs" / "small" / "validation.csv").open()))
    line = line_named(training_curve.draw(results, ["small"]), "small, validation")
    assert list(line.get_ydata()) == [float(row["loss_nats"]) for row in rows]


def test_a_long_run_begins_above_the_axis_and_the_figure_says_so(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "long"
    folder.mkdir(parents=True)
    losses = [11.0 - step if step < 6 else 5.0 - step / 100 for step in range(100)]
    rows = [f"{1000 * step},{loss}" for step, loss in enumerate(losses)]
    (folder / "train.csv").write_text("\n".join(["tokens,loss_nats", *rows]) + "\n")
    (folder / "validation.csv").write_text("tokens,loss_nats,bits_per_byte\n8000,5.0,1.75\n90000,4.2,1.47\n")
    (axes,) = training_curve.draw(tmp_path, ["long"]).axes
    assert 5.0 < axes.get_ylim()[1] < 6.0
    assert [text.get_text() for text in axes.texts] == ["the first 7% of the steps are above"]


def test_each_kind_of_state_is_named_once_and_apart_from_the_others(results: Path) -> None:
    names = use_of_context.draw(results, RUNS).axes[1].texts
    assert len({text.get_text() for text in names}) == len(names)
    heights = sorted(text.get_position()[1] for text in names)
    assert all(upper - lower > 0.04 for lower, upper in itertools.pairwise(heights))


def test_the_axis_in_bits_per_byte_converts_as_the_validation_does(results: Path) -> None:
    figure = training_curve.draw(results, ["small"])
    (axes,) = figure.axes
    (right,) = axes.child_axes
    figure.draw_without_rendering()
    row = next(csv.DictReader((results / "runs" / "small" / "validation.csv").open()))
    ratio = float(row["bits_per_byte"]) / float(row["loss_nats"])
    assert right.get_ylim() == pytest.approx(tuple(limit * ratio for limit in axes.get_ylim()))


def test_there_is_no_common_axis_in_bits_per_byte_for_runs_with_other_tokens_per_byte(results: Path) -> None:
    write_csv(
        results / "runs" / "wide" / "validation.csv",
        [{"step": 1, "tokens": 10, "loss_nats": 4.0, "bits_per_byte": 2.0}],
    )
    (axes,) = training_curve.draw(results, RUNS).axes
    assert not axes.child_axes


def test_a_run_without_steps_is_refused(results: Path) -> None:
    (results / "runs" / "small" / "train.csv").write_text("step,tokens,loss_nats\n")
    with pytest.raises(FileFormatError, match=r"small/train\.csv: no rows"):
        training_curve.draw(results, RUNS)


def test_a_missing_run_is_an_error_that_names_the_file(results: Path) -> None:
    with pytest.raises(UserError, match=r"evaluation/other/position\.csv"):
        loss_by_position.draw(results, ["other"])


def test_a_curve_of_unmeasured_chapters_is_empty_but_drawn(results: Path) -> None:
    path = results / "evaluation" / "small" / "chapters.csv"
    rows = list(csv.DictReader(path.open()))
    write_csv(path, [row | {"accuracy": "", "low": "", "high": ""} for row in rows])
    (axes,) = next_chapter.draw(results, ["small"]).axes
    assert np.isnan(line_named(axes.figure, "small").get_ydata()).all()


@given(LOSSES, st.integers(1, 30))
def test_smoothing_is_the_centred_mean_of_known_values(losses: list[float], window: int) -> None:
    values = np.array(losses)
    smooth = training_curve.smoothed(values, window)
    for position in range(len(values)):
        near = values[max(0, position - (window - 1) // 2) : position + window // 2 + 1]
        known = near[np.isfinite(near)]
        if len(known):
            assert smooth[position] == pytest.approx(known.mean(), abs=1e-9)
        else:
            assert math.isnan(smooth[position])


@given(st.integers(1_501, 6_000), st.integers(0, 10_000))
def test_thinning_keeps_ends_and_extremes(steps: int, seed: int) -> None:
    x, y = np.arange(steps, dtype=float), np.random.default_rng(seed).normal(size=steps)
    thin_x, thin_y = training_curve.thinned(x, y)
    assert len(thin_x) <= 1_500
    assert (thin_x[0], thin_x[-1]) == (0, steps - 1)
    assert (thin_y.min(), thin_y.max()) == (y.min(), y.max())
    assert np.all(np.diff(thin_x) > 0)


def test_intervals_are_drawn_around_the_loss_by_position(results: Path) -> None:
    rows = list(csv.DictReader((results / "evaluation" / "small" / "position.csv").open()))
    (axes,) = loss_by_position.draw(results, ["small"]).axes
    band = axes.collections[0].get_paths()[0].vertices[:, 1]
    assert (band.min(), band.max()) == pytest.approx(
        (min(float(r["low"]) for r in rows), max(float(r["high"]) for r in rows))
    )


def test_the_unigram_baseline_may_be_absent(results: Path) -> None:
    shutil.rmtree(results / "evaluation" / "unigram")
    labels = [line.get_label() for line in loss_by_position.draw(results, RUNS).axes[0].get_lines()]
    assert labels == list(RUNS)


def test_bars_hold_every_book_once_by_decision_and_by_place(results: Path) -> None:
    books = read_table(results / "corpus" / "books.tsv")
    decisions = {bar[0]: bar[2:] for bar in corpus_composition.decision_bars(books)}
    assert {name: size[0] for name, size in decisions.items()} == {
        "narrative prose": 25,
        "narrative in part": 1,
        "left out": 4,
    }
    assert sum(words for _, words in decisions.values()) == sum(int(book["words"]) for book in books)
    places = {bar[0]: bar[2] for bar in corpus_composition.split_bars(books)}
    assert places == {"training": 19, "validation": 3, "test": 3, "no split: duplicate": 1}


def test_many_reasons_are_summed_up_in_one_last_bar() -> None:
    books = [{"decision": "drop", "reasons": f"code_{n}", "words": "10"} for n in range(20)]
    bars = corpus_composition.reason_bars(books)
    assert len(bars) == 13
    assert (bars[-1][0], bars[-1][2], bars[-1][3]) == ("8 other reasons", 8, 80)


def test_bars_of_a_corpus_of_which_nothing_was_read(results: Path) -> None:
    path = results / "corpus" / "books.tsv"
    header = path.read_text().splitlines()[0]
    columns = header.split("\t")
    row = {"book_id": "1", "decision": "drop", "reasons": "unreadable_empty", "words": "0"}
    path.write_text(header + "\n" + "\t".join(row.get(name, "") for name in columns) + "\n")
    assert len(corpus_composition.draw(results, RUNS).axes) == 4
