"""Tables that grow by a row a step, and that a resumed run continues without gap or repetition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from mamba_narrative.io import write_text

TRAIN_COLUMNS = (
    "step",
    "tokens",
    "epoch",
    "loss_nats",
    "learning_rate",
    "grad_norm",
    "skipped",
    "tokens_per_second",
    "seconds",
)
VALIDATION_COLUMNS = ("step", "tokens", "loss_nats", "bits_per_byte")
AVERAGE_COLUMNS = ("ema_loss_nats", "ema_bits_per_byte")
"""More columns of the validations where a moving average of the weights is kept."""


class MetricsLog:
    """A CSV table in memory, mirrored to ``path`` row by row so that it can be watched."""

    def __init__(self, path: Path | None, columns: Sequence[str], text: str | None = None) -> None:
        """``text``: the table so far, as ``text()`` gave it; whatever ``path`` holds is replaced by it.

        Without a path the table is in memory only.
        """
        self.path, self.columns = path, tuple(columns)
        header = ",".join(self.columns) + "\n"
        if text is not None and not text.startswith(header):
            raise ValueError(f"a table with the columns {header.strip()} was expected, found {text[:80]!r}")
        self._lines = [header] if text is None else text.splitlines(keepends=True)
        if self.path is not None:
            write_text(self.path, self.text())

    def append(self, row: Mapping[str, int | float]) -> None:
        """Add one row; its keys are the columns. Floats keep eight digits."""
        values = [row[column] for column in self.columns]
        line = ",".join(f"{value:.8g}" if isinstance(value, float) else str(value) for value in values) + "\n"
        self._lines.append(line)
        if self.path is not None:
            with self.path.open("a", encoding="utf-8", newline="") as stream:
                stream.write(line)

    def text(self) -> str:
        """The whole table."""
        return "".join(self._lines)

    def column(self, name: str) -> list[float]:
        """The values of one column."""
        place = self.columns.index(name)
        return [float(line.split(",")[place]) for line in self._lines[1:]]

    def rows(self) -> list[dict[str, float]]:
        """All rows; whole numbers, such as steps, are ints."""
        return [
            {
                name: int(value) if value.isdigit() else float(value)
                for name, value in zip(self.columns, line.rstrip().split(","), strict=True)
            }
            for line in self._lines[1:]
        ]

    def last(self) -> dict[str, float] | None:
        """The last row; None where there is none yet."""
        if len(self._lines) == 1:
            return None
        return dict(zip(self.columns, map(float, self._lines[-1].split(",")), strict=True))
