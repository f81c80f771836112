"""Where an integral over α in [0, 1] is sampled, and with which weights.

Models with a norm behind the FFN's output are invariant to its scale, so nearly all of the change happens at α near 0, where
equal steps miss it. `gauss-kronrod-sinh-K` is the Kronrod rule of K nodes in t with α = sinh(R t) / sinh(R): even in t
below an onset 1 / sinh(R) that each path has of its own, and even in log α above it (Johnston and Elliott 2005, "A sinh
transformation for evaluating nearly singular boundary element integrals"). `gauss-kronrod-cubic-K` has α = t³ for all paths.
`linspace-S`, `left-S` and `midpoint-S` are the sums of other tools (docs/matrice.md).
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

import numpy as np

from rml_lama.errors import ConfigError

__all__ = ["Quadrature", "kronrod", "quadrature"]

_DEFAULT_NODES = {"gauss-kronrod-sinh": 15, "gauss-kronrod-cubic": 21}  # of other kinds: 20
_NAME = re.compile(r"(gauss-kronrod-sinh|gauss-kronrod-cubic|linspace|left|midpoint)(?:-(\d+))?$")


@dataclass(frozen=True, slots=True)
class Quadrature:
    """Nodes α and weights of `∫_0^1 f(α) dα ≈ Σ w_k f(α_k)`; `coarse` are the embedded Gauss rule's weights, if any.

    Of a `fitted` rule they are nodes and weights in t: `at` makes those in α.
    """

    name: str
    nodes: np.ndarray  # (nodes,) float64
    weights: np.ndarray  # (nodes,) float64
    coarse: np.ndarray | None = None
    fitted: bool = False

    def __len__(self) -> int:
        return len(self.nodes)

    def doubled(self) -> Quadrature:
        """The rule of the same kind with twice the nodes (one more where the kind needs an odd number)."""
        kind = self.name.rpartition("-")[0]
        return quadrature(f"{kind}-{2 * len(self) + kind.startswith('gauss-kronrod')}")

    def at(self, onset: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Nodes α, weights and coarse weights (zeros without an embedded rule), each (nodes, paths), for paths that begin to
        saturate at α = `onset` (paths,), in (0, 1].

        >>> nodes, weights, _ = quadrature("gauss-kronrod-sinh-15").at(np.array([1e-4]))
        >>> round(float(weights[:, 0] @ nodes[:, 0] ** 2), 6), int((nodes < 1e-3).sum())
        (0.333333, 6)
        """
        nodes, weights, coarse = (
            np.repeat(part[:, None], len(onset), axis=1)
            for part in (self.nodes, self.weights, np.zeros(len(self)) if self.coarse is None else self.coarse)
        )
        if not self.fitted:
            return nodes, weights, coarse
        reach = np.arcsinh(1 / onset)
        slope = reach * np.cosh(reach * nodes) / np.sinh(reach)  # dα/dt
        return np.sinh(reach * nodes) / np.sinh(reach), weights * slope, coarse * slope


