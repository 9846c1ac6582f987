"""GPU tests are skipped, with the reason, where there is no GPU; `pytest -m gpu` asks for them."""

import pytest
import torch


def pytest_collection_modifyitems(items):
    reason = "torch finds no NVIDIA GPU" if not torch.cuda.is_available() else None
    for item in items:
        if "tests/gpu" in item.path.as_posix():
            item.add_marker(pytest.mark.gpu)
            if reason:
                item.add_marker(pytest.mark.skip(reason=reason))
