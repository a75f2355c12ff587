"""Random numbers as a function of (key, place): the same on every machine and device.

A weight's value needs neither its neighbours nor a generator's state, so the initial values of a
sparse matrix are regenerated at its kept places alone. Only integer operations and single IEEE
operations are used, whose results do not depend on the hardware.
"""

import hashlib
import math

import torch

Tensor = torch.Tensor

# Constants of SplitMix64 (Steele, Lea and Flood 2014), as signed 64-bit integers.
_STEP = 0x9E3779B97F4A7C15 - 2**64
_FIRST = 0xBF58476D1CE4E5B9 - 2**64
_SECOND = 0x94D049BB133111EB - 2**64


def key(*parts: object) -> int:
    """A signed 64-bit key from a description such as (seed, purpose, module name)."""
    text = "\x1f".join(str(part) for part in parts).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little", signed=True)


def bits(key: int, places: Tensor) -> Tensor:
    """63 random bits as a non-negative int64 for each place (an integer tensor of any shape)."""
    z = places.to(torch.int64) * _STEP + key
    z = (z ^ _shift(z, 30)) * _FIRST
    z = (z ^ _shift(z, 27)) * _SECOND
    return _shift(z ^ _shift(z, 31), 1)


def uniform(key: int, places: Tensor) -> Tensor:
    """float32 in (-1, 1) for each place: odd multiples of 2^-23, hence never 0."""
    return ((bits(key, places) >> 40).to(torch.float32) + 0.5) * 2.0**-22 - 1.0


def normal(key: int, places: Tensor) -> Tensor:
    """Standard normal float32 for each place, by the inverse of the distribution function.

    Acklam's rational approximation (relative error below 1.2e-9) in double precision.
    """
    # The middle of one of 2^53 equal intervals: never 0 or 1.
    p = ((bits(key, places) >> 10).to(torch.float64) + 0.5) * 2.0**-53
    tail = torch.minimum(p, 1.0 - p)
    q = p - 0.5
    r = q * q
    centre = _horner(r, _A) * q / (_horner(r, _B) * r + 1.0)
    t = torch.sqrt(_log(tail) * -2.0)
    outer = _horner(t, _C) / (_horner(t, _D) * t + 1.0)
    return torch.where(tail < 0.02425, outer * -torch.sign(q), centre).to(torch.float32)


_A = (
    -3.969683028665376e01,
    2.209460984245205e02,
    -2.759285104469687e02,
    1.383577518672690e02,
    -3.066479806614716e01,
    2.506628277459239e00,
)
_B = (
    -5.447609879822406e01,
    1.615858368580409e02,
    -1.556989798598866e02,
    6.680131188771972e01,
    -1.328068155288572e01,
)
_C = (
    -7.784894002430293e-03,
    -3.223964580411365e-01,
    -2.400758277161838e00,
    -2.549732539343734e00,
    4.374664141464968e00,
    2.938163982698783e00,
)
_D = (
    7.784695709041462e-03,
    3.224671290700398e-01,
    2.445134137142996e00,
    3.754408661907416e00,
)


def _shift(z: Tensor, count: int) -> Tensor:
    """Logical shift to the right; torch's own keeps the sign."""
    return (z >> count) & ((1 << (64 - count)) - 1)


def _horner(x: Tensor, coefficients: tuple[float, ...]) -> Tensor:
    result = torch.full_like(x, coefficients[0])
    for coefficient in coefficients[1:]:
        # Two operations on purpose: a fused multiply-add would round differently on some devices.
        result = result * x
        result = result + coefficient
    return result


def _log(x: Tensor) -> Tensor:
    """Natural logarithm from exact steps; libraries' own differ in the last place."""
    mantissa, exponent = torch.frexp(x)
    s = (mantissa - 1.0) / (mantissa + 1.0)
    square = s * s
    # log m = 2 atanh(s); |s| <= 1/3, so 20 terms reach double precision.
    series = _horner(square, tuple(1.0 / (2 * n + 1) for n in range(19, -1, -1)))
    return series * s * 2.0 + exponent.to(torch.float64) * math.log(2.0)
