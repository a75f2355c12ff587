"""Where SpIEL's places move, when, and what the optimizer then knows of them."""

import pytest
import torch
from transformers import Trainer

from rigsa.adapters.reselection import Reselection
from rigsa.adapters.spiel.optimizer_state import move_state
from rigsa.adapters.spiel.selection import Candidates, highest, move
from rigsa.catalog import SCHEMAS
from rigsa.machine import Machine
from rigsa.training.trainer import training_arguments
from rigsa.validation import read_yaml

Tensor = torch.Tensor

# AlanAnsell/peft 73b455b, src/peft/tuners/sft/trainer.py: SftSelector.select_rigl, run once after
# the gradients `_values(11)` and `_values(23)`, with AdamW's betas. By share and matrix: places,
# values, first and second moments, these rounded to six digits.
SHAPES = {"a": (4, 6), "b": (3, 5)}
START = {"a": [1, 4, 9, 14, 18, 23], "b": [0, 6, 7, 13]}
VALUES = {"a": [0.5, -0.1, 0.3, 0.0625, -0.7, 0.2], "b": [0.4, -0.05, 0.02, 0.9]}
PUBLISHED = {
    (1.0, "a"): (
        [0, 5, 8, 13, 16, 19],
        [0.0] * 6,
        [-0.394844, 0.002969, -0.477969, 0.519531, 0.038594, -0.442344],
        [0.008914, 0.015463, 0.012931, 0.015227, 0.015545, 0.011116],
    ),
    (1.0, "b"): (
        [0, 3, 11, 14],
        [0.4, 0.0, 0.0, 0.0],
        [1.0, -0.525469, -0.008906, -0.489844],
        [2.0, 0.015571, 0.015467, 0.013568],
    ),
    (0.5, "a"): (
        [1, 8, 9, 13, 18, 19],
        [0.5, 0.0, 0.3, 0.0, -0.7, 0.0],
        [1.0, -0.477969, 1.25, 0.519531, 1.5, -0.442344],
        [2.0, 0.012931, 2.5, 0.015227, 3.0, 0.011116],
    ),
    (0.5, "b"): (
        [0, 3, 13, 14],
        [0.4, 0.0, 0.9, 0.0],
        [1.0, -0.525469, 1.375, -0.489844],
        [2.0, 0.015571, 2.75, 0.013568],
    ),
    (0.34, "a"): (
        [1, 8, 9, 13, 18, 23],
        [0.5, 0.0, 0.3, 0.0, -0.7, 0.2],
        [1.0, -0.477969, 1.25, 0.519531, 1.5, 1.625],
        [2.0, 0.012931, 2.5, 0.015227, 3.0, 3.25],
    ),
    (0.34, "b"): (
        [0, 3, 6, 13],
        [0.4, 0.0, -0.05, 0.9],
        [1.0, -0.525469, 1.125, 1.375],
        [2.0, 0.015571, 2.25, 2.75],
    ),
}


def _values(shift: int) -> dict[str, Tensor]:
    """No two of the same size."""
    values = ((torch.arange(39) * 37 + shift) % 101 - 50.25) / 16
    parts = values.split([24, 15])
    return {name: part.view(SHAPES[name]) for name, part in zip(SHAPES, parts, strict=True)}


@pytest.mark.parametrize(("share", "matrix"), PUBLISHED)
def test_it_moves_as_the_authors_program(share: float, matrix: str) -> None:
    values = torch.nn.Parameter(torch.tensor(VALUES[matrix]))
    places = torch.tensor(START[matrix], dtype=torch.int32)
    count = len(places)
    candidates = Candidates.of(_values(11)[matrix], count)
    candidates.add(_values(23)[matrix].view(-1)[candidates.places])
    found = move(values, places, candidates, int(share * count))
    optimizer = torch.optim.AdamW([values], betas=(0.9, 0.999))
    # Theirs counts the steps of each element, ours those of all; for both they are two here.
    optimizer.state[values] = {
        "step": torch.tensor(2.0),
        "exp_avg": torch.arange(count) / 8 + 1,
        "exp_avg_sq": torch.arange(count) / 4 + 2,
    }
    move_state(optimizer, values, found.moved, candidates.sums / 2, candidates.squares / 2)
    state = optimizer.state[values]
    expected = PUBLISHED[share, matrix]
    assert found.moved(places, candidates.places).tolist() == expected[0]
    moved = found.moved(values.detach(), torch.zeros(count))
    for tensor, numbers in zip(
        (moved, state["exp_avg"], state["exp_avg_sq"]), expected[1:], strict=True
    ):
        torch.testing.assert_close(tensor, torch.tensor(numbers), rtol=0, atol=1e-6)


