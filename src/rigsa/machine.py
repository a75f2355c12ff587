"""Where and how a job runs, as its command line says."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Machine:
    """Settings of one job. Only `precision` decides numbers beyond rounding.

    Where `find_eval_batch_size` is set, an evaluation asks as many items at a time as fit, and
    `eval_batch_size` is for the other passes without gradients.
    """

    device: str = "cpu"
    precision: str = "float32"
    threads: int = 1
    micro_batch_size: int = 16
    eval_batch_size: int = 16
    find_eval_batch_size: bool = False
    attention: str = "auto"
    activation_checkpointing: str = "auto"
    compile: bool = False
    shard_base_model: bool = False
    dataloader_workers: int = 0
    checkpoint_steps: int = 200
    checkpoint_minutes: float = 10.0

    @property
    def recompute_activations(self) -> bool:
        """Whether activations inside a decoder layer are computed again in backward."""
        if self.activation_checkpointing == "auto":
            return self.device == "cuda"
        return self.activation_checkpointing == "full"
