"""Raw books from mirrors of Project Gutenberg or a Hugging Face dataset.

Not part of any other target: the books are the nodes of the job graph, so they must be there before it can be
planned. `snakemake --cores 1 acquire_books` brings what is missing into corpus.directory, where the other rules find it
as if it had always been there. The rule has no outputs, not even a benchmark: Snakemake would delete them before each
start, and would not start where they are.
"""


rule acquire_books:
    """Bring the books that the settings ask for; where all are there and whole, do nothing."""
    log:
        "logs/acquire_books.log",
    localrule: True
    conda:
        "../../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=2880,
    params:
        settings=settings_file(corpus_to_acquire()),
    shell:
        command("acquire_books") + " --settings {params.settings:q}"
