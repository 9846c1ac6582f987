"""The results in plain sentences, computed from the tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mamba_narrative.reporting.formatting import amount, listing, percent, plural, with_interval
from mamba_narrative.reporting.sources import is_run

Rows = Sequence[Mapping[str, Any]]
_FEW, _SOME = 5, 30


def corpus_sentences(corpus: Rows, selection: Rows, splits: Rows) -> list[str]:
    """What became of the raw books, and what the runs learn from."""
    steps = {row["step"]: row for row in corpus}
    places = {row["split"]: row for row in splits}
    raw, chosen, used = steps["raw"], steps["selected"], steps["in_a_split"]
    sentences = [
        f"Of {plural(raw['books'], 'raw book')}, {chosen['books']:,.0f} were selected as narrative prose; "
        f"{'all' if used['books'] == chosen['books'] else format(used['books'], ',.0f')} of them, with "
        f"{amount(used['words'])} words, are used."
    ]
    if duplicates := chosen["books"] - used["books"]:
        sentences[0] += f" {plural(duplicates, 'duplicate')} of these {'is' if duplicates == 1 else 'are'} left out."
    dropped = sorted((row for row in selection if row["decision"] == "drop"), key=lambda row: -row["books"])
    if dropped:
        reasons = [f"{row['meaning'] or row['reason']} ({row['books']:,.0f})" for row in dropped[:3]]
        sentences.append(f"Most frequent reasons for leaving a book out: {'; '.join(reasons)}.")
    train, test = places["train"], places["test"]
    sentences.append(
        f"Training reads {plural(train['books'], 'book')} ({amount(train['tokens'])} tokens); "
        f"{plural(test['books'], 'test book')} ({amount(test['tokens'])} tokens) "
        f"{'was' if test['books'] == 1 else 'were'} kept away from it."
    )
    return sentences


def likelihood_sentences(likelihood: Rows) -> list[str]:
    """How well each run predicts the held-out books, beside the baseline, and whether the runs can be told apart."""
    measured = {row["run"]: row for row in likelihood if row["metric"] == "bits_per_byte"}
    runs = [row for run, row in measured.items() if is_run(run)]
    baseline = measured.get("unigram")
    sentences = [f"{_measured(row)}{_against(row, baseline)}" for row in runs]
    if len(runs) > 1:
        sentences.append(_order(runs))
    return sentences


def repetition_sentences(generation: Rows) -> list[str]:
    """How much the runs repeat themselves, beside the authors."""
    measured = {row["run"]: row for row in generation if row["metric"] == "seq_rep_4"}
    human = measured.get("human")
    runs = [row for run, row in measured.items() if is_run(run)]
    if not runs or human is None:
        return []
    shares = listing([f"{percent(row['value'])} ({row['run']})" for row in runs])
    return [
        f"In continuations written by the model, {shares} of the sequences of four tokens occurred before in the same "
        f"continuation; where the authors go on themselves it is {percent(human['value'])}."
    ]


def sample_size_note(n: float, singular: str) -> str:
    """What the number of cases means for trust in an interval; empty where there are enough."""
    if n < 2:
        return f"Only {plural(n, singular)} was scored: there is no interval, and another book may differ a lot."
    if n < _FEW:
        return (
            f"Only {plural(n, singular)} were scored: there are no intervals, for so few give none worth trusting. "
            "Read these numbers as a check that everything works, not as a result."
        )
    if n < _SOME:
        return f"With {plural(n, singular)} the intervals are wide and approximate; small differences mean nothing."
    return ""


def _measured(row: Mapping[str, Any]) -> str:
    value, interval = with_interval(row["value"], row["interval_low"], row["interval_high"])
    cases = f"n = {plural(row['n'], 'book')}"
    context = f"95 % interval {interval}, {cases}" if interval else f"{cases}, no interval"
    return f"Run {row['run']} needs {value} bits for a byte of unseen text ({context})"


def _against(row: Mapping[str, Any], baseline: Mapping[str, Any] | None) -> str:
    if baseline is None:
        return "; there is no baseline to compare it with."
    reference, _ = with_interval(baseline["value"], baseline["interval_low"], baseline["interval_high"])
    saved = 1 - row["value"] / baseline["value"]
    if saved <= 0:
        return f", no fewer than a model that knows token frequencies alone ({reference}): it uses no context yet."
    return f", {percent(saved)} fewer than a model that knows token frequencies alone ({reference})."


def _order(runs: Rows) -> str:
    best = min(runs, key=lambda row: row["value"])
    overlapping = [
        row["run"]
        for row in runs
        if row is not best and (None in (row["interval_low"], best["interval_high"])
                                or row["interval_low"] <= best["interval_high"])
    ]  # fmt: skip
    if not overlapping:
        return f"Run {best['run']} predicts best; its interval overlaps with no other run's."
    return (
        f"Run {best['run']} has the lowest value, but its interval overlaps with that of {listing(overlapping)}: "
        "by these intervals alone the order is not settled."
    )
