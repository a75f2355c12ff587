"""The kinds of adapter that an arm may have: their options, and what goes with them.

Another method of PEFT becomes an arm by an entry here, which makes no result anew. An option that
no other method has gets its type in workflow/schemas/study.schema.yaml; how many parameters it has
is said in `forecast.workload`.
"""

from collections.abc import Callable
from dataclasses import dataclass

# What every adapter's description holds.
COMMON = ("type",)


@dataclass(frozen=True)
class Method:
    """One type of adapter.

    Args:
        options: keys of its description in a study, which are options of its PEFT configuration.
        required: those of them that it must have.
        masks: it takes a mask.
        moves: it needs one, whose places move while it trains; its values begin at 0.
        four_bit: it can learn beside a 4-bit base model.
        most: the highest `r` on a model so wide whose keys are so wide; None without ranks.
    """

    options: tuple[str, ...]
    required: tuple[str, ...] = ()
    masks: bool = False
    moves: bool = False
    four_bit: bool = False
    most: Callable[[int, int], int] | None = None


def most_lora_rank(width: int, keys: int) -> int:
    """Up to which rank LoRA has no more parameters than the smallest matrix, (keys, width)."""
    return width * keys // (width + keys)


METHODS = {
    "sparse_delta": Method(
        ("init", "init_scale", "gate", "gate_init", "dtype", "target_modules"), masks=True
    ),
    # Higher ranks than the model is wide learn nothing more.
    "lora": Method(
        ("r", "lora_alpha", "lora_dropout", "use_rslora", "target_modules"),
        required=("r",),
        four_bit=True,
        most=lambda width, keys: width,
    ),
    # r(m+n) free weights of m·n.
    "shira": Method(("r", "target_modules"), required=("r",), most=most_lora_rank),
    "neutral_residues": Method(("width", "share", "coefficient"), four_bit=True),
    "full": Method(("dtype",)),
    "spiel": Method(("every", "gather", "share", "dtype"), masks=True, moves=True),
}


def knowing(option: str) -> list[str]:
    """The methods that have an option."""
    return [name for name, method in METHODS.items() if option in method.options]
