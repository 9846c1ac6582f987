"""What other programs read.

Inputs: stripped texts, selection, splits, table of books; trained runs and the report's tables. Outputs: a dataset
folder, a folder for each model. Not part of the default target: `snakemake dataset models` writes them.
"""


rule export_dataset:
    """Parquet files of the splits with a dataset card."""
    input:
        code=code("export_dataset"),
        books=pinned(f"{RESULTS}/corpus/books.sha256", f"{RESULTS}/corpus/books.tsv"),
        selections=expand(f"{RESULTS}/corpus/selection/{{shard}}.tsv", shard=SHARDS),
        stripped=expand(f"{RESULTS}/stripped/{{shard}}.sha256", shard=SHARDS),
        splits=pinned(
            f"{RESULTS}/splits/manifests.sha256",
            *expand(f"{RESULTS}/splits/{{split}}.tsv", split=SPLITS),
        ),
    output:
        directory(f"{RESULTS}/dataset"),
    log:
        f"{RESULTS}/logs/export_dataset.log",
    benchmark:
        f"{RESULTS}/benchmarks/export_dataset.tsv"
    conda:
        "../../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=120,
    params:
        results=results_folder,
        shards=SHARDS,
    shell:
        command("export_dataset")
        + " --books {params.results:q}/corpus/books.tsv --splits-directory {params.results:q}/splits"
        " --selection-directory {params.results:q}/corpus/selection --stripped-root {params.results:q}/stripped"
        " --shard-names {params.shards} --output {output:q}"


rule dataset:
    """Target: the splits as a dataset folder."""
    input:
        rules.export_dataset.output,


rule export_model:
    """A run as a folder to hand on, with a complete model card, and in mamba-ssm's own format."""
    input:
        code=code("export_model"),
        citation=str(ROOT / "CITATION.cff"),
        run=trained,
        tables=rules.make_tables.output,
        leaks=f"{RESULTS}/splits/leaks.json",
    output:
        directory(f"{RESULTS}/models/{{run}}"),
    log:
        f"{RESULTS}/logs/models/{{run}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/models/{{run}}.tsv"
    conda:
        "../../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        results=results_folder,
    shell:
        command("export_model")
        + " --results {params.results:q} --run {wildcards.run} --citation {input.citation:q} --output {output:q}"


rule models:
    """Target: all runs as folders to hand on."""
    input:
        expand(f"{RESULTS}/models/{{run}}", run=RUNS),
