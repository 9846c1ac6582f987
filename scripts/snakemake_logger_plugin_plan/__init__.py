"""Snakemake's plan in words: ``PYTHONPATH=scripts snakemake --dry-run --logger plan``, which `make plan` calls.

Snakemake finds the plugin by the name of this folder.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent

from mamba_narrative.plan import PlannedJob, plan_in_words


class LogHandler(LogHandlerBase):
    """Collects the jobs, and says at the end what they are for. Warnings and errors appear as usual."""

    @property
    def writes_to_stream(self) -> bool:
        """Instead of Snakemake's own lines."""
        return True

    @property
    def writes_to_file(self) -> bool:
        """Nothing is left."""
        return False

    @property
    def has_filter(self) -> bool:
        """All records are looked at."""
        return True

    @property
    def has_formatter(self) -> bool:
        """Errors look as usual."""
        return False

    @property
    def needs_rulegraph(self) -> bool:
        """Jobs are enough."""
        return False

    def __post_init__(self) -> None:
        self._jobs: list[PlannedJob] = []
        self._failed = False

    def emit(self, record: logging.LogRecord) -> None:
        """Remember a job, or print what went wrong."""
        said = vars(record)
        if said.get("event") == LogEvent.JOB_INFO:
            name = next(iter((said["wildcards"] or {}).values()), "")
            self._jobs.append(PlannedJob(said["rule_name"], str(name), tuple(said["output"]), said["reason"]))
        elif record.levelno >= logging.WARNING:
            self._failed = self._failed or record.levelno >= logging.ERROR
            print(self.format(record), file=sys.stderr)

    def close(self) -> None:
        """Print the plan; nothing where there is none for an error."""
        if not self._failed:
            print(plan_in_words(self._jobs, Path.cwd()), end="")
        self._failed = True  # closed twice it is printed once
        super().close()
