"""Initial values are a function of (seed, module, place): fixed numbers, any subset, any device."""

import pytest
import torch
from scipy import stats

from rigsa import counter_random
from rigsa.initial_values import initial_values

NAME = "model.layers.0.self_attn.q_proj"
UNIFORM = [
    "-0x1.9017fa0000000p-2",
    "-0x1.13a1c80000000p-2",
    "-0x1.f9e8e40000000p-2",
    "-0x1.14edd60000000p-1",
    "0x1.2399240000000p-1",
    "-0x1.7211900000000p-2",
]
NORMAL = [
    "-0x1.23fde20000000p-1",
    "-0x1.6fe0220000000p-2",
    "-0x1.af988c0000000p-1",
    "-0x1.129c620000000p+0",
    "0x1.6cec380000000p+0",
    "-0x1.06c4a60000000p-1",
]


def test_the_numbers_are_fixed_for_good() -> None:
    """Computed once; a change here would make every stored mask and adapter meaningless."""
    uniform = initial_values("uniform", 0, NAME, (2, 3))
    normal = initial_values("normal", 0, NAME, (2, 3))
    assert [x.hex() for x in uniform.flatten().tolist()] == UNIFORM
    assert [x.hex() for x in normal.flatten().tolist()] == NORMAL


def test_uniform_bits_are_those_of_splitmix64() -> None:
    """A plain 64-bit integer implementation gives the same."""
    key = counter_random.key(3, "x")
    found = counter_random.bits(key, torch.arange(5)).tolist()
    wrap = 2**64 - 1
    for place, bits in enumerate(found):
        z = (place * 0x9E3779B97F4A7C15 + key) & wrap
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & wrap
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & wrap
        assert bits == (z ^ (z >> 31)) >> 1


@pytest.mark.parametrize("init", ["uniform", "normal"])
def test_a_subset_of_places_has_the_values_of_the_whole(init: str) -> None:
    whole = initial_values(init, 1, NAME, (50, 40))
    places = torch.tensor([0, 7, 999, 1999], dtype=torch.int32)
    part = initial_values(init, 1, NAME, (50, 40), places=places)
    assert torch.equal(part, whole.flatten()[places])


@pytest.mark.parametrize(("init", "spread"), [("uniform", 100**-0.5 / 3**0.5), ("normal", 0.1)])
def test_the_distribution_is_the_one_that_was_asked_for(init: str, spread: float) -> None:
    values = initial_values(init, 4, NAME, (1000, 100)).flatten().double().numpy()
    wanted = stats.norm(0, 0.1) if init == "normal" else stats.uniform(-0.1, 0.2)
    assert stats.kstest(values, wanted.cdf).pvalue > 0.01
    assert values.std() == pytest.approx(spread, rel=0.02)
    assert abs(stats.pearsonr(values[:-1], values[1:]).statistic) < 0.01
    assert (values != 0).all()


def test_normal_is_the_inverse_of_the_distribution_function() -> None:
    key, places = counter_random.key(0), torch.arange(200_000)
    p = ((counter_random.bits(key, places) >> 10).double() + 0.5) * 2.0**-53
    expected = torch.from_numpy(stats.norm.ppf(p.numpy()))
    torch.testing.assert_close(
        counter_random.normal(key, places).double(), expected, atol=1e-7, rtol=1e-6
    )


def test_seeds_and_modules_differ() -> None:
    first = initial_values("uniform", 0, NAME, (20, 20))
    assert not torch.equal(first, initial_values("uniform", 1, NAME, (20, 20)))
    assert not torch.equal(first, initial_values("uniform", 0, NAME + "x", (20, 20)))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("init", ["uniform", "normal"])
def test_the_gpu_gives_the_same_bits(init: str) -> None:
    on_cpu = initial_values(init, 0, NAME, (500, 300))
    on_gpu = initial_values(init, 0, NAME, (500, 300), device="cuda")
    assert torch.equal(on_cpu, on_gpu.cpu())
