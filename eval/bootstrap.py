"""Macro means with 95% intervals by cluster bootstrap: facts are drawn anew within each relation, with all their phrasings.

A fact is one cluster in all languages, so a mean over languages resamples them together (METHODS 1; Efron and
Tibshirani 1993, section 8). Percentile intervals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["Estimate", "MacroBootstrap"]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its 95% interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


class MacroBootstrap:
    """Draws of facts, made once, for macro means of any per-query value.

    A query belongs to a fact, a fact to a relation, a query to a language. The macro mean of a language is the mean over
    its relations of the mean over queries; that of all languages the mean of theirs.
    """

    def __init__(self, facts: Sequence[str], relations: Sequence[str], languages: Sequence[str], *, resamples: int, seed: int) -> None:
        self._names, self._fact = np.unique(np.asarray(facts), return_inverse=True)
        self.relations, self._relation = np.unique(np.asarray(relations), return_inverse=True)
        self.languages, self._language = np.unique(np.asarray(languages), return_inverse=True)
        self._weights = self._draw(resamples, seed)  # (1 + resamples, facts); row 0 is the data as they are

    def _draw(self, resamples: int, seed: int) -> np.ndarray:
        generator = np.random.default_rng(seed)
        relation_of = np.zeros(len(self._names), dtype=np.int64)
        relation_of[self._fact] = self._relation
        weights = np.ones((1 + resamples, len(self._names)), dtype=np.float32)
        for number in range(len(self.relations)):
            members = np.flatnonzero(relation_of == number)
            weights[1:, members] = generator.multinomial(len(members), np.full(len(members), 1 / len(members)), size=resamples)
        return weights

    def cells(self, values: np.ndarray) -> np.ndarray:
        """Weighted means by draw, language and relation; (queries,) -> (draws, languages, relations), NaN where empty."""
        shape = (len(self.languages), len(self.relations))
        result = np.full((len(self._weights), *shape), np.nan)
        for language, relation in np.ndindex(shape):
            here = (self._language == language) & (self._relation == relation)
            if here.any():
                facts, which = np.unique(self._fact[here], return_inverse=True)
                sums = np.bincount(which, values[here], len(facts))
                counts = np.bincount(which, minlength=len(facts)).astype(float)
                weights = self._weights[:, facts].astype(float)  # (draws, facts of this cell)
                with np.errstate(invalid="ignore"):
                    result[:, language, relation] = weights @ sums / (weights @ counts)
        return result

    def by_language(self, values: np.ndarray) -> dict[str, Estimate]:
        """The macro mean over relations, for each language."""
        means = _mean(self.cells(values), axis=2)  # (draws, languages)
        return {str(code): _estimate(means[:, place]) for place, code in enumerate(self.languages)}

    def by_relation(self, values: np.ndarray) -> dict[str, Estimate]:
        """The mean over languages, for each relation."""
        means = _mean(self.cells(values), axis=1)  # (draws, relations)
        return {str(name): _estimate(means[:, place]) for place, name in enumerate(self.relations)}

    def overall(self, values: np.ndarray) -> Estimate:
        """The mean over languages of their macro means over relations."""
        return _estimate(_mean(_mean(self.cells(values), axis=2), axis=1))


def _mean(values: np.ndarray, axis: int) -> np.ndarray:
    """The mean over what is there; NaN where nothing is."""
    there = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        mean: np.ndarray = np.where(there, values, 0.0).sum(axis=axis) / there.sum(axis=axis)
    return mean


def _estimate(draws: np.ndarray) -> Estimate:
    low, high = np.nanpercentile(draws[1:], [2.5, 97.5])
    return Estimate(float(draws[0]), float(low), float(high))
