"""Settings, paths and helpers that all rules share.

The workflow works inside the results folder: every path of a rule is relative to it, and so is Snakemake's record of how
each output was made, which lies in its ``.snakemake``. A results folder can therefore be moved, copied, spelled in
another way, or used from two copies of the project, and what is outdated stays outdated.

What a job depends on:

* files of the results folder are inputs. Snakemake compares those above 1 MB by time only, so what may grow large is
  listed with its hash in a small ``.sha256`` file or manifest that counts, while the large file itself is ``ancient``
  (``pinned``). No job may have only ancient inputs of another one: Snakemake would skip it when both are outdated;
* what lies elsewhere (raw books, catalogue, code) is a parameter: the digest of its content. Where it lies is told to
  the command by a variable of the environment, which Snakemake does not record;
* its own section of the settings is a parameter, too (``settings``): a small file named by its content, without what
  changes no number.

Parsing starts no job and touches no result, but it has effects, in a dry-run too, since Snakemake knows only later that
it is one. The process gets another PATH and variables ``NARRATIVE_*``, ignores SIGUSR1, and works in the results folder,
which is made where it is missing. Its ``.cache`` gets digests of what was read, and settings as files for commands;
Snakemake adds its ``.snakemake``. All of this holds for an outer workflow that uses this one as a module. It parses this
once for each ``use rule``, so doing it again must change nothing.
"""

import os
import re
import signal
import sys
from collections.abc import Mapping
from functools import cache
from os import environ
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.utils import update_config

# workflow.basedir would be the folder of the outer workflow where this one is a module.
ROOT = Path(str(workflow.current_basedir)).parents[1]
SCRIPTS = ROOT / "scripts"
if not SCRIPTS.is_dir():
    raise WorkflowError(
        f"{ROOT}: the workflow needs its own files on this machine; clone it, and name its Snakefile by a path"
    )
sys.path.insert(0, str(SCRIPTS))

from mamba_narrative.acquisition.state import Layout, find_acquired
from mamba_narrative.code_inputs import Code
from mamba_narrative.config import architectures
from mamba_narrative.config.corpus import ACQUIRED_SOURCES
from mamba_narrative.config.experiment import resolve_experiment
from mamba_narrative.config.base import numbers_of
from mamba_narrative.corpus.formats.split_table import SPLITS
from mamba_narrative.corpus.raw.inventory import books_by_shard, shard_digests
from mamba_narrative.errors import UserError
from mamba_narrative.file_digests import FileDigests
from mamba_narrative.io import canonical_json, sha256_text, write_text
from mamba_narrative.strict_yaml import read_yaml

# Commands run with this interpreter's python unless a software deployment method puts another one first.
environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environ.get('PATH', '')}"

# Relative paths of the configuration are relative to where snakemake is called. A job of a cluster, and one of a group,
# parse this once more in the results folder, with the environment of the call.
if workflow.is_main_process:
    environ["NARRATIVE_ORIGIN"] = workflow.workdir_init
elif not {"NARRATIVE_ORIGIN", "NARRATIVE_SETTINGS"} <= environ.keys():
    raise WorkflowError(
        "the job does not know where snakemake was called: jobs must get the environment of the call (sbatch's "
        "--export=ALL, which is its default)"
    )
ORIGIN = Path(environ["NARRATIVE_ORIGIN"])

try:
    if workflow.modifier.skip_configfile:
        # A module with `config:`, which changes single keys of config.yaml, too; Snakemake has not read that.
        given, config = config, read_yaml(ROOT / "config.yaml")
        if not isinstance(given, Mapping):
            raise UserError(
                f'config of the module: expected settings by name, as in config["narrative"], found {given!r}'
            )
        update_config(config, given)
    else:
        for path in workflow.configfiles:
            read_yaml(Path(path))
    EXPERIMENT = resolve_experiment(config, start=ORIGIN)
except UserError as error:
    raise WorkflowError(str(error)) from None

SETTINGS_SHA256 = sha256_text(canonical_json(EXPERIMENT.model_dump(mode="json")))
if workflow.is_main_process:
    environ["NARRATIVE_SETTINGS"] = SETTINGS_SHA256
elif environ["NARRATIVE_SETTINGS"] != SETTINGS_SHA256:
    raise WorkflowError(
        "the job finds other settings than the call: has a configuration file been changed since? Call again"
    )
RESULTS = str(ORIGIN / EXPERIMENT.results_dir)

# As a module. All rules of a call work in one folder, jobs get one set of variables, and commands know the names of files.
if workflow.is_main_process and os.path.realpath(os.curdir) not in map(
    os.path.realpath, [ORIGIN, RESULTS]
):
    raise WorkflowError(
        f"the working directory is {os.getcwd()}, expected {ORIGIN} or {RESULTS}: this workflow works in its results "
        "folder, so an outer workflow has one `module` of it and no `workdir:`; for another experiment call again"
    )
if (
    workflow.modifier.path_modifier.prefix
    or workflow.modifier.path_modifier.modifies_prefixes
):
    raise WorkflowError(
        "a module of this workflow takes no `prefix:` and no `replace_prefix:`; results_dir in its config says where "
        "files go"
    )

