"""What the tuners of our own PEFT methods share: PEFT's side of putting layers on a model."""

from abc import abstractmethod
from typing import Any, ClassVar

from peft import PeftConfig
from peft.tuners.tuners_utils import BaseTuner
from torch import nn


class AdapterTuner(BaseTuner):
    """Wraps a module once, in a `tuner_layer_cls`, and adds each adapter to that."""

    target_module_mapping: ClassVar[dict[str, Any]] = {}

    @abstractmethod
    def _wrapped(self, target: nn.Module, name: str) -> nn.Module | None:
        """The layer that takes a module's place; None leaves the module as it is.

        Raises ValueError where the method cannot go on such a module.
        """

    @abstractmethod
    def _add(self, layer: nn.Module, adapter_name: str, config: PeftConfig) -> None:
        """Gives a layer the values of an adapter."""

    def _create_and_replace(
        self,
        peft_config: PeftConfig,
        adapter_name: str,
        target: nn.Module,
        target_name: str,
        parent: nn.Module,
        current_key: str,
        **optional_kwargs: Any,
    ) -> None:
        layer = target
        if not isinstance(target, self.tuner_layer_cls):
            layer = self._wrapped(target, current_key)
            if layer is None:
                return
            self._replace_module(parent, target_name, layer, target)
        self._add(layer, adapter_name, peft_config)
        if adapter_name not in self.active_adapter:
            layer.requires_grad_(False)

    def _cast_adapter_dtype(self, adapter_name: str, autocast_adapter_dtype: bool = True) -> None:
        """Nothing to do: values are made in the type that they are to have."""
