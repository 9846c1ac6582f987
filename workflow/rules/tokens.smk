"""Text to memory-mapped tokens.

Inputs: kept texts (one job a shard), split manifests. Outputs: one array of uint16 a split with a
manifest. The last step is a checkpoint: what follows reads the manifests as they are then, so that a
corpus that changed without changing any token retrains nothing.
"""


rule encode_books:
    """Tokens of every kept book of a shard; they do not depend on which split the book is in."""
    input:
        **stripped(),
        selection="corpus/selection/{shard}.tsv",
    output:
        tokens="tokens/shards/{shard}.bin",
        books="tokens/shards/{shard}.books.tsv",
        hashes="tokens/shards/{shard}.sha256",
    log:
        "logs/tokens/shards/{shard}.log",
    benchmark:
        "benchmarks/tokens/shards/{shard}.tsv"
    group:
        shard_group
    conda:
        "../../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        code=code("encode_books"),
        settings=settings_file(TOKENS),
        tokenizer=TOKENIZER_DIGEST,
    shell:
        command("encode_books")
        + " --selection {input.selection:q} --stripped {input.texts:q} --manifest {input.manifest:q}"
        " --settings {params.settings:q}"
        " --tokens {output.tokens:q} --books {output.books:q} --hashes {output.hashes:q}"


checkpoint assemble_tokens:
    """One array a split, books in the order of the manifest; waits for the leak test."""
    input:
        leaks="splits/leaks.json",
        splits=pinned(
            "splits/manifests.sha256",
            *expand("splits/{split}.tsv", split=SPLITS),
        ),
        shards=[
            pinned(
                f"tokens/shards/{shard}.sha256",
                f"tokens/shards/{shard}.bin",
                f"tokens/shards/{shard}.books.tsv",
            )
            for shard in SHARDS
        ],
        chapters=expand("stripped/{shard}.chapters.tsv", shard=SHARDS),
    output:
        expand(
            "tokens/{split}.{ending}",
            split=SPLITS,
            ending=["json", "bin", "books.tsv"],
        ),
        "tokens/test.chapters.tsv",
    log:
        "logs/tokens/assemble_tokens.log",
    benchmark:
        "benchmarks/tokens/assemble_tokens.tsv"
    conda:
        "../../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        code=code("assemble_tokens"),
        settings=settings_file(TOKENS),
        tokenizer=TOKENIZER_DIGEST,
    shell:
        command("assemble_tokens")
        + " --train splits/train.tsv --validation splits/validation.tsv"
        " --test splits/test.tsv --shard-tokens-directory tokens/shards"
        " --stripped-directory stripped --settings {params.settings:q} --output tokens"


rule tokens:
    """Target: everything up to the token arrays."""
    input:
        expand("tokens/{split}.json", split=SPLITS),
