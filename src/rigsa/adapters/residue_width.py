"""How wide neutral residues are by default. Not in their folder, which imports torch: the forecast
asks as well, on every call of Snakemake."""

# Of the base model's parameters, what its authors add (arXiv 2410.02744, abstract: "only 20 %").
SHARE = 0.2
# Matrix units take their operands in pieces of this size.
PIECE = 64


def residue_width(parameters: int, layers: int, hidden: int, share: float = SHARE) -> int:
    """Hidden width of each layer's adapter, so that all are at most `share` of the base model.

    Each has three matrices of hidden x width; its block gate is left out, a thousandth of them. A
    width of a whole piece or more is rounded down to whole ones: 2,304 for SmolLM2-1.7B.
    """
    width = int(share * parameters / (layers * 3 * hidden))
    return width - width % PIECE if width >= PIECE else max(1, width)
