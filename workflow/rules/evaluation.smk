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
PUBLISHED = {model.name: model for model in EXPERIMENT.evaluation.published}


rule evaluate_likelihood:
    """Bits per byte, token and word perplexity, and loss by position, on whole test books."""
    input:
        code=code("evaluate_likelihood"),
        run=trained,
        tokens=token_files("test"),
    output:
        metrics=f"{RESULTS}/evaluation/{{run}}/likelihood.json",
        books=f"{RESULTS}/evaluation/{{run}}/likelihood_books.csv",
        position=f"{RESULTS}/evaluation/{{run}}/position.csv",
    log:
        f"{RESULTS}/logs/evaluation/{{run}}/evaluate_likelihood.log",
    benchmark:
        f"{RESULTS}/benchmarks/evaluation/{{run}}/evaluate_likelihood.tsv"
    conda:
        "../../envs/gpu.yaml"
    threads: 8
    resources:
        mem_mb=16000,
        runtime=240,
        gpu=gpus(EXPERIMENT.evaluation.likelihood.device),
    params:
        settings=settings(EXPERIMENT.evaluation.likelihood),
        results=results_folder,
    shell:
        gpu_command("evaluate_likelihood")
        + " --run-directory {params.results:q}/runs/{wildcards.run} --tokens {params.results:q}/tokens"
        " --settings {params.settings:q} --output-directory {params.results:q}/evaluation/{wildcards.run}"


rule evaluate_context:
    """The same targets from short contexts and the whole book, books with resets, the state, shuffled books."""
    input:
        code=code("evaluate_context"),
        run=trained,
        tokens=token_files("test"),
    output:
        metrics=f"{RESULTS}/evaluation/{{run}}/context.json",
        books=f"{RESULTS}/evaluation/{{run}}/context_books.csv",
        contexts=f"{RESULTS}/evaluation/{{run}}/context.csv",
        resets=f"{RESULTS}/evaluation/{{run}}/resets.csv",
        state=f"{RESULTS}/evaluation/{{run}}/state.csv",
    log:
        f"{RESULTS}/logs/evaluation/{{run}}/evaluate_context.log",
    benchmark:
        f"{RESULTS}/benchmarks/evaluation/{{run}}/evaluate_context.tsv"
    conda:
        "../../envs/gpu.yaml"
    threads: 8
    resources:
        mem_mb=16000,
        runtime=240,
        gpu=gpus(EXPERIMENT.evaluation.context.device),
    params:
        settings=settings(EXPERIMENT.evaluation.context),
        results=results_folder,
    shell:
        gpu_command("evaluate_context")
        + " --run-directory {params.results:q}/runs/{wildcards.run} --tokens {params.results:q}/tokens"
        " --settings {params.settings:q} --output-directory {params.results:q}/evaluation/{wildcards.run}"


rule evaluate_generation:
    """Repetition, diversity and copying in continuations of passages from the test books."""
    input:
        code=code("evaluate_generation"),
        run=trained,
        tokens=token_files("train", "test"),
    output:
        metrics=f"{RESULTS}/evaluation/{{run}}/generation.json",
        books=f"{RESULTS}/evaluation/{{run}}/generation_books.csv",
        samples=f"{RESULTS}/evaluation/{{run}}/samples.json",
    log:
        f"{RESULTS}/logs/evaluation/{{run}}/evaluate_generation.log",
    benchmark:
        f"{RESULTS}/benchmarks/evaluation/{{run}}/evaluate_generation.tsv"
    conda:
        "../../envs/gpu.yaml"
    threads: 8
    resources:
        mem_mb=16000,
        runtime=240,
        gpu=gpus(EXPERIMENT.evaluation.generation.device),
    params:
        settings=settings(EXPERIMENT.evaluation.generation),
        results=results_folder,
    shell:
        gpu_command("evaluate_generation")
        + " --run-directory {params.results:q}/runs/{wildcards.run} --tokens {params.results:q}/tokens"
        " --settings {params.settings:q} --output-directory {params.results:q}/evaluation/{wildcards.run}"


rule evaluate_structure:
    """Order of sentences and paragraphs, foreign sentences, next chapters: is the true course the likelier one?"""
    input:
        code=code("evaluate_structure"),
        run=trained,
        tokens=token_files("test"),
        chapters=chapter_file,
    output:
        metrics=f"{RESULTS}/evaluation/{{run}}/structure.json",
        books=f"{RESULTS}/evaluation/{{run}}/structure_books.csv",
        chapters=f"{RESULTS}/evaluation/{{run}}/chapters.csv",
    log:
        f"{RESULTS}/logs/evaluation/{{run}}/evaluate_structure.log",
    benchmark:
        f"{RESULTS}/benchmarks/evaluation/{{run}}/evaluate_structure.tsv"
    conda:
        "../../envs/gpu.yaml"
    threads: 8
    resources:
        mem_mb=16000,
        runtime=240,
        gpu=gpus(EXPERIMENT.evaluation.structure.device),
    params:
        settings=settings(EXPERIMENT.evaluation.structure),
        results=results_folder,
    shell:
        gpu_command("evaluate_structure")
        + " --run-directory {params.results:q}/runs/{wildcards.run} --tokens {params.results:q}/tokens"
        " --settings {params.settings:q} --output-directory {params.results:q}/evaluation/{wildcards.run}"


