from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from synthetic_results import RUNS, metric, write_results

from mamba_narrative.config.report import ReportSettings
from mamba_narrative.reporting.page import build_page
from mamba_narrative.reporting.tables.sanity import failed, sanity_table
from mamba_narrative.reporting.tables.write import write_tables


def report(gap: float, steps: list[tuple[int, int, float]], half: float | None = 0.05) -> dict[str, Any]:
    def entry(value: float) -> dict[str, Any]:
        return {**metric("shuffled_gap", value, 9, "nats/token", half), "reason": "few books"}

    return {
        "metrics": {"shuffled_gap": entry(gap)},
        "steps": [{"from": shorter, "to": longer, **entry(value)} for shorter, longer, value in steps],
    }


def verdicts(reports: dict[str, Any], length: int = 256) -> list[str]:
    return [row["verdict"] for row in sanity_table(reports, dict.fromkeys(reports, length)).rows]


@pytest.mark.parametrize(
    ("gap", "steps", "expected"),
    [
        (0.8, [(16, 64, -0.3), (64, 256, 0.04)], ["holds", "holds"]),  # 0.04 is within noise
        (0.04, [(16, 64, -0.3), (64, 256, 0.06)], ["fails", "fails"]),
        (0.8, [(16, 64, -0.3), (64, 1024, 0.9)], ["holds", "holds"]),  # beyond the training length
        (0.8, [(512, 1024, -0.3)], ["holds", "not judged"]),
    ],
)
def test_a_check_fails_where_the_whole_interval_says_so(
    gap: float, steps: list[tuple[int, int, float]], expected: list[str]
) -> None:
    assert verdicts({"small": report(gap, steps)}) == expected


def test_without_an_interval_nothing_is_judged_and_the_value_is_told() -> None:
    table = sanity_table({"small": report(0.8, [(16, 64, -0.3)], None)}, {"small": 256})
    assert [row["verdict"] for row in table.rows] == ["not judged"] * 2
    assert "0.800 nats/token, n = 9 (few books)" in table.rows[0]["detail"]


def test_the_untrained_model_must_be_blind_to_order() -> None:
    assert verdicts({"untrained": report(0.03, [])}) == ["holds"]
    assert verdicts({"untrained": report(0.3, [])}) == ["fails"]


def test_a_baseline_that_knows_nothing_must_be_at_chance_in_every_question_of_structure() -> None:
    def structure(value: float, half: float | None) -> dict[str, Any]:
        measured = {**metric("sentence_order", value, 9, "share", half), "reason": "few books"}
        return {"metrics": {"sentence_order": measured, "chapter_suffix": {**measured, "value": value - 1 / 3}}}

    blind = {"untrained": structure(0.53, 0.025), "unigram": structure(0.5, None)}
    rows = sanity_table({}, {}, blind | {"small": structure(0.9, 0.01)}).rows
    assert [(row["run"], row["verdict"]) for row in rows] == [
        ("untrained", "holds"),  # within three standard errors of one half
        ("untrained", "fails"),  # the interval of sentence order, about a value far from one sixth
        ("unigram", "not judged"),
        ("unigram", "not judged"),
    ]
    assert "at chance in sentence order" in rows[0]["check"]
    assert "chance 0.500" in rows[0]["detail"]


def test_a_failed_check_is_told_in_the_summary(tmp_path: Path) -> None:
    rows = sanity_table({"small": report(0.0, [(16, 64, -0.3)])}, {"small": 256}).rows
    (sentence,) = failed(rows)
    assert "small: the author's text is likelier" in sentence


def test_checks_and_use_of_context_are_on_the_page(tmp_path: Path) -> None:
    results = write_results(tmp_path, test_books=6)
    write_tables(results, RUNS, results / "report" / "tables")
    page = build_page(results, RUNS, ReportSettings(), None)
    assert "likelier than the same tokens shuffled" in page
    assert "90,000 tokens of 6 books; 48 targets" in page
    assert "<td>holds</td>" in page or ">holds<" in page
