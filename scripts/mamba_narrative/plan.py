"""What a call would do and why, in words: trainings that would begin again first, since they cost the most."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_CHANGED_PARAMETERS = re.compile(
    r"Params have changed since last execution: Union of exclusive params before and now across all output: "
    r"before: (?P<before>.*?) now: (?P<now>.*?) (?:; |$)",
    re.DOTALL,
)
_KEPT = re.compile(r"\.cache/(code|settings)/[0-9a-f]+\.json")
_DIGEST = re.compile(r"\b([a-z]+) (?:none|[0-9a-f]{40,}\b)")
"""What lies outside the results folder: a word for it and the hash of its content."""
_FOLLOWS = "Input files updated by another job: "
_PLAIN_WORDS = (
    ("Missing output files: ", "not made yet"),
    ("Incomplete output files: ", "its job was interrupted"),
    ("Updated input files: ", "changed: {}"),
    ("Set of input files has changed", "made from other files than last time"),
    ("Code has changed", "its rule calls another command"),
    ("Software environment definition has changed", "its conda environment changed"),
    ("Forced execution", "asked for by --force"),
    ("Rules with ", "made at every call"),
)
"""How Snakemake's reasons begin (`snakemake.jobs.Reason`), and what to say instead."""
_MOST_NAMES = 4
_TRAINING = "train_run"
"""What the rule's name ends with: an outer workflow may put a prefix before it."""
_RUNS_WITHOUT_OUTPUT = "Rules with a run or shell declaration"


@dataclass(frozen=True)
class PlannedJob:
    """A job that would run."""

    rule: str
    name: str
    """Of its run, shard or figure; empty where its rule has one job."""
    outputs: tuple[str, ...]
    reason: str
    """As Snakemake prints it."""


def plan_in_words(planned: Iterable[PlannedJob], results: Path) -> str:
    """The whole plan: trainings, then what has a reason of its own, a line a rule and reason, then what follows.

    ``results`` holds ``.cache`` with the settings and the code of then and now.
    """
    # The others are targets, which only collect files.
    jobs = [job for job in planned if job.outputs or job.reason.startswith(_RUNS_WITHOUT_OUTPUT)]
    if not jobs:
        return "Nothing to be done: everything is up to date.\n"
    maker = {output: job.rule for job in jobs for output in job.outputs}
    reasons = {job: _reasons(job.reason, maker, results) for job in jobs}
    trainings = [job for job in jobs if job.rule.endswith(_TRAINING)]
    again = [job for job in trainings if (results / "runs" / job.name / "run.json").is_file()]
    lines = []
    for title, runs in (
        ("TRAINED AGAIN FROM THE FIRST STEP", again),
        ("Trained, or continued where it stopped", [job for job in trainings if job not in again]),
    ):
        if runs:
            lines.append(f"{title}: {_count(len(runs), 'run')}")
            lines += [f"  {job.name}: {'; '.join(reasons[job])}" for job in runs]
    if not again:
        lines.append("No finished run is trained again.")
    rest = [job for job in jobs if job not in trainings]
    following = Counter(job.rule for job in rest if _FOLLOWS in job.reason)
    own: dict[tuple[str, str], list[str]] = {}
    for job in rest:
        if _FOLLOWS not in job.reason:
            own.setdefault((job.rule, "; ".join(reasons[job])), []).append(job.name)
    if rest:
        lines.append(f"{'Other jobs' if trainings else 'Jobs'}: {len(rest)}")
    for (rule, reason), names in own.items():
        lines.append(f"  {rule}{f' ({_listed(sorted(names))})' if any(names) else ''}: {reason}")
    if following:
        counted = ", ".join(rule if count == 1 else f"{count} {rule}" for rule, count in following.items())
        lines.append(f"  and what follows from these: {counted}")
    return "\n".join(lines) + "\n"


def _reasons(reason: str, maker: Mapping[str, str], results: Path) -> list[str]:
    """Snakemake's reasons for one job, with parameters followed into the files that they name."""
    words = []
    parameters = _CHANGED_PARAMETERS.search(reason)
    if parameters:
        words = _changed_parameters(parameters["before"], parameters["now"], results)
        reason = reason[: parameters.start()] + reason[parameters.end() :]
    for part in filter(None, reason.split("; ")):
        if part.startswith(_FOLLOWS):
            files = part.removeprefix(_FOLLOWS).split(", ")
            words.append(f"follows {_listed(sorted({maker.get(file, file) for file in files}))}")
            continue
        start, plain = next(((start, plain) for start, plain in _PLAIN_WORDS if part.startswith(start)), ("", "{}"))
        words.append(plain.format(_listed(part.removeprefix(start).split(", "))))
    return words or ["its inputs are not known yet"]


def _changed_parameters(before: str, now: str, results: Path) -> list[str]:
    texts = (before, now)
    words = [
        *_changed_code(*(_kept(text, "code", results) for text in texts)),
        *_changed_settings(*(_kept(text, "settings", results) for text in texts)),
    ]
    outside = {name for text in texts for name in _DIGEST.findall(text)}
    words += [f"{name} changed" for name in sorted(outside)]
    return words or [f"its parameters changed from {_shortened(before)} to {_shortened(now)}"]


def _kept(text: str, kind: str, results: Path) -> dict[str, Any] | None:
    """What the files of this kind that ``text`` names say together; None where one is gone."""
    found: dict[str, Any] = {}
    for match in _KEPT.finditer(text):
        if match[1] == kind:
            try:
                value = json.loads((results / match[0]).read_text(encoding="utf-8"))
            except (OSError, ValueError):
                return None
            found |= value if isinstance(value, dict) else {"": value}
    return found


def _changed_code(before: Mapping[str, str] | None, now: Mapping[str, str] | None) -> list[str]:
    """By module: ``code of training/loop.py (Trainer, added _skip)``."""
    if before == now:
        return []
    if not before or not now:
        return ["its code changed"]
    of_module: dict[str, list[str]] = {}
    for name in sorted(before.keys() | now.keys()):
        if before.get(name) != now.get(name):
            module, _, definition = name.partition(":")
            change = "" if name in before and name in now else "added " if name in now else "removed "
            place = of_module.setdefault(module.removeprefix("mamba_narrative/"), [])
            place.append(f"{change}{definition or 'outside of definitions'}")
    return [f"code of {_listed([f'{module} ({_listed(names)})' for module, names in of_module.items()])}"]


def _changed_settings(before: Mapping[str, Any] | None, now: Mapping[str, Any] | None) -> list[str]:
    """``setting training.learning_rate 0.002 -> 0.001``."""
    if before is None or now is None:
        return ["settings changed, the earlier ones are no longer known"]
    old, new = _flat(before), _flat(now)
    changed = sorted(key for key in old.keys() | new.keys() if old.get(key, _value) != new.get(key, _value))
    return [f"setting {key} {_value(old, key)} -> {_value(new, key)}" for key in changed]


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(value, Mapping) or not value:
        return {prefix: value}
    return {
        key: item
        for name, part in value.items()
        for key, item in _flat(part, f"{prefix}.{name}" if prefix else str(name)).items()
    }


def _value(values: Mapping[str, Any], key: str) -> str:
    return _shortened(json.dumps(values[key], ensure_ascii=False)) if key in values else "(none)"


def _shortened(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:80]} ..."


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_MOST_NAMES])
    return shown if len(names) <= _MOST_NAMES else f"{shown} and {len(names) - _MOST_NAMES} more"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' if number != 1 else ''}"
