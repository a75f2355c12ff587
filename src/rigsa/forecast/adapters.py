"""What each type of adapter is in numbers: what it trains, and what it adds to a pass."""

from dataclasses import dataclass
from math import prod

from rigsa.forecast.shape import Matrix, ModelShape

FLOAT32, INT64 = 4, 8
BYTES = {"float32": FLOAT32, "bfloat16": 2}
# Operations that a forward pass starts beside the model's own: of a low-rank part (two products,
# casts, scaling, sum) and of gates over rows and columns (each side's three steps, product and
# cast) at each matrix; of neutral residues (four products, two gates with theirs, casts, sum) at
# each feed-forward block.
LOW_RANK_STARTS, GATE_STARTS, RESIDUE_STARTS = 6, 10, 11


@dataclass(frozen=True)
class Adapter:
    """An adapter on the matrices of a model; each type says below in what it differs.

    A type is `formed` where W0 + ΔW is put together for a layer's turn, and `mergeable` where the
    model is evaluated with the adapter in its weights.

    Args:
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

    matrices: tuple[Matrix, ...]
    layers: int
    density: float = 1.0
    rank: int = 0
    gate: str = "matrix"
    value_bytes: int = FLOAT32
    others: tuple[tuple[int, ...], ...] = ()
    gathers: float = 0.0

    formed = False
    mergeable = True
    # Trained values: of ΔW; of matrices beside the model's; of gates, which are float32.
    formed_values = 0
    beside_values = 0
    gates = 0

    @property
    def adapted(self) -> int:
        """Weights of these matrices: of the base model, or of neutral residues themselves."""
        return self.layers * sum(rows * columns for rows, columns in self.matrices)

    @property
    def rows(self) -> int:
        return self.layers * sum(rows for rows, _ in self.matrices)

    @property
    def sides(self) -> int:
        """Rows and columns."""
        return self.layers * sum(sum(matrix) for matrix in self.matrices)

    @property
    def count(self) -> int:
        """Of the matrices, in all layers."""
        return self.layers * len(self.matrices)

    @property
    def values(self) -> int:
        """Trained values without gates."""
        return self.formed_values + self.beside_values

    @property
    def trainable(self) -> int:
        return self.values + self.gates

    @property
    def tensors(self) -> int:
        """Trained tensors: one a matrix, where a type says no other."""
        return self.count

    @property
    def index_bytes(self) -> int:
        """Where the values belong: int32 places of a ΔW that is not dense."""
        return FLOAT32 * self.formed_values if self.density < 1 else 0

    @property
    def scaled(self) -> int:
        """Rows whose outputs are written, scaled and added for a token; columns where their inputs
        are gated."""
        return self.rows

    @property
    def starts(self) -> int:
        """Operations that a decoder layer starts for it in a forward pass."""
        return 0

    def saved_inputs(self, shape: ModelShape, size: int) -> int:
        """Bytes a token that a layer's adapted matrices save for backward, of activations in
        `size` bytes: their inputs."""
        return size * (2 * shape.hidden + shape.intermediate)

    def saved_by_norms(self, shape: ModelShape, size: int) -> int:
        """Bytes a token that a layer's norms save beside what they do anyway."""
        return 0

    def saved_once(self, size: int) -> int:
        """Bytes that a layer saves for backward, however many tokens there are."""
        return 0


class SparseDelta(Adapter):
    """SpIEL is one as well."""

    formed = True

    @property
    def formed_values(self) -> int:
        return round(self.density * self.adapted)

    @property
    def gates(self) -> int:
        each = {"matrix": self.count, "layer": self.layers, "global": 1}
        return each.get(self.gate, 0)

    @property
    def tensors(self) -> int:
        return self.count + self.gates


class Full(Adapter):
    formed = True

    @property
    def formed_values(self) -> int:
        return self.adapted + sum(map(prod, self.others))

    @property
    def tensors(self) -> int:
        return self.count + len(self.others)

    def saved_by_norms(self, shape: ModelShape, size: int) -> int:
        return 2 * size * shape.hidden  # What its factors are multiplied with.


class Shira(Adapter):
    """PEFT's, which knows nothing of ours."""

    formed = True

    @property
    def formed_values(self) -> int:
        return self.rank * self.sides

    @property
    def index_bytes(self) -> int:
        """int32 rows and columns."""
        return 2 * FLOAT32 * self.values

    def saved_once(self, size: int) -> int:
        """W0 + ΔW until backward, where a sparse delta forms it anew; and ΔW, in int64 rows and
        columns with a copy of the values."""
        delta = self.values * (2 * INT64 + FLOAT32)
        return (self.adapted * size + delta) // self.layers


class Lora(Adapter):
    @property
    def beside_values(self) -> int:
        return self.rank * self.sides

    @property
    def tensors(self) -> int:
        return 2 * self.count

    @property
    def starts(self) -> int:
        return LOW_RANK_STARTS * len(self.matrices)

    def saved_inputs(self, shape: ModelShape, size: int) -> int:
        """Each input is turned into the adapter's own float32, where the model's type is another,
        and ΔW needs it as it was; each matrix keeps what A made of it for B."""
        inputs = super().saved_inputs(shape, size)
        if size != FLOAT32:
            turned = FLOAT32 * sum(columns for _, columns in self.matrices)
            inputs = turned + (inputs if self.formed else 0)
        return inputs + FLOAT32 * self.rank * len(self.matrices)


class Rosa(Lora):
    """LoRA, and a sparse delta without a gate beside it."""

    formed = True

    @property
    def formed_values(self) -> int:
        return round(self.density * self.adapted)

    @property
    def tensors(self) -> int:
        return 3 * self.count


class FineGates(Adapter):
    """Gates over rows and columns, and perhaps a low-rank part between them."""

    @property
    def beside_values(self) -> int:
        return self.rank * self.sides

    @property
    def gates(self) -> int:
        return self.sides

    @property
    def tensors(self) -> int:
        return (4 if self.rank else 2) * self.count

    @property
    def scaled(self) -> int:
        return self.sides

    @property
    def starts(self) -> int:
        each = GATE_STARTS + (LOW_RANK_STARTS if self.rank else 0)
        return each * len(self.matrices)

    def saved_inputs(self, shape: ModelShape, size: int) -> int:
        """Also what each matrix gives out before its rows' gates; with a low-rank part that is
        float32, and A's input and output are kept as well."""
        inputs = super().saved_inputs(shape, size)
        if not self.rank:
            return inputs + size * (self.rows // self.layers)
        low_rank = self.rank * len(self.matrices)
        return inputs + FLOAT32 * (self.sides // self.layers + low_rank)

    def saved_once(self, size: int) -> int:
        """tanh of the logits, that with its noise, and the gates."""
        return 3 * FLOAT32 * self.sides // self.layers


class NeutralResidues(Adapter):
    mergeable = False

    @property
    def beside_values(self) -> int:
        return self.adapted

    @property
    def gates(self) -> int:
        """A vector and a number a block."""
        return self.layers * (self.matrices[0][1] + 1)

    @property
    def tensors(self) -> int:
        return self.count + 2 * self.layers

    @property
    def starts(self) -> int:
        return RESIDUE_STARTS

    def saved_inputs(self, shape: ModelShape, size: int) -> int:
        """In float32: the block's input and W_o's output; of the width, what goes into the
        activation and comes out, the other factor, and their product; the block gate. The base
        model's own linear layers, which nothing adapts, save none."""
        width = self.matrices[0][0]
        return FLOAT32 * (2 * shape.hidden + 4 * width + 1)
