from __future__ import annotations

from pathlib import Path

import pytest

from mamba_narrative.training.metrics_log import MetricsLog


def test_rows_appear_in_the_file_at_once(tmp_path: Path) -> None:
    log = MetricsLog(tmp_path / "t.csv", ("step", "loss"))
    log.append({"step": 1, "loss": 2.5})
    log.append({"loss": 1 / 3, "step": 2})
    assert (tmp_path / "t.csv").read_text(encoding="utf-8") == log.text() == "step,loss\n1,2.5\n2,0.33333333\n"


def test_a_resumed_table_drops_rows_written_after_the_checkpoint(tmp_path: Path) -> None:
    log = MetricsLog(tmp_path / "t.csv", ("step",))
    log.append({"step": 1})
    at_checkpoint = log.text()
    log.append({"step": 2})
    resumed = MetricsLog(tmp_path / "t.csv", ("step",), at_checkpoint)
    resumed.append({"step": 2})
    resumed.append({"step": 3})
    assert (tmp_path / "t.csv").read_text(encoding="utf-8") == "step\n1\n2\n3\n"


def test_the_last_row_is_known(tmp_path: Path) -> None:
    log = MetricsLog(tmp_path / "t.csv", ("step", "loss"))
    assert log.last() is None
    log.append({"step": 4, "loss": 0.5})
    assert log.last() == {"step": 4.0, "loss": 0.5}


def test_a_table_with_other_columns_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="columns"):
        MetricsLog(tmp_path / "t.csv", ("step", "loss"), "step\n1\n")
