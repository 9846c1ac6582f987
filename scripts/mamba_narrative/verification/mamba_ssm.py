"""Is mamba-ssm installed, and is its Mamba-1 kernel there and loadable?

Three things happen to people: the package is not there; it was installed without the kernel ``selective_scan_cuda``
(the default after 2.3.2.post1, and with MAMBA_SKIP_CUDA_BUILD before); the kernel was built for another torch.
"""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import metadata

from mamba_narrative.verification.check import Check

PROBE = "import torch\nimport selective_scan_cuda\nimport mamba_ssm.ops.selective_scan_interface\n"
PROBE_SECONDS = 60
LAST_RELEASE_BUILDING_BY_DEFAULT = (2, 3, 2)


def check_mamba_ssm() -> Check:
    """Import the kernel in a process of its own: a broken extension may take its process down."""
    try:
        version = metadata.version("mamba-ssm")
    except metadata.PackageNotFoundError:
        return judge_import(None, 1, "")
    try:
        probe = subprocess.run(
            [sys.executable, "-c", PROBE], capture_output=True, text=True, timeout=PROBE_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return judge_import(version, 1, f"importing took more than {PROBE_SECONDS} s")
    return judge_import(version, probe.returncode, probe.stderr)


def judge_import(version: str | None, exit_code: int, messages: str) -> Check:
    """The verdict on mamba-ssm ``version`` (None: not installed), whose import ended with these error messages."""
    name = "mamba-ssm"
    if version is None:
        return Check(
            name, "skipped", "not installed; it is optional, the scans of this project need no compiler", required=False
        )
    if exit_code == 0:
        return Check(name, "pass", f"{version} with its Mamba-1 kernel; it imports", required=False)
    last_line = messages.strip().rpartition("\n")[2] or f"ended with exit code {exit_code} and no message"
    if re.search(r"No module named .selective_scan_cuda", messages):
        what = "it was installed without its Mamba-1 kernel (selective_scan_cuda)"
    elif re.search(r"undefined symbol|cannot open shared object|DLL load failed", messages):
        what = "its kernel was built for another torch or CUDA than the ones installed here (ABI mismatch)"
    else:
        what = "it cannot be imported"
    detail = f"{version}: {what}: {last_line}; nothing here needs it, the project's own scans are used"
    return Check(
        name,
        "fail",
        detail,
        f"{_rebuild(version)} (needs nvcc and takes many minutes), or uninstall it",
        required=False,
    )


def _rebuild(version: str) -> str:
    release = tuple(int(number) for number in re.findall(r"\d+", version)[:3])
    # Up to 2.3.2.post1 the kernel is built unless told otherwise, later only on request (state-spaces/mamba#977).
    keep = "" if release <= LAST_RELEASE_BUILDING_BY_DEFAULT else "MAMBA_KEEP_CUDA_BUILD=TRUE "
    return (
        f"{keep}MAMBA_FORCE_BUILD=TRUE python -m pip install --no-build-isolation --no-cache-dir --force-reinstall "
        f"--no-deps mamba-ssm=={version}"
    )
