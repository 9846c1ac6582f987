"""Checks of packages, memory and GPUs."""

import re
from pathlib import Path

import pytest

from mamba_narrative.verification.machine import (
    GIBIBYTE,
    REQUIRED_PACKAGES,
    architecture_problem,
    check_memory,
    check_packages,
    installed_versions,
)

REQUIREMENTS = Path(__file__).parents[3] / "requirements.txt"


@pytest.mark.parametrize(
    ("capability", "compiled"),
    [
        ((9, 0), ["sm_80", "sm_90"]),
        ((8, 6), ["sm_80", "sm_90"]),
        ((9, 0), ["sm_90a"]),
        ((12, 0), ["sm_90", "compute_90"]),
        ((12, 0), ["sm_100", "sm_120"]),
    ],
)
def test_a_gpu_runs_code_of_its_generation_and_older_ptx(capability, compiled):
    assert architecture_problem(capability, compiled) is None


@pytest.mark.parametrize(
    ("capability", "compiled"),
    [((12, 0), ["sm_80", "sm_90"]), ((8, 0), ["sm_86", "compute_90"]), ((7, 0), ["sm_75"]), ((9, 0), [])],
)
def test_a_gpu_that_torch_has_no_code_for_is_named_with_what_there_is(capability, compiled):
    problem = architecture_problem(capability, compiled)
    assert problem is not None
    assert problem.endswith(f"the GPU is sm_{capability[0]}{capability[1]}")
    assert all(name in problem for name in compiled)


def test_every_required_package_is_pinned_and_the_other_way_round():
    pinned = set(re.findall(r"^([\w-]+)==", REQUIREMENTS.read_text(), re.MULTILINE))
    # Snakemake starts the jobs; inside them it need not be there. Without gigatoken, tiktoken encodes.
    assert set(REQUIRED_PACKAGES) == pinned - {"snakemake", "snakemake-executor-plugin-slurm", "gigatoken"}


def test_a_missing_package_is_named_with_the_command_that_installs_it():
    versions = installed_versions()
    assert check_packages(versions).status == "pass"
    del versions["tiktoken"]
    check = check_packages(versions)
    assert check.blocks
    assert check.detail == "not installed: tiktoken"
    assert "requirements.txt" in check.remedy


@pytest.mark.parametrize(("available", "status"), [(GIBIBYTE, "fail"), (8 * GIBIBYTE, "pass"), (None, "skipped")])
def test_little_memory_is_reported_but_stops_nobody(available, status):
    check = check_memory(available)
    assert check.status == status
    assert not check.blocks
