"""Measure every run on the held-out test books, beside a human row and a unigram baseline.

Inputs: a trained run, the test tokens. Outputs: sums by question and book (evaluation/<run>/<group>_sums.csv), and from
these, seconds on a processor, evaluation/<run>/<group>.json and tables: each number with its definition, n and a 95 %
interval over books.
"""

from mamba_narrative.config.evaluation import (
    GROUPS,
    LikelihoodBaselines,
    TaskSettings,
)

# What baselines of the likelihood depend on, and no other group of measurements.
LIKELIHOOD_AND_BASELINES = LikelihoodBaselines(
    likelihood=EXPERIMENT.evaluation.likelihood,
    baselines=EXPERIMENT.evaluation.baselines,
)

# The unigram is measured in all groups but these.
MEASURES = EXPERIMENT.evaluation.model_copy(
    update={"published": (), "tasks": TaskSettings()}
)
TASKS = spelled_from_results(EXPERIMENT.evaluation.tasks, "task_directory")
# A model of others is of the architecture that its own configuration says.
ALL_ARCHITECTURES = sum(map(architectures.modules_of, architectures.names()), [])
PUBLISHED = {
    model.name: spelled_from_results(model, "path", "tokenizer")
    for model in EXPERIMENT.evaluation.published
}

# What is made from the sums of a group, beside <group>.json and <group>_books.csv.
TABLES = {
    "likelihood": ["position.csv"],
    "context": ["context.csv", "resets.csv", "state.csv"],
    "structure": ["chapters.csv"],
    "words": ["name_recall.csv"],
}


rule evaluate_likelihood:
    """Bits per byte, token and word perplexity, and loss by position, on whole test books."""
    input:
        run=trained,
        tokens=token_files("test"),
    output:
        sums_of("likelihood"),
    log:
        "logs/evaluation/{run}/evaluate_likelihood.log",
    benchmark:
        "benchmarks/evaluation/{run}/evaluate_likelihood.tsv"
    conda:
        "../../envs/gpu.yaml"
    threads: 8
    resources:
        settings=settings_file(EXPERIMENT.evaluation.likelihood),
        mem_mb=16000,
        runtime=240,
        gpu=gpus(EXPERIMENT.evaluation.likelihood.device),
    params:
        code=code_for_run("evaluate_likelihood"),
        settings=questions(EXPERIMENT.evaluation.likelihood),
    shell:
        gpu_command("evaluate_likelihood")
        + " --run-directory runs/{wildcards.run} --tokens tokens"
        " --settings {resources.settings:q} --output-directory evaluation/{wildcards.run}"


rule evaluate_context:
    """The same targets from short contexts and the whole book, books with resets, the state, shuffled books."""
    input:
        run=trained,
        tokens=token_files("test"),
    output:
        sums_of("context"),
    log:
        "logs/evaluation/{run}/evaluate_context.log",
    benchmark:
        "benchmarks/evaluation/{run}/evaluate_context.tsv"
    conda:
        "../../envs/gpu.yaml"
    threads: 8
    resources:
        settings=settings_file(EXPERIMENT.evaluation.context),
        mem_mb=16000,
        runtime=240,
        gpu=gpus(EXPERIMENT.evaluation.context.device),
    params:
        code=code_for_run("evaluate_context"),
        settings=questions(EXPERIMENT.evaluation.context),
    shell:
        gpu_command("evaluate_context")
        + " --run-directory runs/{wildcards.run} --tokens tokens"
        " --settings {resources.settings:q} --output-directory evaluation/{wildcards.run}"


rule evaluate_generation:
    """Repetition, diversity and copying in continuations of passages from the test books."""
    input:
        run=trained,
        tokens=token_files("train", "test"),
    output:
        sums_of("generation"),
        samples="evaluation/{run}/samples.json",
    log:
        "logs/evaluation/{run}/evaluate_generation.log",
    benchmark:
        "benchmarks/evaluation/{run}/evaluate_generation.tsv"
    conda:
        "../../envs/gpu.yaml"
    threads: 8
    resources:
        settings=settings_file(EXPERIMENT.evaluation.generation),
        mem_mb=16000,
        runtime=240,
        gpu=gpus(EXPERIMENT.evaluation.generation.device),
    params:
        code=code_for_run("evaluate_generation"),
        settings=questions(EXPERIMENT.evaluation.generation),
    shell:
        gpu_command("evaluate_generation")
        + " --run-directory runs/{wildcards.run} --tokens tokens"
        " --settings {resources.settings:q} --output-directory evaluation/{wildcards.run}"


