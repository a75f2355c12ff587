"""The kinds of adapter that an arm may have: their options, and what goes with them.

Another method of PEFT becomes an arm by an entry here, which makes no result anew. An option that
no other method has gets its type in workflow/schemas/study.schema.yaml; how many parameters it has
and what it adds to a pass is said in `forecast.adapters`, and its
type in `forecast.described`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

# What every adapter's description holds.
COMMON = ("type",)


@dataclass(frozen=True)
class Method:
    """One type of adapter.

    Args:
        options: keys of its description in a study, which are options of its PEFT configuration.
        required: those of them that it must have.
        fixed: what other methods have options for, and is always the same in this one.
        masks: it takes a mask.
        moves: it needs one, whose places move while it trains; its values begin at 0.
        needs_mask: it makes no sense without one.
        four_bit: it can learn beside a 4-bit base model.
        most: the highest `r` on a model so wide whose keys are so wide; None without ranks.
    """

    options: tuple[str, ...]
    required: tuple[str, ...] = ()
    fixed: Mapping[str, Any] = field(default_factory=dict)
    masks: bool = False
    moves: bool = False
    needs_mask: bool = False
    four_bit: bool = False
    most: Callable[[int, int], int] | None = None


def most_lora_rank(width: int, keys: int) -> int:
    """Up to which rank LoRA has no more parameters than the smallest matrix, (keys, width)."""
    return width * keys // (width + keys)


LOW_RANK = ("r", "lora_alpha", "lora_dropout", "use_rslora")
METHODS = {
    "sparse_delta": Method(
        ("init", "init_scale", "gate", "gate_init", "dtype", "target_modules"), masks=True
    ),
    # Higher ranks than the model is wide learn nothing more.
    "lora": Method(
        (*LOW_RANK, "target_modules"),
        required=("r",),
        four_bit=True,
        most=lambda width, keys: width,
    ),
    # r(m+n) free weights of m·n.
    "shira": Method(("r", "target_modules"), required=("r",), most=most_lora_rank),
    "neutral_residues": Method(("width", "share", "coefficient"), four_bit=True),
    "full": Method(("dtype",)),
    "spiel": Method(("every", "gather", "share", "dtype"), masks=True, moves=True),
    # Without target_modules: masks are chosen over all linear layers.
    "rosa": Method(
        LOW_RANK,
        required=("r",),
        fixed={"init": "zero", "gate": "none"},
        masks=True,
        needs_mask=True,
        most=lambda width, keys: width,
    ),
    "fine_gates": Method(
        ("r", "lora_alpha", "target", "coefficient", "noise", "target_modules"),
        four_bit=True,
        most=lambda width, keys: width,
    ),
}


def full_description(adapter: Mapping[str, Any]) -> dict[str, Any]:
    """An adapter of a study with what is fixed in its method."""
    return {**METHODS[adapter["type"]].fixed, **adapter}


def knowing(option: str) -> list[str]:
    """The methods that have an option."""
    return [name for name, method in METHODS.items() if option in method.options]
