"""Train the named runs of the configuration.

Inputs: the token arrays of training and validation. Outputs: the model as a Hugging Face folder, the log,
run.json. Checkpoints live in results/state, which no rule declares: Snakemake deletes declared outputs of
a job that failed, and a run must be able to die at any instant and go on.
"""

from mamba_narrative.config.training import TrainingSettings


rule train_run:
    """One run from its first step, or from its newest whole checkpoint, to its last step."""
    input:
        tokens=token_files("train", "validation"),
    output:
        record="runs/{run}/run.json",
        log="runs/{run}/train.csv",
        validation="runs/{run}/validation.csv",
        model="runs/{run}/model/model.safetensors",
        config="runs/{run}/model/config.json",
        generation="runs/{run}/model/generation_config.json",
        tokenizer="runs/{run}/model/tokenizer.json",
        tokenizer_config="runs/{run}/model/tokenizer_config.json",
    log:
        "logs/runs/{run}/train_run.log",
    benchmark:
        "benchmarks/runs/{run}/train_run.tsv"
    conda:
        "../../envs/gpu.yaml"
    threads: 8
    resources:
        settings=lambda wildcards: settings_file(RUNS[wildcards.run]),
        mem_mb=16000,
        runtime=1440,
        gpu=lambda wildcards: gpus(
            training_of(wildcards).device, training_of(wildcards).processes
        ),
        # SLURM must neither spread the GPUs over more nodes nor start one task for each.
        nodes=lambda wildcards: training_of(wildcards).nodes,
        tasks_per_gpu=0,
        mpi=several_nodes(lambda training: "srun"),
        tasks=several_nodes(lambda training: training.nodes),
        # Not a parameter: another disk is no reason to train again.
        stage=lambda wildcards: training_of(wildcards).staging_directory or "",
    params:
        code=code_for_run("train_run"),
        settings=lambda wildcards: settings(RUNS[wildcards.run]),
    shell:
        gpu_command("train_run")
        + " --run {wildcards.run} --settings {resources.settings:q} --tokens tokens"
        " --output runs/{wildcards.run} --state-directory state/{wildcards.run}"
        " --staging-directory={resources.stage:q}"


rule write_model_card:
    """The card of a trained model; its text is no reason to train again."""
    input:
        record="runs/{run}/run.json",
    output:
        "runs/{run}/model/README.md",
    log:
        "logs/runs/{run}/write_model_card.log",
    benchmark:
        "benchmarks/runs/{run}/write_model_card.tsv"
    conda:
        "../../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=15,
    params:
        code=code_for_run("write_model_card"),
    shell:
        command("write_model_card") + " --record {input.record:q} --output {output:q}"


# The baseline `untrained` is the first run before its first step.
UNTRAINED_LIKE, UNTRAINED = next(iter(RUNS.items()))
UNTRAINED = UNTRAINED.model_copy(
    update={"training": TrainingSettings(seed=UNTRAINED.training.seed)}
)


ruleorder: initialise_run > train_run


rule initialise_run:
    """The initial weights of the first run, as a run of its own."""
    output:
        record="runs/untrained/run.json",
        model="runs/untrained/model/model.safetensors",
        config="runs/untrained/model/config.json",
        generation="runs/untrained/model/generation_config.json",
    log:
        "logs/runs/untrained/initialise_run.log",
    benchmark:
        "benchmarks/runs/untrained/initialise_run.tsv"
    conda:
        "../../envs/cpu.yaml"
    threads: 1
    resources:
        settings=settings_file(UNTRAINED),
        mem_mb=4000,
        runtime=15,
    params:
        code=code("initialise_run", *architectures.modules_of(UNTRAINED.architecture)),
        like=UNTRAINED_LIKE,
        settings=settings(UNTRAINED),
        tokenizer=TOKENS.tokenizer,
        content=TOKENIZER_DIGEST,
    shell:
        command("initialise_run")
        + " --like {params.like:q} --settings {resources.settings:q} --tokenizer {params.tokenizer:q}"
        " --output runs/untrained"


rule train:
    """Target: all runs trained."""
    input:
        expand("runs/{run}/run.json", run=RUNS),
        expand("runs/{run}/model/README.md", run=RUNS),
