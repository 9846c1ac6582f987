"""Settings, paths and helpers that all rules share. Nothing here runs anything.

Three conventions keep reruns to what is outdated:

* a rule names the code it runs as input (``code``), so that edits count and ``touch`` does not;
* it gets its own section of the settings as one JSON parameter (``settings``), and no other;
* Snakemake compares files above 1 MB by time only, so what may grow large is listed with its hash in a
  small ``.sha256`` file or manifest that counts, while the large file itself is ``ancient`` (``pinned``).
"""

import os
import re
import signal
import sys
from os import environ
from pathlib import Path

from snakemake.exceptions import WorkflowError

ROOT = Path(os.path.relpath(workflow.basedir))
sys.path.insert(0, str(ROOT / "scripts"))

from mamba_narrative.acquisition.state import Layout, find_acquired
from mamba_narrative.code_inputs import code_inputs
from mamba_narrative.config.corpus import ACQUIRED_SOURCES
from mamba_narrative.config.experiment import resolve_experiment
from mamba_narrative.corpus.inventory import books_by_shard
from mamba_narrative.errors import UserError
from mamba_narrative.io import canonical_json
from mamba_narrative.rerun_record import restore_record, save_record

# Commands run with this interpreter's python unless a software deployment method puts another one first.
environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environ.get('PATH', '')}"

try:
    EXPERIMENT = resolve_experiment(config)
except UserError as error:
    raise WorkflowError(str(error)) from None

RESULTS = os.path.normpath(EXPERIMENT.results_dir)
RUNS = {name: run for name, run in EXPERIMENT.runs.items() if run is not None}
SCRIPTS = ROOT / "scripts"
SPLITS = ["train", "validation", "test"]

if EXPERIMENT.corpus.source == "sample":
    RAW_BOOKS = ROOT / "workflow" / "sample" / "raw"
    CATALOGUE = str(ROOT / "workflow" / "sample" / "catalog.csv")
elif EXPERIMENT.corpus.source == "directory":
    RAW_BOOKS = Path(EXPERIMENT.corpus.directory)
    CATALOGUE = EXPERIMENT.corpus.catalogue
else:
    RAW_BOOKS = Layout(Path(EXPERIMENT.corpus.directory)).raw
    CATALOGUE = str(Layout(Path(EXPERIMENT.corpus.directory)).catalogue)

# Told by whatever needs a raw book first, since the target that brings them must be planned without them.
NOT_ACQUIRED = None
try:
    if EXPERIMENT.corpus.source in ACQUIRED_SOURCES:
        find_acquired(EXPERIMENT.corpus)
except UserError as error:
    NOT_ACQUIRED = str(error)

# Token files that were brought from elsewhere are enough for the profile from-tokens; where they were made here, a folder
# of books that is gone is a mistake.
if (
    EXPERIMENT.corpus.source == "directory"
    and not os.path.exists(RAW_BOOKS)
    and not os.path.exists(f"{RESULTS}/stripped")
    and all(os.path.isfile(f"{RESULTS}/tokens/{split}.bin") for split in SPLITS)
    and all(os.path.isfile(f"{RESULTS}/tokens/{split}.json") for split in SPLITS)
):
    NOT_ACQUIRED = (
        f"{RAW_BOOKS}: not there. From the token files alone, runs are trained and measured by: snakemake "
        "--workflow-profile workflow/profiles/from-tokens ... train evaluate"
    )

try:
    BOOKS = (
        {"000": []}
        if NOT_ACQUIRED
        else books_by_shard(RAW_BOOKS, EXPERIMENT.corpus.shards)
    )
except UserError as error:
    raise WorkflowError(str(error)) from None
if not BOOKS:
    raise WorkflowError(
        f"{RAW_BOOKS}: no raw books found; expected files such as 1342.txt, pg1342.txt, 1342-0.txt, 1342.zip"
    )
if not NOT_ACQUIRED and CATALOGUE is not None and not os.path.isfile(CATALOGUE):
    raise WorkflowError(
        f"corpus.catalogue: {CATALOGUE} does not exist; expected a CSV file or null"
    )
SHARDS = list(BOOKS)

# SLURM's warning before the run-time limit goes to every process of a job step. Only the training command handles it;
# snakemake and the shell between it and SLURM would die of it, and the command with them.
signal.signal(signal.SIGUSR1, signal.SIG_IGN)

# Before Snakemake looks for outdated results: a results folder from elsewhere brings its record along.
restore_record(Path(".snakemake"), Path(RESULTS))


wildcard_constraints:
    shard=r"\d\d\d+",
    run=r"[A-Za-z0-9][A-Za-z0-9._-]*",
    figure=r"[a-z_]+",


def code(script: str, *modules: str) -> list[str]:
    """The files that ``python scripts/<script>.py`` runs, with modules that it imports by name."""
    return [str(path) for path in code_inputs(SCRIPTS, script, modules)]


def command(script: str) -> str:
    """The beginning of a rule's shell command."""
    return f"python {SCRIPTS / script}.py --log {{log:q}}"


