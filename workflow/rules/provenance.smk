"""Results whose making was not recorded are never taken as they are.

Snakemake would: to it, an output without a record is up to date. Included last, when all outputs are known.
"""

from snakemake import __version__ as snakemake_version

from mamba_narrative.rerun_record import another_version, unrecorded_outputs
from mamba_narrative.tokens.carried import carried_token_files

CODE.save()  # all rules are known


def is_output(path: str) -> bool:
    return any(
        output.match(path) for rule in workflow.modifier.rules for output in rule.output
    )


if workflow.workflow_settings.persistence_backend.name != "FILE":
    raise WorkflowError(
        "--persistence-backend: the workflow looks into Snakemake's record, which must be files; leave the option out"
    )

# Jobs on other machines, and groups, parse this once more while outputs come into being; the first process has looked.
UNRECORDED = (
    unrecorded_outputs(Path("."), is_output) if workflow.is_main_process else []
)
if UNRECORDED and not os.path.exists("stripped"):
    # Token files may be carried to a machine without books: their manifests prove them.
    try:
        CARRIED = carried_token_files(Path("."), DIGESTS)
        UNRECORDED = [path for path in UNRECORDED if path not in CARRIED]
    except UserError as error:
        raise WorkflowError(str(error)) from None
if UNRECORDED:
    shown = ", ".join(UNRECORDED[:3]) + (" ..." if len(UNRECORDED) > 3 else "")
    raise WorkflowError(
        f"{RESULTS}: {len(UNRECORDED)} results have no record of how they were made, so nobody knows whether they are up "
        f"to date: {shown}. The record lies in the folder .snakemake beside them (of token files in tokens/.sha256): copy that, "
        f"too, or delete these results{another_version(snakemake_version)}"
    )
