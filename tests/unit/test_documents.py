"""What the documents name exists, and the citation can be read."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from mamba_narrative import __version__

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = ["README.md", "CONTRIBUTING.md"]
PATHS = re.compile(r"\b(?:scripts|workflow|tests|envs)/[\w./-]*\w|\brequirements[\w-]*\.txt")
MADE_BY_EXAMPLES = {"scripts/mamba_narrative/model/gru.py"}


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", DOCUMENTS)
def test_files_that_a_document_names_exist(name):
    named = set(PATHS.findall(text_of(name))) - MADE_BY_EXAMPLES
    assert len(named) > 5
    assert sorted(path for path in named if not (ROOT / path).exists()) == []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_targets_that_a_document_names_exist(name):
    rules = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "workflow" / "rules").glob("*.smk"))
    targets = set(re.findall(r"^([a-z-]+):", text_of("Makefile"), re.MULTILINE))
    assert set(re.findall(r"`make ([a-z-]+)|^make ([a-z-]+)", text_of(name), re.MULTILINE)) <= {
        pair for target in targets for pair in ((target, ""), ("", target))
    }
    for wanted in re.findall(r"`snakemake(?: --cores \w+)?((?: [a-z]+)+)`", text_of(name)):
        assert all(f"\nrule {target}:" in rules for target in wanted.split()), wanted


def test_pictures_and_links_of_the_readme_lead_somewhere():
    text = text_of("README.md")
    headings = {
        re.sub(r"[^a-z0-9 -]", "", line.lower()).strip().replace(" ", "-")
        for line in re.findall(r"^#+ (.*)$", text, re.M)
    }
    for target in re.findall(r"\]\(([^)]+)\)", text):
        assert target.removeprefix("#") in headings if target.startswith("#") else (ROOT / target).is_file(), target


def test_the_citation_is_of_this_version():
    citation = yaml.safe_load(text_of("CITATION.cff"))
    assert citation["version"] == __version__
    assert {"cff-version", "title", "message", "type", "authors", "license", "abstract"} <= citation.keys()
    assert f"## {__version__}" in text_of("CHANGELOG.md")
