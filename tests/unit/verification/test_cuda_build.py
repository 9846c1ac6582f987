"""What `make cuda` needs, and that its pins fit those of the workflow."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from mamba_narrative.errors import UserError
from mamba_narrative.verification.cuda_build import Toolchain, build_problems, check_build, find_toolchain

ROOT = Path(__file__).parents[3]
COMPLETE = Toolchain("Linux", torch_cuda="13.0", nvcc="13.1", host_compiler="/usr/bin/g++", capability=(9, 0))


def test_a_complete_toolchain_has_no_problems_with_or_without_a_visible_gpu():
    assert build_problems(COMPLETE) == []
    assert build_problems(replace(COMPLETE, capability=None)) == []
    check_build(COMPLETE)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"nvcc": None}, "nvcc was not found: install the CUDA toolkit 13.0"),
        ({"torch_cuda": None}, "torch is a build without CUDA"),
        ({"nvcc": "12.8"}, "nvcc is of CUDA 12.8, torch of CUDA 13.0"),
        ({"host_compiler": None}, "no C++ compiler"),
        ({"system": "Darwin"}, "builds on Linux"),
        ({"nvcc": "12.4", "torch_cuda": "12.4", "capability": (12, 0)}, "nvcc 12.4 knows no sm_120"),
    ],
)
def test_what_is_missing_is_named_with_what_to_do(change, said):
    (problem,) = build_problems(replace(COMPLETE, **change))
    assert said in problem


def test_all_problems_are_told_at_once_and_that_nothing_needs_the_build():
    with pytest.raises(UserError, match=r"nothing needs it(.|\n)*without CUDA(.|\n)*nvcc was not found"):
        check_build(Toolchain("Linux", None, None, None, None))


def test_this_machine_can_be_looked_at():
    assert find_toolchain().system


def pins(name):
    return dict(re.findall(r"^([\w-]+)==(\S+)", (ROOT / name).read_text(), re.MULTILINE))


def test_the_official_kernels_are_pinned_and_built_against_the_torch_of_the_workflow():
    cuda = pins("requirements-cuda.txt")
    assert cuda["torch"] == pins("requirements.txt")["torch"]
    assert {"mamba-ssm", "causal-conv1d"} <= set(cuda)
    assert not set(pins("requirements.txt")) & {"mamba-ssm", "causal-conv1d"}


def test_make_run_does_not_need_them():
    recipes = dict(re.findall(r"^([a-z-]+):([^\n]*)\n", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert "cuda" in recipes
    assert not any("cuda" in needed for target, needed in recipes.items() if target != "cuda")
