"""An adapter's numbers from its description in a study."""

from collections.abc import Mapping
from typing import Any

from rigsa.adapters.reselection import EVERY, GATHER
from rigsa.adapters.residue_width import SHARE, residue_width
from rigsa.errors import ConfigError
from rigsa.forecast import adapters
from rigsa.forecast.shape import Matrix, ModelShape
from rigsa.validation import one_of

# By the type in a study.
KINDS: dict[str, type[adapters.Adapter]] = {
    "sparse_delta": adapters.SparseDelta,
    "lora": adapters.Lora,
    "shira": adapters.Shira,
    "neutral_residues": adapters.NeutralResidues,
    "spiel": adapters.SparseDelta,
    "rosa": adapters.Rosa,
    "fine_gates": adapters.FineGates,
    "full": adapters.Full,
}


def adapter_of(
    shape: ModelShape, description: Mapping[str, Any], density: float | None
) -> adapters.Adapter:
    """From an arm's `adapter` in the study and the density of its step.

    Raises ConfigError for a type of adapter that is not counted here.
    """
    kind = description["type"]
    if kind not in KINDS:
        raise ConfigError(
            f"adapter.type is {kind!r}, which the forecast cannot count; {one_of(kind, KINDS)}"
        )
    residue, moves = kind == "neutral_residues", kind == "spiel"
    return KINDS[kind](
        matrices=tuple(_residue(shape, description) if residue else shape.targets(description)),
        layers=shape.layers,
        density=1.0 if density is None else density,
        rank=description.get("r", 0),
        gate="none" if moves else description.get("gate", "matrix"),
        value_bytes=adapters.BYTES[description.get("dtype", "float32")],
        others=shape.others if kind == "full" else (),
        gathers=description.get("gather", GATHER) / description.get("every", EVERY) * moves,
    )


def _residue(shape: ModelShape, description: Mapping[str, Any]) -> list[Matrix]:
    width = description.get("width") or residue_width(
        shape.weights, shape.layers, shape.hidden, description.get("share", SHARE)
    )
    return [(width, shape.hidden), (width, shape.hidden), (shape.hidden, width)]
