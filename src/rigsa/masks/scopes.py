"""Which matrices are ranked together: each by itself, those of a layer, or all."""

import re
from collections.abc import Iterable


def layer_of(module: str) -> str:
    """The numbered block a module stands in: "model.layers.3" of "model.layers.3.mlp.up_proj"."""
    found = re.match(r"(.*?\.\d+)(\.|$)", module)
    return found.group(1) if found else ""


SCOPES = {"matrix": str, "layer": layer_of, "global": lambda module: ""}


def ranked_together(scope: str, modules: Iterable[str]) -> list[list[str]]:
    """The modules in groups, in the model's order."""
    groups: dict[str, list[str]] = {}
    for module in modules:
        groups.setdefault(SCOPES[scope](module), []).append(module)
    return list(groups.values())
