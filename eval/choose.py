"""Which neurons a localization keeps: the first k, those above a share of the largest score, or those that a null rejects.

The null shuffles each query's values over the neurons, so that nothing is consistent but by chance; Benjamini and
Hochberg (1995) then bound the expected share of false neurons among the kept.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np

from rml_lama.eval.evidence import Evidence
from rml_lama.eval.rivals import Recipe

__all__ = ["Selection", "choose", "discoveries"]

Selection = Literal["top", "share-of-max", "fdr"]
_DRAWS = 5  # shuffles; each gives as many null scores as there are neurons


def choose(
    recipe: Recipe,
    ready: Evidence,
    scores: np.ndarray,
    selection: Selection,
    *,
    most: int,
    share: float = 0.5,
    rate: float = 0.05,
    seed: int = 0,
) -> np.ndarray:
    """The kept neurons, best first, at most `most`, from prepared evidence and its scores (neurons,)."""
    order = np.argsort(-scores, kind="stable")[:most]
    if selection == "top":
        return order
    if selection == "share-of-max":
        return order[scores[order] >= share * scores[order[0]]] if scores[order[0]] > 0 else order[:0]
    generator = np.random.default_rng(seed)
    null = np.concatenate([recipe.summarise(replace(ready, values=generator.permuted(ready.values, axis=1))) for _ in range(_DRAWS)])
    kept: np.ndarray = order[discoveries(scores, null, rate)[order]]
    return kept


def discoveries(scores: np.ndarray, null: np.ndarray, rate: float) -> np.ndarray:
    """Benjamini and Hochberg: which scores (neurons,) are kept at this false discovery rate, given null scores.

    >>> discoveries(np.array([9.0, 0.1, 0.2, 8.0]), np.linspace(0, 1, 1000), 0.05).tolist()
    [True, False, False, True]
    """
    above = len(null) - np.searchsorted(np.sort(null), scores, side="left")
    p = (1 + above) / (1 + len(null))
    order = np.argsort(p, kind="stable")
    passed = np.flatnonzero(p[order] <= rate * np.arange(1, len(p) + 1) / len(p))
    kept = np.zeros(len(p), dtype=bool)
    if len(passed):
        kept[order[: passed[-1] + 1]] = True
    return kept
