"""Tables, figures and the page that people read.

Inputs: the small files that earlier stages wrote. Outputs: report/. A figure depends on its own module and
on the files it draws, so an edited plot redraws that plot alone.
"""

CORPUS_FILES = pinned(f"{RESULTS}/corpus/books.sha256", f"{RESULTS}/corpus/books.tsv")

# What each figure draws; its module is mamba_narrative.reporting.figures.<name>.
FIGURES = {
    "training_curve": [
        expand(f"{RESULTS}/runs/{{run}}/run.json", run=RUNS),
        [
            ancient(path)
            for path in expand(
                f"{RESULTS}/runs/{{run}}/{{log}}.csv",
                run=RUNS,
                log=["train", "validation"],
            )
        ],
    ],
    "use_of_context": expand(
        f"{RESULTS}/evaluation/{{run}}/{{file}}.csv",
        run=[*RUNS, "untrained"],
        file=["context", "state"],
    ),
    "loss_by_position": expand(
        f"{RESULTS}/evaluation/{{run}}/position.csv", run=[*RUNS, "unigram"]
    ),
    "next_chapter": expand(
        f"{RESULTS}/evaluation/{{run}}/chapters.csv", run=[*RUNS, "unigram"]
    ),
    "name_recall": expand(f"{RESULTS}/evaluation/{{run}}/name_recall.csv", run=RUNS),
    "corpus_composition": CORPUS_FILES,
}

EVALUATION_TABLES = [
    "headline",
    "likelihood",
    "context",
    "contexts",
    "resets",
    "structure",
    "words",
    "generation",
    "tasks",
    "sanity",
]


rule make_tables:
    """All tables as CSV and Markdown."""
    input:
        code=code("make_tables"),
        corpus=CORPUS_FILES,
        splits=f"{RESULTS}/splits/summary.json",
        runs=expand(f"{RESULTS}/runs/{{run}}/run.json", run=RUNS),
        evaluations=EVALUATIONS,
        audits=[
            path
            for shard in SHARDS
            for path in pinned(
                f"{RESULTS}/stripped/{shard}.sha256",
                f"{RESULTS}/stripped/{shard}.audit.jsonl",
            )
        ],
    output:
        report(
            expand(
                f"{RESULTS}/report/tables/{{table}}.csv",
                table=[
                    "stripping",
                    "corpus",
                    "selection",
                    "splits",
                    "composition",
                    "runs",
                ],
            ),
            caption="../report/tables.rst",
            category="Tables",
        ),
        report(
            expand(f"{RESULTS}/report/tables/{{table}}.csv", table=EVALUATION_TABLES),
            caption="../report/tables.rst",
            category="Evaluation",
        ),
        expand(
            f"{RESULTS}/report/tables/{{table}}.md",
            table=[
                "stripping",
                "corpus",
                "selection",
                "splits",
                "composition",
                "runs",
                *EVALUATION_TABLES,
            ],
        ),
    log:
        f"{RESULTS}/logs/report/make_tables.log",
    benchmark:
        f"{RESULTS}/benchmarks/report/make_tables.tsv"
    conda:
        "../../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=15,
    params:
        results=results_folder,
        runs=list(RUNS),
        shards=SHARDS,
        published=list(PUBLISHED),
        tasks="--tasks" if EXPERIMENT.evaluation.tasks.tasks else "",
    shell:
        command("make_tables")
        + " --results {params.results:q} --runs {params.runs} --published {params.published} {params.tasks}"
        " --shards {params.shards} --output {params.results:q}/report/tables"


rule compare_runs:
    """Runs from best to worst in every measure, with differences paired by book."""
    input:
        code=code("compare_runs"),
        evaluations=EVALUATIONS,
    output:
        report(
            f"{RESULTS}/report/tables/comparison.csv",
            caption="../report/tables.rst",
            category="Evaluation",
        ),
        f"{RESULTS}/report/tables/comparison.md",
    log:
        f"{RESULTS}/logs/report/compare_runs.log",
    benchmark:
        f"{RESULTS}/benchmarks/report/compare_runs.tsv"
    conda:
        "../../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=15,
    params:
        results=results_folder,
        runs=[*RUNS, *(f"published/{name}" for name in PUBLISHED)],
        samples=EXPERIMENT.evaluation.likelihood.bootstrap_samples,
        seed=EXPERIMENT.evaluation.likelihood.seed,
    shell:
        command("compare_runs") + " --results {params.results:q} --runs {params.runs}"
        " --samples {params.samples} --seed {params.seed} --output {params.results:q}/report/tables"


for name, inputs in FIGURES.items():

    rule:
        name:
            f"draw_{name}"
        input:
            code=code("draw_figure", f"mamba_narrative.reporting.figures.{name}"),
            data=inputs,
        output:
            svg=report(
                f"{RESULTS}/report/figures/{name}.svg",
                caption=f"../report/{name}.rst",
                category="Figures",
                labels={"figure": name.replace("_", " ").capitalize()},
            ),
            png=f"{RESULTS}/report/figures/{name}.png",
        log:
            f"{RESULTS}/logs/report/figures/{name}.log",
        benchmark:
            f"{RESULTS}/benchmarks/report/figures/{name}.tsv"
        conda:
            "../../envs/cpu.yaml"
        threads: 1
        resources:
            mem_mb=2000,
            runtime=15,
        params:
            figure=name,
            results=results_folder,
            runs=list(RUNS),
        shell:
            command("draw_figure")
            + " --figure {params.figure} --results {params.results:q} --runs {params.runs}"
            " --svg {output.svg:q} --png {output.png:q}"


rule figures:
    """Target: all figures."""
    input:
        expand(f"{RESULTS}/report/figures/{{figure}}.svg", figure=FIGURES),


rule write_report:
    """One self-contained page: corpus, runs, measurements, figures, samples, environment."""
    input:
        code=code("write_report"),
        templates=sorted(
            str(path) for path in SCRIPTS.glob("mamba_narrative/reporting/templates/*")
        ),
        corpus=CORPUS_FILES,
        duplicates=pinned(
            f"{RESULTS}/corpus/clusters.sha256", f"{RESULTS}/corpus/duplicates.tsv"
        ),
        splits=f"{RESULTS}/splits/summary.json",
        moves=f"{RESULTS}/splits/moves.tsv",
        leaks=f"{RESULTS}/splits/leaks.json",
        runs=expand(f"{RESULTS}/runs/{{run}}/run.json", run=RUNS),
        evaluations=EVALUATIONS,
        samples=expand(f"{RESULTS}/evaluation/{{run}}/samples.json", run=RUNS),
        tables=[rules.make_tables.output, rules.compare_runs.output],
        figures=expand(
            f"{RESULTS}/report/figures/{{figure}}.{{ending}}",
            figure=FIGURES,
            ending=["svg", "png"],
        ),
        environment=f"{RESULTS}/environment/report.json",
    output:
        report(
            f"{RESULTS}/report/index.html",
            caption="../report/page.rst",
            category="Report",
        ),
    log:
        f"{RESULTS}/logs/report/write_report.log",
    benchmark:
        f"{RESULTS}/benchmarks/report/write_report.tsv"
    conda:
        "../../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=15,
    params:
        settings=settings(EXPERIMENT.report),
        configuration=settings(EXPERIMENT),
        results=results_folder,
        runs=list(RUNS),
    shell:
        command("write_report")
        + " --results {params.results:q} --runs {params.runs} --settings {params.settings:q}"
        " --configuration {params.configuration:q} --output {output:q}"


rule report:
    """Target: the report."""
    input:
        rules.write_report.output,
