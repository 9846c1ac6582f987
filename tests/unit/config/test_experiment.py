"""A configuration is complete and right, or refused with the key, the value and what was expected."""

import json
from datetime import date
from pathlib import Path

import pytest
import yaml

from mamba_narrative.config.architectures.transformer import TransformerSettings
from mamba_narrative.config.evaluation import EvaluationSettings
from mamba_narrative.config.experiment import ExperimentSettings, resolve_experiment
from mamba_narrative.errors import UserError
from mamba_narrative.model.registry import outline_model

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
        ({"runs": RUNS, "splits": {"test_fraction": 0.7, "validation_fraction": 0.5}}, "nothing is trained on"),
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
        (
            {"runs": RUNS, "training": {"weight_decay_schedule": [[1.1, 1]]}},
            "weight_decay_schedule.0.0: .*less than or equal",
        ),
        (
            {"runs": RUNS, "training": {"weight_decay_schedule": [[0, -1]]}},
            "weight_decay_schedule.0.1: .*greater than or",
        ),
        (
            {"runs": RUNS, "training": {"weight_decay_schedule": [[0, 1001]]}},
            "weight_decay_schedule.0.1: .*less than or",
        ),
        ({"runs": RUNS, "training": {"weight_decay_schedule": []}}, "weight_decay_schedule: .*at least 1 item"),
        ({"runs": RUNS, "training": {"steps": True}}, "training.steps: .*YAML reads this as true or false, found True"),
        (
            {"runs": RUNS, "training": {"steps": "1e3"}},
            "steps: .*write a whole number in digits, such as 1000",
        ),
        ({"runs": RUNS, "training": {"learning_rate": "fast"}}, "learning_rate: .*write a number such as 0.001"),
        ({"runs": RUNS, "training": {"batch_size": 65_536, "sequence_length": 65_536}}, "tokens a step"),
        (
            {"runs": RUNS, "selection": {"languages": [False]}},
            "languages: .*YAML reads this as true or false",
        ),
        (
            {"runs": RUNS, "tokens": {"tokenizer": 2024}},
            "tokenizer: .*reads this as a number; put text into quotes",
        ),
        ({"runs": RUNS, "tokens": {"tokenizer": date(2024, 1, 1)}}, "YAML reads this as a date"),
        ({"runs": RUNS, "results_dir": None}, "results_dir: .*YAML reads this as null"),
        ({"runs": {1: RUNS["a"]}}, "runs.1.*YAML reads this as a number; put text into quotes"),
        ({"runs": RUNS, "evaluation": {"context": {"context_tokens": [64, 16]}}}, "context_tokens: must rise"),
        (
            {"runs": RUNS, "evaluation": {"context": {"reset_tokens": [0]}}},
            "reset_tokens.0: .*greater than or equal",
        ),
        ({"runs": RUNS, "evaluation": {"structure": {"chapter_prefix_tokens": [8, 8]}}}, "prefix_tokens: must rise"),
        ({"runs": RUNS, "evaluation": {"generation": {"seeds": [1, 1]}}}, "generation.seeds: holds a value twice"),
        (
            {"runs": RUNS, "evaluation": {"generation": {"prompts": 10_000, "continuation_tokens": 65_536}}},
            "prompts x seeds x continuation_tokens are 1,310,720,000 tokens",
        ),
        (
            {"runs": {"a": {"architecture": "mamba", "model": {"d_model": 16_384, "n_layer": 1_024}}}},
            "runs.a.model: the blocks have .* parameters",
        ),
        (
            {"runs": {"a": {"architecture": "transformer", "model": {"d_model": 16_384, "n_layer": 1_024}}}},
            "runs.a.model: the blocks have .* parameters",
        ),
        (
            {"runs": {"a": {"architecture": "mamba", "model": {"dt_rank": 769}}}},
            "dt_rank .769. must not exceed",
        ),
        ({"runs": RUNS, "corpus": {"choose": {"ids": ["x" * 900 + str(n) for n in range(200)]}}}, "use corpus.lock"),
        ({}, "runs: missing"),
    ],
)
def test_a_wrong_value_is_refused_with_its_key_and_what_was_expected(configuration, message):
    import re

    assert re.search(message, refused(configuration)), refused(configuration)


