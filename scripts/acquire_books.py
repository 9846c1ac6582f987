"""Bring raw books from mirrors of Project Gutenberg or a dataset into a folder, and lock which they are.

example:
  python scripts/acquire_books.py --settings '{"source": "gutenberg", "directory": "data/gutenberg",
    "choose": {"subjects": ["fiction"], "count": 100}}'
"""

from mamba_narrative.acquisition.acquire import acquire
from mamba_narrative.command import run_command

main = acquire

if __name__ == "__main__":
    run_command(main, __doc__)
