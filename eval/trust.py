"""Whether the model's confidence can be trusted: calibration and abstention over all queries of a run, and by language."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from rml_lama.eval.bootstrap import FactBootstrap
from rml_lama.eval.calibration import equal_mass_bins, risk_coverage
from rml_lama.eval.frame import Frame
from rml_lama.eval.phrasing import split_uncertainty
from rml_lama.eval.sums import Scores

__all__ = ["Trust", "trust"]

_POINTS = 40  # of the risk-coverage curve that are kept
_DRAWS = 50  # draws at once


@dataclass(frozen=True, slots=True)
class Trust:
    """Calibration and abstention; queries count alike here, whatever their relation.

    `bins` holds count, mean confidence and accuracy of each; `curves` coverage and risk, by abstention score.
    """

    overall: Scores
    languages: Mapping[str, Scores]
    bins: tuple[tuple[int, float, float], ...]
    curves: Mapping[str, tuple[tuple[float, float], ...]]


def trust(frame: Frame, bootstrap: FactBootstrap) -> Trust:
    """Calibration of the top candidate's share, and risk against coverage for each uncertainty as the abstention score."""
    right, confidence = frame.right, frame.columns["confidence"]
    scores = {"AURC": -confidence, "AURC entropy": frame.columns["entropy"], **_group_uncertainty(frame)}

    def over(places: np.ndarray, names: Mapping[str, np.ndarray]) -> Scores:
        facts = frame.fact[places]
        found = {"ECE": bootstrap.estimate(_by_draw(bootstrap, facts, _error(confidence[places], right[places])), facts)}
        for name, score in names.items():
            found[name] = bootstrap.estimate(_by_draw(bootstrap, facts, _area(score[places], right[places])), facts)
        return found

    bins = equal_mass_bins(confidence, right)
    curves = {}
    for name, score in scores.items():
        coverage, risk = risk_coverage(score, right)
        kept = np.unique(np.linspace(0, len(risk) - 1, _POINTS).round().astype(int))
        curves[name] = tuple(zip(coverage[kept].tolist(), risk[kept].tolist(), strict=True))
    return Trust(
        over(np.arange(len(frame)), scores),
        {code: over(np.flatnonzero(frame.language == place), {"AURC": scores["AURC"]}) for place, code in enumerate(frame.languages)},
        tuple(zip(bins.counts.tolist(), bins.confidence.tolist(), bins.accuracy.tolist(), strict=True)),
        curves,
    )


def _group_uncertainty(frame: Frame) -> dict[str, np.ndarray]:
    """The uncertainty of each query's fact in its language."""
    total, disagreement = np.zeros(len(frame)), np.zeros(len(frame))
    for group in frame.groups():
        split = split_uncertainty(group.shares)
        total[group.queries], disagreement[group.queries] = split.total, split.disagreement
    return {"AURC uncertainty": total, "AURC disagreement": disagreement}


Weighted = Callable[[np.ndarray], np.ndarray]  # weights (draws, queries) -> (draws,)


def _by_draw(bootstrap: FactBootstrap, facts: np.ndarray, statistic: Weighted) -> np.ndarray:
    weights = bootstrap.weights
    parts = [statistic(weights[start : start + _DRAWS][:, facts].astype(float)) for start in range(0, len(weights), _DRAWS)]
    return np.concatenate(parts)


def _error(confidence: np.ndarray, right: np.ndarray) -> Weighted:
    """The calibration error under weights, in the bins of the data as they are."""
    order = np.argsort(confidence, kind="stable")
    starts = np.cumsum([0, *equal_mass_bins(confidence, right).counts])[:-1]
    gap = (right - confidence)[order]

    def statistic(weights: np.ndarray) -> np.ndarray:
        sums = np.add.reduceat(weights[:, order] * gap, starts, axis=1)  # (draws, bins)
        found: np.ndarray = np.abs(sums).sum(axis=1) / weights.sum(axis=1)
        return found

    return statistic


def _area(uncertainty: np.ndarray, right: np.ndarray) -> Weighted:
    """The risk-coverage area under weights."""
    order = np.argsort(uncertainty, kind="stable")
    _, group, counts = np.unique(uncertainty[order], return_inverse=True, return_counts=True)
    starts = np.cumsum([0, *counts])[:-1]
    wrong = 1.0 - right[order]

    def statistic(weights: np.ndarray) -> np.ndarray:
        sorted_weights = weights[:, order]
        mass = np.add.reduceat(sorted_weights, starts, axis=1)
        mean = np.divide(np.add.reduceat(sorted_weights * wrong, starts, axis=1), mass, out=np.zeros_like(mass), where=mass > 0)
        seen = np.cumsum(sorted_weights, axis=1)
        risk = np.divide(np.cumsum(sorted_weights * mean[:, group], axis=1), seen, out=np.zeros_like(seen), where=seen > 0)
        found: np.ndarray = (sorted_weights * risk).sum(axis=1) / sorted_weights.sum(axis=1)
        return found

    return statistic
