"""Mamba-1 language model (Gu and Dao 2023, arXiv 2312.00752).

Parameter names, shapes and initialisation are those of mamba-ssm's ``MambaLMHeadModel`` (mixer_seq_simple.py,
mamba_simple.py), but a tied head ``lm_head.weight`` is not stored a second time. Unlike there, the state is an
ordinary input and output, books can start anywhere in a row, and the scan may be any backend of ``scan/dispatch``.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mamba_narrative.config.architectures.mamba import MambaSettings
from mamba_narrative.model.dropout import Site, dropout
from mamba_narrative.model.interface import LanguageModel, Role, State
from mamba_narrative.model.layers import (
    EMBEDDING_STD,
    RMSNorm,
    checkpointed,
    compute_dtype,
    embed,
    padded_rows,
    untied_head,
)
from mamba_narrative.model.scan.convolution import causal_conv
from mamba_narrative.model.scan.cuda_mixer import MixerWeights, cuda_mixer, takes
from mamba_narrative.model.scan.cuda_step import cuda_step
from mamba_narrative.model.scan.dispatch import resolve_backend, selective_scan

DT_MIN, DT_MAX, DT_FLOOR = 1e-3, 0.1, 1e-4
"""Initial step sizes are log-uniform between the first two and never below the third."""


def as_torch_does(weight: Tensor, generator: torch.Generator) -> None:
    """Initial values of ``nn.Linear``, which mamba-ssm leaves as they are."""
    nn.init.kaiming_uniform_(weight, a=math.sqrt(5), generator=generator)


class MambaMixer(nn.Module):
    """Projection, causal convolution, selective scan, gate, projection back."""

    def __init__(self, settings: MambaSettings) -> None:
        super().__init__()
        self.d_inner = settings.expand * settings.d_model
        self.d_state = settings.d_state
        self.dt_rank = settings.resolved_dt_rank
        self.scan_backend = settings.scan_backend
        self.in_proj = nn.Linear(settings.d_model, 2 * self.d_inner, bias=False)
        # A module for its parameters alone (mamba-ssm's names and shapes); it is computed by `causal_conv`.
        self.conv1d = nn.Conv1d(self.d_inner, self.d_inner, settings.d_conv, groups=self.d_inner)
        self.x_proj = nn.Linear(self.d_inner, self.dt_rank + 2 * self.d_state, bias=False)
        self.dt_proj = nn.Linear(self.dt_rank, self.d_inner)
        self.A_log = nn.Parameter(torch.empty(self.d_inner, self.d_state))
        self.D = nn.Parameter(torch.empty(self.d_inner))
        self.out_proj = nn.Linear(self.d_inner, settings.d_model, bias=False)

    def forward(
        self, hidden: Tensor, window: Tensor | None, scan_state: Tensor | None, resets: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Mix ``hidden`` [batch, length, d_model] along time.

        window: the convolution's last inputs [batch, d_conv - 1, d_inner]; scan_state: [batch, d_inner, d_state].
        Returns the output [batch, length, d_model] and both states after the last position.
        """
        if (fused := self._cuda_weights(hidden)) is not None:
            return cuda_mixer(hidden.to(self.compute_dtype()), fused, window, scan_state, resets)
        x, gate = self.in_proj(hidden).chunk(2, dim=-1)
        x, window = causal_conv(
            x,
            self.conv1d.weight.squeeze(1),
            self.conv1d.bias,
            window,
            resets,
            silu=True,
            backend=self.scan_backend,
        )
        dt, b, c = self.x_proj(x).split([self.dt_rank, self.d_state, self.d_state], dim=-1)
        y, scan_state = selective_scan(
            x,
            # The bias is added inside the scan, in its precision: step sizes are as small as 1e-4.
            F.linear(dt, self.dt_proj.weight),
            -torch.exp(self.A_log),
            b,
            c,
            D=self.D,
            z=gate,
            delta_bias=self.dt_proj.bias,
            softplus=True,
            initial_state=scan_state,
            resets=resets,
            backend=self.scan_backend,
        )
        return self.out_proj(y), window, scan_state

    def step(self, hidden: Tensor, window: Tensor, scan_state: Tensor) -> Tensor:
        """``forward`` of one position without gradients; the states are replaced by those after it, in place."""
        dtype = self.compute_dtype()
        fused = self._cuda_weights(hidden)
        if fused is not None and window.dtype == dtype:
            return cuda_step(hidden[:, 0].to(dtype), fused, window, scan_state).unsqueeze(1)
        mixed, window_after, scan_state_after = self(hidden, window, scan_state, None)
        window.copy_(window_after)
        scan_state.copy_(scan_state_after)
        return mixed

    def compute_dtype(self) -> torch.dtype:
        """The type of the matrix products."""
        return compute_dtype(self.in_proj.weight)

    def _cuda_weights(self, hidden: Tensor) -> MixerWeights | None:
        """The parameters for the kernels that compute a whole mixer, or None where they cannot."""
        if hidden.shape[1] == 0 or resolve_backend(self.scan_backend, hidden.device) != "cuda":
            return None
        weights = MixerWeights(
            self.in_proj.weight,
            self.conv1d.weight.squeeze(1),
            self.conv1d.bias,
            self.x_proj.weight,
            self.dt_proj.weight,
            self.dt_proj.bias,
            self.A_log,
            self.D,
            self.out_proj.weight,
        )
        return weights if takes(weights, self.compute_dtype()) else None

    @torch.no_grad()
    def initialise(self, n_layer: int, generator: torch.Generator) -> None:
        """Initial values of mamba_simple.py and, for ``out_proj``, of mixer_seq_simple.py (1 / sqrt(n_layer))."""
        as_torch_does(self.in_proj.weight, generator)
        as_torch_does(self.conv1d.weight, generator)
        if self.conv1d.bias is not None:
            bound = 1 / math.sqrt(self.conv1d.kernel_size[0])
            nn.init.uniform_(self.conv1d.bias, -bound, bound, generator=generator)
        as_torch_does(self.x_proj.weight, generator)
        bound = self.dt_rank**-0.5
        nn.init.uniform_(self.dt_proj.weight, -bound, bound, generator=generator)
        uniform = torch.rand(self.d_inner, generator=generator)
        dt = torch.exp(math.log(DT_MIN) + uniform * (math.log(DT_MAX) - math.log(DT_MIN))).clamp(min=DT_FLOOR)
        self.dt_proj.bias.copy_(dt + torch.log(-torch.expm1(-dt)))  # the inverse of softplus
        self.A_log.copy_(torch.log(torch.arange(1, self.d_state + 1, dtype=torch.float32)).expand(self.d_inner, -1))
        self.D.fill_(1.0)
        as_torch_does(self.out_proj.weight, generator)
        self.out_proj.weight.div_(math.sqrt(n_layer))


