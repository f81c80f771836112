"""Student's t distribution, for intervals and tests: numpy and the standard library have none, and scipy is no dependency.

The distribution function is a regularised incomplete beta function, by its continued fraction (Numerical Recipes, 6.4).
"""

from __future__ import annotations

import functools
import math

__all__ = ["t_quantile", "t_tail"]

_TINY = 1e-300


@functools.lru_cache(maxsize=4096)
def t_quantile(probability: float, degrees: float) -> float:
    """The t with P(T <= t) = `probability`, by bisection.

    >>> round(t_quantile(0.975, 10), 4), round(t_quantile(0.975, 1e9), 4)
    (2.2281, 1.96)
    """
    if probability < 0.5:
        return -t_quantile(1 - probability, degrees)
    low, high = 0.0, 1.0
    while t_tail(high, degrees) > 1 - probability:
        high *= 2
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if t_tail(middle, degrees) > 1 - probability else (low, middle)
    return (low + high) / 2


def t_tail(t: float, degrees: float) -> float:
    """P(T > t) for t >= 0; infinity is allowed.

    >>> round(t_tail(2.2281, 10), 4)
    0.025
    """
    if math.isinf(t):
        return 0.0
    return _incomplete_beta(degrees / 2, 0.5, degrees / (degrees + t * t)) / 2


def _incomplete_beta(a: float, b: float, x: float) -> float:
    if x <= 0 or x >= 1:
        return float(x >= 1)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x))
    if x < (a + 1) / (a + b + 2):
        return front * _fraction(a, b, x) / a
    return 1 - front * _fraction(b, a, 1 - x) / b


def _fraction(a: float, b: float, x: float) -> float:
    """Lentz's algorithm."""
    c, d = 1.0, 1 / _away(1 - (a + b) * x / (a + 1))
    result = d
    for m in range(1, 10_000):
        for term in (m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)), -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))):
            d = 1 / _away(1 + term * d)
            c = _away(1 + term / c)
            result *= c * d
        if abs(c * d - 1) < 1e-15:
            break
    return result


def _away(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
