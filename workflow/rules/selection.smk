"""Which books are English narrative prose, and which of them share text.

Inputs: stripped texts, the catalogue where there is one. Outputs: a decision with reasons for every raw
book (one job a shard), then clusters of kept books that share text (one job for the whole corpus).
"""


rule select_books:
    """Keep or drop each book of a shard, with reason codes and scores."""
    input:
        **stripped(),
        chapters=ancient("stripped/{shard}.chapters.tsv"),
    output:
        "corpus/selection/{shard}.tsv",
    log:
        "logs/corpus/selection/{shard}.log",
    benchmark:
        "benchmarks/corpus/selection/{shard}.tsv"
    group:
        shard_group
    conda:
        "../../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        code=code("select_books"),
        settings=settings_file(EXPERIMENT.selection),
        catalogue=CATALOGUE_DIGEST,
    shell:
        command("select_books")
        + " --stripped {input.texts:q} --audit {input.audit:q} --manifest {input.manifest:q}"
        ' --chapters {input.chapters:q} ${{NARRATIVE_CATALOGUE:+--catalogue "$NARRATIVE_CATALOGUE"}} --settings {params.settings:q} --output {output:q}'


rule sketch_books:
    """A small sketch of the word shingles of each kept book."""
    input:
        **stripped(),
        selection="corpus/selection/{shard}.tsv",
    output:
        sketches="corpus/sketches/{shard}.npz",
        hashes="corpus/sketches/{shard}.sha256",
    log:
        "logs/corpus/sketches/{shard}.log",
    benchmark:
        "benchmarks/corpus/sketches/{shard}.tsv"
    group:
        shard_group
    conda:
        "../../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        code=code("sketch_books"),
        settings=settings_file(EXPERIMENT.duplicates),
    shell:
        command("sketch_books")
        + " --selection {input.selection:q} --stripped {input.texts:q} --manifest {input.manifest:q}"
        " --settings {params.settings:q} --output {output.sketches:q} --hashes {output.hashes:q}"


rule find_duplicates:
    """Clusters of kept books that share text; candidates from the sketches are confirmed on the texts."""
    input:
        sketches=sketches,
        selections=expand("corpus/selection/{shard}.tsv", shard=SHARDS),
        stripped=all_stripped,
    output:
        clusters="corpus/clusters.tsv",
        duplicates="corpus/duplicates.tsv",
        hashes="corpus/clusters.sha256",
    log:
        "logs/corpus/find_duplicates.log",
    benchmark:
        "benchmarks/corpus/find_duplicates.tsv"
    conda:
        "../../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=8000,
        runtime=120,
    params:
        code=code("find_duplicates"),
        settings=settings_file(EXPERIMENT.duplicates),
        shards=SHARDS,
    shell:
        command("find_duplicates") + " --sketch-directory corpus/sketches"
        " --selection-directory corpus/selection"
        " --stripped-root stripped --shard-names {params.shards}"
        " --settings {params.settings:q} --clusters {output.clusters:q}"
        " --duplicates {output.duplicates:q} --hashes {output.hashes:q}"
