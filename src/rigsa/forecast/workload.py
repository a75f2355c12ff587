"""One training as numbers: the model's shape, what is free in it, and how it is fed."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

from rigsa.adapters.reselection import EVERY, GATHER
from rigsa.adapters.residue_width import SHARE, residue_width
from rigsa.errors import ConfigError
from rigsa.forecast.shape import Matrix, ModelShape
from rigsa.validation import one_of

FLOAT32 = 4
KINDS = ("sparse_delta", "lora", "shira", "neutral_residues", "spiel", "rosa", "fine_gates", "full")
# Those that form W0 + ΔW for a layer's turn, and those with B·A beside it; RoSA does both.
FORMED, LOW_RANK = ("sparse_delta", "shira", "rosa", "full"), ("lora", "rosa")
BYTES = {"float32": FLOAT32, "bfloat16": 2}


@dataclass(frozen=True)
class Adapter:
    """What an adapter adds to each of the matrices it goes on, or which it brings.

    Args:
        kind: one of KINDS; SpIEL is a sparse delta.
        matrices: (out_features, in_features) of those of one decoder layer; of neutral residues
            W_i, W_g and W_o.
        layers: decoder layers.
        density: share of ΔW's weights that are free.
        rank: of B·A, 0 without it; SHiRA has as many values as LoRA of its rank.
        gate: groups that share one gate of a sparse delta, "matrix", "layer", "global" or "none".
        value_bytes: of one value and of its gradient.
        others: shapes of what full fine-tuning trains beside them: embeddings, head, norms.
        gathers: share of the steps in which it sums gradients of all weights, or of some of them.
    """

    kind: str
    matrices: tuple[Matrix, ...]
    layers: int
    density: float = 1.0
    rank: int = 0
    gate: str = "matrix"
    value_bytes: int = FLOAT32
    others: tuple[tuple[int, ...], ...] = ()
    gathers: float = 0.0

    @property
    def adapted(self) -> int:
        """Weights of these matrices: of the base model, or of neutral residues themselves."""
        return self.layers * sum(rows * columns for rows, columns in self.matrices)

    @property
    def rows(self) -> int:
        return self.layers * sum(rows for rows, _ in self.matrices)

    @property
    def formed(self) -> bool:
        return self.kind in FORMED

    @property
    def low_rank(self) -> bool:
        return self.kind in LOW_RANK

    @property
    def formed_values(self) -> int:
        """Of ΔW, and of what is trained beside the matrices."""
        if self.kind == "shira":
            return self._of_rank
        others = sum(map(prod, self.others))
        return round(self.density * self.adapted) + others if self.formed else 0

    @property
    def beside_values(self) -> int:
        """Of matrices that stay beside the model's."""
        if self.low_rank or self.kind == "fine_gates":
            return self._of_rank
        return 0 if self.formed else self.adapted

    @property
    def _of_rank(self) -> int:
        return self.rank * self.sides

    @property
    def sides(self) -> int:
        """Rows and columns."""
        return self.layers * sum(sum(matrix) for matrix in self.matrices)

    @property
    def values(self) -> int:
        """Trained values without gates."""
        return self.formed_values + self.beside_values

    @property
    def mergeable(self) -> bool:
        return self.kind != "neutral_residues"

    @property
    def gates(self) -> int:
        """Values of the gates: a number each, or a vector and a number a block."""
        if self.kind in ("lora", "shira", "rosa", "full"):
            return 0
        if self.kind == "fine_gates":
            return self.sides
        if self.kind == "neutral_residues":
            return self.layers * (self.matrices[0][1] + 1)
        each = {"matrix": self.layers * len(self.matrices), "layer": self.layers, "global": 1}
        return each.get(self.gate, 0)

    @property
    def trainable(self) -> int:
        return self.values + self.gates

    @property
    def tensors(self) -> int:
        """Trained tensors: a value tensor a matrix, A and B where they are, and the gates."""
        if self.kind == "fine_gates":
            return (4 if self.rank else 2) * self.layers * len(self.matrices)
        each = 2 * self.low_rank + (self.kind != "lora")
        gates = 2 * self.layers if self.kind == "neutral_residues" else self.gates
        return each * self.layers * len(self.matrices) + len(self.others) + gates


def adapter_of(shape: ModelShape, description: Mapping[str, Any], density: float | None) -> Adapter:
    """From an arm's `adapter` in the study and the density of its step.

    Raises ConfigError for a type of adapter that is not counted here.
    """
    if description["type"] not in KINDS:
        raise ConfigError(
            f"adapter.type is {description['type']!r}, which the forecast cannot count; "
            f"{one_of(description['type'], KINDS)}"
        )
    matrices = shape.targets(description)
    if description["type"] == "neutral_residues":
        matrices = _residue(shape, description)
    moves = description["type"] == "spiel"
    return Adapter(
        kind="sparse_delta" if moves else description["type"],
        matrices=tuple(matrices),
        layers=shape.layers,
        density=1.0 if density is None else density,
        rank=description.get("r", 0),
        gate="none" if moves else description.get("gate", "matrix"),
        value_bytes=BYTES[description.get("dtype", "float32")],
        others=shape.others if description["type"] == "full" else (),
        gathers=description.get("gather", GATHER) / description.get("every", EVERY) * moves,
    )


def _residue(shape: ModelShape, description: Mapping[str, Any]) -> list[Matrix]:
    width = description.get("width") or residue_width(
        shape.weights, shape.layers, shape.hidden, description.get("share", SHARE)
    )
    return [(width, shape.hidden), (width, shape.hidden), (shape.hidden, width)]


@dataclass(frozen=True)
class Workload:
    """A training of `adapter` on a base model of `shape`.

    Args:
        weight_bytes: of one base weight and one activation: 4 for float32, 2 for bfloat16.
        four_bit: the base model's linear layers are stored in 4-bit.
        double_quant: their scales are quantised as well.
        parts: that the base model's layers are in, each on a card of its own.
        optimizer: its name in transformers.
        tokens: in one row.
        micro_batch: rows in one forward and backward pass.
        recompute: activations inside a decoder layer are computed again in backward.
    """

    shape: ModelShape
    adapter: Adapter
    weight_bytes: int
    optimizer: str
    tokens: float
    micro_batch: int
    recompute: bool
    four_bit: bool = False
    double_quant: bool = False
    parts: int = 1