rule evaluate_words:
    """Last words of passages with and without the passage, and names that are met again."""
    input:
        code=code("evaluate_words"),
        run=trained,
        tokens=token_files("test"),
    output:
        metrics=f"{RESULTS}/evaluation/{{run}}/words.json",
        books=f"{RESULTS}/evaluation/{{run}}/words_books.csv",
        recall=f"{RESULTS}/evaluation/{{run}}/name_recall.csv",
    log:
        f"{RESULTS}/logs/evaluation/{{run}}/evaluate_words.log",
    benchmark:
        f"{RESULTS}/benchmarks/evaluation/{{run}}/evaluate_words.tsv"
    conda:
        "../../envs/gpu.yaml"
    threads: 8
    resources:
        mem_mb=16000,
        runtime=240,
        gpu=gpus(EXPERIMENT.evaluation.words.device),
    params:
        settings=settings(EXPERIMENT.evaluation.words),
        results=results_folder,
    shell:
        gpu_command("evaluate_words")
        + " --run-directory {params.results:q}/runs/{wildcards.run} --tokens {params.results:q}/tokens"
        " --settings {params.settings:q} --output-directory {params.results:q}/evaluation/{wildcards.run}"


rule evaluate_unigram:
    """The same measures of a model that knows word frequencies alone."""
    input:
        code=code("evaluate_unigram"),
        tokens=token_files("train", "test"),
        chapters=chapter_file,
    output:
        likelihood=f"{RESULTS}/evaluation/unigram/likelihood.json",
        books=f"{RESULTS}/evaluation/unigram/likelihood_books.csv",
        position=f"{RESULTS}/evaluation/unigram/position.csv",
        generation=f"{RESULTS}/evaluation/unigram/generation.json",
        generation_books=f"{RESULTS}/evaluation/unigram/generation_books.csv",
        samples=f"{RESULTS}/evaluation/unigram/samples.json",
        words=f"{RESULTS}/evaluation/unigram/words.json",
        words_books=f"{RESULTS}/evaluation/unigram/words_books.csv",
        recall=f"{RESULTS}/evaluation/unigram/name_recall.csv",
        structure=f"{RESULTS}/evaluation/unigram/structure.json",
        structure_books=f"{RESULTS}/evaluation/unigram/structure_books.csv",
        chapters=f"{RESULTS}/evaluation/unigram/chapters.csv",
    log:
        f"{RESULTS}/logs/evaluation/unigram.log",
    benchmark:
        f"{RESULTS}/benchmarks/evaluation/unigram.tsv"
    conda:
        "../../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        settings=settings(MEASURES),
        results=results_folder,
    shell:
        command("evaluate_unigram")
        + " --tokens {params.results:q}/tokens --settings {params.settings:q}"
        " --output-directory {params.results:q}/evaluation/unigram"


rule evaluate_ngram:
    """Likelihood of a Kneser-Ney model of the training books."""
    input:
        code=code("evaluate_ngram"),
        tokens=token_files("train", "test"),
    output:
        likelihood=f"{RESULTS}/evaluation/ngram/likelihood.json",
        books=f"{RESULTS}/evaluation/ngram/likelihood_books.csv",
        position=f"{RESULTS}/evaluation/ngram/position.csv",
    log:
        f"{RESULTS}/logs/evaluation/ngram.log",
    benchmark:
        f"{RESULTS}/benchmarks/evaluation/ngram.tsv"
    conda:
        "../../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=8000,
        runtime=60,
    params:
        settings=settings(LIKELIHOOD_AND_BASELINES),
        results=results_folder,
    shell:
        command("evaluate_ngram")
        + " --tokens {params.results:q}/tokens --settings {params.settings:q}"
        " --output-directory {params.results:q}/evaluation/ngram"


rule evaluate_compressor:
    """Bits per byte of xz, alone and after text of the training books."""
    input:
        code=code("evaluate_compressor"),
        tokens=token_files("train", "test"),
    output:
        expand(
            f"{RESULTS}/evaluation/{{name}}/{{file}}",
            name=["xz", "xz-after-training"],
            file=["likelihood.json", "likelihood_books.csv"],
        ),
    log:
        f"{RESULTS}/logs/evaluation/compressor.log",
    benchmark:
        f"{RESULTS}/benchmarks/evaluation/compressor.tsv"
    conda:
        "../../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        settings=settings(LIKELIHOOD_AND_BASELINES),
        results=results_folder,
    shell:
        command("evaluate_compressor")
        + " --tokens {params.results:q}/tokens --settings {params.settings:q}"
        " --output-directory {params.results:q}/evaluation"


