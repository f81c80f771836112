"""Is the model right as often as it is sure? Expected calibration error, and risk against coverage. numpy only.

Confidence is the top candidate's share; the Brier score of a query is in `metrics.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Bins", "calibration_error", "equal_mass_bins", "risk_coverage", "risk_coverage_area"]

BINS = 15


@dataclass(frozen=True, slots=True)
class Bins:
    """Queries in order of confidence, cut into bins of equal size; one number a bin."""

    counts: np.ndarray
    confidence: np.ndarray  # the mean of each bin
    accuracy: np.ndarray


def equal_mass_bins(confidence: np.ndarray, right: np.ndarray, bins: int = BINS) -> Bins:
    """Cut (queries,) confidences and chances of being right into at most `bins` bins whose sizes differ by one at most.

    >>> equal_mass_bins(np.array([0.9, 0.1, 0.2]), np.array([1.0, 0.0, 1.0]), bins=2).accuracy.tolist()
    [0.5, 1.0]
    """
    order = np.argsort(confidence, kind="stable")
    parts = [part for part in np.array_split(order, bins) if len(part)]
    return Bins(
        np.array([len(part) for part in parts]),
        np.array([confidence[part].mean() for part in parts]),
        np.array([right[part].mean() for part in parts]),
    )


def calibration_error(confidence: np.ndarray, right: np.ndarray, bins: int = BINS) -> float:
    """ECE: the mean over bins of |accuracy - confidence|, weighted by their sizes (Naeini et al. 2015; equal-mass bins)."""
    found = equal_mass_bins(confidence, right, bins)
    return float((found.counts * np.abs(found.accuracy - found.confidence)).sum() / found.counts.sum())


def risk_coverage(uncertainty: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coverage and the share of wrong answers among the least uncertain queries, (queries,) each.

    Queries of equal uncertainty are answered together: each has the mean risk of its group.
    """
    order = np.argsort(uncertainty, kind="stable")
    values, inverse, counts = np.unique(uncertainty[order], return_inverse=True, return_counts=True)
    wrong = np.bincount(inverse, 1.0 - right[order], len(values)) / counts  # of each group
    risk = np.cumsum(wrong[inverse]) / np.arange(1, len(order) + 1)
    return np.arange(1, len(order) + 1) / len(order), risk


def risk_coverage_area(uncertainty: np.ndarray, right: np.ndarray) -> float:
    """AURC: the mean risk over all coverages (Geifman & El-Yaniv 2017); 0 is best, the error rate is what a blind order gives.

    >>> round(risk_coverage_area(np.array([0.1, 0.2, 0.9]), np.array([1.0, 1.0, 0.0])), 3)
    0.111
    """
    return float(risk_coverage(uncertainty, right)[1].mean())
