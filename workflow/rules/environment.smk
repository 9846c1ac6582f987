"""Check the machine before trusting its numbers.

Inputs: none. Outputs: environment/report.json and .md, one verdict a check. Only the report reads them,
so that a changed driver never retrains anything.
"""


rule verify_environment:
    """Versions, device, and every scan backend run forward and backward against the float64 reference."""
    output:
        json="environment/report.json",
        markdown="environment/report.md",
    log:
        "logs/environment/verify_environment.log",
    benchmark:
        "benchmarks/environment/verify_environment.tsv"
    conda:
        "../../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=15,
    params:
        code=code("verify_environment"),
    shell:
        command("verify_environment")
        + " --json {output.json:q} --markdown {output.markdown:q}"


rule environment:
    """Target: the verification alone."""
    input:
        rules.verify_environment.output,
