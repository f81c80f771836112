"""How sure a localization is: a two-stage bootstrap, split halves, and where the variance comes from (METHODS 3, step 6).

Languages are drawn with replacement, then queries within each; no model runs again. numpy only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rml_lama.eval.evidence import Evidence
from rml_lama.eval.rivals import Recipe

__all__ = ["Resampled", "Variance", "localizability", "reliability_table", "resample", "top_overlap", "variance_components"]

_CANDIDATES = 2048  # neurons that can be among the first k in any draw, by their score as it is


@dataclass(frozen=True, slots=True)
class Resampled:
    """For each neuron, how often it is among the first k, and the 2.5 and 97.5 percentiles of its score; (neurons,)."""

    inclusion: np.ndarray
    low: np.ndarray
    high: np.ndarray


def resample(recipe: Recipe, ready: Evidence, *, k: int, draws: int, seed: int) -> Resampled:
    """Two-stage bootstrap of prepared evidence; exact for the 2,048 best neurons, 0 and NaN for the rest."""
    generator = np.random.default_rng(seed)
    base = recipe.summarise(ready)
    candidates = np.sort(np.argsort(-base, kind="stable")[:_CANDIDATES])
    small = Evidence(ready.values[:, candidates], ready.language, ready.known, ready.probability, weight=ready.weight)
    counts = np.zeros(len(candidates))
    scores = np.empty((draws, len(candidates)), dtype=np.float32)
    for draw in range(draws):
        scores[draw] = recipe.summarise(_drawn(small, generator))
        counts[np.argsort(-scores[draw], kind="stable")[:k]] += 1
    inclusion, low, high = np.zeros(len(base)), np.full(len(base), np.nan), np.full(len(base), np.nan)
    inclusion[candidates] = counts / draws
    low[candidates], high[candidates] = np.percentile(scores, [2.5, 97.5], axis=0)
    return Resampled(inclusion, low, high)


def _drawn(evidence: Evidence, generator: np.random.Generator) -> Evidence:
    """Languages with replacement (a language drawn twice counts as two), then queries within each."""
    languages = np.array(evidence.languages)
    rows: list[np.ndarray] = []
    names: list[str] = []
    for place, code in enumerate(generator.choice(languages, size=len(languages))):
        here = np.flatnonzero(evidence.language == code)
        drawn = generator.choice(here, size=len(here))
        rows.append(drawn)
        names += [f"{code}/{place}"] * len(drawn)
    chosen = np.concatenate(rows)
    taken = evidence.take(chosen)
    return Evidence(taken.values, np.array(names), taken.known, taken.probability, weight=taken.weight)


def top_overlap(first: np.ndarray, second: np.ndarray, k: int) -> float:
    """The share of neurons that two score vectors' first k have in common, less what chance gives, scaled to at most 1.

    >>> top_overlap(np.array([3.0, 2.0, 1.0, 0.0]), np.array([3.0, 2.0, 0.0, 1.0]), 2)
    1.0
    """
    best = [set(np.argsort(-scores, kind="stable")[:k].tolist()) for scores in (first, second)]
    chance = k / len(first)
    return float((len(best[0] & best[1]) / k - chance) / (1 - chance))


def localizability(recipe: Recipe, ready: Evidence, *, k: int, splits: int, seed: int) -> float:
    """The chance-corrected overlap of the first k from two halves of each language's phrasings; the mean of several splits.

    NaN when no language has two queries.
    """
    generator = np.random.default_rng(seed)
    overlaps = []
    for _ in range(splits):
        half = np.zeros(len(ready.language), dtype=np.int64)
        for code in ready.languages:
            here = generator.permutation(np.flatnonzero(ready.language == code))
            start = int(generator.integers(2)) if len(here) % 2 else 0
            half[here] = (np.arange(len(here)) + start) % 2 + 1
            if len(here) < 2:
                half[here] = 0
        if not (half == 1).any():
            return float("nan")
        first, second = (recipe.summarise(ready.take(half == side)) for side in (1, 2))
        overlaps.append(top_overlap(first, second, k))
    return float(np.mean(overlaps))


@dataclass(frozen=True, slots=True)
class Variance:
    """Components of `A = θ + language + phrasing`, averaged over neurons: of θ between neurons, of languages, of phrasings."""

    neuron: float
    language: float
    phrasing: float

    def reliability(self, languages: int, phrasings: int) -> float:
        """The share of variance that is the neurons' own when so many languages and phrasings are averaged."""
        noise = self.language / languages + self.phrasing / (languages * phrasings)
        return self.neuron / (self.neuron + noise) if self.neuron + noise > 0 else float("nan")


def variance_components(ready: Evidence) -> Variance:
    """Method-of-moments components from prepared evidence; needs two languages with two queries each, else NaN."""
    groups = [ready.values[ready.language == code] for code in ready.languages]
    groups = [group for group in groups if len(group) >= 2]
    if len(groups) < 2:
        return Variance(float("nan"), float("nan"), float("nan"))
    within = np.mean([group.var(axis=0, ddof=1) for group in groups], axis=0)  # (neurons,)
    means = np.stack([group.mean(axis=0) for group in groups])  # (languages, neurons)
    per_language = float(np.mean([1 / len(group) for group in groups]))
    between = np.maximum(means.var(axis=0, ddof=1) - within * per_language, 0.0)
    noise = between / len(groups) + within * per_language / len(groups)
    neuron = max(float(means.mean(axis=0).var(ddof=1) - noise.mean()), 0.0)
    return Variance(neuron, float(between.mean()), float(within.mean()))


def reliability_table(variance: Variance, languages: tuple[int, ...], phrasings: tuple[int, ...]) -> list[dict[str, float]]:
    """How reliable an average is for each number of languages and of phrasings a language: how many are needed."""
    return [
        {"languages": many, "phrasings": each, "reliability": variance.reliability(many, each)} for many in languages for each in phrasings
    ]
