"""GPU tests are skipped, with the reason, where there is no GPU; `pytest -m gpu` asks for them."""

import os

import pytest
import torch

if "PYTEST_XDIST_WORKER" in os.environ:
    torch.set_num_threads(1)  # the float64 reference runs on the processor: workers would fight for its cores


def pytest_collection_modifyitems(items):
    reason = "torch finds no NVIDIA GPU" if not torch.cuda.is_available() else None
    for item in items:
        if "tests/gpu" in item.path.as_posix():
            item.add_marker(pytest.mark.gpu)
            if reason:
                item.add_marker(pytest.mark.skip(reason=reason))
