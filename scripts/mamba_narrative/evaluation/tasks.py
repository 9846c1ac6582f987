"""Tasks of lm-evaluation-harness on the model that a run exported, opened by transformers as anyone would open it."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

from mamba_narrative.config import architectures
from mamba_narrative.config.evaluation import TaskSettings
from mamba_narrative.errors import UserError
from mamba_narrative.evaluation.arguments import OutputDirectory, RunDirectory
from mamba_narrative.evaluation.csv_text import csv_text
from mamba_narrative.evaluation.trained_run import choose_device
from mamba_narrative.io import read_json, write_json, write_text
from mamba_narrative.model.storage import verify_model

COLUMNS = ("task", "version", "metric", "better", "value", "standard_error", "n")
_INSTALL = "pip install -r requirements-lm-eval.txt"


def evaluate_tasks(
    run_directory: RunDirectory,
    settings: Annotated[TaskSettings, "section `evaluation.tasks`"],
    output_directory: OutputDirectory,
) -> None:
    """Run ``settings.tasks`` on the model of a run; write `tasks.json` and `tasks.csv`.

    Standard errors are the harness's own, over the cases of a task. Raises UserError where lm-eval is not installed,
    transformers cannot open the model, a task is unknown, or its data cannot be had.
    """
    if not settings.tasks:
        raise UserError("evaluation.tasks.tasks: no task is named; name one, such as lambada_openai")
    if importlib.util.find_spec("lm_eval") is None:
        raise UserError(
            f"lm-eval is not installed, and evaluation.tasks names {', '.join(settings.tasks)}: `{_INSTALL}` "
            f"(in .venv: `.venv/bin/{_INSTALL}`), or leave evaluation.tasks.tasks empty"
        )
    model = run_directory / "model"
    architecture = read_json(run_directory / "run.json").get("architecture", "mamba")
    if not architectures.declares(architecture, architectures.FORM):
        raise UserError(f"{model}: transformers has no class for the architecture {architecture!r}; lm-eval needs one")
    verify_model(model)
    found = _run_harness(model, settings)
    rows = list(_rows(found))
    write_text(output_directory / "tasks.csv", csv_text(COLUMNS, rows))
    write_json(
        output_directory / "tasks.json",
        {
            "run": run_directory.name,
            "harness": f"lm-eval {importlib.metadata.version('lm-eval')}",
            "settings": settings.model_dump(mode="json"),
            "tasks": rows,
        },
    )


def _run_harness(model: Path, settings: TaskSettings) -> Mapping[str, Any]:
    # Imported here: optional, and slow to import.
    from lm_eval import simple_evaluate  # type: ignore[import-not-found]
    from lm_eval.tasks import TaskManager  # type: ignore[import-not-found]

    manager = TaskManager(include_path=settings.task_directory)
    if unknown := sorted(set(settings.tasks) - set(manager.all_tasks)):
        raise UserError(f"evaluation.tasks.tasks: lm-eval has no {', '.join(unknown)}; `lm-eval ls tasks` lists all")
    try:
        # Before the model is opened: the data may have to be fetched.
        manager.load(list(settings.tasks))
    except Exception as error:  # Many kinds, of data sets and their HTTP client.
        raise UserError(
            f"the data of {', '.join(settings.tasks)} cannot be had ({type(error).__name__}: "
            f"{(str(error).splitlines() or ['no message'])[0]}); connect to the network, or name tasks with data here"
        ) from None
    return simple_evaluate(
        model="hf",
        model_args={"pretrained": str(model), "dtype": "float32", "trust_remote_code": False},
        tasks=list(settings.tasks),
        task_manager=manager,
        limit=settings.limit,
        batch_size=settings.batch_size,
        device=choose_device(settings.device).type,
        random_seed=settings.seed,
        numpy_random_seed=settings.seed,
        torch_random_seed=settings.seed,
        fewshot_random_seed=settings.seed,
        log_samples=False,
    )


def _rows(found: Mapping[str, Any]) -> Iterator[dict[str, object]]:
    """One row a task and metric, from the results of the harness, whose keys are `metric,filter`."""
    for task, measured in found["results"].items():
        directions = found.get("higher_is_better", {}).get(task, {})
        for key, value in measured.items():
            metric, _, chosen = key.partition(",")
            if not isinstance(value, int | float) or not chosen or metric.endswith("_stderr"):
                continue
            error = measured.get(f"{metric}_stderr,{chosen}")
            higher = directions.get(metric)
            values = (
                task,
                found.get("versions", {}).get(task),
                metric if chosen == "none" else f"{metric} ({chosen})",
                "" if higher is None else "higher" if higher else "lower",
                float(value),
                float(error) if isinstance(error, int | float) else None,
                found.get("n-samples", {}).get(task, {}).get("effective"),
            )
            yield dict(zip(COLUMNS, values, strict=True))
