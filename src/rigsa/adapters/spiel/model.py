"""Puts SpIEL on a model's linear layers, and moves its places between steps."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch

from rigsa.adapters.reselection import Reselection
from rigsa.adapters.sparse_delta.model import SparseDeltaModel
from rigsa.adapters.spiel.layer import SpielLayer
from rigsa.adapters.spiel.optimizer_state import move_state
from rigsa.adapters.spiel.selection import Candidates, move

Tensor = torch.Tensor
PARTS = ("places", "sums", "squares")


class SpielModel(SparseDeltaModel):
    """The tuner behind `get_peft_model(model, SpielConfig(...))`.

    What is saved is a sparse delta. A trainer calls `before_step` and `after_step`; without them
    it trains as one as well.
    """

    tuner_layer_cls = SpielLayer

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.candidates: dict[str, Candidates] = {}

    def before_step(self, step: int, steps: int) -> list[Tensor]:
        """Begins to measure gradients where the next move needs them.

        Args:
            step: the number of those that are done.
            steps: of the whole training.

        Returns:
            Tensors in whose `grad` backward passes add them up: of whole matrices in the first of
            the steps that gather, 4 bytes a weight, and of as many places as there are values in
            the others.
        """
        if not self._schedule(steps).gathers(step):
            return []
        wanted = {name: candidates.places for name, candidates in self.candidates.items()}
        return [
            layer.measure(wanted.get(name), places.device) for name, layer, places in self._layers()
        ]

    @torch.no_grad()
    def after_step(self, step: int, steps: int, optimizer: torch.optim.Optimizer) -> None:
        """Takes what was measured, and moves places where it is time to.

        Args:
            step: as before the step.
            optimizer: that has made the step; its state moves as well.
        """
        schedule = self._schedule(steps)
        if not schedule.gathers(step):
            return
        for name, layer, places in self._layers():
            gradient = layer.measured()
            if name in self.candidates:
                self.candidates[name].add(gradient)
            else:
                self.candidates[name] = Candidates.of(gradient, places.numel())
            if schedule.moves(step):
                share = schedule.share_after(step)
                self._move(layer, self.candidates.pop(name), share, optimizer)

    def _move(
        self,
        layer: SpielLayer,
        candidates: Candidates,
        share: float,
        optimizer: torch.optim.Optimizer,
    ) -> None:
        """Moves at most a share of a layer's places."""
        adapter = self.active_adapters[0]
        values, _, places = layer.parts(adapter)
        found = move(values, places, candidates, int(share * places.numel()))
        gathered = self.peft_config[adapter].gather
        mean, square = candidates.sums / gathered, candidates.squares / gathered
        move_state(optimizer, values, found.moved, mean, square)
        values.copy_(found.moved(values, torch.zeros_like(mean, dtype=values.dtype)))
        places.copy_(found.moved(places, candidates.places))
        layer.moved = found.grown.double().mean().item()

    def training_state(self) -> dict[str, Tensor]:
        """What a training changes beside the parameters, by name."""
        state = {f"{name}.places": places for name, _, places in self._layers()}
        for name, layer, _ in self._layers():
            if layer.moved is not None:
                state[f"{name}.moved"] = torch.tensor(layer.moved, dtype=torch.float64)
        for name, candidates in self.candidates.items():
            state |= {f"{name}.candidates.{part}": getattr(candidates, part) for part in PARTS}
        return state

    def load_training_state(self, state: Mapping[str, Tensor]) -> None:
        """The inverse of `training_state`, on the same model."""
        for name, layer, places in self._layers():
            places.copy_(state[f"{name}.places"])
            if f"{name}.moved" in state:
                layer.moved = state[f"{name}.moved"].item()
            gathered = [f"{name}.candidates.{part}" for part in PARTS]
            if gathered[0] in state:
                parts = (state[part].to(places.device) for part in gathered)
                self.candidates[name] = Candidates(*parts)

    def _schedule(self, steps: int) -> Reselection:
        config = self.peft_config[self.active_adapters[0]]
        return Reselection(steps, config.every, config.gather, config.share)

    def _layers(self) -> Iterator[tuple[str, SpielLayer, Tensor]]:
        """Layers that have places, by name."""
        adapter = self.active_adapters[0]
        for layer in self.model.modules():
            if isinstance(layer, SpielLayer) and adapter in layer.places:
                yield layer.module_name, layer, layer.places[adapter]
