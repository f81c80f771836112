"""MATRICE: from many attributions of one fact to the neurons that serve it in every language, with their uncertainty (METHODS 3).

`s_jl = m_jl - λ_q u_jl` in language l, m the mean over phrasings and u its standard error; score_j is the power mean of s_jl
over languages. A rival takes the mean less standard errors over languages (METHODS 3.4); docs/decisions/0013 says why. Only
the abstract of arXiv 2411.17401 is open: these are our own definitions. numpy only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rml_lama.eval.evidence import Evidence
from rml_lama.languages import LANGUAGES

__all__ = ["LanguageLevel", "agnostic_score", "language_level", "penalised_score", "scores_from_sums"]

_PRIOR_QUERIES = 4.0  # as many queries' worth of pooled variance is added to each neuron's own


@dataclass(frozen=True, slots=True)
class LanguageLevel:
    """Mean and standard error of each neuron in each kept language, (languages, neurons); `queries` (languages,) effective."""

    languages: tuple[str, ...]
    mean: np.ndarray
    error: np.ndarray
    queries: np.ndarray

    def lower(self, penalty: float) -> np.ndarray:
        """s_jl, (languages, neurons)."""
        lower: np.ndarray = self.mean - penalty * self.error
        return lower


def language_level(evidence: Evidence) -> LanguageLevel:
    """Means and standard errors over the queries of each language, from prepared evidence.

    The variance is shrunken towards the mean variance of all neurons in that language, by 4 queries' worth, so that two
    phrasings that happen to agree do not look certain; a language with one query has the pooled variance of the others.
    """
    languages = evidence.languages
    weights = np.zeros((len(languages), len(evidence.language)))
    weight = np.ones(len(evidence.language)) if evidence.weight is None else evidence.weight
    for row, code in enumerate(languages):
        here = evidence.language == code
        weights[row, here] = weight[here]
    sums = weights @ evidence.values  # (languages, neurons)
    squares = weights @ evidence.values**2
    return scores_from_sums(tuple(languages), sums, squares, weights)


def scores_from_sums(languages: tuple[str, ...], sums: np.ndarray, squares: np.ndarray, weights: np.ndarray) -> LanguageLevel:
    """The language level from running sums of `w x` and `w x²`, (languages, neurons), and the weights (languages, queries)."""
    total = weights.sum(axis=1)[:, None]  # (languages, 1)
    effective = total[:, 0] ** 2 / (weights**2).sum(axis=1)  # (languages,)
    mean = sums / total
    spread = np.maximum(squares / total - mean**2, 0.0)  # population variance
    several = effective > 1
    variance = np.zeros_like(mean)
    variance[several] = spread[several] * (effective / np.maximum(effective - 1, 1e-9))[several, None]
    pooled = np.where(several, variance.mean(axis=1), np.nan)
    fallback = float(np.nanmean(pooled)) if several.any() else float(np.mean(mean**2))
    pooled = np.where(np.isnan(pooled), fallback, pooled)[:, None]
    degrees = np.maximum(effective - 1, 0.0)[:, None]
    shrunken = (degrees * variance + _PRIOR_QUERIES * pooled) / (degrees + _PRIOR_QUERIES)
    return LanguageLevel(languages, mean, np.sqrt(shrunken / effective[:, None]), effective)


def agnostic_score(
    level: LanguageLevel, *, query_penalty: float = 1.0, exponent: float = 0.25, family_balanced: bool = False
) -> np.ndarray:
    """score_j for every neuron, (neurons,): the power mean over languages of s_jl, below zero taken as zero.

    The smaller the exponent, the less one strong language can stand for many (1: the arithmetic mean; towards 0: the geometric
    one). A neuron that is above zero in no language has its plain mean. Balanced, each family has the same weight.

    >>> level = LanguageLevel(("en", "ja"), np.array([[1.0, 2.0], [1.0, 0.0]]), np.zeros((2, 2)), np.ones(2))
    >>> agnostic_score(level, exponent=0.5).round(3).tolist()
    [1.0, 0.5]
    """
    lower = level.lower(query_penalty)  # (languages, neurons)
    weights = _language_weights(level.languages, family_balanced=family_balanced)
    score: np.ndarray = (weights @ np.maximum(lower, 0.0) ** exponent) ** (1 / exponent)
    return np.where(score > 0, score, weights @ lower)


def penalised_score(
    level: LanguageLevel, *, query_penalty: float = 1.5, language_penalty: float = 1.5, family_balanced: bool = False
) -> np.ndarray:
    """`S_j - λ_l v_j` for every neuron, (neurons,): S_j = mean_l s_jl less so many of its standard errors over languages v_j.

    >>> level = LanguageLevel(("en", "ja"), np.array([[1.0, 2.0], [1.0, 0.0]]), np.zeros((2, 2)), np.ones(2))
    >>> penalised_score(level, language_penalty=1.0).tolist()
    [1.0, 0.0]
    """
    lower = level.lower(query_penalty)  # (languages, neurons)
    weights = _language_weights(level.languages, family_balanced=family_balanced)
    center: np.ndarray = weights @ lower
    if len(lower) < 2:
        return center
    variance = weights @ (lower - center) ** 2 * len(lower) / (len(lower) - 1)
    score: np.ndarray = center - language_penalty * np.sqrt(variance * (weights**2).sum())
    return score


def _language_weights(languages: tuple[str, ...], *, family_balanced: bool) -> np.ndarray:
    """The weight of each language, (languages,), sum 1: equal, or equal for each family and within it for each language."""
    if not family_balanced:
        return np.full(len(languages), 1 / len(languages))
    families = [LANGUAGES[code].family if code in LANGUAGES else code for code in languages]
    counts = {family: families.count(family) for family in families}
    return np.array([1 / (len(counts) * counts[family]) for family in families])