@functools.cache
def quadrature(name: str) -> Quadrature:
    """The rule of a name such as `gauss-kronrod-sinh`, `gauss-kronrod-cubic-31`, `linspace-20`, `left-20`, `midpoint-20`.

    Raises `ConfigError` for another name or a number of nodes that the rule does not have.

    >>> quadrature("linspace-3").nodes.tolist(), quadrature("left-2").nodes.tolist()
    ([0.0, 0.5, 1.0], [0.0, 0.5])
    >>> rule = quadrature("gauss-kronrod-cubic-15")
    >>> round(float(rule.weights @ rule.nodes**2), 12)
    0.333333333333
    """
    found = _NAME.match(name)
    if not found:
        raise ConfigError(f"unknown quadrature {name!r}; known: gauss-kronrod-sinh-K, -cubic-K, linspace-S, left-S, midpoint-S")
    kind, count = found[1], int(found[2] or _DEFAULT_NODES.get(found[1], 20))
    if count < 2:
        raise ConfigError(f"the quadrature {name!r} needs at least 2 nodes")
    steps = np.arange(count)
    equal = np.full(count, 1 / count)
    if kind == "linspace":  # EleutherAI/knowledge-neurons: both ends, equal weights; not a rule that converges fast
        return Quadrature(f"linspace-{count}", steps / (count - 1), equal)
    if kind == "left":
        return Quadrature(f"left-{count}", steps / count, equal)
    if kind == "midpoint":
        return Quadrature(f"midpoint-{count}", (steps + 0.5) / count, equal)
    if count % 2 == 0 or count < 7:
        raise ConfigError(f"a Gauss-Kronrod rule has an odd number of nodes, at least 7 (got {count} in {name!r})")
    places, fine, coarse = kronrod((count - 1) // 2)
    t = (places + 1) / 2  # from [-1, 1] to [0, 1]
    if kind == "gauss-kronrod-sinh":
        return Quadrature(f"{kind}-{count}", t, fine / 2, coarse / 2, fitted=True)
    slope = 3 * t**2 / 2  # dα/dt, and the half of the shorter interval
    return Quadrature(f"{kind}-{count}", t**3, fine * slope, coarse * slope)


def kronrod(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The 2n+1 Kronrod nodes on [-1, 1], ascending, their weights, and the n-point Gauss weights (0 at the added nodes).

    Laurie (1997), "Calculation of Gauss-Kronrod quadrature rules", for the Legendre weight: eigenvalues of the
    Jacobi-Kronrod matrix.
    """
    a, b = _jacobi_kronrod(n)
    values, vectors = np.linalg.eigh(np.diag(a) + np.diag(np.sqrt(b[1:]), 1) + np.diag(np.sqrt(b[1:]), -1))
    values = (values - values[::-1]) / 2  # the rule is symmetric
    weights = 2 * vectors[0] ** 2
    weights = (weights + weights[::-1]) / 2
    coarse = np.zeros(2 * n + 1)
    coarse[1::2] = np.polynomial.legendre.leggauss(n)[1]
    return values, weights, coarse


def _jacobi_kronrod(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Recursion coefficients (2n+1,) of the Jacobi-Kronrod matrix (Laurie 1997, the mixed moments of section 5)."""
    size = (3 * n + 1) // 2 + 1
    k = np.arange(1, size)
    legendre = np.concatenate([[2.0], 1 / (4 - 1 / k**2)])
    a, b = np.zeros(2 * n + 1), np.zeros(2 * n + 1)
    b[: (3 * n + 1) // 2 + 1] = legendre[: (3 * n + 1) // 2 + 1]
    s, t = np.zeros(n // 2 + 2), np.zeros(n // 2 + 2)
    t[1] = b[n + 1]
    for m in range(n - 1):
        k = np.arange((m + 1) // 2, -1, -1)
        length = m - k
        s[k + 1] = np.cumsum((a[k + n + 1] - a[length]) * t[k + 1] + b[k + n + 1] * s[k] - b[length] * s[k + 1])
        s, t = t, s
    j = np.arange(n // 2, -1, -1)
    s[j + 1] = s[j]
    for m in range(n - 1, 2 * n - 2):
        k = np.arange(m + 1 - n, (m - 1) // 2 + 1)
        length = m - k
        j = n - 1 - length
        s[j + 1] = np.cumsum(-(a[k + n + 1] - a[length]) * t[j + 1] - b[k + n + 1] * s[j + 1] + b[length] * s[j + 2])
        last, half = int(j[-1]), (m + 1) // 2
        if m % 2 == 0:
            a[half + n + 1] = a[half] + (s[last + 1] - b[half + n + 1] * s[last + 2]) / t[last + 2]
        else:
            b[half + n + 1] = s[last + 1] / s[last + 2]
        s, t = t, s
    a[2 * n] = a[n - 1] - b[2 * n] * s[1] / t[1]
    return a, b
