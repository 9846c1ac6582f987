"""What must hold of measurements that can be trusted, checked on what was measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mamba_narrative.evaluation.definitions import DEFINITIONS
from mamba_narrative.reporting.formatting import significant, with_interval
from mamba_narrative.reporting.tables.table import Column, Schema, Table

_ROUNDING = 1e-6

SANITY = Schema(
    "sanity",
    "What must hold if the measurements can be trusted. A check without an interval over books is not judged.",
    (Column("run", "Run"), Column("check", "Check"), Column("verdict", "Verdict"), Column("detail", "Measured")),
)
HOLDS, FAILS, OPEN = "holds", "fails", "not judged"
UNTRAINED = "untrained"
BLIND = (UNTRAINED, "unigram")
"""Baselines that know nothing of order or of what came before."""
CHANCE = {"sentence_order": 1 / 2, "paragraph_order": 1 / 2, "foreign_sentence": 1 / 2, "chapter_suffix": 1 / 6}


def sanity_table(
    contexts: Mapping[str, Mapping[str, Any]],
    training_lengths: Mapping[str, int],
    structures: Mapping[str, Mapping[str, Any]] | None = None,
) -> Table:
    """Checks of ``contexts``, the reports `context.json` by run, and of ``structures``, those of `structure.json`.

    training_lengths: tokens of a sequence by run.
    """
    rows = []
    for run, report in contexts.items():
        if run == UNTRAINED:
            label = "shuffled text is as likely as the author's, within 0.02 nats a token"
            rows.append(_row(run, label, *_no_order(report)))
        else:
            rows.append(_row(run, "the author's text is likelier than the same tokens shuffled", *_human_wins(report)))
            length = training_lengths.get(run, 0)
            label = f"more context does no harm, up to the training length of {length:,} tokens"
            rows.append(_row(run, label, *_more_context(report.get("steps", ()), length)))
    for run in BLIND:
        rows += [
            _row(run, f"at chance in {DEFINITIONS[metric].name.lower()}", *_at_chance(measured, chance))
            for metric, chance in CHANCE.items()
            if (measured := (structures or {}).get(run, {}).get("metrics", {}).get(metric))
        ]
    return Table(SANITY, tuple(rows))


def training_length(record: Mapping[str, Any]) -> int:
    """Tokens of a training sequence, from a run's `run.json`; 0 where it is not told."""
    return int(record.get("settings", {}).get("training", {}).get("sequence_length", 0))


def _human_wins(report: Mapping[str, Any]) -> tuple[str, str]:
    gap = report["metrics"]["shuffled_gap"]
    return _verdict(gap, lambda low, high: low > 0), _measured(gap)


def _no_order(report: Mapping[str, Any]) -> tuple[str, str]:
    """Within 0.02 nats: initial weights are not exactly blind to order."""
    gap = report["metrics"]["shuffled_gap"]
    return _verdict(gap, lambda low, high: low < 0.02 and high > -0.02), _measured(gap)


def _more_context(steps: Sequence[Mapping[str, Any]], longest: int) -> tuple[str, str]:
    """A step fails whose whole interval lies above 0: more context made the loss higher, beyond noise."""
    within = [step for step in steps if step["to"] <= longest]
    if not within:
        return OPEN, "no two of evaluation.context.context_tokens are within it"
    verdicts = [_verdict(step, lambda low, high: low <= 0) for step in within]
    verdict = next((verdict for verdict in (FAILS, OPEN) if verdict in verdicts), HOLDS)
    return verdict, "; ".join(f"{step['from']} to {step['to']} tokens: {_measured(step)}" for step in within)


def _at_chance(measured: Mapping[str, Any], chance: float) -> tuple[str, str]:
    """Within three standard errors: with several questions, one interval of 95 % misses chance now and then."""
    value = measured["value"]

    def holds(low: float, high: float) -> bool:
        return value - 1.5 * (value - low) - _ROUNDING <= chance <= value + 1.5 * (high - value) + _ROUNDING

    return _verdict(measured, holds), f"{_measured(measured, 'of cases')}; chance {significant(chance, 3)}"


def _verdict(measured: Mapping[str, Any], holds: Any) -> str:
    interval = measured.get("interval_95")
    return OPEN if interval is None else HOLDS if holds(*interval) else FAILS


def _measured(measured: Mapping[str, Any], unit: str = "nats/token") -> str:
    if measured["value"] is None:
        return str(measured.get("reason", "not measured"))
    if measured.get("interval_95") is None:
        return f"{significant(measured['value'], 3)} {unit}, n = {measured['n']} ({measured.get('reason')})"
    value, interval = with_interval(measured["value"], *measured["interval_95"])
    return f"{value} {unit} ({interval}, n = {measured['n']})"


def _row(run: str, check: str, verdict: str, detail: str) -> dict[str, str]:
    return {"run": run, "check": check, "verdict": verdict, "detail": detail}


def failed(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """A sentence for each check that fails."""
    for row in rows:
        if row["verdict"] == FAILS:
            yield f"A check of the measurements fails: {row['run']}: {row['check']} ({row['detail']})."
