"""Ridge logistic regression with an offset for each group, by Newton's method; and the AUC that it is judged by.

Groups (languages) differ in how strict their readers were. Their offsets are fitted with the weights and then replaced by
their mean, so that the weights compare phrasings of one language only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["Fit", "auc", "fit_logistic"]

OFFSET_PENALTY = 0.01
MAX_STEPS = 50


@dataclass(frozen=True, slots=True)
class Fit:
    """Weights on standardised features, with what standardises them. A missing value (NaN) counts as the mean."""

    means: np.ndarray  # (features,)
    scales: np.ndarray  # (features,)
    weights: np.ndarray  # (features,)
    intercept: float

    def logits(self, features: np.ndarray) -> np.ndarray:
        """Log-odds, (rows, features) -> (rows,)."""
        standard = np.nan_to_num((features - self.means) / self.scales, nan=0.0)
        found: np.ndarray = standard @ self.weights + self.intercept
        return found


def fit_logistic(features: np.ndarray, approved: np.ndarray, groups: Sequence[str], penalty: float) -> Fit:
    """Minimise the negative log-likelihood plus `penalty / 2 * |weights|^2`.

    `features` (rows, features) may hold NaN; `approved` (rows,) is 0 or 1; `groups` names each row's group.
    """
    there = np.isfinite(features)
    counts = np.maximum(there.sum(axis=0), 1)  # (features,)
    means = np.where(there, features, 0.0).sum(axis=0) / counts
    scales = np.sqrt((np.where(there, features - means, 0.0) ** 2).sum(axis=0) / counts)
    scales = np.where(scales > 0, scales, 1.0)
    standard = np.nan_to_num((features - means) / scales, nan=0.0)
    names = sorted(set(groups))
    offsets = np.array([[group == name for name in names] for group in groups], dtype=float)  # (rows, groups)
    design = np.hstack([standard, offsets])  # (rows, features + groups)
    ridge = np.concatenate([np.full(features.shape[1], penalty), np.full(len(names), OFFSET_PENALTY)])
    weights = _newton(design, approved.astype(float), ridge)
    count = features.shape[1]
    return Fit(means, scales, weights[:count], float(weights[count:].mean()))


def _newton(design: np.ndarray, target: np.ndarray, ridge: np.ndarray) -> np.ndarray:
    weights = np.zeros(design.shape[1])
    for _ in range(MAX_STEPS):
        chance = 1 / (1 + np.exp(-np.clip(design @ weights, -30, 30)))  # (rows,)
        gradient = design.T @ (target - chance) - ridge * weights
        curvature = (design * (chance * (1 - chance))[:, None]).T @ design + np.diag(ridge)
        step = np.linalg.solve(curvature, gradient)
        weights += step
        if np.abs(step).max() < 1e-10:
            break
    return weights


def auc(scores: np.ndarray, positive: np.ndarray) -> float:
    """The chance that a positive scores above a negative, ties counting half; NaN where one kind is missing.

    >>> auc(np.array([0.9, 0.5, 0.5, 0.1]), np.array([1, 1, 0, 0]))
    0.875
    """
    good, bad = np.sort(scores[positive == 1]), scores[positive == 0]
    if not len(good) or not len(bad):
        return float("nan")
    above = len(good) - np.searchsorted(good, bad, side="right")
    level = np.searchsorted(good, bad, side="right") - np.searchsorted(good, bad, side="left")
    return float((above + level / 2).mean() / len(good))
