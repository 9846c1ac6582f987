"""Tables, figures and the page that people read.

Inputs: the small files that earlier stages wrote. Outputs: report/. A figure depends on its own module and
on the files it draws, so an edited plot redraws that plot alone.
"""

CORPUS_FILES = pinned("corpus/books.sha256", "corpus/books.tsv")

# What each figure draws; its module is mamba_narrative.reporting.figures.<name>.
FIGURES = {
    "training_curve": [
        expand("runs/{run}/run.json", run=RUNS),
        [
            ancient(path)
            for path in expand(
                "runs/{run}/{log}.csv",
                run=RUNS,
                log=["train", "validation"],
            )
        ],
    ],
    "use_of_context": expand(
        "evaluation/{run}/{file}.csv",
        run=[*RUNS, "untrained"],
        file=["context", "state"],
    ),
    "loss_by_position": expand("evaluation/{run}/position.csv", run=[*RUNS, "unigram"]),
    "next_chapter": expand("evaluation/{run}/chapters.csv", run=[*RUNS, "unigram"]),
    "name_recall": expand("evaluation/{run}/name_recall.csv", run=RUNS),
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
        corpus=CORPUS_FILES,
        splits="splits/summary.json",
        runs=expand("runs/{run}/run.json", run=RUNS),
        evaluations=EVALUATIONS,
        audits=[
            path
            for shard in SHARDS
            for path in pinned(
                f"stripped/{shard}.sha256",
                f"stripped/{shard}.audit.jsonl",
            )
        ],
    output:
        report(
            expand(
                "report/tables/{table}.csv",
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
            expand("report/tables/{table}.csv", table=EVALUATION_TABLES),
            caption="../report/tables.rst",
            category="Evaluation",
        ),
        expand(
            "report/tables/{table}.md",
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
        "logs/report/make_tables.log",
    benchmark:
        "benchmarks/report/make_tables.tsv"
    conda:
        "../../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=15,
    params:
        code=code("make_tables"),
        runs=list(RUNS),
        shards=SHARDS,
        published=list(PUBLISHED),
        tasks="--tasks" if EXPERIMENT.evaluation.tasks.tasks else "",
    shell:
        command("make_tables")
        + " --results . --runs {params.runs} --published {params.published} {params.tasks}"
        " --shards {params.shards} --output report/tables"


rule compare_runs:
    """Runs from best to worst in every measure, with differences paired by book."""
    input:
        evaluations=EVALUATIONS,
    output:
        report(
            "report/tables/comparison.csv",
            caption="../report/tables.rst",
            category="Evaluation",
        ),
        "report/tables/comparison.md",
    log:
        "logs/report/compare_runs.log",
    benchmark:
        "benchmarks/report/compare_runs.tsv"
    conda:
        "../../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=15,
    params:
        code=code("compare_runs"),
        runs=[*RUNS, *(f"published/{name}" for name in PUBLISHED)],
        samples=EXPERIMENT.evaluation.likelihood.bootstrap_samples,
        seed=EXPERIMENT.evaluation.likelihood.seed,
    shell:
        command("compare_runs") + " --results . --runs {params.runs}"
        " --samples {params.samples} --seed {params.seed} --output report/tables"


for name, inputs in FIGURES.items():

    rule:
        name:
            f"draw_{name}"
        input:
            data=inputs,
        output:
            svg=report(
                f"report/figures/{name}.svg",
                caption=f"../report/{name}.rst",
                category="Figures",
                labels={"figure": name.replace("_", " ").capitalize()},
            ),
            png=f"report/figures/{name}.png",
        log:
            f"logs/report/figures/{name}.log",
        benchmark:
            f"benchmarks/report/figures/{name}.tsv"
        conda:
            "../../envs/cpu.yaml"
        threads: 1
        resources:
            mem_mb=2000,
            runtime=15,
        params:
            code=code("draw_figure", f"mamba_narrative.reporting.figures.{name}"),
            figure=name,
            runs=list(RUNS),
        shell:
            command("draw_figure")
            + " --figure {params.figure} --results . --runs {params.runs}"
            " --svg {output.svg:q} --png {output.png:q}"


rule figures:
    """Target: all figures."""
    input:
        expand("report/figures/{figure}.svg", figure=FIGURES),


# Where the results lie is not said on the page, so moving them changes nothing.
CONFIGURATION = EXPERIMENT.model_copy(update={"results_dir": "results"})


rule write_report:
    """One self-contained page: corpus, runs, measurements, figures, samples, environment."""
    input:
        corpus=CORPUS_FILES,
        duplicates=pinned("corpus/clusters.sha256", "corpus/duplicates.tsv"),
        splits="splits/summary.json",
        moves="splits/moves.tsv",
        leaks="splits/leaks.json",
        runs=expand("runs/{run}/run.json", run=RUNS),
        evaluations=EVALUATIONS,
        samples=expand("evaluation/{run}/samples.json", run=RUNS),
        tables=[rules.make_tables.output, rules.compare_runs.output],
        figures=expand(
            "report/figures/{figure}.{ending}",
            figure=FIGURES,
            ending=["svg", "png"],
        ),
        environment="environment/report.json",
    output:
        report(
            "report/index.html",
            caption="../report/page.rst",
            category="Report",
        ),
    log:
        "logs/report/write_report.log",
    benchmark:
        "benchmarks/report/write_report.tsv"
    conda:
        "../../envs/cpu.yaml"
    threads: 1
    resources:
        settings=settings_file(EXPERIMENT.report),
        configuration=settings_file(CONFIGURATION),
        mem_mb=2000,
        runtime=15,
    params:
        code=code(
            "write_report",
            data=SCRIPTS.glob("mamba_narrative/reporting/templates/*"),
        ),
        settings=settings(EXPERIMENT.report),
        configuration=settings(CONFIGURATION),
        runs=list(RUNS),
    shell:
        command("write_report")
        + " --results . --runs {params.runs} --settings {resources.settings:q}"
        " --configuration {resources.configuration:q} --output {output:q}"


rule report:
    """Target: the report."""
    input:
        rules.write_report.output,
