"""How a run is trained."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from mamba_narrative.config.base import Section, Seed
from mamba_narrative.config.paths import PathOfAnotherMachine

_MOST_TOKENS_OF_A_BATCH = 2**28


class TrainingSettings(Section):
    """Recipe of a training run. One step is one update of the weights."""

    seed: Seed = 1
    """Seed of the initial weights and of the order of the data."""
    steps: int = Field(default=10_000, ge=1, le=100_000_000)
    """Number of updates."""
    sequence_length: int = Field(default=2_048, ge=8, le=1_048_576)
    """Tokens of one training window."""
    batch_sequences: int = Field(default=32, ge=1, le=65_536)
    """Windows of one update."""
    order: Literal["shuffled", "stateful"] = "shuffled"
    """shuffled: windows of all books in random order; stateful: each row of the batch reads one book after the other
    from start to end and carries the model's state from step to step (without its gradient)."""
    micro_batch_sequences: int | None = Field(default=None, ge=1, le=65_536)
    """Windows computed at once; smaller parts of a batch are accumulated, with the same result. null: as many as fit
    into the GPU's memory (found once for a run), on the CPU all."""
    processes: int = Field(default=1, ge=1, le=4_096)
    """Processes that share each batch, one a GPU; the results are the same up to rounding."""
    gradient_reduction: Literal["float32", "bfloat16"] = "float32"
    """Type in which several processes exchange and add up their gradients; bfloat16 halves what travels and rounds the
    sums, so use it where the connection between GPUs is slow. Without effect for one process."""
    nodes: int = Field(default=1, ge=1, le=1_024)
    """Machines that the processes are spread over evenly; more than one needs SLURM."""
    stage_directory: PathOfAnotherMachine | None = None
    """Folder on a disk of the machine that trains, such as `$TMPDIR` or `/scratch/$USER` (variables are those of that
    machine): token arrays are copied there first and removed at the end. null: they are read where they are."""
    cuda_graphs: bool = True
    """On a GPU, record the kernels of a step once and replay them: the same numbers, and a slow processor cannot hold
    the GPU up. Takes the memory of a step for good."""
    recompute: bool = False
    """Keep the inputs of each block only and compute the rest again for the gradients: less memory, a third slower."""
    learning_rate: float = Field(default=6e-4, ge=1e-9, le=10)
    """Peak learning rate."""
    min_learning_rate_share: float = Field(default=0.1, ge=0, le=1)
    """The cosine ends at this share of the peak."""
    warmup_steps: int = Field(default=500, ge=0, le=100_000_000)
    """Steps of linear warmup."""
    weight_decay: float = Field(default=0.1, ge=0, le=10)
    """On matrices only: not on A_log, D, biases and norms."""
    beta1: float = Field(default=0.9, ge=0, le=0.9999)
    """AdamW's first moment."""
    beta2: float = Field(default=0.95, ge=0, le=0.99999)
    """AdamW's second moment."""
    clip_grad_norm: float = Field(default=1.0, ge=1e-6, le=1e9)
    """Gradients are scaled down to this norm."""
    z_loss: float = Field(default=0.0, ge=0, le=1)
    """Weight of the mean squared logarithm of the softmax's denominator, which keeps scores from drifting.
    The logged training loss includes it."""
    skip_grad_norm: float | None = Field(default=None, ge=1e-6, le=1e9)
    """Steps with a larger gradient norm are skipped, as those whose loss is not finite always are; null: no limit."""
    max_skipped_steps: int = Field(default=3, ge=0, le=100_000_000)
    """More skipped steps in a row end the run."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Compute type; parameters and optimiser state are float32 always."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto: the GPU where there is one."""
    validate_every_steps: int = Field(default=500, ge=1, le=100_000_000)
    """Steps between validations; one more at the end."""
    validation_tokens: int = Field(default=200_000, ge=1, le=10_000_000_000)
    """Tokens that one validation reads, from the beginnings of all validation books alike (the same ones each time)."""
    checkpoint_every_steps: int = Field(default=500, ge=1, le=100_000_000)
    """Steps between checkpoints."""
    keep_checkpoints: int = Field(default=2, ge=1, le=1_000)
    """Newest checkpoints kept."""
    keep_every_steps: int | None = Field(default=None, ge=1, le=100_000_000)
    """Checkpoints at multiples of this step are kept for good, in results/state; null: none."""
    stop_after_validations: int | None = Field(default=None, ge=1, le=1_000_000)
    """End the run after so many validations in a row without a new best; null: train all steps."""
    result: Literal["last", "best"] = "last"
    """Which weights are the run's result: those after the last step, or those of the best validation."""

    @model_validator(mode="after")
    def _sizes_fit(self) -> TrainingSettings:
        if self.warmup_steps > self.steps:
            raise ValueError(f"warmup_steps ({self.warmup_steps}) must not exceed steps ({self.steps})")
        if self.batch_sequences * self.sequence_length > _MOST_TOKENS_OF_A_BATCH:
            raise ValueError(
                f"batch_sequences ({self.batch_sequences}) x sequence_length ({self.sequence_length}) are more than "
                f"{_MOST_TOKENS_OF_A_BATCH:,} tokens a step"
            )
        if self.batch_sequences % self.processes:
            raise ValueError(
                f"batch_sequences ({self.batch_sequences}) must be a multiple of processes ({self.processes})"
            )
        if self.processes % self.nodes:
            raise ValueError(f"processes ({self.processes}) must be a multiple of nodes ({self.nodes})")
        if self.micro_batch_sequences and self.batch_sequences % self.micro_batch_sequences:
            raise ValueError(
                f"batch_sequences ({self.batch_sequences}) must be a multiple of "
                f"micro_batch_sequences ({self.micro_batch_sequences})"
            )
        return self
