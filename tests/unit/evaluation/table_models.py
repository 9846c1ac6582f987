"""Language models whose probabilities are known, so that what is measured of them can be computed on paper."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mamba_narrative.config.base import Section
from mamba_narrative.model.interface import LanguageModel, Role, State


class TableModel(LanguageModel):
    """The logarithms of a table's rows are the scores; subclasses say which row follows which token."""

    architecture = "table"

    def __init__(self, table: Tensor) -> None:
        super().__init__()
        self.vocab_size = self.padded_vocab_size = self.d_model = table.shape[1]
        self.rows = nn.Parameter(table.double().log())

    @property
    def settings(self) -> Section:
        return Section()

    def head_weight(self) -> Tensor:
        return torch.eye(self.d_model, dtype=torch.float64)

    def initialise(self, generator: torch.Generator) -> None: ...

    @property
    def roles(self) -> dict[str, Role]:
        return {"rows": Role("other")}


class BigramModel(TableModel):
    """p(token | the token before it) = table[before, token]: one token of context is all it uses."""

    def forward(self, ids: Tensor, state: State | None = None, resets: Tensor | None = None) -> tuple[Tensor, State]:
        return self.rows[ids], {"0.last": ids[:, -1:].double()}


class CountingModel(TableModel):
    """Row 0 of the table until it has read ``patience`` tokens, row 1 from then on."""

    def __init__(self, table: Tensor, patience: int) -> None:
        super().__init__(table)
        self.patience = patience

    def forward(self, ids: Tensor, state: State | None = None, resets: Tensor | None = None) -> tuple[Tensor, State]:
        before = torch.zeros(len(ids), 1, dtype=torch.float64) if state is None else state["0.count"]
        read = before + torch.arange(1, ids.shape[1] + 1, dtype=torch.float64)
        return self.rows[(read >= self.patience).long()], {"0.count": read[:, -1:]}
