"""What other programs read.

Inputs: stripped texts, selection, splits, table of books; trained runs and the report's tables. Outputs: a dataset
folder, a folder for each model. Not part of the default target: `snakemake --cores 4 dataset models` writes them.
"""


rule export_dataset:
    """Parquet files of the splits with a dataset card."""
    input:
        books=pinned("corpus/books.sha256", "corpus/books.tsv"),
        selections=expand("corpus/selection/{shard}.tsv", shard=SHARDS),
        stripped=expand("stripped/{shard}.sha256", shard=SHARDS),
        splits=pinned(
            "splits/manifests.sha256",
            *expand("splits/{split}.tsv", split=SPLITS),
        ),
    output:
        directory("dataset"),
    log:
        "logs/export_dataset.log",
    benchmark:
        "benchmarks/export_dataset.tsv"
    conda:
        "../../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=120,
    params:
        code=code("export_dataset"),
        shards=SHARDS,
    shell:
        command("export_dataset")
        + " --books corpus/books.tsv --splits-directory splits"
        " --selection-directory corpus/selection --stripped-root stripped"
        " --shard-names {params.shards} --output {output:q}"


rule dataset:
    """Target: the splits as a dataset folder."""
    input:
        rules.export_dataset.output,


rule export_model:
    """A run as a folder to hand on, with a complete model card, and in mamba-ssm's own format."""
    input:
        run=trained,
        card="runs/{run}/model/README.md",
        tables=rules.make_tables.output,
        leaks="splits/leaks.json",
    output:
        directory("models/{run}"),
    log:
        "logs/models/{run}.log",
    benchmark:
        "benchmarks/models/{run}.tsv"
    conda:
        "../../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        code=code_for_run("export_model", data=[ROOT / "CITATION.cff"]),
    shell:
        command("export_model")
        + ' --results . --run {wildcards.run} --citation "$NARRATIVE_CITATION" --output {output:q}'


rule models:
    """Target: all runs as folders to hand on."""
    input:
        expand("models/{run}", run=RUNS),
