"""How a run is trained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from mamba_narrative.config.base import NOTHING, Section, Seed
from mamba_narrative.config.paths import PathOfAnotherMachine

_MOST_TOKENS_OF_A_BATCH = 2**28

LENGTHS = ("steps", "epochs", "tokens")
"""The settings that say how long a run is; one of them is set."""
_Point = tuple[Annotated[float, Field(ge=0, le=1)], Annotated[float, Field(ge=0, le=1_000)]]


class TrainingSettings(Section):
    """Recipe of a training run. One step is one update of the weights."""

    seed: Seed = 1
    """Seed of the initial weights and of the order of the data."""
    steps: int | None = Field(default=10_000, ge=1, le=100_000_000)
    """Number of updates; null where epochs or tokens are set instead."""
    epochs: float | None = Field(default=None, ge=1e-6, le=100_000)
    """Length of the run as passes over the training text, rounded up to whole steps; null: see steps, tokens."""
    tokens: int | None = Field(default=None, ge=1, le=10**15)
    """Length of the run as tokens seen, rounded up to whole steps; null: see steps, epochs."""
    sequence_length: int = Field(default=2_048, ge=8, le=1_048_576)
    """Tokens of one training window."""
    batch_size: int = Field(default=32, ge=1, le=65_536)
    """Windows of one update."""
    order: Literal["shuffled", "stateful"] = "shuffled"
    """shuffled: windows of all books in random order; stateful: each row of the batch reads one book after the other
    from start to end and carries the model's state from step to step (without its gradient)."""
    window_offsets: Literal["fixed", "random"] = "fixed"
    """Where shuffled windows cut a book. fixed: at multiples of sequence_length, so that a token has the same tokens
    before it in every epoch; random: shifted by an offset that each book draws anew each epoch."""
    micro_batch_size: int | None = Field(default=None, ge=1, le=65_536, json_schema_extra=NOTHING)
    """Windows computed at once; smaller parts of a batch are accumulated, with the same result. null: as many as fit
    into the GPU's memory (found once for a run), on the CPU all."""
    processes: int = Field(default=1, ge=1, le=4_096, json_schema_extra=NOTHING)
    """Processes that share each batch, one a GPU; the results are the same up to rounding."""
    reduce_dtype: Literal["float32", "bfloat16"] = "float32"
    """Type in which several processes exchange and add up their gradients; bfloat16 halves what travels and rounds the
    sums, so use it where the connection between GPUs is slow. Without effect for one process."""
    nodes: int = Field(default=1, ge=1, le=1_024, json_schema_extra=NOTHING)
    """Machines that the processes are spread over evenly; more than one needs SLURM."""
    staging_directory: PathOfAnotherMachine | None = Field(default=None, json_schema_extra=NOTHING)
    """Folder on a disk of the machine that trains, such as `$TMPDIR` or `/scratch/$USER` (variables are those of that
    machine): token arrays are copied there first and removed at the end. null: they are read where they are."""
    cuda_graphs: bool = Field(default=True, json_schema_extra=NOTHING)
    """On a GPU, record the kernels of a step once and replay them: the same numbers, and a slow processor cannot hold
    the GPU up. Takes the memory of a step for good."""
    activation_checkpointing: bool = Field(default=False, json_schema_extra=NOTHING)
    """Keep the inputs of each block only and compute the rest again for the gradients: less memory, a third slower."""
    optimizer: Literal["adamw", "muon"] = "adamw"
    """adamw: for all parameters; muon: Muon for the layers' matrices, AdamW for the rest, with one learning rate and
    weight decay (Muon's updates are scaled to the size of AdamW's)."""
    muon_momentum: float = Field(default=0.95, ge=0, le=0.9999)
    """Muon's share of the past in its momentum."""
    muon_nesterov: bool = True
    """Whether Muon looks ahead: the momentum counts once more beside the gradient."""
    muon_split_fused: bool = False
    """Whether Muon takes matrices that one product joins (queries, keys and values; Mamba's x and z) apart; else such a
    matrix counts as one."""
    learning_rate: float = Field(default=6e-4, ge=1e-9, le=10)
    """Peak learning rate."""
    schedule: Literal["cosine", "wsd"] = "cosine"
    """cosine: after the warmup the learning rate falls along half a cosine; wsd: it stays, then falls as 1 - sqrt over
    decay_ratio. Either ends with the last step: weights from before (by early_stopping_patience, or as the best ones)
    are not annealed."""
    decay_ratio: float = Field(default=0.2, ge=0.001, le=1)
    """Share of the steps over which wsd lets the learning rate fall."""
    min_lr_ratio: float = Field(default=0.1, ge=0, le=1)
    """The learning rate ends at this share of the peak."""
    warmup_steps: int = Field(default=500, ge=0, le=100_000_000)
    """Steps of linear warmup."""
    warmup_ratio: float | None = Field(default=None, ge=0, le=0.99)
    """Share of the steps that is warmup, in place of warmup_steps; null: warmup_steps."""
    weight_decay: float = Field(default=0.1, ge=0, le=10)
    """On matrices only: not on A_log, D, biases and norms. A step shrinks them by the learning rate times this."""
    weight_decay_schedule: tuple[_Point, ...] = Field(default=((0.0, 1.0),), min_length=1, max_length=100)
    """Points [share of the run, factor of weight_decay]; straight lines between them, the same factor before the first
    and after the last. [[0, 1], [1, 0]] falls to zero; [[0.1, 1], [0.5, 0.1], [1, 1]] holds, falls, rises again."""
    residual_dropout: float = Field(default=0.0, ge=0, le=0.99)
    """Share of the values that a block (in a Transformer attention and feed-forward network, each) adds to the residual
    stream which are dropped, others in each step; to the nearest of 65,536 levels, as the other two."""
    embedding_dropout: float = Field(default=0.0, ge=0, le=0.99)
    """Share of the values of the tokens' embeddings that are dropped."""
    attention_dropout: float = Field(default=0.0, ge=0, le=0.99)
    """Share of the values that attention's heads give which are dropped, before their projection (Transformer only)."""
    beta1: float = Field(default=0.9, ge=0, le=0.9999)
    """AdamW's first moment."""
    beta2: float = Field(default=0.95, ge=0, le=0.99999)
    """AdamW's second moment."""
    max_grad_norm: float = Field(default=1.0, ge=1e-6, le=1e9)
    """Gradients are scaled down to this norm."""
    z_loss: float = Field(default=0.0, ge=0, le=1)
    """Weight of the mean squared logarithm of the softmax's denominator, which keeps scores from drifting.
    The logged training loss includes it."""
    skip_grad_norm: float | None = Field(default=None, ge=1e-6, le=1e9)
    """Steps with a larger gradient norm are skipped, as those whose loss is not finite always are; null: no limit."""
    ema_decay: float | None = Field(default=None, ge=0.1, le=0.999999)
    """Keep an exponential moving average of the weights, of which an update leaves this share: about the mean of the
    last 1 / (1 - ema_decay) updates, without the initial weights. It is validated beside the weights. null: none."""
    max_skipped_steps: int = Field(default=3, ge=0, le=100_000_000, json_schema_extra=NOTHING)
    """More skipped steps in a row end the run."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Compute type; parameters and optimiser state are float32 always."""
    device: Literal["auto", "cpu", "cuda"] = Field(default="auto", json_schema_extra=NOTHING)
    """auto: the GPU where there is one."""
    validate_every_steps: int = Field(default=500, ge=1, le=100_000_000)
    """Steps between validations; one more at the end."""
    validation_tokens: int = Field(default=200_000, ge=1, le=10_000_000_000)
    """Tokens that one validation reads, from the beginnings of all validation books alike (the same ones each time)."""
    checkpoint_every_steps: int = Field(default=500, ge=1, le=100_000_000, json_schema_extra=NOTHING)
    """Steps between checkpoints."""
    keep_checkpoints: int = Field(default=2, ge=1, le=1_000, json_schema_extra=NOTHING)
    """Newest checkpoints kept."""
    keep_every_steps: int | None = Field(default=None, ge=1, le=100_000_000, json_schema_extra=NOTHING)
    """Checkpoints at multiples of this step are kept for good, in results/state; null: none."""
    early_stopping_patience: int | None = Field(default=None, ge=1, le=1_000_000)
    """End the run after so many validations in a row without a new best (of the average where that is the result).
    null: train all steps."""
    result: Literal["last", "best", "ema"] = "last"
    """Which weights are the run's result: those after the last step, those of the best validation, or the moving
    average after the last step (ema_decay)."""

    @model_validator(mode="before")
    @classmethod
    def _steps_give_way(cls, given: Any) -> Any:
        """To another length, where the number of steps is only the default."""
        if isinstance(given, Mapping) and "steps" not in given and any(given.get(name) is not None for name in LENGTHS):
            return {**given, "steps": None}
        return given

    @property
    def dropouts(self) -> dict[str, float]:
        """The settings that drop values, by name."""
        names = ("embedding_dropout", "residual_dropout", "attention_dropout")
        return {name: getattr(self, name) for name in names}

    @model_validator(mode="after")
    def _sizes_fit(self) -> TrainingSettings:
        lengths = {name: getattr(self, name) for name in LENGTHS}
        if sum(value is not None for value in lengths.values()) != 1:
            found = ", ".join(f"{name}: {'null' if value is None else value}" for name, value in lengths.items())
            raise ValueError(f"one of steps, epochs and tokens must be set and the others be null, found {found}")
        if self.steps is not None and self.warmup_ratio is None and self.warmup_steps > self.steps:
            raise ValueError(f"warmup_steps ({self.warmup_steps}) must not exceed steps ({self.steps})")
        shares = [share for share, _ in self.weight_decay_schedule]
        if shares != sorted(set(shares)):
            raise ValueError(f"weight_decay_schedule: shares of the run must rise from point to point, found {shares}")
        if self.result == "ema" and self.ema_decay is None:
            raise ValueError("result is ema, but no average is kept: set ema_decay, such as 0.999")
        if self.batch_size * self.sequence_length > _MOST_TOKENS_OF_A_BATCH:
            raise ValueError(
                f"batch_size ({self.batch_size}) x sequence_length ({self.sequence_length}) are more than "
                f"{_MOST_TOKENS_OF_A_BATCH:,} tokens a step"
            )
        if self.batch_size % self.processes:
            raise ValueError(f"batch_size ({self.batch_size}) must be a multiple of processes ({self.processes})")
        if self.window_offsets == "random" and self.order == "stateful":
            raise ValueError("window_offsets random is for order shuffled: stateful rows read on where they ended")
        if self.processes % self.nodes:
            raise ValueError(f"processes ({self.processes}) must be a multiple of nodes ({self.nodes})")
        if self.micro_batch_size and self.batch_size % self.micro_batch_size:
            raise ValueError(
                f"batch_size ({self.batch_size}) must be a multiple of micro_batch_size ({self.micro_batch_size})"
            )
        return self
