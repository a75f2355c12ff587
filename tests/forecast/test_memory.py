"""The counted bytes: those of a real tiny training, and how they grow."""

from collections.abc import Iterable
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rigsa.adapters.build import build_adapter, linear_shapes
from rigsa.errors import ConfigError
from rigsa.forecast.activations import saved_in_layer
from rigsa.forecast.described import adapter_of
from rigsa.forecast.memory import (
    base_bytes,
    candidate_bytes,
    gathered_bytes,
    optimizer_bytes,
    training_memory,
    training_peak,
    value_bytes,
)
from rigsa.forecast.shape import shape_of
from rigsa.forecast.workload import Workload
from rigsa.masks.storage import Mask
from tests.conftest import make_llama
from tests.forecast.paper import BASE_MODEL

SMOLLM2 = shape_of(BASE_MODEL["forecast"])
DELTA = {"type": "sparse_delta", "gate": "matrix"}
LORA, SHIRA = {"type": "lora", "r": 4}, {"type": "shira", "r": 4}
NEUTRAL, SPIEL, FULL = ({"type": name} for name in ("neutral_residues", "spiel", "full"))
ROSA, GATES = {"type": "rosa", "r": 4}, {"type": "fine_gates"}
LOW_RANK_GATES = {**GATES, "r": 4}
WITHOUT_MASK = [DELTA, LORA, SHIRA, NEUTRAL, GATES, LOW_RANK_GATES]
KINDS = [
    *((DELTA, 0.25), (SPIEL, 0.25), (ROSA, 0.25)),
    *((description, None) for description in (*WITHOUT_MASK, FULL)),
]


def _work(description: dict, density: float | None, **changes: object) -> Workload:
    adapter = adapter_of(SMOLLM2, description, density)
    work = Workload(SMOLLM2, adapter, 2, "adamw_torch_fused", 854, 8, recompute=True)
    return replace(work, **changes)


def _adapted(description: dict, density: float | None) -> torch.nn.Module:
    """A tiny Llama with an adapter; a quarter of each matrix is free where a density is given."""
    model = make_llama()
    mask = None
    if density is not None:
        shapes = linear_shapes(model)
        mask = Mask({n: torch.arange(s.numel()).view(s) % 4 == 0 for n, s in shapes.items()})
    return build_adapter(model, description, 0, mask)


@pytest.mark.parametrize(("description", "density"), KINDS)
def test_it_is_what_a_real_training_holds(description: dict, density: float | None) -> None:
    model = _adapted(description, density)
    shape = shape_of(model.config.to_dict())
    adapter = adapter_of(shape, description, density)
    free = [parameter for parameter in model.parameters() if parameter.requires_grad]
    frozen = [parameter for parameter in model.parameters() if not parameter.requires_grad]
    optimizer = torch.optim.AdamW(free)
    model(input_ids=torch.arange(12).view(2, 6)).logits.sum().backward()
    optimizer.step()
    state = [value for each in optimizer.state.values() for value in each.values()]
    assert sum(parameter.numel() for parameter in free) == adapter.trainable
    assert _bytes(free) == value_bytes(adapter)
    assert _bytes([parameter.grad for parameter in free]) == value_bytes(adapter)
    assert _bytes(state) == optimizer_bytes("adamw_torch", adapter)
    assert _bytes(frozen) == base_bytes(shape, 4)


def test_what_is_gathered_before_a_mask_moves() -> None:
    model = _adapted(SPIEL, 0.25)
    adapter = adapter_of(shape_of(model.config.to_dict()), SPIEL, 0.25)
    measured = model.before_step(0, 100)
    model(input_ids=torch.arange(12).view(2, 6)).logits.sum().backward()
    assert _bytes([tensor.grad for tensor in measured]) == gathered_bytes(adapter)
    model.after_step(0, 100, torch.optim.SGD(model.parameters()))
    assert _bytes(model.training_state().values()) == adapter.index_bytes + candidate_bytes(adapter)
    plain = adapter_of(shape_of(model.config.to_dict()), DELTA, 0.25)
    assert (gathered_bytes(plain), candidate_bytes(plain)) == (0, 0)


def _bytes(tensors: Iterable[torch.Tensor]) -> int:
    return sum(tensor.nbytes for tensor in tensors)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("description", [*WITHOUT_MASK, ROSA])
