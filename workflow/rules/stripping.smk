"""Raw books to narrative text, one job a shard.

Reads: the raw books of the shard, which Snakemake knows by one digest of their names and contents. Outputs: one text a
book, an audit of everything removed, chapter headings. The job lists the source folder itself: neither a job graph nor a
command line could hold thousands of odd names.
"""


rule strip_books:
    """Decode, cut header and footer, remove apparatus, find chapters; every removal has a reason."""
    input:
        acquired,
    output:
        texts=directory("stripped/{shard}"),
        manifest="stripped/{shard}.manifest.tsv",
        audit="stripped/{shard}.audit.jsonl",
        chapters="stripped/{shard}.chapters.tsv",
        hashes="stripped/{shard}.sha256",
    log:
        "logs/stripped/{shard}.log",
    benchmark:
        "benchmarks/stripped/{shard}.tsv"
    group:
        shard_group
    conda:
        "../../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        code=code("strip_books"),
        books=books_of_shard,
        settings=settings_file(EXPERIMENT.stripping),
        shards=EXPERIMENT.corpus.shards,
        max_book_bytes=EXPERIMENT.corpus.max_book_bytes,
    shell:
        command("strip_books")
        + ' --source-directory "$NARRATIVE_RAW_BOOKS" --shard {wildcards.shard} --shards {params.shards}'
        " --max-book-bytes {params.max_book_bytes} --settings {params.settings:q}"
        " --stripped {output.texts:q} --audit {output.audit:q} --chapters {output.chapters:q}"
        " --manifest {output.manifest:q} --hashes {output.hashes:q}"
