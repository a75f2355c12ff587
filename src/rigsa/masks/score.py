"""Scores of the free weights, one matrix at a time, from files."""

from collections.abc import Callable, Mapping
from typing import Any

import torch

from rigsa import counter_random
from rigsa.initial_values import BLOCK, initial_values
from rigsa.masks.criteria import CRITERIA
from rigsa.masks.select import Candidates
from rigsa.masks.storage import StoredMask, kept_places
from rigsa.masks.values import TrainedValues

Tensor = torch.Tensor


class Scorer:
    """Gives each matrix's candidates for the mask.

    Args:
        spec: rule, adapter and seed (`specs.mask_settings`).
        shapes: (out_features, in_features) by module.
        previous: the mask of the training before; None where every weight was free.
        trained: what that training made; None for rules that look at initial values.
        gradients: gives dL/dW by module, for rules that rank by it.
        rewound: the dense values that survivors go back to, which are the initial values then.
    """

    def __init__(
        self,
        spec: Mapping[str, Any],
        shapes: Mapping[str, tuple[int, ...]],
        previous: StoredMask | None,
        trained: TrainedValues | None,
        gradients: Callable[[], Mapping[str, Tensor]] | None,
        rewound: TrainedValues | None = None,
    ) -> None:
        self.spec, self.shapes = spec, shapes
        self.previous, self.trained, self.rewound = previous, trained, rewound
        self.criterion = CRITERIA.get(spec["rule"])
        ranks_by_gradient = self.criterion is not None and self.criterion.needs_gradient
        self.gradients = gradients() if gradients and ranks_by_gradient else {}

    def places(self, module: str) -> Tensor | None:
        """Row-major places of the module's free weights; None where all of them are free."""
        if self.previous is None:
            return None
        return kept_places(self.previous.bits(module), self.shapes[module])

    def candidates(self, module: str, places: Tensor | None) -> Candidates:
        """The module's free weights, at `places`, scored block by block: a block stays in cache."""
        rows, columns = self.shapes[module]
        count = rows * columns if places is None else len(places)
        final = self.trained and self.trained.values(module, count)
        begun = None
        if self.rewound is not None and self.criterion is not None:
            begun = self.rewound.values(module, rows * columns)
        scores = torch.empty(count)
        eligible = None
        if self.criterion is not None and self.criterion.eligible is not None:
            eligible = torch.empty(count, dtype=torch.bool)
        together = self.criterion is not None and self.criterion.needs_all
        size = max(count, 1) if together else BLOCK
        for start in range(0, count, size):
            block = slice(start, min(start + size, count))
            where = torch.arange(block.start, block.stop) if places is None else places[block]
            trained = None if final is None else final[block].float()
            scores[block], first = self._scored(module, where, trained, begun)
            if eligible is not None:
                eligible[block] = first
        return Candidates(scores, eligible)

    def _scored(
        self, module: str, places: Tensor, trained: Tensor | None, begun: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """Scores, and which weights are taken first, of some of a module's weights."""
        spec, criterion = self.spec, self.criterion
        if criterion is None:
            key = counter_random.key(spec["seed"], "mask", module)
            return counter_random.uniform(key, places), None
        initial = gradient = None
        if criterion.needs_initial or trained is None:
            initial = self._drawn(module, places) if begun is None else begun[places].float()
        if module in self.gradients:
            gradient = self.gradients[module].reshape(-1)[places].float()
        final = initial if trained is None else trained
        first = criterion.eligible and criterion.eligible(initial, final)
        return criterion.score(initial, final, gradient), first

    def _drawn(self, module: str, places: Tensor) -> Tensor:
        options = self.spec["adapter"]
        return initial_values(
            options.get("init", "uniform"),
            self.spec["seed"],
            module,
            tuple(self.shapes[module]),
            options.get("init_scale"),
            places,
        )