def test_what_a_layer_saves_is_what_torch_saves(description: dict, dtype: torch.dtype) -> None:
    """Every storage of one decoder layer that waits for backward, to the byte."""
    model = build_adapter(make_llama().to(dtype), description, 0, None)
    shape = shape_of(model.config.to_dict())
    llama = model.base_model.model.model
    rows, tokens = 2, 16
    x = torch.randn(rows, tokens, shape.hidden, dtype=dtype, requires_grad=True)
    positions = llama.rotary_emb(x, torch.arange(tokens)[None])
    known = {part.untyped_storage().data_ptr() for part in (*model.parameters(), *positions)}
    saved: dict[int, torch.Tensor] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.is_sparse:
            for part in (tensor._indices(), tensor._values()):
                keep(part)
            return tensor
        place = tensor.untyped_storage().data_ptr()
        # Single numbers are scales and seeds.
        if place not in known and tensor.numel() > 1:
            saved[place] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        output = llama.layers[0](x, position_embeddings=positions)
    adapter = adapter_of(shape, description, None)
    work = Workload(shape, adapter, dtype.itemsize, "sgd", tokens, rows, recompute=False)
    assert output.requires_grad
    found = sum(tensor.untyped_storage().nbytes() for tensor in saved.values())
    assert found == saved_in_layer(work)


@given(st.integers(1, 64), st.integers(1, 64), st.sampled_from(KINDS), st.booleans())
def test_more_rows_never_take_less(few: int, more: int, kind: tuple, recompute: bool) -> None:
    few, more = sorted((few, more))
    peaks = [
        training_peak(_work(*kind, micro_batch=rows, recompute=recompute)) for rows in (few, more)
    ]
    assert peaks[0] <= peaks[1]


def test_recomputing_saves_memory() -> None:
    assert training_peak(_work(DELTA, None)) < training_peak(_work(DELTA, None, recompute=False))


def test_adamw_torch_copies_every_value_while_it_steps() -> None:
    fused, plain = (_work(DELTA, None, optimizer=f"adamw_torch{form}") for form in ("_fused", ""))
    more = training_peak(plain) - training_peak(fused)
    assert 0 < more < value_bytes(plain.adapter)


def test_the_index_is_the_smaller_of_two() -> None:
    """A bit a weight above 1/32, int32 places below."""
    dense, few = (adapter_of(SMOLLM2, DELTA, d) for d in (1.0, 0.01))
    assert dense.index_bytes == 0
    assert few.index_bytes == 4 * few.values


def test_low_bit_states() -> None:
    adapter = adapter_of(SMOLLM2, DELTA, 1.0)
    full = optimizer_bytes("adamw_torch_fused", adapter)
    assert optimizer_bytes("adamw_bnb_8bit", adapter) == pytest.approx(full / 4, rel=0.02)
    assert optimizer_bytes("adamw_torch_4bit", adapter) < full / 7
    assert optimizer_bytes("sgd", adapter) == 0
    with pytest.raises(ConfigError, match=r"training\.optimizer is 'adafactor'"):
        optimizer_bytes("adafactor", adapter)


def test_four_bits_a_weight() -> None:
    """0.5 byte and 4 or about 1 more for every 64 weights; embeddings stay as they are."""
    linears, others = SMOLLM2.linear_weights, 2 * SMOLLM2.other_weights
    single = base_bytes(SMOLLM2, 2, four_bit=True)
    assert (single - others) / linears == pytest.approx(0.5625)
    double = base_bytes(SMOLLM2, 2, four_bit=True, double_quant=True)
    assert (double - others) / linears == pytest.approx(0.516, abs=1e-3)


def test_the_dense_step_of_the_paper_by_its_parts() -> None:
    parts = training_memory(_work({**DELTA, "dtype": "bfloat16"}, None, optimizer="adamw_bnb_8bit"))
    gib = {name: size / 2**30 for name, size in parts.items()}
    assert gib["base weights"] == pytest.approx(3.19, abs=0.01)
    assert gib["adapter values"] == gib["gradients"] == pytest.approx(3.0, abs=0.01)
    assert gib["optimizer state"] == pytest.approx(3.05, abs=0.01)
    assert sum(gib.values()) < 16
