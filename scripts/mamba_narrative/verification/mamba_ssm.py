"""Is mamba-ssm installed, and is its Mamba-1 kernel there, loadable, and built for this GPU?

Four things happen to people: the package is not there; it was installed without the kernel ``selective_scan_cuda`` (the
default after 2.3.2.post1, and with MAMBA_SKIP_CUDA_BUILD before); the kernel was built for another torch; it was built
for other GPUs. None of them stops anything: the project's own scans do all that mamba-ssm does.
"""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import metadata

from mamba_narrative.verification.check import Check

PROBE = """
import torch
import selective_scan_cuda
from mamba_ssm.ops.selective_scan_interface import selective_scan_fn
if torch.cuda.is_available():
    x = torch.ones(1, 4, 8, device="cuda", requires_grad=True)
    A, B = -torch.ones(4, 16, device="cuda"), torch.ones(1, 16, 8, device="cuda")
    selective_scan_fn(x, x, A, B, B).sum().backward()
    torch.cuda.synchronize()
    print("ran")
"""
RAN = "ran"
PROBE_SECONDS = 60
NOTHING_IS_LOST = "nothing is lost: the scans of this project do all that it does and need no compiler"
CAUSES = (
    (r"No module named .selective_scan_cuda", "it was built without its Mamba-1 kernel (selective_scan_cuda)"),
    (
        r"undefined symbol|cannot open shared object|DLL load failed",
        "its kernel was built for another torch or CUDA than the ones installed here (ABI mismatch)",
    ),
    (
        r"no kernel image is available|invalid device function|unsupported toolchain|device kernel image is invalid",
        "its kernels were not built for this GPU",
    ),
    (r"No module named", "a package that it imports is missing"),
)
"""What error messages mean; the first that fits."""


def check_mamba_ssm() -> Check:
    """Import the kernel, and run it where there is a GPU, in a process of its own, which a broken one may take down."""
    try:
        version = metadata.version("mamba-ssm")
    except metadata.PackageNotFoundError:
        return judge_probe(None, 1, "")
    try:
        probe = subprocess.run(
            [sys.executable, "-c", PROBE], capture_output=True, text=True, timeout=PROBE_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return judge_probe(version, 1, f"importing and running it took more than {PROBE_SECONDS} s")
    return judge_probe(version, probe.returncode, probe.stderr, ran=RAN in probe.stdout.split())


def judge_probe(version: str | None, exit_code: int, messages: str, ran: bool = False) -> Check:
    """The verdict on mamba-ssm ``version`` (None: not installed), whose probe ended with these error messages.

    ran: its kernel ran forward and backward on the GPU.
    """
    name = "mamba-ssm"
    if version is None:
        detail = f"not installed, optional; {NOTHING_IS_LOST}"
        return Check(name, "skipped", detail, "to compare with the official kernels: `make cuda`", required=False)
    if exit_code == 0:
        how = "runs forward and backward on this GPU" if ran else "imports; there is no GPU to run it on"
        return Check(name, "pass", f"{version} with its Mamba-1 kernel, which {how}", required=False)
    lines = messages.strip().splitlines() or [f"ended with exit code {exit_code} and no message"]
    # The name of the error, not the advice that torch prints after it.
    telling = next((line for line in reversed(lines) if re.match(r"[\w.]*(Error|Exception)\b", line)), lines[-1])
    what = next((cause for pattern, cause in CAUSES if re.search(pattern, messages)), "it cannot be imported")
    detail = f"{version}: {what}: {telling}; {NOTHING_IS_LOST}"
    return Check(name, "fail", detail, _remedy(version), required=False)


def _remedy(version: str) -> str:
    # Up to 2.3.2.post1 the kernel is built unless told otherwise, later only on request (state-spaces/mamba#977): KEEP.
    # FORCE: without it, a wheel built for another torch may be fetched.
    return (
        "`make cuda` builds it again (it needs nvcc and takes many minutes); outside of .venv: "
        "MAMBA_KEEP_CUDA_BUILD=TRUE MAMBA_FORCE_BUILD=TRUE python -m pip install --no-build-isolation --no-cache-dir "
        f"--force-reinstall --no-deps mamba-ssm=={version}; or uninstall it"
    )