def gpu_command(script: str) -> str:
    """``command`` where GPUs are used; on a machine without scheduler none gets two jobs.

    Shells die of signals that ask the command to save its state, so it takes their place (``exec``).
    """
    return (
        f"exec python {SCRIPTS / 'lease_gpus.py'} --count {{resources.gpu}} "
        + command(script)
    )


def shard_group(wildcards) -> str | None:
    """The cluster job that a shard shares with its neighbours: as many as the profile's group-components says.

    Snakemake merges components of a group again each time that it looks at the graph, until all are one. Here a group
    is no larger than a job may be, so that merging all of it is right.
    """
    size = workflow.group_settings.group_components.get("shards")
    if size is None:
        return None
    group = f"shards{int(wildcards.shard) // size}"
    workflow.parent_groupids[group] = "shards"
    return group


def settings(section):
    """A section of the settings as one line of JSON with sorted keys, as a parameter."""
    line = canonical_json(section.model_dump(mode="json"))
    # A function, because Snakemake would take the braces of a plain string for wildcards.
    return lambda wildcards: line


def results_folder(wildcards) -> str:
    """The results folder, as a parameter of commands that read several files of it."""
    return RESULTS


def pinned(hashes: str, *files: str) -> list:
    """``hashes`` decides whether a rule is outdated; the large ``files`` whose hashes it holds do not."""
    return [hashes, *(ancient(path) for path in files)]


def token_files(*splits: str):
    """Token arrays as inputs, looked at only when they have been assembled."""

    def inputs(wildcards) -> list:
        checkpoints.assemble_tokens.get()
        return [
            path
            for split in splits
            for path in pinned(
                f"{RESULTS}/tokens/{split}.json",
                f"{RESULTS}/tokens/{split}.bin",
                f"{RESULTS}/tokens/{split}.books.tsv",
            )
        ]

    return inputs


def chapter_file(wildcards) -> str:
    """Chapter headings of the test books, looked at only when the tokens have been assembled."""
    checkpoints.assemble_tokens.get()
    return f"{RESULTS}/tokens/test.chapters.tsv"


def files_of_published(model) -> list[str]:
    """The files of a published model that lies in a folder here; none of one that has a name on the hub."""
    folder = Path(model.path)
    return [
        str(folder / name)
        for name in ("config.json", "model.safetensors")
        if (folder / name).is_file()
    ]


def gpus(device: str, processes: int = 1) -> int:
    """GPUs to ask a scheduler for, one a process."""
    return 0 if device == "cpu" else processes


def stripped(shard: str = "{shard}") -> dict:
    """The stripped texts of a shard with their audit, as named inputs."""
    return {
        "stripped": f"{RESULTS}/stripped/{shard}.sha256",
        "texts": ancient(f"{RESULTS}/stripped/{shard}"),
        "manifest": ancient(f"{RESULTS}/stripped/{shard}.manifest.tsv"),
        "audit": ancient(f"{RESULTS}/stripped/{shard}.audit.jsonl"),
    }


def sketches(wildcards) -> list:
    """The sketches of all shards."""
    folder = f"{RESULTS}/corpus/sketches"
    return [
        path
        for shard in SHARDS
        for path in pinned(f"{folder}/{shard}.sha256", f"{folder}/{shard}.npz")
    ]


def all_stripped(wildcards) -> list:
    """The stripped texts of all shards."""
    return [path for shard in SHARDS for path in stripped(shard).values()]


def raw_books_of_shard(wildcards) -> list[str]:
    """Raw files whose change reruns the shard; files that cannot be used are rows of the audit, not inputs."""
    if NOT_ACQUIRED:
        raise WorkflowError(NOT_ACQUIRED)
    return [
        str(RAW_BOOKS / book.path)
        for book in BOOKS[wildcards.shard]
        if book.problem is None
    ]


def training_of(wildcards):
    """The training settings of a run."""
    return RUNS[wildcards.run].training


def several_nodes(value):
    """A resource of runs on several nodes, whose command starts one task a node itself; absent in others."""
    return lambda wildcards: (
        value(training_of(wildcards)) if training_of(wildcards).nodes > 1 else None
    )


def settings_of_run(wildcards) -> str:
    """Everything that defines a run, as one line of JSON; where its tokens are staged does not."""
    return canonical_json(
        RUNS[wildcards.run].model_dump(
            mode="json", exclude={"training": {"stage_directory"}}
        )
    )


def trained(wildcards) -> list:
    """The weights of a run; run.json holds their hash."""
    folder = f"{RESULTS}/runs/{wildcards.run}"
    return pinned(
        f"{folder}/run.json",
        f"{folder}/model/model.safetensors",
        f"{folder}/model/config.json",
    )


onsuccess:
    save_record(Path(".snakemake"), Path(RESULTS))
    if os.path.isfile(f"{RESULTS}/report/index.html"):
        print(f"The report: {RESULTS}/report/index.html", file=sys.stderr)


onerror:
    save_record(Path(".snakemake"), Path(RESULTS))
