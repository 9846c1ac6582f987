"""As many rows at once as fit, found once."""

from __future__ import annotations

import pytest
import torch

from mamba_narrative.errors import UserError
from mamba_narrative.training.micro_batch import largest_that_fits, remembered


def card(room):
    tried = []

    def attempt(size):
        tried.append(size)
        if size > room:
            raise torch.OutOfMemoryError("CUDA out of memory")

    return attempt, tried


@pytest.mark.parametrize(("rows", "room", "found"), [(32, 32, 32), (32, 9, 8), (12, 5, 4), (7, 6, 1), (1, 1, 1)])
def test_the_largest_divisor_that_fits(rows, room, found):
    attempt, tried = card(room)
    assert largest_that_fits(rows, attempt) == found
    assert tried[0] == rows


def test_a_card_too_small_for_one_row_is_an_error_that_says_what_to_do():
    with pytest.raises(UserError, match=r"lower training\.sequence_length, or set training\.activation_checkpointing"):
        largest_that_fits(8, card(0)[0])


def test_what_was_found_is_used_again_on_the_same_card_only(tmp_path):
    path = tmp_path / "micro_batch.json"
    answers = iter([8, 4, 2])
    assert remembered(path, 32, "card A", lambda: next(answers)) == 8
    assert remembered(path, 32, "card A", lambda: next(answers)) == 8
    assert remembered(path, 32, "card B", lambda: next(answers)) == 4
    assert remembered(path, 16, "card B", lambda: next(answers)) == 2
