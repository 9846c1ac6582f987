"""What Python passes to a CUDA kernel is, name by name, the structure that the kernel's source declares."""

from __future__ import annotations

import re

import pytest
import torch

from mamba_narrative.cuda import cross_entropy, dropout
from mamba_narrative.model.scan import cuda_convolution, cuda_norm, cuda_passes, cuda_step
from mamba_narrative.model.scan.kernels import convolution, norm, scan_common, step

KERNELS = {
    "scan": (cuda_passes._PARAMETERS, scan_common.SOURCE),
    "convolution": (cuda_convolution._PARAMETERS, convolution.SOURCE),
    "dropout": (dropout._PARAMETERS, dropout._KERNEL),
    "norm": (cuda_norm._PARAMETERS, norm.SOURCE),
    "step": (cuda_step._PARAMETERS, step.SOURCE),
    "cross entropy": (cross_entropy._PARAMETERS, cross_entropy.SOURCE),
}


def declared(source):
    """Names of pointers, of strides of rows, and of numbers in ``struct Params``, in order."""
    body = re.search(r"struct Params \{(.*?)\n\};", source, re.DOTALL).group(1)
    groups = {"pointers": [], "rows": [], "sizes": [], "factors": []}
    for declaration in re.sub(r"//.*", "", body).split(";"):
        names = [name.strip(" *\n") for name in declaration.split(",")]
        if not declaration.strip():
            continue
        kind, names[0] = names[0].rsplit(" ", 1)[0], names[0].rsplit(" ", 1)[1].strip("*")
        plain = "*" not in declaration
        group = {"Rows": "rows", "int": "sizes", "float": "factors"}[kind.strip()] if plain else "pointers"
        order = list(groups)
        assert not any(groups[later] for later in order[order.index(group) + 1 :])
        groups[group] += [name.removesuffix("_stride") if group == "rows" else name for name in names]
    return groups


@pytest.mark.parametrize("name", KERNELS)
def test_names_come_in_the_order_of_the_source(name):
    layout, source = KERNELS[name]
    assert declared(source) == {
        "pointers": list(layout._pointers),
        "rows": list(layout._rows),
        "sizes": list(layout._sizes),
        "factors": list(layout._factors),
    }


def test_a_missing_tensor_is_a_null_pointer_and_strides_are_those_of_batch_and_position():
    x = torch.zeros(2, 3, 8)[..., 4:]
    sizes = {"batch": 2, "length": 3, "channels": 4, "tile": 5}
    packed = cuda_convolution._PARAMETERS.pack({"x": x, "bias": None}, sizes)
    pointers = torch.frombuffer(bytearray(packed.raw[:80]), dtype=torch.int64)
    assert pointers.tolist() == [x.data_ptr(), *[0] * 9]
    numbers = torch.frombuffer(bytearray(packed.raw[80:]), dtype=torch.int32)
    assert numbers[:4].tolist() == [24, 0, 8, 0]  # 64 bits, 32 bits, padding
    assert numbers[-4:].tolist() == [2, 3, 4, 5]
