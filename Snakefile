"""Raw Project Gutenberg books to a trained, evaluated and documented Mamba baseline.

Settings: config.yaml, or an experiment on top of it (--configfile workflow/configs/NAME.yaml).
Targets by name: environment corpus tokens train evaluate figures report; not made by default: dataset models, and
acquire_books where corpus.source is elsewhere.
"""

from snakemake.utils import min_version

min_version("9.27")


configfile: f"{workflow.current_basedir}/config.yaml"


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/acquisition.smk"
include: "workflow/rules/environment.smk"
include: "workflow/rules/stripping.smk"
include: "workflow/rules/selection.smk"
include: "workflow/rules/splits.smk"
include: "workflow/rules/tokens.smk"
include: "workflow/rules/training.smk"
include: "workflow/rules/evaluation.smk"
include: "workflow/rules/reporting.smk"
include: "workflow/rules/export.smk"
include: "workflow/rules/provenance.smk"


rule all:
    """Everything: the report and all it is made of."""
    input:
        "report/index.html",
        "corpus/books.tsv",
        expand("runs/{run}/model/README.md", run=RUNS),
