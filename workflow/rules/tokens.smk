"""Text to memory-mapped tokens.

Inputs: kept texts (one job a shard), split manifests. Outputs: one array of uint16 a split with a
manifest. The last step is a checkpoint: what follows reads the manifests as they are then, so that a
corpus that changed without changing any token retrains nothing.
"""


rule encode_books:
    """Tokens of every kept book of a shard; they do not depend on which split the book is in."""
    input:
        **stripped(),
        code=code("encode_books"),
        selection=f"{RESULTS}/corpus/selection/{{shard}}.tsv",
    output:
        tokens=f"{RESULTS}/tokens/shards/{{shard}}.bin",
        books=f"{RESULTS}/tokens/shards/{{shard}}.books.tsv",
        hashes=f"{RESULTS}/tokens/shards/{{shard}}.sha256",
    log:
        f"{RESULTS}/logs/tokens/shards/{{shard}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/tokens/shards/{{shard}}.tsv"
    group:
        shard_group
    conda:
        "../../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        settings=settings(EXPERIMENT.tokens),
    shell:
        command("encode_books")
        + " --selection {input.selection:q} --stripped {input.texts:q} --manifest {input.manifest:q}"
        " --settings {params.settings:q}"
        " --tokens {output.tokens:q} --books {output.books:q} --hashes {output.hashes:q}"


checkpoint assemble_tokens:
    """One array a split, books in the order of the manifest; waits for the leak test."""
    input:
        code=code("assemble_tokens"),
        leaks=ancient(f"{RESULTS}/splits/leaks.json"),
        splits=pinned(
            f"{RESULTS}/splits/manifests.sha256",
            *expand(f"{RESULTS}/splits/{{split}}.tsv", split=SPLITS),
        ),
        shards=[
            pinned(
                f"{RESULTS}/tokens/shards/{shard}.sha256",
                f"{RESULTS}/tokens/shards/{shard}.bin",
                f"{RESULTS}/tokens/shards/{shard}.books.tsv",
            )
            for shard in SHARDS
        ],
        chapters=expand(f"{RESULTS}/stripped/{{shard}}.chapters.tsv", shard=SHARDS),
    output:
        expand(
            f"{RESULTS}/tokens/{{split}}.{{ending}}",
            split=SPLITS,
            ending=["json", "bin", "books.tsv"],
        ),
        f"{RESULTS}/tokens/test.chapters.tsv",
    log:
        f"{RESULTS}/logs/tokens/assemble_tokens.log",
    benchmark:
        f"{RESULTS}/benchmarks/tokens/assemble_tokens.tsv"
    conda:
        "../../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        settings=settings(EXPERIMENT.tokens),
        results=results_folder,
    shell:
        command("assemble_tokens")
        + " --train {params.results:q}/splits/train.tsv --validation {params.results:q}/splits/validation.tsv"
        " --test {params.results:q}/splits/test.tsv --shard-tokens-directory {params.results:q}/tokens/shards"
        " --stripped-directory {params.results:q}/stripped --settings {params.settings:q} --output {params.results:q}/tokens"


rule tokens:
    """Target: everything up to the token arrays."""
    input:
        expand(f"{RESULTS}/tokens/{{split}}.json", split=SPLITS),
