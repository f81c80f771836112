"""Does the answer depend on the phrasing? Consistency, all right, best and worst, and the uncertainty that it adds. numpy only.

A group is one fact in one language, asked in several phrasings over the same candidates. The split of uncertainty is
`H(mean_q p_q) = [H(mean_q p_q) - mean_q H(p_q)] + mean_q H(p_q)`: phrasings disagree, and the model is unsure under each
(METHODS 1; the decomposition of Depeweg et al. 2018, with phrasings in the place of posterior draws). The same
functions serve languages: a group is then one fact, with a distribution a language.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Uncertainty", "consistency", "entropy", "split_uncertainty"]


@dataclass(frozen=True, slots=True)
class Uncertainty:
    """Of one group, in nats: `total` = `disagreement` + `unsure`."""

    total: float
    disagreement: float
    unsure: float


def entropy(shares: np.ndarray) -> np.ndarray:
    """(..., candidates) -> (...), in nats; 0 log 0 is 0.

    >>> float(entropy(np.array([0.5, 0.5, 0.0])).round(4))
    0.6931
    """
    logs = np.log(shares, out=np.zeros_like(shares), where=shares > 0)
    found: np.ndarray = -(shares * logs).sum(axis=-1)
    return found


def split_uncertainty(shares: np.ndarray) -> Uncertainty:
    """Split the uncertainty of a group; `shares` (phrasings, candidates) has lines that sum to one.

    >>> split_uncertainty(np.array([[1.0, 0.0], [0.0, 1.0]]))
    Uncertainty(total=0.6931471805599453, disagreement=0.6931471805599453, unsure=0.0)
    """
    total = float(entropy(shares.mean(axis=0)))
    unsure = float(entropy(shares).mean())
    return Uncertainty(total, max(total - unsure, 0.0), unsure)


def consistency(top: np.ndarray) -> float:
    """The share of pairs of phrasings with the same top candidate, (phrasings,) -> [0, 1]; NaN with a single phrasing.

    >>> consistency(np.array(["Paris", "Paris", "Lyon"])).round(3)
    np.float64(0.333)
    """
    if len(top) < 2:
        return float("nan")
    counts = np.unique(top, return_counts=True)[1]
    return (counts * (counts - 1)).sum() / (len(top) * (len(top) - 1))  # type: ignore[no-any-return]
