"""Puts neutral residues on a model's feed-forward blocks, and says what they add to the loss."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import nn

from rigsa.adapters.neutral_residues.config import NeutralResiduesConfig
from rigsa.adapters.neutral_residues.layer import NeutralResiduesLayer
from rigsa.adapters.residue_width import residue_width
from rigsa.adapters.tuner import AdapterTuner


class NeutralResiduesModel(AdapterTuner):
    """The tuner behind `get_peft_model(model, NeutralResiduesConfig(...))`."""

    prefix: str = "neutral_residues_"
    tuner_layer_cls = NeutralResiduesLayer
    # No weight of the base model computes what the adapter adds.
    mergeable = False

    def _prepare_model(self, peft_config: NeutralResiduesConfig, model: nn.Module) -> None:
        """Decides the width, so that the saved configuration has it."""
        if peft_config.width is None:
            peft_config.width = residue_width(
                model.num_parameters(),
                model.config.num_hidden_layers,
                model.config.hidden_size,
                peft_config.share,
            )

    def _wrapped(self, target: nn.Module, name: str) -> NeutralResiduesLayer:
        return NeutralResiduesLayer(target, name)

    def _add(
        self, layer: NeutralResiduesLayer, adapter_name: str, config: NeutralResiduesConfig
    ) -> None:
        shape = self.model.config
        layer.update_layer(adapter_name, config, shape.hidden_size, shape.num_hidden_layers)

    def _check_merge_allowed(self) -> None:
        raise ValueError(
            "Neutral residues stand beside the feed-forward blocks and cannot be merged into the "
            "base model's weights; use the model with the adapter on it."
        )

    @contextmanager
    def extra_loss(
        self, batch: Mapping[str, torch.Tensor]
    ) -> Iterator[Callable[[], torch.Tensor | float]]:
        """Within it, a forward pass measures outputs; what it yields then gives the penalty.

        coefficient · mean over adapters of the mean over original-domain tokens of ‖output‖₁/d
        (arXiv 2410.02744). `batch["original"]` has each token's share of that mean, 0 where it is
        of another domain; without it there is no penalty. Lasts until backward has ended, which may
        run the forward pass again.
        """
        layers = [m for m in self.model.modules() if isinstance(m, NeutralResiduesLayer)]
        for layer in layers:
            layer.measuring = batch.get("original")
        try:
            yield lambda: self._penalty([layer.measured for layer in layers])
        finally:
            for layer in layers:
                layer.measuring = None
                layer.measured.clear()

    def _penalty(self, measured: list[dict[str, torch.Tensor]]) -> torch.Tensor | float:
        penalty = 0.0
        for name in self.active_adapters:
            outputs = [of_layer[name] for of_layer in measured if name in of_layer]
            if outputs:
                mean = torch.stack(outputs).mean()
                penalty = penalty + self.peft_config[name].coefficient * mean
        return penalty