def test_of_equal_scores_the_first_are_the_highest() -> None:
    scores = torch.tensor([1.0, 3.0, 1.0, 3.0, 0.0, 1.0])
    marked = [highest(scores, count).nonzero().squeeze(1).tolist() for count in (0, 1, 3, 4, 6)]
    assert marked == [[], [1], [0, 1, 3], [0, 1, 2, 3], [0, 1, 2, 3, 4, 5]]


def test_it_gathers_and_moves_when_the_paper_says() -> None:
    """Five steps of every twenty; then all places may move, and later 0.2·(1 − t/T) of them."""
    schedule = Reselection(steps=66)
    gather = [step for step in range(66) if schedule.gathers(step)]
    assert gather == [*range(5), *range(20, 25), *range(40, 45), *range(60, 65)]
    shares = {s + 1: schedule.share_after(s) for s in gather if schedule.moves(s)}
    assert shares == pytest.approx(
        {5: 1.0, 25: 0.2 * (1 - 25 / 66), 45: 0.2 * (1 - 45 / 66), 65: 0.2 * (1 - 65 / 66)}
    )
    # What would grow after the last step could learn nothing.
    assert not any(Reselection(steps=65).gathers(step) for step in range(60, 65))
    assert Reselection(steps=9, every=3, gather=3).moves(2)


OPTIMIZERS = read_yaml(SCHEMAS / "study.schema.yaml")["$defs"]["training"]["properties"][
    "optimizer"
]["enum"]


@pytest.mark.parametrize(
    ("name", "options"), [*((name, {}) for name in OPTIMIZERS), ("sgd", {"momentum": 0.9})]
)
def test_every_optimizer_follows(name: str, options: dict, tmp_path) -> None:
    size = 8192  # Low-bit optimizers keep small tensors in float32.
    generator = torch.Generator().manual_seed(0)
    values = torch.nn.Parameter(torch.randn(size, generator=generator))
    settings = {
        **{"learning_rate": 1e-2, "weight_decay": 0.0, "batch_size": 1, "schedule": "linear"},
        **{"max_grad_norm": 1.0, "optimizer": name, "optimizer_options": options},
    }
    arguments = training_arguments(settings, Machine(), 0, 10, tmp_path)
    kind, given = Trainer.get_optimizer_cls_and_kwargs(arguments, None)
    optimizer = kind([values], **given)
    # Alike from block to block, so that a block's scale stays when its elements are exchanged.
    gradient = torch.linspace(-1, 1, 64).repeat(size // 64)
    with torch.compiler.set_stance("force_eager"):
        for _ in range(3):
            values.grad = gradient.clone()
            optimizer.step()
        places = torch.arange(0, 2 * size, 2, dtype=torch.int32)
        taken = torch.arange(1, 2 * size, 2, dtype=torch.int32)
        candidates = Candidates(taken, gradient.clone(), gradient.square())
        # The weights' size is their order here, and candidates' come in reverse.
        found = move(torch.arange(1.0, size + 1), places, candidates, size // 2)
        before = {name: _plain(optimizer, values, name) for name in _moments(optimizer, values)}
        mean, square = torch.full((size,), 0.5), torch.full((size,), 0.25)
        move_state(optimizer, values, found.moved, mean, square)
        moved = found.moved(places, taken)
        old = moved % 2 == 0
        for key, state in before.items():
            after = _plain(optimizer, values, key)
            # To the steps of 8 bits, or of 4.
            precise = 0.2 if "4bit" in name else 0.02
            expected = state[moved[old] // 2]
            assert (after[old] - expected).abs().max() <= precise * state.abs().max()
            first = {"momentum_buffer": 0.0, "exp_avg": 0.5 * 0.271, "state1": 0.5 * 0.271}
            fresh = first.get(key, 0.25 * (1 - 0.999**3))
            assert (after[~old] - fresh).abs().max() <= precise * max(state.abs().max(), fresh)
        values.grad = gradient.clone()
        optimizer.step()
    assert old.sum() == size // 2
    assert values.isfinite().all()
    assert len(before) == (len(options) if name == "sgd" else 2)


def _moments(optimizer: torch.optim.Optimizer, values: Tensor) -> list[str]:
    known = ("exp_avg", "exp_avg_sq", "state1", "state2", "momentum_buffer")
    return [name for name in known if optimizer.state[values].get(name) is not None]


def _plain(optimizer: torch.optim.Optimizer, values: Tensor, name: str) -> Tensor:
    """A moment as the library reads it."""
    state = optimizer.state[values]
    if state[name].dtype == torch.uint8:
        from bitsandbytes.functional import dequantize_blockwise

        number = name[-1]
        code, scales = state[f"qmap{number}"], state[f"absmax{number}"]
        return dequantize_blockwise(state[name], absmax=scales, code=code, blocksize=256)
    return state[name].dequantize().clone()
