"""Narrative language modelling on Project Gutenberg: corpus, tokens, models, training, evaluation, report.

The package imports nothing of Snakemake; each rule calls one thin command in ``scripts/``.
"""

__version__ = "0.1.0"