rule evaluate_human:
    """The measures of continuations, on what the authors really wrote."""
    input:
        code=code("evaluate_human"),
        tokens=token_files("train", "test"),
    output:
        metrics=f"{RESULTS}/evaluation/human/generation.json",
        books=f"{RESULTS}/evaluation/human/generation_books.csv",
    log:
        f"{RESULTS}/logs/evaluation/human.log",
    benchmark:
        f"{RESULTS}/benchmarks/evaluation/human.tsv"
    conda:
        "../../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        settings=settings(EXPERIMENT.evaluation.generation),
        results=results_folder,
    shell:
        command("evaluate_human")
        + " --tokens {params.results:q}/tokens --settings {params.settings:q}"
        " --output-directory {params.results:q}/evaluation/human"


rule evaluate_published:
    """Bits per byte of a model of others, which may have read the books."""
    input:
        code=code("evaluate_published"),
        tokens=token_files("test"),
        model=lambda wildcards: files_of_published(PUBLISHED[wildcards.model]),
    output:
        metrics=f"{RESULTS}/evaluation/published/{{model}}/likelihood.json",
        books=f"{RESULTS}/evaluation/published/{{model}}/likelihood_books.csv",
    log:
        f"{RESULTS}/logs/evaluation/published/{{model}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/evaluation/published/{{model}}.tsv"
    wildcard_constraints:
        model="|".join(map(re.escape, PUBLISHED)) or "[]",
    conda:
        "../../envs/gpu.yaml"
    threads: 8
    resources:
        mem_mb=16000,
        runtime=240,
        gpu=gpus(EXPERIMENT.evaluation.likelihood.device),
    params:
        model=lambda wildcards: canonical_json(
            PUBLISHED[wildcards.model].model_dump(mode="json")
        ),
        settings=settings(EXPERIMENT.evaluation.likelihood),
        results=results_folder,
    shell:
        gpu_command("evaluate_published")
        + " --model {params.model:q} --tokens {params.results:q}/tokens --settings {params.settings:q}"
        " --output-directory {params.results:q}/evaluation/published/{wildcards.model}"


rule evaluate_tasks:
    """Tasks of lm-evaluation-harness on the exported model; only where evaluation.tasks names some."""
    input:
        code=code("evaluate_tasks"),
        run=trained,
        tokenizer=f"{RESULTS}/runs/{{run}}/model/tokenizer.json",
    output:
        metrics=f"{RESULTS}/evaluation/{{run}}/tasks.json",
        table=f"{RESULTS}/evaluation/{{run}}/tasks.csv",
    log:
        f"{RESULTS}/logs/evaluation/{{run}}/evaluate_tasks.log",
    benchmark:
        f"{RESULTS}/benchmarks/evaluation/{{run}}/evaluate_tasks.tsv"
    conda:
        "../../envs/gpu.yaml"
    threads: 8
    resources:
        mem_mb=16000,
        runtime=480,
        gpu=gpus(EXPERIMENT.evaluation.tasks.device),
    params:
        settings=settings(EXPERIMENT.evaluation.tasks),
        results=results_folder,
    shell:
        gpu_command("evaluate_tasks")
        + " --run-directory {params.results:q}/runs/{wildcards.run} --settings {params.settings:q}"
        " --output-directory {params.results:q}/evaluation/{wildcards.run}"


EVALUATIONS = [
    *expand(
        f"{RESULTS}/evaluation/{{run}}/{{name}}.json",
        run=[*RUNS, "untrained", "unigram"],
        name=["likelihood", "generation", "structure", "words"],
    ),
    f"{RESULTS}/evaluation/human/generation.json",
    *expand(
        f"{RESULTS}/evaluation/{{name}}/likelihood.json",
        name=["ngram", "xz-after-training", "xz"],
    ),
    *expand(
        f"{RESULTS}/evaluation/{{run}}/{{file}}",
        run=[*RUNS, "untrained"],
        file=["context.json", "context.csv", "resets.csv"],
    ),
    *expand(
        f"{RESULTS}/evaluation/published/{{model}}/likelihood.json", model=PUBLISHED
    ),
    *expand(
        f"{RESULTS}/evaluation/{{run}}/tasks.json",
        run=RUNS if EXPERIMENT.evaluation.tasks.tasks else [],
    ),
]


rule evaluate:
    """Target: all measurements."""
    input:
        EVALUATIONS,
