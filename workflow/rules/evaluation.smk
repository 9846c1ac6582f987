"""Measure every run on the held-out test books, beside a human row and a unigram baseline.

Inputs: a trained run, the test tokens. Outputs: evaluation/<run>/*.json and *.csv, each number with its
definition, n and a 95 % interval over books.
"""

from mamba_narrative.config.evaluation import LikelihoodBaselines, TaskSettings

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


rule evaluate_likelihood:
    """Bits per byte, token and word perplexity, and loss by position, on whole test books."""
    input:
        run=trained,
        tokens=token_files("test"),
    output:
        metrics="evaluation/{run}/likelihood.json",
        books="evaluation/{run}/likelihood_books.csv",
        position="evaluation/{run}/position.csv",
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
        settings=settings(EXPERIMENT.evaluation.likelihood),
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
        metrics="evaluation/{run}/context.json",
        books="evaluation/{run}/context_books.csv",
        contexts="evaluation/{run}/context.csv",
        resets="evaluation/{run}/resets.csv",
        state="evaluation/{run}/state.csv",
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
        settings=settings(EXPERIMENT.evaluation.context),
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
        metrics="evaluation/{run}/generation.json",
        books="evaluation/{run}/generation_books.csv",
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
        settings=settings(EXPERIMENT.evaluation.generation),
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
        metrics="evaluation/{run}/structure.json",
        books="evaluation/{run}/structure_books.csv",
        chapters="evaluation/{run}/chapters.csv",
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
        settings=settings(EXPERIMENT.evaluation.structure),
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
        metrics="evaluation/{run}/words.json",
        books="evaluation/{run}/words_books.csv",
        recall="evaluation/{run}/name_recall.csv",
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
        settings=settings(EXPERIMENT.evaluation.words),
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
        likelihood="evaluation/unigram/likelihood.json",
        books="evaluation/unigram/likelihood_books.csv",
        position="evaluation/unigram/position.csv",
        generation="evaluation/unigram/generation.json",
        generation_books="evaluation/unigram/generation_books.csv",
        samples="evaluation/unigram/samples.json",
        words="evaluation/unigram/words.json",
        words_books="evaluation/unigram/words_books.csv",
        recall="evaluation/unigram/name_recall.csv",
        structure="evaluation/unigram/structure.json",
        structure_books="evaluation/unigram/structure_books.csv",
        chapters="evaluation/unigram/chapters.csv",
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
        settings=settings(MEASURES),
    shell:
        command("evaluate_unigram")
        + " --tokens tokens --settings {resources.settings:q}"
        " --output-directory evaluation/unigram"


rule evaluate_ngram:
    """Likelihood of a Kneser-Ney model of the training books."""
    input:
        tokens=token_files("train", "test"),
    output:
        likelihood="evaluation/ngram/likelihood.json",
        books="evaluation/ngram/likelihood_books.csv",
        position="evaluation/ngram/position.csv",
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
        settings=settings(LIKELIHOOD_AND_BASELINES),
    shell:
        command("evaluate_ngram")
        + " --tokens tokens --settings {resources.settings:q}"
        " --output-directory evaluation/ngram"


rule evaluate_compressor:
    """Bits per byte of xz, alone and after text of the training books."""
    input:
        tokens=token_files("train", "test"),
    output:
        expand(
            "evaluation/{name}/{file}",
            name=["xz", "xz-after-training"],
            file=["likelihood.json", "likelihood_books.csv"],
        ),
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
        settings=settings(LIKELIHOOD_AND_BASELINES),
    shell:
        command("evaluate_compressor")
        + " --tokens tokens --settings {resources.settings:q}"
        " --output-directory evaluation"


rule evaluate_human:
    """The measures of continuations, on what the authors really wrote."""
    input:
        tokens=token_files("train", "test"),
    output:
        metrics="evaluation/human/generation.json",
        books="evaluation/human/generation_books.csv",
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
        settings=settings(EXPERIMENT.evaluation.generation),
    shell:
        command("evaluate_human")
        + " --tokens tokens --settings {resources.settings:q}"
        " --output-directory evaluation/human"


rule evaluate_published:
    """Bits per byte of a model of others, which may have read the books."""
    input:
        tokens=token_files("test"),
    output:
        metrics="evaluation/published/{model}/likelihood.json",
        books="evaluation/published/{model}/likelihood_books.csv",
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
        settings=settings(EXPERIMENT.evaluation.likelihood),
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
