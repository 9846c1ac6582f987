"""Progress says how much is done, how fast, and how long it still takes."""

import logging

import pytest

from mamba_narrative import progress
from mamba_narrative.progress import Progress, format_duration


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (75, "1:15"), (3700, "1:01:40"), (59.6, "1:00")])
def test_durations_read_like_a_clock(seconds, text):
    assert format_duration(seconds) == text


def test_a_line_has_count_rate_and_time_left():
    work = Progress("encoding", total=100, unit="books")
    work.done = 40
    assert work.line(work._started + 20.0) == "encoding: 40 of 100 books, 2.00/s, 0:30 left"


def test_work_that_was_resumed_is_not_counted_into_the_rate():
    work = Progress("training", total=100, unit="steps", done=50)
    work.done = 60
    assert "0.50/s, 1:20 left" in work.line(work._started + 20.0)


def test_lines_appear_in_the_log_now_and_then(monkeypatch, caplog):
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0.0)
    with caplog.at_level(logging.INFO), Progress("encoding", total=2, unit="books") as work:
        work.advance(note="loss 1.5")
    assert "encoding: 1 of 2 books" in caplog.text
    assert "loss 1.5" in caplog.text
