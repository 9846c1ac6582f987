"""Reading in steps is reading at once."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mamba_narrative.config.architectures.mamba import MambaSettings
from mamba_narrative.model.decoding import Decoder
from mamba_narrative.model.registry import build_model

MODEL = build_model("mamba", MambaSettings(d_model=16, n_layer=2, d_state=4), 23, seed=1).eval()


@settings(max_examples=20, deadline=None)
@given(pieces=st.lists(st.integers(1, 9), min_size=1, max_size=6), batch=st.integers(1, 3))
def test_scores_do_not_depend_on_how_a_text_is_cut(pieces, batch):
    ids = torch.randint(0, 23, (batch, sum(pieces)), generator=torch.Generator().manual_seed(0))
    decoder = Decoder(MODEL)
    for piece in ids.split(pieces, dim=1):
        scores = decoder.read(piece)
    with torch.no_grad():
        whole = MODEL.logits(MODEL(ids)[0][:, -1])
    torch.testing.assert_close(scores, whole, rtol=1e-5, atol=1e-5)


def test_decoders_of_one_model_know_nothing_of_each_other():
    first, second = Decoder(MODEL), Decoder(MODEL)
    first.read(torch.tensor([[1, 2, 3]]))
    assert torch.equal(second.read(torch.tensor([[4]])), Decoder(MODEL).read(torch.tensor([[4]])))
