"""Which books are English narrative prose, and which of them share text.

Inputs: stripped texts, the catalogue where there is one. Outputs: a decision with reasons for every raw
book (one job a shard), then clusters of kept books that share text (one job for the whole corpus).
"""


rule select_books:
    """Keep or drop each book of a shard, with reason codes and scores."""
    input:
        **stripped(),
        code=code("select_books"),
        chapters=ancient(f"{RESULTS}/stripped/{{shard}}.chapters.tsv"),
        catalogue=[CATALOGUE] if CATALOGUE else [],
    output:
        f"{RESULTS}/corpus/selection/{{shard}}.tsv",
    log:
        f"{RESULTS}/logs/corpus/selection/{{shard}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/corpus/selection/{{shard}}.tsv"
    group:
        shard_group
    conda:
        "../../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        settings=settings(EXPERIMENT.selection),
        catalogue=f"--catalogue '{CATALOGUE}'" if CATALOGUE else "",
    shell:
        command("select_books")
        + " --stripped {input.texts:q} --audit {input.audit:q} --manifest {input.manifest:q}"
        " --chapters {input.chapters:q} {params.catalogue} --settings {params.settings:q} --output {output:q}"


rule sketch_books:
    """A small sketch of the word shingles of each kept book."""
    input:
        **stripped(),
        code=code("sketch_books"),
        selection=f"{RESULTS}/corpus/selection/{{shard}}.tsv",
    output:
        sketches=f"{RESULTS}/corpus/sketches/{{shard}}.npz",
        hashes=f"{RESULTS}/corpus/sketches/{{shard}}.sha256",
    log:
        f"{RESULTS}/logs/corpus/sketches/{{shard}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/corpus/sketches/{{shard}}.tsv"
    group:
        shard_group
    conda:
        "../../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        settings=settings(EXPERIMENT.duplicates),
    shell:
        command("sketch_books")
        + " --selection {input.selection:q} --stripped {input.texts:q} --manifest {input.manifest:q}"
        " --settings {params.settings:q} --output {output.sketches:q} --hashes {output.hashes:q}"


rule find_duplicates:
    """Clusters of kept books that share text; candidates from the sketches are confirmed on the texts."""
    input:
        code=code("find_duplicates"),
        sketches=sketches,
        selections=expand(f"{RESULTS}/corpus/selection/{{shard}}.tsv", shard=SHARDS),
        stripped=all_stripped,
    output:
        clusters=f"{RESULTS}/corpus/clusters.tsv",
        duplicates=f"{RESULTS}/corpus/duplicates.tsv",
        hashes=f"{RESULTS}/corpus/clusters.sha256",
    log:
        f"{RESULTS}/logs/corpus/find_duplicates.log",
    benchmark:
        f"{RESULTS}/benchmarks/corpus/find_duplicates.tsv"
    conda:
        "../../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=8000,
        runtime=120,
    params:
        settings=settings(EXPERIMENT.duplicates),
        results=results_folder,
        shards=SHARDS,
    shell:
        command("find_duplicates")
        + " --sketch-directory {params.results:q}/corpus/sketches"
        " --selection-directory {params.results:q}/corpus/selection"
        " --stripped-root {params.results:q}/stripped --shard-names {params.shards}"
        " --settings {params.settings:q} --clusters {output.clusters:q}"
        " --duplicates {output.duplicates:q} --hashes {output.hashes:q}"
