"""Macro means with 95% intervals: the variance from a bootstrap over facts, the interval a score interval with Student's t.

Facts are the clusters: a fact is drawn with all of its phrasings, in all languages at once, within its relation. Of the n
facts of a relation n - 1 are drawn (Rao & Wu 1988), so that the variance is unbiased for few facts. A mean m in [0, 1]
with bootstrap variance V is worth `m (1 - m) / V` independent answers; its interval is Wilson's for so many, with t on
(facts - relations) degrees of freedom (Korn & Graubard 1998). Where V is 0, every fact counts as one answer. Other
numbers get `m +- t sqrt(V)`. Coverage is measured in benchmarks/coverage.py; docs/decisions/0008 says why not percentiles.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from rml_lama.eval.student import t_quantile

__all__ = ["Estimate", "FactBootstrap", "nan_mean", "score_interval"]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its 95% interval; `facts` is how many facts it rests on. NaN where there is nothing to count, or a single fact
    and no bounds."""

    value: float
    low: float
    high: float
    facts: int

    def __str__(self) -> str:
        return "-" if math.isnan(self.value) else f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


class FactBootstrap:
    """Draws of facts, made once, for macro means of anything that is counted by fact.

    `relations` (facts,) names the relation of each fact; `weights` (1 + draws, facts) begins with the data as they are.
    Values are given with the number of their fact and of their column (a language, a pair of languages); the macro mean
    of a column is the mean over its relations of the mean over its values.
    """

    def __init__(self, relations: Sequence[str] | np.ndarray, *, resamples: int, seed: int) -> None:
        self.names, self.relation = np.unique(np.asarray(relations), return_inverse=True)
        self._members = [np.flatnonzero(self.relation == number) for number in range(len(self.names))]
        self.weights = self._draw(resamples, seed)

    def _draw(self, resamples: int, seed: int) -> np.ndarray:
        generator = np.random.default_rng(seed)
        weights = np.ones((1 + resamples, len(self.relation)), dtype=np.float32)
        for members in self._strata():
            count = len(members)
            if count > 1:
                drawn = generator.multinomial(count - 1, np.full(count, 1 / count), size=resamples)
                weights[1:, members] = drawn * (count / (count - 1))
        return weights

    def _strata(self) -> list[np.ndarray]:
        """Facts that are drawn against each other: those of a relation; lonely ones form a stratum of their own kind."""
        lonely = [members for members in self._members if len(members) == 1]
        return [members for members in self._members if len(members) > 1] + ([np.concatenate(lonely)] if lonely else [])

    def macro(self, values: np.ndarray, fact: np.ndarray, column: np.ndarray, columns: int) -> np.ndarray:
        """Macro means over relations, (draws, columns); NaN where a column is empty. NaN values are left out."""
        total, mass = np.zeros((len(self.weights), columns)), np.zeros((len(self.weights), columns))
        for relation, means in self._cells(values, fact, column, columns):
            there = ~np.isnan(means) * self._relation_weight(relation)[:, None]  # (draws, columns)
            total += np.where(there > 0, means, 0.0) * there
            mass += there
        return np.divide(total, mass, out=np.full_like(total, np.nan), where=mass > 0)

    def by_relation(self, values: np.ndarray, fact: np.ndarray, column: np.ndarray, columns: int) -> np.ndarray:
        """Means over columns for each relation, (draws, relations)."""
        result = np.full((len(self.weights), len(self.names)), np.nan)
        for relation, means in self._cells(values, fact, column, columns):
            result[:, relation] = nan_mean(means)
        return result

    def _cells(self, values: np.ndarray, fact: np.ndarray, column: np.ndarray, columns: int) -> Iterator[tuple[int, np.ndarray]]:
        """For each relation, the weighted means of its cells, (draws, columns)."""
        kept = ~np.isnan(values)
        values, fact, column = values[kept], fact[kept], column[kept]
        place = np.zeros(len(self.relation), dtype=np.int64)
        for relation, members in enumerate(self._members):
            place[members] = np.arange(len(members))
            here = self.relation[fact] == relation
            if not here.any():
                continue
            cell = place[fact[here]] * columns + column[here]
            sums = np.bincount(cell, values[here], len(members) * columns).reshape(-1, columns)  # (facts, columns)
            counts = np.bincount(cell, minlength=len(members) * columns).reshape(-1, columns)
            weights = self.weights[:, members].astype(float)  # (draws, facts)
            top, bottom = weights @ sums, weights @ counts
            yield relation, np.divide(top, bottom, out=np.full_like(top, np.nan), where=bottom > 0)

    def _relation_weight(self, relation: int) -> np.ndarray:
        """A relation counts once, but where it has one fact, as often as that was drawn; (draws,)."""
        members = self._members[relation]
        return self.weights[:, members[0]] if len(members) == 1 else np.ones(len(self.weights), dtype=np.float32)

    def estimate(self, draws: np.ndarray, facts: np.ndarray, *, bounded: bool = True) -> Estimate:
        """A number and its interval from its draws (draws,), the first of which is the number itself.

        `facts` are the numbers of the facts that it rests on; `bounded` says that it lies in [0, 1].
        """
        value = float(draws[0])
        used = len(np.unique(facts))
        if math.isnan(value) or not used:
            return Estimate(math.nan, math.nan, math.nan, 0)
        degrees = self.degrees(facts)
        if degrees < 1:
            return Estimate(value, *((0.0, 1.0) if bounded else (math.nan, math.nan)), used)
        with np.errstate(invalid="ignore"):
            variance = float(np.nanmean((draws[1:] - value) ** 2))
        t = t_quantile(0.975, degrees)
        if bounded:
            low, high = score_interval(value, variance, facts=used, t=t)
        else:
            low, high = value - t * math.sqrt(variance), value + t * math.sqrt(variance)
        return Estimate(value, low, high, used)

    def degrees(self, facts: np.ndarray) -> int:
        """Degrees of freedom: facts less relations; with one fact a relation, relations are drawn against each other."""
        used = np.unique(facts)
        within = len(used) - len(np.unique(self.relation[used]))
        return within or len(used) - 1


def score_interval(value: float, variance: float, *, facts: int, t: float) -> tuple[float, float]:
    """Wilson's interval for a mean in [0, 1] that is worth `value (1 - value) / variance` independent answers.

    >>> low, high = score_interval(0.0, 0.0, facts=20, t=2.0)
    >>> round(low, 3), round(high, 3)
    (0.0, 0.167)
    """
    spread = max(value * (1 - value), 0.0)
    worth = max(spread / variance, 1.0) if variance > 1e-12 else float(facts)
    centre = (value + t * t / (2 * worth)) / (1 + t * t / worth)
    half = t / (1 + t * t / worth) * math.sqrt(spread / worth + t * t / (4 * worth * worth))
    return min(max(centre - half, 0.0), value), max(min(centre + half, 1.0), value)


def nan_mean(values: np.ndarray) -> np.ndarray:
    """The mean over the last axis of what is there; NaN where nothing is."""
    there = ~np.isnan(values)
    count = there.sum(axis=-1)
    total = np.where(there, values, 0.0).sum(axis=-1)
    mean: np.ndarray = np.divide(total, count, out=np.full(np.shape(total), np.nan), where=count > 0)
    return mean