rule evaluate_structure:
    """Order of sentences and paragraphs, foreign sentences, next chapters: is the true course the likelier one?"""
    input:
        run=trained,
        tokens=token_files("test"),
        chapters=chapter_file,
    output:
        sums_of("structure"),
    log:
        "logs/evaluation/{run}/evaluate_structure.log",
    benchmark:
        "benchmarks/evaluation/{run}/evaluate_structure.tsv"
    conda:
        "../../envs/gpu.yaml"
    threads: 8
    resources:
        settings=settings_file(EXPERIMENT.evaluation.structure),
        mem_mb=16000,
        runtime=240,
        gpu=gpus(EXPERIMENT.evaluation.structure.device),
    params:
        code=code_for_run("evaluate_structure"),
        settings=questions(EXPERIMENT.evaluation.structure),
    shell:
        gpu_command("evaluate_structure")
        + " --run-directory runs/{wildcards.run} --tokens tokens"
        " --settings {resources.settings:q} --output-directory evaluation/{wildcards.run}"


rule evaluate_words:
    """Last words of passages with and without the passage, and names that are met again."""
    input:
        run=trained,
        tokens=token_files("test"),
    output:
        sums_of("words"),
    log:
        "logs/evaluation/{run}/evaluate_words.log",
    benchmark:
        "benchmarks/evaluation/{run}/evaluate_words.tsv"
    conda:
        "../../envs/gpu.yaml"
    threads: 8
    resources:
        settings=settings_file(EXPERIMENT.evaluation.words),
        mem_mb=16000,
        runtime=240,
        gpu=gpus(EXPERIMENT.evaluation.words.device),
    params:
        code=code_for_run("evaluate_words"),
        settings=questions(EXPERIMENT.evaluation.words),
    shell:
        gpu_command("evaluate_words")
        + " --run-directory runs/{wildcards.run} --tokens tokens"
        " --settings {resources.settings:q} --output-directory evaluation/{wildcards.run}"


rule evaluate_unigram:
    """The same measures of a model that knows word frequencies alone."""
    input:
        tokens=token_files("train", "test"),
        chapters=chapter_file,
    output:
        *sums_of("likelihood", "unigram"),
        *sums_of("generation", "unigram"),
        *sums_of("structure", "unigram"),
        *sums_of("words", "unigram"),
        samples="evaluation/unigram/samples.json",
    log:
        "logs/evaluation/unigram.log",
    benchmark:
        "benchmarks/evaluation/unigram.tsv"
    conda:
        "../../envs/cpu.yaml"
    threads: 1
    resources:
        settings=settings_file(MEASURES),
        mem_mb=4000,
        runtime=60,
    params:
        code=code("evaluate_unigram"),
        settings=questions(MEASURES),
    shell:
        command("evaluate_unigram")
        + " --tokens tokens --settings {resources.settings:q}"
        " --output-directory evaluation/unigram"


rule evaluate_ngram:
    """Likelihood of a Kneser-Ney model of the training books."""
    input:
        tokens=token_files("train", "test"),
    output:
        sums_of("likelihood", "ngram"),
    log:
        "logs/evaluation/ngram.log",
    benchmark:
        "benchmarks/evaluation/ngram.tsv"
    conda:
        "../../envs/cpu.yaml"
    threads: 1
    resources:
        settings=settings_file(LIKELIHOOD_AND_BASELINES),
        mem_mb=8000,
        runtime=60,
    params:
        code=code("evaluate_ngram"),
        settings=questions(LIKELIHOOD_AND_BASELINES),
    shell:
        command("evaluate_ngram")
        + " --tokens tokens --settings {resources.settings:q}"
        " --output-directory evaluation/ngram"


rule evaluate_compressor:
    """Bits per byte of xz, alone and after text of the training books."""
    input:
        tokens=token_files("train", "test"),
    output:
        *sums_of("likelihood", "xz"),
        *sums_of("likelihood", "xz-after-training"),
    log:
        "logs/evaluation/compressor.log",
    benchmark:
        "benchmarks/evaluation/compressor.tsv"
    conda:
        "../../envs/cpu.yaml"
    threads: 1
    resources:
        settings=settings_file(LIKELIHOOD_AND_BASELINES),
        mem_mb=2000,
        runtime=60,
    params:
        code=code("evaluate_compressor"),
        settings=questions(LIKELIHOOD_AND_BASELINES),
    shell:
        command("evaluate_compressor")
        + " --tokens tokens --settings {resources.settings:q}"
        " --output-directory evaluation"


rule evaluate_human:
    """The measures of continuations, on what the authors really wrote."""
    input:
        tokens=token_files("train", "test"),
    output:
        sums_of("generation", "human"),
    log:
        "logs/evaluation/human.log",
    benchmark:
        "benchmarks/evaluation/human.tsv"
    conda:
        "../../envs/cpu.yaml"
    threads: 1
    resources:
        settings=settings_file(EXPERIMENT.evaluation.generation),
        mem_mb=4000,
        runtime=60,
    params:
        code=code("evaluate_human"),
        settings=questions(EXPERIMENT.evaluation.generation),
    shell:
        command("evaluate_human")
        + " --tokens tokens --settings {resources.settings:q}"
        " --output-directory evaluation/human"


