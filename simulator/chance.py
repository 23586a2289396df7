"""Numbers that look random and are a pure function of their keys: a seed and a time give the same miner again."""

from __future__ import annotations

import math

_MASK = (1 << 64) - 1
HASHES_PER_DIFFICULTY = 2.0**32


def mix(*keys: int) -> int:
    """64 well-mixed bits of the keys (the splitmix64 finaliser over a running sum)."""
    state = 0x9E3779B97F4A7C15
    for key in keys:
        state = (state + key * 0xBF58476D1CE4E5B9 + 0x9E3779B97F4A7C15) & _MASK
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & _MASK
        state ^= state >> 31
    return state


def uniform(*keys: int) -> float:
    """A number in (0, 1)."""
    return ((mix(*keys) >> 11) + 0.5) / 9007199254740992.0


def between(low: float, high: float, *keys: int) -> float:
    """A number in (low, high)."""
    return low + (high - low) * uniform(*keys)


def wander(moment: float, period: float, *keys: int) -> float:
    """Smooth noise in [-1, 1]: one random knot per `period` seconds, eased between knots."""
    position = moment / period
    knot = math.floor(position)
    part = position - knot
    ease = part * part * (3.0 - 2.0 * part)
    first = uniform(*keys, knot) * 2.0 - 1.0
    second = uniform(*keys, knot + 1) * 2.0 - 1.0
    return first + (second - first) * ease


def gauss(*keys: int) -> float:
    """A standard normal number (Box and Muller)."""
    return math.sqrt(-2.0 * math.log(uniform(*keys, 1))) * math.cos(2.0 * math.pi * uniform(*keys, 2))


def poisson(rate: float, *keys: int) -> int:
    """A Poisson count of mean `rate`; the normal approximation serves above 30."""
    if rate <= 0.0:
        return 0
    if rate > 30.0:
        return max(0, round(rate + math.sqrt(rate) * gauss(*keys)))
    threshold = math.exp(-rate)
    product = uniform(*keys, 0)
    count = 0
    while product > threshold:
        count += 1
        product *= uniform(*keys, count)
    return count


def best_of(count: int, difficulty: float, *keys: int) -> float:
    """The best difficulty among `count` shares of at least `difficulty` (their law is Pareto's of 1)."""
    if count <= 0:
        return 0.0
    # 1 - U^(1/n), written so that a large n keeps its digits.
    tail = -math.expm1(math.log(uniform(*keys)) / count)
    return difficulty / max(tail, 1e-15)
