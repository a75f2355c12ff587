"""Every adapter of every study can be put on a model and trained, as its job is told of it."""

import json

import pytest
import torch

from rigsa import specs
from rigsa.adapters.build import build_adapter, linear_shapes
from rigsa.masks.storage import Mask
from rigsa.study import load_study
from tests.conftest import ROOT, make_llama


def _adapters() -> dict[str, bool]:
    """All that differ, as JSON, and whether they are given a mask."""
    found = {}
    for file in sorted((ROOT / "studies").glob("*.yaml")):
        for arm in load_study(file.stem).arms.values():
            if arm.trained:
                found.setdefault(specs.canonical(arm.adapter), arm.mask is not None)
    return found


@pytest.mark.parametrize(("adapter", "masked"), _adapters().items())
def test_it_is_built_and_has_gradients(adapter: str, masked: bool) -> None:
    model, tokens = make_llama(), torch.arange(20).view(2, 10)
    shapes = linear_shapes(model)
    mask = Mask({name: torch.rand(shape) < 0.2 for name, shape in shapes.items()})
    adapted = build_adapter(model, json.loads(adapter), 0, mask if masked else None)
    adapted(input_ids=tokens, labels=tokens).loss.backward()
    trained = [parameter for parameter in adapted.parameters() if parameter.requires_grad]
    assert trained
    assert all(parameter.grad is not None for parameter in trained)