@pytest.mark.parametrize(
    "name",
    [
        *(".", "..", "a.", ".a", "-a", "_a", "a b", "a/b", "../a", "a\n", "\u00e9", "a" * 65, "a:b", "a%"),
        *("human", "Human", "XZ", "unigram", "published", "compressor.log", "ngram.tsv", "Untrained"),
    ],
)
def test_a_run_that_no_folder_can_be_named_after_is_refused(name):
    assert "run name" in refused({"runs": {name: RUNS["a"]}})


@pytest.mark.parametrize("name", ["a", "1e5", "A_", "a-", "a.b", "0", "human-2", "a" * 64])
def test_a_run_may_have_any_other_name(name):
    resolve_experiment({"runs": {name: RUNS["a"]}})


def test_names_that_differ_in_capitals_alone_are_refused():
    # Some file systems would give both the same folder.
    assert "a, A need names that differ, capitals aside" in refused({"runs": {**RUNS, "A": RUNS["a"]}})
    resolve_experiment({"runs": {**RUNS, "A": None}})
    for name, message in (("A", "need names that differ"), ("Human", "names a baseline")):
        assert message in refused({"runs": RUNS, "evaluation": {"published": [{"name": name, "path": "x"}]}})
    twice = [{"name": "b", "path": "x"}, {"name": "B", "path": "y"}]
    assert "b is there twice" in refused({"runs": RUNS, "evaluation": {"published": twice}})


def test_a_number_may_be_written_in_every_way_that_yaml_has():
    # Also as text: `--config` hands all values over as text, and YAML 1.1 takes 1e-3 for text.
    for steps, rate in ((1_000, 0.001), ("1000", "1e-3"), (1.0e3, 1.0e-3), ("1_000", ".001")):
        experiment = resolve_experiment({"runs": RUNS, "training": {"steps": steps, "learning_rate": rate}})
        assert experiment.runs["a"] is not None
        assert experiment.runs["a"].training.steps == 1_000
        assert experiment.runs["a"].training.learning_rate == 0.001


def test_a_message_is_short_however_long_the_value():
    assert len(refused({"runs": RUNS, "report": {"title": "t" * 300_000}})) < 300


def test_the_parameters_of_a_transformers_block_are_those_of_the_model():
    for mlp in ("swiglu", "gelu"):
        settings = TransformerSettings(d_model=64, n_layer=3, mlp=mlp)
        model = outline_model("transformer", settings, 101)
        outside = model.head_weight().numel() + settings.d_model
        assert sum(parameter.numel() for parameter in model.parameters()) - outside == 3 * settings.block_parameters


def test_the_limit_of_tokens_holds_for_all_measurements_that_do_not_set_their_own():
    evaluation = EvaluationSettings.model_validate(
        {"max_tokens_per_book": 500, "context": {"max_tokens_per_book": 100}}
    )
    assert evaluation.likelihood.max_tokens_per_book == 500
    assert evaluation.context.max_tokens_per_book == 100
    assert EvaluationSettings().likelihood.max_tokens_per_book is None


def test_processes_that_nodes_cannot_share_evenly_are_refused():
    message = refused({"training": {"batch_size": 6, "processes": 3, "nodes": 2}, "runs": RUNS})
    assert "processes (3) must be a multiple of nodes (2)" in message


def test_stateful_rows_have_no_windows_to_shift():
    message = refused({"training": {"order": "stateful", "window_offsets": "random"}, "runs": RUNS})
    assert "window_offsets random is for order shuffled" in message


def test_dropout_that_an_architecture_does_not_heed_is_refused():
    runs = {"a": {"architecture": "mamba"}, "b": {"architecture": "transformer"}}
    message = refused({"training": {"attention_dropout": 0.1}, "runs": runs})
    assert "runs.a: training.attention_dropout is 0.1, which the architecture mamba does not heed" in message
    assert "runs.b" not in message
    dropped = {"residual_dropout": 0.1, "embedding_dropout": 0.1}
    assert resolve_experiment({"training": dropped, "runs": runs}).runs["b"].training.residual_dropout == 0.1
    assert "training.residual_dropout" in refused({"training": {"residual_dropout": 1.0}, "runs": runs})
