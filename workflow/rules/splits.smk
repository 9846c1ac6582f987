"""Training, validation and test books.

Inputs: clusters and selections. Outputs: one manifest a split, whole books only, a cluster never divided;
a summary with the shares and the overlap that is left; the leak test that training waits for.
"""


rule split_books:
    """The split of a cluster follows from its name and the seed alone."""
    input:
        code=code("split_books"),
        clusters=pinned(
            f"{RESULTS}/corpus/clusters.sha256",
            f"{RESULTS}/corpus/clusters.tsv",
        ),
        sketches=sketches,
        selections=expand(f"{RESULTS}/corpus/selection/{{shard}}.tsv", shard=SHARDS),
    output:
        train=f"{RESULTS}/splits/train.tsv",
        validation=f"{RESULTS}/splits/validation.tsv",
        test=f"{RESULTS}/splits/test.tsv",
        summary=f"{RESULTS}/splits/summary.json",
        moves=f"{RESULTS}/splits/moves.tsv",
        hashes=f"{RESULTS}/splits/manifests.sha256",
    log:
        f"{RESULTS}/logs/splits/split_books.log",
    benchmark:
        f"{RESULTS}/benchmarks/splits/split_books.tsv"
    conda:
        "../../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=8000,
        runtime=60,
    params:
        settings=settings(EXPERIMENT.splits),
        results=results_folder,
        shards=SHARDS,
    shell:
        command("split_books") + " --clusters {params.results:q}/corpus/clusters.tsv"
        " --sketch-directory {params.results:q}/corpus/sketches"
        " --selection-directory {params.results:q}/corpus/selection --shard-names {params.shards}"
        " --settings {params.settings:q} --train {output.train:q} --validation {output.validation:q}"
        " --test {output.test:q} --summary {output.summary:q} --moves {output.moves:q}"
        # Not an output: Snakemake would delete it before the run that compares itself with it.
        " --history {params.results:q}/splits/history.tsv --hashes {output.hashes:q}"


rule measure_leaks:
    """Runs of 13 words that held-out books share with training books; too many stop the run."""
    input:
        code=code("measure_leaks"),
        splits=pinned(
            f"{RESULTS}/splits/manifests.sha256",
            *expand(f"{RESULTS}/splits/{{split}}.tsv", split=SPLITS),
        ),
        selections=expand(f"{RESULTS}/corpus/selection/{{shard}}.tsv", shard=SHARDS),
        stripped=all_stripped,
    output:
        table=f"{RESULTS}/splits/leaks.tsv",
        summary=f"{RESULTS}/splits/leaks.json",
    log:
        f"{RESULTS}/logs/splits/measure_leaks.log",
    benchmark:
        f"{RESULTS}/benchmarks/splits/measure_leaks.tsv"
    conda:
        "../../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=120,
    params:
        settings=settings(EXPERIMENT.splits),
        results=results_folder,
        shards=SHARDS,
    shell:
        command("measure_leaks") + " --splits-directory {params.results:q}/splits"
        " --selection-directory {params.results:q}/corpus/selection --shard-names {params.shards}"
        " --stripped-root {params.results:q}/stripped --settings {params.settings:q}"
        " --table {output.table:q} --summary {output.summary:q}"


rule join_books:
    """The table that people read: every raw book with its decision, cluster, split and size."""
    input:
        code=code("join_books"),
        clusters=pinned(
            f"{RESULTS}/corpus/clusters.sha256",
            f"{RESULTS}/corpus/clusters.tsv",
        ),
        splits=pinned(
            f"{RESULTS}/splits/manifests.sha256",
            *expand(f"{RESULTS}/splits/{{split}}.tsv", split=SPLITS),
        ),
        selections=expand(f"{RESULTS}/corpus/selection/{{shard}}.tsv", shard=SHARDS),
        tokens=token_files(*SPLITS),
    output:
        books=f"{RESULTS}/corpus/books.tsv",
        hashes=f"{RESULTS}/corpus/books.sha256",
    log:
        f"{RESULTS}/logs/corpus/join_books.log",
    benchmark:
        f"{RESULTS}/benchmarks/corpus/join_books.tsv"
    conda:
        "../../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        results=results_folder,
        shards=SHARDS,
    shell:
        command("join_books")
        + " --selection-directory {params.results:q}/corpus/selection --shard-names {params.shards}"
        " --clusters {params.results:q}/corpus/clusters.tsv --splits-directory {params.results:q}/splits"
        " --tokens-directory {params.results:q}/tokens --output {output.books:q} --hashes {output.hashes:q}"


rule corpus:
    """Target: everything up to the table of books."""
    input:
        rules.join_books.output,
