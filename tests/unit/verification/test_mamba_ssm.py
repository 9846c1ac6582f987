"""What the import of mamba-ssm tells."""

import pytest

from mamba_narrative.verification.mamba_ssm import judge_import


def test_not_installed_is_no_failure():
    check = judge_import(None, 1, "")
    assert check.status == "skipped"
    assert "optional" in check.detail


def test_an_import_that_works_passes():
    assert judge_import("2.3.2.post1", 0, "").status == "pass"


@pytest.mark.parametrize(
    ("version", "flags"),
    [
        ("2.2.4", "MAMBA_FORCE_BUILD=TRUE python"),
        ("2.3.2.post1", "MAMBA_FORCE_BUILD=TRUE python"),
        ("2.3.3", "MAMBA_KEEP_CUDA_BUILD=TRUE MAMBA_FORCE_BUILD=TRUE python"),
    ],
)
def test_a_missing_kernel_is_mended_as_its_version_needs(version, flags):
    check = judge_import(version, 1, "Traceback ...\nModuleNotFoundError: No module named 'selective_scan_cuda'\n")
    assert check.status == "fail"
    assert "without its Mamba-1 kernel" in check.detail
    assert check.remedy.startswith(flags)
    assert f"mamba-ssm=={version}" in check.remedy
    assert not check.blocks


def test_a_kernel_of_another_torch_is_an_abi_mismatch():
    message = "ImportError: selective_scan_cuda.so: undefined symbol: _ZN3c104cuda9SetDeviceEi"
    check = judge_import("2.3.2.post1", 1, f"Traceback ...\n{message}\n")
    assert "ABI mismatch" in check.detail
    assert message in check.detail
    assert "--no-build-isolation" in check.remedy


def test_a_process_that_died_without_a_word_is_reported_with_its_code():
    assert "exit code -11" in judge_import("2.3.2.post1", -11, "").detail