class MambaBlock(nn.Module):
    """Normalise, mix; the next block adds the result to the residual stream."""

    def __init__(self, settings: MambaSettings) -> None:
        super().__init__()
        self.norm = RMSNorm(settings.d_model, settings.scan_backend)
        self.mixer = MambaMixer(settings)

    def forward(
        self,
        residual: Tensor,
        update: Tensor | None,
        site: Site | None,
        window: Tensor | None,
        scan_state: Tensor | None,
        resets: Tensor | None,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Take up the ``update`` of the block before; returns the residual, this block's update, and both states.

        ``site``: where values of the ``update`` are dropped.
        """
        normed, residual = self.norm(residual, update, self.mixer.compute_dtype(), site)
        return residual, *self.mixer(normed, window, scan_state, resets)


class MambaBackbone(nn.Module):
    """Embedding, blocks, final norm."""

    def __init__(self, settings: MambaSettings, padded_vocab_size: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(padded_vocab_size, settings.d_model)
        self.layers = nn.ModuleList(MambaBlock(settings) for _ in range(settings.n_layer))
        self.norm_f = RMSNorm(settings.d_model, settings.scan_backend)


class MambaLanguageModel(LanguageModel):
    """Mamba-1 with a head that is the embedding, unless the settings say otherwise.

    State: ``{layer}.window`` [batch, d_conv - 1, d_inner] and ``{layer}.scan`` [batch, d_inner, d_state].
    """

    architecture = "mamba"

    def __init__(self, settings: MambaSettings, vocab_size: int) -> None:
        super().__init__()
        self._settings = settings
        self.d_model = settings.d_model
        self.vocab_size = vocab_size
        self.padded_vocab_size = padded_rows(vocab_size, settings.pad_vocab_size_multiple)
        self.backbone = MambaBackbone(settings, self.padded_vocab_size)
        self.lm_head = untied_head(settings.tie_embeddings, self.padded_vocab_size, settings.d_model)

    @property
    def settings(self) -> MambaSettings:
        """Size of the model, as configured."""
        return self._settings

    def forward(self, ids: Tensor, state: State | None = None, resets: Tensor | None = None) -> tuple[Tensor, State]:
        """See ``LanguageModel.forward``."""
        if resets is not None and resets.device.type == "cpu" and not resets.any():
            resets = None  # asking a GPU would make it wait
        residual, update = dropout(embed(ids, self.backbone.embedding.weight), self.dropped.embedding()), None
        after: State = {}
        for index, layer in enumerate(self.layers()):
            window, scan_state = (None, None) if state is None else (state[f"{index}.window"], state[f"{index}.scan"])
            arguments = (residual, update, self.dropped.update(index), window, scan_state, resets)
            if self.activation_checkpointing and torch.is_grad_enabled():
                residual, update, *states = checkpointed(layer, *arguments)
            else:
                residual, update, *states = layer(*arguments)
            after[f"{index}.window"], after[f"{index}.scan"] = states
        return self._finished(residual, update, self.dropped.update(self.settings.n_layer)), after

    @torch.no_grad()
    def step(self, ids: Tensor, state: State) -> Tensor:
        """See ``LanguageModel.step``."""
        residual, update = embed(ids, self.backbone.embedding.weight), None
        for index, layer in enumerate(self.layers()):
            normed, residual = layer.norm(residual, update, layer.mixer.compute_dtype())
            update = layer.mixer.step(normed, state[f"{index}.window"], state[f"{index}.scan"])
        return self._finished(residual, update)

    def layers(self) -> list[MambaBlock]:
        """The blocks, first to last."""
        return [layer for layer in self.backbone.layers if isinstance(layer, MambaBlock)]

    def _finished(self, residual: Tensor, update: Tensor | None, site: Site | None = None) -> Tensor:
        return self.backbone.norm_f(residual, update, residual.dtype, site)[0]

    def head_weight(self) -> Tensor:
        """The embedding, or a matrix of its own."""
        return self.embedding_weight() if self.lm_head is None else self.lm_head.weight

    def embedding_weight(self) -> Tensor:
        """See ``LanguageModel.embedding_weight``."""
        return self.backbone.embedding.weight

    @property
    def roles(self) -> dict[str, Role]:
        """Not decayed are A_log and D, as in mamba-ssm, and every vector (biases, norms)."""
        found = {
            name: Role("other", decayed=parameter.ndim >= 2 and not name.endswith(".A_log"))
            for name, parameter in self.named_parameters()
        }
        found |= {name: Role("embedding") for name in ("backbone.embedding.weight", "lm_head.weight") if name in found}
        for index, layer in enumerate(self.layers()):
            d_inner, dt_rank, d_state = layer.mixer.d_inner, layer.mixer.dt_rank, layer.mixer.d_state
            for name, parts in {
                "in_proj": (d_inner, d_inner),
                "x_proj": (dt_rank, d_state, d_state),
                "dt_proj": (),
                "out_proj": (),
            }.items():
                found[f"backbone.layers.{index}.mixer.{name}.weight"] = Role("matrix", parts=parts)
        return found

    @torch.no_grad()
    def initialise(self, generator: torch.Generator) -> None:
        """Initial values of mamba-ssm."""
        nn.init.normal_(self.backbone.embedding.weight, std=EMBEDDING_STD, generator=generator)
        for layer in self.layers():
            layer.norm.weight.fill_(1.0)
            layer.mixer.initialise(self.settings.n_layer, generator)
        self.backbone.norm_f.weight.fill_(1.0)
        if self.lm_head is not None:
            as_torch_does(self.lm_head.weight, generator)


MODEL = MambaLanguageModel
