"""The environments for conda and containers have the versions of requirements.txt, and no others."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
PIN = re.compile(r"([A-Za-z0-9._-]+)==([A-Za-z0-9.]+)")


def pins(name: str) -> dict[str, str]:
    lines = (line.strip() for line in (ROOT / name).read_text(encoding="utf-8").splitlines())
    chosen = [line for line in lines if line and not line.startswith(("#", "-r"))]
    assert [line for line in chosen if not PIN.fullmatch(line)] == []
    return dict(PIN.fullmatch(line).groups() for line in chosen)


def conda(name: str) -> list:
    return yaml.safe_load((ROOT / "envs" / name).read_text(encoding="utf-8"))["dependencies"]


@pytest.mark.parametrize("name", ["cpu.yaml", "gpu.yaml"])
def test_conda_environments_pin_what_requirements_pin(name):
    (listed,) = (entry["pip"] for entry in conda(name) if isinstance(entry, dict))
    assert dict(PIN.fullmatch(line).groups() for line in listed) == pins("requirements.txt")


def test_the_container_installs_the_requirements_on_the_python_of_the_environments():
    recipe = (ROOT / "envs" / "Dockerfile").read_text(encoding="utf-8")
    python = re.search(r"^FROM python:(\S+)-slim$", recipe, re.MULTILINE)[1]
    assert all(f"python={python}" in conda(name) for name in ("cpu.yaml", "gpu.yaml"))
    assert re.search(
        r"^COPY requirements\.txt /project/\nRUN pip install .*-r /project/requirements\.txt$", recipe, re.M
    )


def test_one_version_of_each_package_in_all_lists():
    required = pins("requirements.txt")
    for name in ("requirements-dev.txt", "requirements-cuda.txt"):
        for package, version in pins(name).items():
            assert required.get(package, version) == version, f"{name}: {package}"
    assert pins("requirements-cuda.txt")["torch"] == required["torch"]


def test_the_library_needs_no_package_that_is_not_pinned():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert set(project["dependencies"]) <= pins("requirements.txt").keys()