RUNS = {name: run for name, run in EXPERIMENT.runs.items() if run is not None}

if EXPERIMENT.corpus.source == "sample":
    RAW_BOOKS = ROOT / "workflow" / "sample" / "raw"
    CATALOGUE = ROOT / "workflow" / "sample" / "catalog.csv"
elif EXPERIMENT.corpus.source == "directory":
    RAW_BOOKS = ORIGIN / EXPERIMENT.corpus.directory
    CATALOGUE = EXPERIMENT.corpus.catalogue and ORIGIN / EXPERIMENT.corpus.catalogue
else:
    RAW_BOOKS = Layout(ORIGIN / EXPERIMENT.corpus.directory).raw
    CATALOGUE = Layout(ORIGIN / EXPERIMENT.corpus.directory).catalogue

# Told by whatever needs a raw book first, since the target that brings them must be planned without them.
NOT_ACQUIRED = None
try:
    if EXPERIMENT.corpus.source in ACQUIRED_SOURCES:
        find_acquired(EXPERIMENT.corpus, ORIGIN)
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
        f"{RAW_BOOKS}: not there. From the token files alone, runs are trained and measured by: snakemake train evaluate "
        "--cores all --workflow-profile workflow/profiles/from-tokens --configfile ..."
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
        f"corpus.catalogue: {EXPERIMENT.corpus.catalogue} does not exist; expected a CSV file or null"
    )
SHARDS = list(BOOKS)

# SLURM's warning before the run-time limit goes to every process of a job step. Only the training command handles it;
# snakemake and the shell between it and SLURM would die of it, and the command with them.
signal.signal(signal.SIGUSR1, signal.SIG_IGN)

# Snakemake's own report reads them once more at the end.
workflow.configfiles[:] = [os.path.abspath(path) for path in workflow.configfiles]

# From here on the working directory is the results folder. Snakemake heeds no `workdir:` where --directory is given,
# which then is the folder that results_dir is relative to.
if workflow.overwrite_workdir is None:

    workdir: RESULTS

else:
    os.makedirs(RESULTS, exist_ok=True)
    os.chdir(RESULTS)

environ["NARRATIVE_SCRIPTS"] = str(SCRIPTS)
environ["NARRATIVE_RAW_BOOKS"] = str(RAW_BOOKS)
environ["NARRATIVE_CATALOGUE"] = str(CATALOGUE or "")
environ["NARRATIVE_CITATION"] = str(ROOT / "CITATION.cff")
DIGESTS = FileDigests(Path(".cache/digests.json"))
CODE = Code(SCRIPTS, Path(".cache/code.json"))


wildcard_constraints:
    shard=r"\d\d\d+",
    run=r"[A-Za-z0-9][A-Za-z0-9._-]*",
    figure=r"[a-z_]+",


def code(script: str, *modules: str, data=()) -> str:
    """What the code of ``python scripts/<script>.py`` means, with what it imports or reads by name: as ``settings``."""
    return kept("code", CODE.meaning(script, modules, data))


def code_for_run(script: str, data=()):
    """``code`` of a command for one run, with the architecture that the run names and no other."""

    def digest(wildcards) -> str:
        run = RUNS.get(wildcards.run) or UNTRAINED
        return code(script, *architectures.modules_of(run.architecture), data=data)

    return digest


def content(name: str, *files: Path) -> str:
    """Digest of files outside the results folder, as a parameter that says what it is."""
    return f"{name} {' '.join(DIGESTS.of_all(map(str, files)))}"


def seen_from_results(path: str | None) -> str | None:
    """A path here as it is spelled from the results folder; the name of something on a hub, or null, as it is."""
    found = ORIGIN / (path or "")
    return os.path.relpath(found, RESULTS) if path and found.exists() else path


def spelled_from_results(section, *names: str):
    """A section of the settings whose paths ``names`` hold for a command that is called from the results folder."""
    return section.model_copy(
        update={name: seen_from_results(getattr(section, name)) for name in names}
    )


def corpus_to_acquire():
    """The section `corpus` for a command that is called from the results folder; what it names may not be there yet."""
    corpus = EXPERIMENT.corpus
    paths = {name: getattr(corpus, name) for name in ("directory", "catalogue", "lock")}
    return corpus.model_copy(
        update={
            **{name: path and str(ORIGIN / path) for name, path in paths.items()},
            "gutenberg": spelled_from_results(corpus.gutenberg, "archive"),
            "huggingface": spelled_from_results(corpus.huggingface, "dataset"),
        }
    )


def files_below(path: str | None, *patterns: str) -> list[Path]:
    """The file of this path, or the files of its folder; none of what has a name on a hub, or of null."""
    if path is None:
        return []
    found = ORIGIN / path
    below = [file for pattern in patterns or ("**/*",) for file in found.glob(pattern)]
    return (
        [found] if found.is_file() else sorted(file for file in below if file.is_file())
    )


def command(script: str) -> str:
    """The beginning of a rule's shell command."""
    return f'python "$NARRATIVE_SCRIPTS"/{script}.py --log {{log:q}}'


