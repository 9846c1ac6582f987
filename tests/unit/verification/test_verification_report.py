"""The checks together, and the files that tell of them."""

import json

import pytest
import torch

from mamba_narrative.errors import UserError
from mamba_narrative.model.scan import dispatch
from mamba_narrative.model.scan.dispatch import Backend
from mamba_narrative.model.scan.reference import reference_scan
from mamba_narrative.verification import report
from mamba_narrative.verification.check import Check
from mamba_narrative.verification.model import check_parameter_count, check_scan, check_training_step
from mamba_narrative.verification.report import format_markdown, verify_environment

CPU = torch.device("cpu")


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Write the reports of given checks; returns the two paths."""

    def write(*checks):
        monkeypatch.setattr(report, "run_checks", lambda: iter(checks))
        verify_environment(tmp_path / "report.json", tmp_path / "report.md")

    write.json, write.markdown = tmp_path / "report.json", tmp_path / "report.md"
    return write


@pytest.mark.parametrize("backend", dispatch.BACKENDS)
def test_every_backend_of_the_table_passes_or_says_why_it_cannot_run(backend):
    check = check_scan(backend, CPU)
    assert check.status == ("pass" if backend in ("cpu", "reference") else "skipped")
    assert check.detail


@pytest.mark.parametrize("spoilt", ["y", "u"])
def test_a_wrong_output_or_a_wrong_gradient_fails(monkeypatch, spoilt):
    def wrong_scan(u, *rest):
        if spoilt == "u":  # the right value, but only half of its gradient
            u = u / 2 + u.detach() / 2
        y, state = reference_scan(u, *rest)
        return (y * 1.01 if spoilt == "y" else y), state

    monkeypatch.setitem(dispatch.BACKENDS, "wrong", Backend(lambda: wrong_scan, lambda device: None))
    check = check_scan("wrong", CPU)
    assert check.status == "fail"
    assert check.remedy
    assert not check.blocks  # `auto` does not take it


@pytest.mark.parametrize("error", [ImportError("undefined symbol"), RuntimeError("no kernel image is available")])
def test_a_backend_that_does_not_load_or_launch_fails_with_its_message_and_stops_nothing(monkeypatch, error):
    def broken(*arguments):
        raise error

    monkeypatch.setitem(dispatch.BACKENDS, "broken", Backend(lambda: broken, lambda device: None))
    check = check_scan("broken", CPU)
    assert check.status == "fail"
    assert str(error) in check.detail
    assert not check.blocks


def test_a_backend_that_cannot_run_is_skipped_with_its_reason(monkeypatch):
    absent = Backend(dispatch.BACKENDS["reference"].load, lambda device: "needs a GPU")
    monkeypatch.setitem(dispatch.BACKENDS, "absent", absent)
    check = check_scan("absent", CPU)
    assert (check.status, check.detail) == ("skipped", "needs a GPU")


def test_the_parameter_count_explains_130M_and_84M():
    check = check_parameter_count()
    assert check.status == "pass"
    assert "129,117,696" in check.detail
    assert "84M" in check.detail


def test_a_training_step_goes_downhill():
    assert check_training_step(CPU).status == "pass"


def test_both_files_hold_every_check(written):
    written(Check("alpha", "pass", "fine"), Check("beta", "skipped", "no GPU", required=False))
    data = json.loads(written.json.read_text())
    assert [check["name"] for check in data["checks"]] == ["alpha", "beta"]
    assert data["checks"][1] == {
        "name": "beta",
        "status": "skipped",
        "detail": "no GPU",
        "remedy": "",
        "required": False,
    }
    assert data["versions"]["torch"]
    assert "Ready: everything" in written.markdown.read_text()


def test_a_failed_required_check_is_an_error_after_both_files_are_written(written):
    with pytest.raises(UserError, match=r"alpha: broken. What to do: mend it"):
        written(Check("alpha", "fail", "broken", "mend it"), Check("beta", "pass", "fine"))
    assert len(json.loads(written.json.read_text())["checks"]) == 2
    assert "**Not ready**: alpha failed" in written.markdown.read_text()


def test_a_failed_optional_check_is_shown_and_stops_nobody(written):
    written(Check("mamba-ssm", "fail", "no kernel", "build it", required=False))
    assert "Not needed, but not in order: mamba-ssm" in written.markdown.read_text()


def test_cells_stay_one_cell():
    page = format_markdown([Check("a", "fail", "one | two\nthree", "b")])
    assert "| a | **FAIL** | one \\| two three | b |" in page
