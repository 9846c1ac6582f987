"""A configuration is complete and right, or refused with the key, the value and what was expected."""

import json
from pathlib import Path

import pytest
import yaml

from mamba_narrative.config.evaluation import EvaluationSettings
from mamba_narrative.config.experiment import ExperimentSettings, resolve_experiment
from mamba_narrative.errors import UserError

ROOT = Path(__file__).resolve().parents[3]
RUNS = {"a": {"architecture": "mamba"}}


def refused(configuration: dict) -> str:
    with pytest.raises(UserError) as error:
        resolve_experiment(configuration)
    return str(error.value)


def test_the_default_configuration_is_valid():
    resolve_experiment(yaml.safe_load((ROOT / "config.yaml").read_text()))


def merged(path: Path) -> dict:
    """An experiment as Snakemake puts it on top of the defaults."""

    def merge(base, top):
        return {
            **base,
            **{
                key: merge(base[key], value) if isinstance(value, dict) and isinstance(base.get(key), dict) else value
                for key, value in top.items()
            },
        }

    return merge(yaml.safe_load((ROOT / "config.yaml").read_text()), yaml.safe_load(path.read_text()))


@pytest.mark.parametrize("path", sorted((ROOT / "workflow" / "configs").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_experiment_is_valid_on_top_of_the_defaults(path):
    resolve_experiment(merged(path))


@pytest.mark.parametrize("name", ["baseline-697", "mamba-130m", "mamba-130m-paper", "mamba-70m"])
def test_experiments_for_a_gpu_measure_whole_books_and_not_what_suits_the_sample(name):
    # The first results of the baseline knew the use of context from the first 1,024 tokens of books only.
    found = resolve_experiment(merged(ROOT / "workflow" / "configs" / f"{name}.yaml")).evaluation
    usual = EvaluationSettings()
    assert (found.context, found.structure, found.words) == (usual.context, usual.structure, usual.words)
    assert found.likelihood == usual.likelihood


def test_the_schema_on_disk_is_the_schema_of_the_code():
    on_disk = json.loads((ROOT / "workflow" / "schemas" / "config.schema.json").read_text())
    del on_disk["$schema"]
    assert on_disk == ExperimentSettings.model_json_schema(), "run `make schema`"


def test_shared_training_settings_reach_every_run_and_a_run_overrides_single_keys():
    experiment = resolve_experiment(
        {
            "training": {"steps": 700, "warmup_steps": 7},
            "runs": {**RUNS, "b": {"architecture": "mamba", "training": {"steps": 800}}},
        }
    )
    training = {name: run.training for name, run in experiment.runs.items() if run is not None}
    assert (training["a"].steps, training["b"].steps) == (700, 800)
    assert training["a"].warmup_steps == training["b"].warmup_steps == 7


def lengths_of(shared, own=None):
    runs = {"a": {"architecture": "mamba", "training": own or {}}}
    run = resolve_experiment({"training": shared, "runs": runs}).runs["a"]
    return run.training.steps, run.training.epochs, run.training.tokens


def test_a_run_is_so_many_steps_epochs_or_tokens_long():
    assert lengths_of({}) == (10_000, None, None)
    assert lengths_of({"epochs": 2}) == (None, 2, None)
    assert lengths_of({"steps": None, "tokens": 5_000_000}) == (None, None, 5_000_000)
    # A run's own length takes the place of the shared one.
    assert lengths_of({"epochs": 2}, {"steps": 900}) == (900, None, None)
    assert lengths_of({"steps": 900}, {"epochs": 2}) == (None, 2, None)
    assert lengths_of({"steps": 900}, {"learning_rate": 1e-3}) == (900, None, None)


def test_null_takes_a_run_of_a_lower_configuration_out():
    assert resolve_experiment({"runs": {**RUNS, "b": None}}).runs["b"] is None
    assert "every run is null" in refused({"runs": {"b": None}})


@pytest.mark.parametrize(
    ("configuration", "message"),
    [
        ({"runs": RUNS, "corpsu": {}}, "corpsu: unknown key"),
        ({"runs": RUNS, "corpus": {"shards": "many"}}, "corpus.shards: .*found 'many'"),
        ({"runs": RUNS, "corpus": {"shards": 0}}, "corpus.shards: .*greater than or equal to 1, found 0"),
        ({"runs": RUNS, "corpus": {"source": "directory"}}, "corpus.directory must name the folder"),
        ({"runs": RUNS, "splits": {"test_share": 0.7, "validation_share": 0.5}}, "nothing is trained on"),
        ({"runs": {"a": {"architecture": "lstm"}}}, "runs.a.architecture: .*'mamba' or 'transformer', found 'lstm'"),
        (
            {"runs": {"a": {"architecture": "transformer", "model": {"d_state": 1}}}},
            "runs.a.model.d_state: unknown key",
        ),
        ({"runs": {"a": {"architecture": "transformer", "model": {"n_head": 7}}}}, "runs.a.model: .*twice n_head"),
        ({"runs": {"a": "mamba"}}, "runs.a: Input should be .*dictionary"),
        ({"runs": {"a": {}}}, "runs.a.architecture: missing"),
        ({"runs": {"a": {"architecture": "mamba", "model": {"d_modle": 1}}}}, "runs.a.model.d_modle: unknown key"),
        ({"runs": {"a b": RUNS["a"]}}, "run name 'a b'"),
        ({"runs": {"human": RUNS["a"]}}, "run name 'human'.*they name baselines"),
        ({"runs": RUNS, "training": {"learning_rate": float("nan")}}, "learning_rate: .*finite"),
        ({"runs": RUNS, "training": {"steps": 5, "warmup_steps": 6}}, r"warmup_steps \(6\) must not exceed steps"),
        (
            {"runs": RUNS, "training": {"steps": 5000, "epochs": 2}},
            r"one of steps, epochs and tokens must be set and the others be null, found steps: 5000, epochs: 2.0, tok",
        ),
        (
            {"runs": RUNS, "training": {"steps": None}},
            "one of steps, epochs and tokens .*found steps: null, epochs: nu",
        ),
        ({"runs": RUNS, "training": {"result": "ema"}}, "no average is kept: set ema_decay"),
        (
            {"runs": RUNS, "training": {"weight_decay_schedule": [[0.5, 1], [0.5, 0]]}},
            r"shares of the run must rise from point to point, found \[0.5, 0.5\]",
        ),
        ({"runs": RUNS, "training": {"weight_decay_schedule": []}}, "weight_decay_schedule: .*at least 1 item"),
        ({}, "runs: missing"),
    ],
)
def test_a_wrong_value_is_refused_with_its_key_and_what_was_expected(configuration, message):
    import re

    assert re.search(message, refused(configuration)), refused(configuration)


def test_the_limit_of_tokens_holds_for_all_measurements_that_do_not_set_their_own():
    evaluation = EvaluationSettings.model_validate(
        {"max_tokens_per_book": 500, "context": {"max_tokens_per_book": 100}}
    )
    assert evaluation.likelihood.max_tokens_per_book == 500
    assert evaluation.context.max_tokens_per_book == 100
    assert EvaluationSettings().likelihood.max_tokens_per_book is None


def test_processes_that_nodes_cannot_share_evenly_are_refused():
    message = refused({"training": {"batch_sequences": 6, "processes": 3, "nodes": 2}, "runs": RUNS})
    assert "processes (3) must be a multiple of nodes (2)" in message


def test_stateful_rows_have_no_windows_to_shift():
    message = refused({"training": {"order": "stateful", "window_offsets": "random"}, "runs": RUNS})
    assert "window_offsets random is for order shuffled" in message


def test_dropout_that_an_architecture_does_not_heed_is_refused():
    runs = {"a": {"architecture": "mamba"}, "b": {"architecture": "transformer"}}
    message = refused({"training": {"attention_dropout": 0.1}, "runs": runs})
    assert (
        "runs.a: Value error, training.attention_dropout is 0.1, which the architecture mamba does not heed" in message
    )
    assert "runs.b" not in message
    dropped = {"residual_dropout": 0.1, "embedding_dropout": 0.1}
    assert resolve_experiment({"training": dropped, "runs": runs}).runs["b"].training.residual_dropout == 0.1
    assert "training.residual_dropout" in refused({"training": {"residual_dropout": 1.0}, "runs": runs})