rule evaluate_published:
    """Bits per byte of a model of others, which may have read the books."""
    input:
        tokens=token_files("test"),
    output:
        sums_of("likelihood", "published/{model}"),
    log:
        "logs/evaluation/published/{model}.log",
    benchmark:
        "benchmarks/evaluation/published/{model}.tsv"
    wildcard_constraints:
        model="|".join(map(re.escape, PUBLISHED)) or "(?!)",
    conda:
        "../../envs/gpu.yaml"
    threads: 8
    resources:
        settings=settings_file(EXPERIMENT.evaluation.likelihood),
        mem_mb=16000,
        runtime=240,
        gpu=gpus(EXPERIMENT.evaluation.likelihood.device),
    params:
        code=code("evaluate_published", *ALL_ARCHITECTURES),
        model=lambda wildcards: settings_file(PUBLISHED[wildcards.model]),
        weights=lambda wildcards: content(
            "weights", *files_of_published(wildcards.model)
        ),
        settings=questions(EXPERIMENT.evaluation.likelihood),
    shell:
        gpu_command("evaluate_published")
        + " --model {params.model:q} --tokens tokens --settings {resources.settings:q}"
        " --output-directory evaluation/published/{wildcards.model}"


rule evaluate_tasks:
    """Tasks of lm-evaluation-harness on the exported model; only where evaluation.tasks names some."""
    input:
        run=trained,
        tokenizer="runs/{run}/model/tokenizer.json",
    output:
        metrics="evaluation/{run}/tasks.json",
        table="evaluation/{run}/tasks.csv",
    log:
        "logs/evaluation/{run}/evaluate_tasks.log",
    benchmark:
        "benchmarks/evaluation/{run}/evaluate_tasks.tsv"
    conda:
        "../../envs/gpu.yaml"
    threads: 8
    resources:
        settings=settings_file(TASKS),
        mem_mb=16000,
        runtime=480,
        gpu=gpus(EXPERIMENT.evaluation.tasks.device),
    params:
        code=code_for_run("evaluate_tasks"),
        settings=settings(TASKS),
        tasks=content("tasks", *files_below(EXPERIMENT.evaluation.tasks.task_directory)),
    shell:
        gpu_command("evaluate_tasks")
        + " --run-directory runs/{wildcards.run} --settings {resources.settings:q}"
        " --output-directory evaluation/{wildcards.run}"


for GROUP in GROUPS:
    SECTION = getattr(EXPERIMENT.evaluation, GROUP)

    rule:
        name:
            f"summarise_{GROUP}"
        input:
            sums_of(GROUP, "{entry}"),
        output:
            expand(
                "evaluation/{{entry}}/{file}",
                file=[f"{GROUP}.json", f"{GROUP}_books.csv", *TABLES.get(GROUP, [])],
            ),
        log:
            f"logs/evaluation/{{entry}}/summarise_{GROUP}.log",
        benchmark:
            f"benchmarks/evaluation/{{entry}}/summarise_{GROUP}.tsv"
        wildcard_constraints:
            entry=r"(published/)?[A-Za-z0-9][A-Za-z0-9._-]*",
        # A job of a cluster waits longer than this takes.
        localrule: True
        conda:
            "../../envs/cpu.yaml"
        threads: 1
        resources:
            settings=kept("settings", {GROUP: SECTION.model_dump(mode="json")}),
            mem_mb=2000,
            runtime=30,
        params:
            group=GROUP,
            code=code(
                "summarise_evaluation", f"mamba_narrative.evaluation.{GROUP}_report"
            ),
            settings=settings(SECTION),
        shell:
            command("summarise_evaluation")
            + " --group {params.group} --settings {resources.settings:q}"
            " --directory evaluation/{wildcards.entry}"


EVALUATIONS = [
    *expand(
        "evaluation/{run}/{name}.json",
        run=[*RUNS, "untrained", "unigram"],
        name=["likelihood", "generation", "structure", "words"],
    ),
    "evaluation/human/generation.json",
    *expand(
        "evaluation/{name}/likelihood.json",
        name=["ngram", "xz-after-training", "xz"],
    ),
    *expand(
        "evaluation/{run}/{file}",
        run=[*RUNS, "untrained"],
        file=["context.json", "context.csv", "resets.csv"],
    ),
    *expand("evaluation/published/{model}/likelihood.json", model=PUBLISHED),
    *expand(
        "evaluation/{run}/tasks.json",
        run=RUNS if EXPERIMENT.evaluation.tasks.tasks else [],
    ),
]


rule evaluate:
    """Target: all measurements."""
    input:
        EVALUATIONS,
