"""Training, validation and test books.

Inputs: clusters and selections. Outputs: one manifest a split, whole books only, a cluster never divided;
a summary with the shares and the overlap that is left; the leak test that training waits for.
"""


rule split_books:
    """The split of a cluster follows from its name and the seed alone."""
    input:
        clusters=pinned(
            "corpus/clusters.sha256",
            "corpus/clusters.tsv",
        ),
        sketches=sketches,
        selections=expand("corpus/selection/{shard}.tsv", shard=SHARDS),
    output:
        train="splits/train.tsv",
        validation="splits/validation.tsv",
        test="splits/test.tsv",
        summary="splits/summary.json",
        moves="splits/moves.tsv",
        hashes="splits/manifests.sha256",
    log:
        "logs/splits/split_books.log",
    benchmark:
        "benchmarks/splits/split_books.tsv"
    conda:
        "../../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=8000,
        runtime=60,
    params:
        code=code("split_books"),
        settings=settings_file(EXPERIMENT.splits),
        shards=SHARDS,
    shell:
        command("split_books") + " --clusters corpus/clusters.tsv"
        " --sketch-directory corpus/sketches"
        " --selection-directory corpus/selection --shard-names {params.shards}"
        " --settings {params.settings:q} --train {output.train:q} --validation {output.validation:q}"
        " --test {output.test:q} --summary {output.summary:q} --moves {output.moves:q}"
        # Not an output: Snakemake would delete it before the run that compares itself with it.
        " --history splits/history.tsv --hashes {output.hashes:q}"


rule measure_leaks:
    """Runs of 13 words that held-out books share with training books; too many stop the run."""
    input:
        splits=pinned(
            "splits/manifests.sha256",
            *expand("splits/{split}.tsv", split=SPLITS),
        ),
        selections=expand("corpus/selection/{shard}.tsv", shard=SHARDS),
        stripped=all_stripped,
    output:
        table="splits/leaks.tsv",
        summary="splits/leaks.json",
    log:
        "logs/splits/measure_leaks.log",
    benchmark:
        "benchmarks/splits/measure_leaks.tsv"
    conda:
        "../../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=120,
    params:
        code=code("measure_leaks"),
        settings=settings_file(EXPERIMENT.splits),
        shards=SHARDS,
    shell:
        command("measure_leaks") + " --splits-directory splits"
        " --selection-directory corpus/selection --shard-names {params.shards}"
        " --stripped-root stripped --settings {params.settings:q}"
        " --table {output.table:q} --summary {output.summary:q}"


rule join_books:
    """The table that people read: every raw book with its decision, cluster, split and size."""
    input:
        clusters=pinned(
            "corpus/clusters.sha256",
            "corpus/clusters.tsv",
        ),
        splits=pinned(
            "splits/manifests.sha256",
            *expand("splits/{split}.tsv", split=SPLITS),
        ),
        selections=expand("corpus/selection/{shard}.tsv", shard=SHARDS),
        tokens=token_files(*SPLITS),
    output:
        books="corpus/books.tsv",
        hashes="corpus/books.sha256",
    log:
        "logs/corpus/join_books.log",
    benchmark:
        "benchmarks/corpus/join_books.tsv"
    conda:
        "../../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        code=code("join_books"),
        shards=SHARDS,
    shell:
        command("join_books")
        + " --selection-directory corpus/selection --shard-names {params.shards}"
        " --clusters corpus/clusters.tsv --splits-directory splits"
        " --tokens-directory tokens --output {output.books:q} --hashes {output.hashes:q}"


rule corpus:
    """Target: everything up to the table of books."""
    input:
        rules.join_books.output,
