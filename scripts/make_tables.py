"""Write the tables of the report as CSV and Markdown.

example:
  python scripts/make_tables.py --results results --runs small wide --output results/report/tables
"""

from mamba_narrative.command import run_command
from mamba_narrative.io import recorded_outputs
from mamba_narrative.reporting.tables.write import write_tables

main = recorded_outputs()(write_tables)

if __name__ == "__main__":
    run_command(main, __doc__)
