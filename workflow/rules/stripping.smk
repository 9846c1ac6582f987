"""Raw books to narrative text, one job a shard.

Inputs: the raw books of the shard. Outputs: one text a book, an audit of everything removed, chapter
headings. The job lists the source folder itself: a command line could not hold thousands of odd names.
"""


rule strip_books:
    """Decode, cut header and footer, remove apparatus, find chapters; every removal has a reason."""
    input:
        code=code("strip_books"),
        books=raw_books_of_shard,
    output:
        texts=directory(f"{RESULTS}/stripped/{{shard}}"),
        manifest=f"{RESULTS}/stripped/{{shard}}.manifest.tsv",
        audit=f"{RESULTS}/stripped/{{shard}}.audit.jsonl",
        chapters=f"{RESULTS}/stripped/{{shard}}.chapters.tsv",
        hashes=f"{RESULTS}/stripped/{{shard}}.sha256",
    log:
        f"{RESULTS}/logs/stripped/{{shard}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/stripped/{{shard}}.tsv"
    group:
        shard_group
    conda:
        "../../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        settings=settings(EXPERIMENT.stripping),
        source=str(RAW_BOOKS),
        shards=EXPERIMENT.corpus.shards,
        max_book_bytes=EXPERIMENT.corpus.max_book_bytes,
    shell:
        command("strip_books")
        + " --source-directory {params.source:q} --shard {wildcards.shard} --shards {params.shards}"
        " --max-book-bytes {params.max_book_bytes} --settings {params.settings:q}"
        " --stripped {output.texts:q} --audit {output.audit:q} --chapters {output.chapters:q}"
        " --manifest {output.manifest:q} --hashes {output.hashes:q}"
