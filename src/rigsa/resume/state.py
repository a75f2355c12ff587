"""All that a training must know to go on to the byte: values, optimizer, schedule, random states.

One safetensors file with a checksum; what are no tensors is JSON in its metadata. A model that
changes more than its parameters says what in `training_state()`, a dictionary of tensors, and takes
it in `load_training_state(tensors)`.
"""

import json
import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rigsa.tensors import write_tensors

Tensor = torch.Tensor
Random = dict[str, Any]
# Of a schedule's state.
COUNTERS = ("last_epoch", "_step_count")
# Begins the names of what a model changes beside its parameters.
MORE = "more."


def random_state() -> Random:
    """The state of every random generator of this process."""
    # Libraries draw from numpy's old global generator.
    name, keys, *rest = np.random.get_state(legacy=True)  # noqa: NPY002
    return {
        "python": random.getstate(),
        "numpy": [name, keys.tolist(), *rest],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def set_random_state(state: Random) -> None:
    """The inverse of `random_state`. GPUs that are not here any more are left out."""
    version, internal, gauss = state["python"]
    random.setstate((version, tuple(internal), gauss))
    np.random.set_state(tuple(state["numpy"]))  # noqa: NPY002
    torch.set_rng_state(state["torch"])
    if torch.cuda.is_available():
        torch.cuda.set_rng_state_all(state["cuda"][: torch.cuda.device_count()])


def save_state(
    path: Path,
    model: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    said: Mapping[str, Any],
    randomness: Random,
    beside: Mapping[str, Tensor] | None = None,
) -> None:
    """Writes the state between two steps; what is `said` is the caller's own, as JSON has it, and
    so are the tensors `beside`."""
    tensors = {f"value.{name}": value for name, value in _trained(model)}
    tensors |= {f"beside.{name}": value for name, value in (beside or {}).items()}
    tensors |= {f"{MORE}{name}": value for name, value in _more(model).items()}
    plain_state: dict[str, Any] = {}
    for place, state in _states(optimizer):
        for key, value in state.items():
            leaves = dict(_leaves(value)) if torch.is_tensor(value) else {}
            tensors |= {f"optimizer.{place}.{key}{part}": leaf for part, leaf in leaves.items()}
            if not leaves:
                plain_state[f"{place}.{key}"] = value
    tensors["random.torch"] = randomness["torch"]
    tensors |= {f"random.cuda.{place}": state for place, state in enumerate(randomness["cuda"])}
    plain = {
        "said": said,
        "optimizer": plain_state,
        "groups": [_options(group) for group in optimizer.param_groups],
        "schedule": {key: schedule.state_dict()[key] for key in COUNTERS},
        "random": {key: randomness[key] for key in ("python", "numpy")},
    }
    write_tensors(path, tensors, {"state": json.dumps(plain)})


def optimizer_bytes(optimizer: torch.optim.Optimizer) -> int:
    """What an optimizer keeps from step to step, such as Adam's two moments."""
    values = (value for _, state in _states(optimizer) for value in state.values())
    tensors = (value for value in values if torch.is_tensor(value))
    return sum(leaf.nbytes for tensor in tensors for _, leaf in _leaves(tensor))


class StoredState:
    """A saved state, from the reader of its file (`tensors.read_tensors`)."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self._plain = json.loads(file.metadata()["state"])
        self.said: dict[str, Any] = self._plain["said"]

    @property
    def beside(self) -> dict[str, Tensor]:
        names = self._names("beside.")
        return {name.removeprefix("beside."): self._file.get_tensor(name) for name in names}

    def _names(self, beginning: str) -> list[str]:
        return [name for name in self._file.keys() if name.startswith(beginning)]  # noqa: SIM118

    @property
    def randomness(self) -> Random:
        names = self._names("random.cuda.")
        return {
            **self._plain["random"],
            "torch": self._file.get_tensor("random.torch"),
            "cuda": [self._file.get_tensor(f"random.cuda.{place}") for place in range(len(names))],
        }

    @torch.no_grad()
    def restore(
        self,
        model: torch.nn.Module,
        optimizer: torch.optim.Optimizer,
        schedule: torch.optim.lr_scheduler.LRScheduler,
    ) -> None:
        """Gives a training that has not begun the state of the saved one, random states aside."""
        # A step makes the optimizer lay out its state in its own way, low-bit or paged; what the
        # step does is overwritten.
        for _, value in _trained(model):
            value.grad = torch.zeros_like(value)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        for place, state in _states(optimizer):
            for key, value in state.items():
                if not torch.is_tensor(value):
                    state[key] = self._plain["optimizer"][f"{place}.{key}"]
                    continue
                for part, leaf in _leaves(value):
                    leaf.copy_(self._file.get_tensor(f"optimizer.{place}.{key}{part}"))
        for name, value in _trained(model):
            value.copy_(self._file.get_tensor(f"value.{name}"))
        more = [name for name in self._file.keys() if name.startswith(MORE)]  # noqa: SIM118
        if more:
            model.load_training_state(
                {name.removeprefix(MORE): self._file.get_tensor(name) for name in more}
            )
        for group, options in zip(optimizer.param_groups, self._plain["groups"], strict=True):
            for key, option in options.items():
                if torch.is_tensor(group[key]):
                    group[key].fill_(option)
                else:
                    group[key] = tuple(option) if isinstance(group[key], tuple) else option
        # The rates follow from the counters and from the optimizer's first rates.
        rates = [group["lr"] for group in optimizer.param_groups]
        schedule.load_state_dict(
            {**schedule.state_dict(), **self._plain["schedule"], "_last_lr": rates}
        )


def changing(model: torch.nn.Module) -> list[Tensor]:
    """All tensors of a model that training changes."""
    return [*(value for _, value in _trained(model)), *_more(model).values()]


def _trained(model: torch.nn.Module) -> Iterator[tuple[str, torch.nn.Parameter]]:
    return ((name, value) for name, value in model.named_parameters() if value.requires_grad)


def _more(model: torch.nn.Module) -> Mapping[str, Tensor]:
    """What it changes beside its parameters."""
    return getattr(model, "training_state", dict)()


def _states(optimizer: torch.optim.Optimizer) -> Iterator[tuple[int, dict[str, Any]]]:
    """The optimizer's state of each parameter, by the parameter's place among all."""
    parameters = [value for group in optimizer.param_groups for value in group["params"]]
    return (
        (place, optimizer.state[value])
        for place, value in enumerate(parameters)
        if value in optimizer.state
    )


def _leaves(value: Tensor) -> Iterator[tuple[str, Tensor]]:
    """The plain tensors that a tensor consists of: itself, or the parts of a quantised one."""
    if not hasattr(value, "__tensor_flatten__"):
        yield "", value
        return
    for name in value.__tensor_flatten__()[0]:
        for part, leaf in _leaves(getattr(value, name)):
            yield f".{name}{part}", leaf


def _options(group: Mapping[str, Any]) -> dict[str, Any]:
    """A parameter group's options; a rate may be a tensor."""
    return {
        key: value.item() if torch.is_tensor(value) else value
        for key, value in group.items()
        if key != "params"
    }
