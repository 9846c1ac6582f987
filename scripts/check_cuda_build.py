"""Check that mamba-ssm and causal-conv1d can be compiled here, before `make cuda` tries to.

nvcc, a torch with CUDA of the same major version, a C++ compiler. Exit code 0: all there; 2: the message says what is
missing. Nothing in the workflow needs these packages.

example:
  python scripts/check_cuda_build.py
"""

import logging

from mamba_narrative.command import run_command
from mamba_narrative.verification.cuda_build import check_build, find_toolchain


def main() -> None:
    toolchain = find_toolchain()
    check_build(toolchain)
    logging.getLogger("mamba_narrative").info("building with nvcc %s, %s", toolchain.nvcc, toolchain.host_compiler)


if __name__ == "__main__":
    run_command(main, __doc__)
