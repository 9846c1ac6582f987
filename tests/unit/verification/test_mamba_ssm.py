"""What the import and a run of mamba-ssm tell; and that it is nothing to worry about."""

import subprocess
from importlib import metadata

import pytest

from mamba_narrative.verification import mamba_ssm
from mamba_narrative.verification.mamba_ssm import check_mamba_ssm, judge_probe


def test_not_installed_is_no_failure_nothing_is_lost_and_make_cuda_brings_it():
    check = judge_probe(None, 1, "")
    assert check.status == "skipped"
    assert not check.required
    assert "not installed" in check.detail
    assert "nothing is lost" in check.detail
    assert "`make cuda`" in check.remedy


@pytest.mark.parametrize(("ran", "said"), [(True, "on this GPU"), (False, "no GPU to run it on")])
def test_an_import_that_works_passes_and_says_whether_the_kernel_ran(ran, said):
    check = judge_probe("2.3.2.post1", 0, "", ran)
    assert check.status == "pass"
    assert said in check.detail


ERRORS = {
    "built without its Mamba-1 kernel": "ModuleNotFoundError: No module named 'selective_scan_cuda'",
    "ABI mismatch": "ImportError: selective_scan_cuda.so: undefined symbol: _ZN3c104cuda9SetDeviceEi",
    "another torch or CUDA": "ImportError: libcudart.so.12: cannot open shared object file: No such file or directory",
    "not built for this GPU": "torch.AcceleratorError: CUDA error: no kernel image is available for execution on the "
    "device\nCUDA kernel errors might be asynchronously reported at some other API call.\n"
    "Compile with `TORCH_USE_CUDA_DSA` to enable device-side assertions.",
    "a package that it imports is missing": "ModuleNotFoundError: No module named 'einops'",
    "it cannot be imported": "SyntaxError: invalid syntax",
}


@pytest.mark.parametrize(("cause", "message"), ERRORS.items())
def test_each_way_in_which_it_breaks_is_named_with_the_command_that_mends_it(cause, message):
    check = judge_probe("2.3.2.post1", 1, f"Traceback (most recent call last):\n  ...\n{message}\n")
    assert check.status == "fail"
    assert not check.blocks
    assert cause in check.detail
    assert message.partition("\n")[0] in check.detail
    assert "nothing is lost" in check.detail
    assert check.remedy.startswith("`make cuda`")


def test_outside_of_the_projects_environment_the_remedy_builds_the_same_version_with_its_kernel():
    remedy = judge_probe("2.3.3", 1, "No module named 'selective_scan_cuda'").remedy
    for needed in ("MAMBA_KEEP_CUDA_BUILD=TRUE", "MAMBA_FORCE_BUILD=TRUE", "--no-build-isolation", "mamba-ssm==2.3.3"):
        assert needed in remedy


def test_a_process_that_died_without_a_word_is_reported_with_its_code():
    assert "exit code -11" in judge_probe("2.3.2.post1", -11, "").detail


@pytest.fixture
def installed(monkeypatch):
    """A fake installation: ``installed(probe)`` stands for running the probe."""

    def pretend(probe):
        monkeypatch.setattr(metadata, "version", lambda name: "2.3.2.post1")
        monkeypatch.setattr(mamba_ssm.subprocess, "run", probe)

    return pretend


def test_the_probe_runs_in_a_process_of_its_own(installed):
    commands = []

    def probe(command, **options):
        commands.append(command)
        return subprocess.CompletedProcess(command, 0, stdout="ran\n", stderr="")

    installed(probe)
    assert check_mamba_ssm().status == "pass"
    assert commands[0][1:] == ["-c", mamba_ssm.PROBE]
    compile(mamba_ssm.PROBE, "probe", "exec")


def test_an_import_that_never_ends_is_given_up(installed):
    def probe(command, **options):
        raise subprocess.TimeoutExpired(command, options["timeout"])

    installed(probe)
    check = check_mamba_ssm()
    assert check.status == "fail"
    assert "more than 60 s" in check.detail


def test_where_it_is_absent_no_process_is_started(monkeypatch):
    def absent(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", absent)
    monkeypatch.setattr(mamba_ssm.subprocess, "run", None)
    assert check_mamba_ssm().status == "skipped"
