"""Scores by which weights are kept (Zhou et al. 2019, "Deconstructing Lottery Tickets", section 3).

A criterion maps the initial value i, the final value f and the gradient g of every weight of a
matrix to a score; the highest are kept. Weights that a criterion excludes, such as those whose sign
changed, are not eligible: they are taken only when a density asks for more than are eligible.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from rigsa.initial_values import same_sign
from rigsa.masks.percentiles import percentile

Tensor = torch.Tensor


@dataclass(frozen=True)
class Criterion:
    """`score(i, f, g)`, and `eligible(i, f)` or None where every free weight is.

    i and g are None where they are not needed: both take time to make. g is the gradient's sum over
    batches, or that of its square where the criterion `squares` it. Where a score needs all free
    weights of a matrix, they come together, and else in blocks.
    """

    score: Callable[[Tensor | None, Tensor, Tensor | None], Tensor]
    eligible: Callable[[Tensor, Tensor], Tensor] | None = None
    needs_initial: bool = True
    needs_gradient: bool = False
    squares: bool = False
    needs_all: bool = False


# Each entry has its own fingerprint: what one rule does is said in its entry and nowhere else here.
CRITERIA = {
    "large_final": Criterion(lambda i, f, g: f.abs(), needs_initial=False),
    "small_final": Criterion(lambda i, f, g: -f.abs(), needs_initial=False),
    "large_init": Criterion(lambda i, f, g: i.abs()),
    "small_init": Criterion(lambda i, f, g: -i.abs()),
    # Quadrants of equal percentiles, as in the authors' program; the paper scales |f| instead.
    "large_init_large_final": Criterion(
        lambda i, f, g: torch.minimum(percentile(i.abs()), percentile(f.abs())), needs_all=True
    ),
    "small_init_small_final": Criterion(
        lambda i, f, g: torch.minimum(percentile(-i.abs()), percentile(-f.abs())), needs_all=True
    ),
    "magnitude_increase": Criterion(lambda i, f, g: f.abs() - i.abs()),
    "movement": Criterion(lambda i, f, g: (f - i).abs()),
    "large_final_same_sign": Criterion(lambda i, f, g: f.abs(), same_sign),
    "large_final_diff_sign": Criterion(lambda i, f, g: f.abs(), lambda i, f: ~same_sign(i, f)),
    "snip": Criterion(lambda i, f, g: (g * i).abs(), needs_gradient=True),
    "grad": Criterion(lambda i, f, g: g.abs(), needs_initial=False, needs_gradient=True),
    "grad_squared": Criterion(
        lambda i, f, g: g, needs_initial=False, needs_gradient=True, squares=True
    ),
}
