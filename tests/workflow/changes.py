"""Changes of sources and settings, with the jobs that each may bring about (`test_reruns`, `bench_reruns`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from mamba_narrative.config.evaluation import GROUPS

Edits = Mapping[str, Callable[[str], str]]
"""By path, what becomes of the text; that of a new file is empty before."""

LIBRARY = "scripts/mamba_narrative"
GRU = {
    f"{LIBRARY}/config/architectures/gru.py": (
        "from typing import Literal\n\nfrom mamba_narrative.config.base import Section\n"
        "from mamba_narrative.config.run import Run\n\n\nclass GruSettings(Section):\n    d_model: int = 8\n\n\n"
        'class GruRun(Run):\n    architecture: Literal["gru"]\n'
        "    model: GruSettings = GruSettings()\n\n\nRUN = GruRun\n"
    ),
    f"{LIBRARY}/model/gru.py": "MODEL = None\n",
}
OF_THE_TRANSFORMER = {
    *(f"{verb}_{group}:tiny-b" for verb in ("evaluate", "summarise") for group in GROUPS),
    *("train_run:tiny-b", "write_model_card:tiny-b", "compare_runs", "make_tables", "write_report"),
}
MEASURED = {
    **dict.fromkeys(GROUPS, ("tiny-a", "tiny-b", "untrained", "unigram")),
    "context": ("tiny-a", "tiny-b", "untrained"),
    "generation": ("tiny-a", "tiny-b", "untrained", "unigram", "human"),
    "likelihood": ("tiny-a", "tiny-b", "untrained", "unigram", "ngram", "xz", "xz-after-training"),
}
EVERYTHING_SUMMARISED = {f"summarise_{group}:{name}" for group, names in MEASURED.items() for name in names}
WORDS_MEASURED = {f"summarise_words:{name}" for name in ("tiny-a", "tiny-b", "untrained", "unigram")}


def docstring(text: str) -> str:
    return text.replace('"""', '"""In other words: ', 1)


def code(text: str) -> str:
    return text + "\n_ADDED = 1\n"


def training(**settings: object) -> Edits:
    """A change of the configuration's section `training`."""
    lines = "".join(f"  {name}: {str(value).lower()}\n" for name, value in settings.items())
    return {"tiny.yaml": lambda text: text.replace("training:\n", f"training:\n{lines}", 1)}


CHANGES: dict[str, tuple[Edits, set[str]]] = {
    "a text of help": (
        {f"{LIBRARY}/command.py": lambda text: text.replace("also write messages", "write them")},
        set(),
    ),
    "docstrings": (
        {f"{LIBRARY}/{module}.py": docstring for module in ("progress", "model/transformer", "model/registry")},
        set(),
    ),
    "the text of the model card": (
        {f"{LIBRARY}/reporting/run_card.py": lambda text: text.replace("The books are old", "Books are old")},
        {"write_model_card:tiny-a", "write_model_card:tiny-b"},
    ),
    "a comment in a figure": (
        {f"{LIBRARY}/reporting/figures/training_curve.py": lambda text: f"{text}\n# Why.\n"},
        set(),
    ),
    "an architecture that no run names": ({path: lambda _, text=text: text for path, text in GRU.items()}, set()),
    "how often and how many checkpoints": (training(keep_checkpoints=5, keep_every_steps=3), set()),
    "how a step is computed": (
        training(micro_batch_size=1, activation_checkpointing=True, cuda_graphs=False, max_skipped_steps=9),
        set(),
    ),
    "how many books are read at once": (
        {"tiny.yaml": lambda text: text.replace("  likelihood:\n", "  likelihood:\n    batch_size: 2\n", 1)},
        set(),
    ),
    "a published model": (
        {
            "tiny.yaml": lambda text: text.replace(
                "evaluation:\n", "evaluation:\n  published: [{name: other, path: results/runs/tiny-a/model}]\n", 1
            )
        },
        {"evaluate_published:other", "summarise_likelihood:published/other"}
        | {"compare_runs", "make_tables", "write_report"},
    ),
    "the number of resamples": (
        {
            "tiny.yaml": lambda text: text.replace(
                "last_words_per_book: 4\n    bootstrap_samples: 100",
                "last_words_per_book: 4\n    bootstrap_samples: 101",
            )
        },
        WORDS_MEASURED | {"compare_runs", "make_tables", "write_report"},
    ),
    "how a measure is summarised": (
        {f"{LIBRARY}/evaluation/words_report.py": code},
        WORDS_MEASURED | {"compare_runs", "make_tables", "write_report"},
    ),
    "what a measure means": (
        {
            f"{LIBRARY}/evaluation/definitions.py": lambda text: text.replace(
                "Sum of -log2 p(token) over", "The sum of -log2 p(token) over"
            )
        },
        EVERYTHING_SUMMARISED | {"compare_runs", "make_tables", "write_report"},
    ),
    "the code of one architecture": ({f"{LIBRARY}/model/transformer.py": code}, OF_THE_TRANSFORMER),
    "the code of one figure": (
        {f"{LIBRARY}/reporting/figures/training_curve.py": code},
        {"draw_training_curve", "write_report"},
    ),
}


def apply(edits: Edits, folder: Path) -> None:
    """Make them below ``folder``. Raises AssertionError where one changes nothing."""
    for path, edit in edits.items():
        file = folder / path
        before = file.read_text(encoding="utf-8") if file.exists() else ""
        file.write_text(edit(before), encoding="utf-8")
        assert file.read_text(encoding="utf-8") != before, path
