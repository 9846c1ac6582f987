"""The definition of the scan, against the closed form of the recurrence."""

import numpy as np
import torch
from torch.nn import functional as F

from mamba_narrative.model.scan.reference import reference_scan
from mamba_narrative.model.scan.verify import scan_case


def test_the_loop_is_the_sum_over_all_earlier_inputs_weighted_by_the_decays_between():
    case = scan_case(7, with_state=True, with_resets=False)
    i = {name: tensor.numpy() for name, tensor in case.inputs.items()}
    steps = np.logaddexp(0, i["delta"] + i["delta_bias"])
    expected = np.zeros_like(i["u"])
    for t in range(7):
        elapsed = steps[:, : t + 1].sum(1)
        state = np.exp(elapsed[..., None] * i["A"]) * i["initial_state"]
        for s in range(t + 1):
            between = steps[:, s + 1 : t + 1].sum(1)
            state = state + np.exp(between[..., None] * i["A"]) * (
                (steps[:, s] * i["u"][:, s])[..., None] * i["B"][:, s, None, :]
            )
        expected[:, t] = (state * i["C"][:, t, None, :]).sum(-1)
    expected = (expected + i["D"] * i["u"]) * i["z"] / (1 + np.exp(-i["z"]))

    y, final_state = reference_scan(**case.inputs, softplus=True)

    np.testing.assert_allclose(y.numpy(), expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(final_state.numpy(), state, rtol=1e-12, atol=1e-12)


def test_after_a_reset_outputs_are_those_of_a_book_read_alone():
    case = scan_case(12, with_state=True, with_resets=False)
    resets = torch.zeros(3, 12, dtype=torch.bool)
    resets[:, 5] = True
    timed = ("u", "delta", "B", "C", "z")
    second = {name: tensor[:, 5:] if name in timed else tensor for name, tensor in case.inputs.items()}
    second.pop("initial_state")

    y, state = reference_scan(**case.inputs, resets=resets)
    alone, alone_state = reference_scan(**second)

    assert torch.equal(y[:, 5:], alone)
    assert torch.equal(state, alone_state)


def test_gate_skip_and_bias_are_optional():
    case = scan_case(6, with_state=False, with_resets=False)
    plain = {name: case.inputs[name] for name in ("u", "delta", "A", "B", "C")}
    zero = torch.zeros(5, dtype=torch.float64)

    y, _ = reference_scan(**plain)
    skipped, _ = reference_scan(**plain, D=case.inputs["D"])
    gated, _ = reference_scan(**plain, z=case.inputs["z"])
    biased, _ = reference_scan(**plain, D=zero, delta_bias=zero)

    torch.testing.assert_close(skipped, y + case.inputs["D"] * case.inputs["u"])
    torch.testing.assert_close(gated, y * F.silu(case.inputs["z"]))
    assert torch.equal(biased, y)