CATALOGUE_DIGEST = content("catalogue", CATALOGUE) if CATALOGUE else "catalogue none"
TOKENS = spelled_from_results(EXPERIMENT.tokens, "tokenizer")
TOKENIZER_DIGEST = content("tokenizer", *files_below(EXPERIMENT.tokens.tokenizer))


def gpu_command(script: str) -> str:
    """``command`` where GPUs are used; on a machine without scheduler none gets two jobs.

    Shells die of signals that ask the command to save its state, so it takes their place (``exec``).
    """
    lease = 'exec python "$NARRATIVE_SCRIPTS"/lease_gpus.py --count {resources.gpu}'
    return f"{lease} {command(script)}"


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


def settings(section) -> str:
    """What a section of the settings changes, as a parameter: a file that is named by its content."""
    return kept("settings", numbers_of(section))


def questions(section) -> str:
    """``settings`` without what changes only how results are summarised."""
    return kept("settings", numbers_of(section, without=("nothing", "summary")))


def settings_file(section) -> str:
    """The whole section in a file for the command.

    A parameter of most rules. Where some of the section changes no number, ``settings`` is the parameter and this is a
    resource, which is no reason to run again; jobs that share a cluster job can have no such resource.
    """
    return kept("settings", section.model_dump(mode="json"))


def kept(kind: str, value) -> str:
    """A JSON value in a file that is named by its content and never changes. ``make plan`` compares it with earlier ones."""
    text = canonical_json(value) + "\n"
    path = Path(f".cache/{kind}/{sha256_text(text)[:16]}.json")
    if not path.exists():
        write_text(path, text)
    return str(path)


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
                f"tokens/{split}.json",
                f"tokens/{split}.bin",
                f"tokens/{split}.books.tsv",
            )
        ]

    return inputs


def chapter_file(wildcards) -> str:
    """Chapter headings of the test books, looked at only when the tokens have been assembled."""
    checkpoints.assemble_tokens.get()
    return "tokens/test.chapters.tsv"


def files_of_published(name: str) -> list[Path]:
    """The files of a published model that lies in a folder here; none of one that has a name on the hub."""
    (model,) = (
        model for model in EXPERIMENT.evaluation.published if model.name == name
    )
    patterns = ("*.json", "*.safetensors", "*.model", "*.txt")
    return [
        *files_below(model.path, *patterns),
        *files_below(model.tokenizer, *patterns),
    ]


def gpus(device: str, processes: int = 1) -> int:
    """GPUs to ask a scheduler for, one a process."""
    return 0 if device == "cpu" else processes


def stripped(shard: str = "{shard}") -> dict:
    """The stripped texts of a shard with their audit, as named inputs."""
    return {
        "stripped": f"stripped/{shard}.sha256",
        "texts": ancient(f"stripped/{shard}"),
        "manifest": ancient(f"stripped/{shard}.manifest.tsv"),
        "audit": ancient(f"stripped/{shard}.audit.jsonl"),
    }


def sketches(wildcards) -> list:
    """The sketches of all shards."""
    folder = "corpus/sketches"
    return [
        path
        for shard in SHARDS
        for path in pinned(f"{folder}/{shard}.sha256", f"{folder}/{shard}.npz")
    ]


def all_stripped(wildcards) -> list:
    """The stripped texts of all shards."""
    return [path for shard in SHARDS for path in stripped(shard).values()]


def sums_of(group: str, entry: str = "{run}") -> list:
    """What scoring leaves of a group of measures."""
    return [
        f"evaluation/{entry}/{group}_sums.csv",
        f"evaluation/{entry}/{group}_facts.json",
    ]


def acquired(wildcards) -> list:
    """No input; whoever needs raw books is told here where there are none."""
    if NOT_ACQUIRED:
        raise WorkflowError(NOT_ACQUIRED)
    return []


@cache
def digests_of_shards(*shards: str) -> dict[str, str]:
    """Digests of the raw books of ``shards``, read at once with one line of progress."""
    books = {shard: BOOKS[shard] for shard in shards}
    return shard_digests(RAW_BOOKS, books, DIGESTS, EXPERIMENT.corpus.max_book_bytes)


def books_of_shard(wildcards) -> str:
    """Digest of the raw books of a shard, as a parameter; a job on another machine looks at its own shard alone."""
    shards = SHARDS if workflow.is_main_process else [wildcards.shard]
    return f"books {digests_of_shards(*shards)[wildcards.shard]}"


def training_of(wildcards):
    """The training settings of a run."""
    return RUNS[wildcards.run].training


def several_nodes(value):
    """A resource of runs on several nodes, whose command starts one task a node itself; absent in others."""
    return lambda wildcards: (
        value(training_of(wildcards)) if training_of(wildcards).nodes > 1 else None
    )


def trained(wildcards) -> list:
    """The weights of a run; run.json holds their hash."""
    folder = f"runs/{wildcards.run}"
    return pinned(
        f"{folder}/run.json",
        f"{folder}/model/model.safetensors",
        f"{folder}/model/config.json",
    )


onsuccess:
    if os.path.isfile("report/index.html"):
        print(f"The report: {RESULTS}/report/index.html", file=sys.stderr)
