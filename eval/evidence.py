"""What is known of one fact: an attribution vector for each query, with its language and phrasing; and the background.

Gate, normalisation and contrast (METHODS 3, steps 0 to 2) turn raw attributions into comparable ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

__all__ = ["ContrastPart", "Evidence", "Gate", "Normalise", "background_of", "normalised", "prepared"]

Gate = Literal["first", "probability", "none"]
Normalise = Literal["max", "l2", "rank", "none"]
ContrastPart = Literal["all", "positive"]


@dataclass(frozen=True, slots=True)
class Evidence:
    """The queries of one fact. `values` (queries, neurons); everything else (queries,) but `background`.

    `known` says whether the model ranks the gold answer first, `weight` how much a query counts. `background`
    (languages in `languages`' order, neurons) is the mean normalised attribution of unrelated facts, if there is one.
    """

    values: np.ndarray
    language: np.ndarray  # (queries,) str
    known: np.ndarray  # (queries,) bool
    probability: np.ndarray  # (queries,)
    activations: np.ndarray | None = None  # (neurons,) mean size of each neuron's activation
    background: dict[str, np.ndarray] | None = None  # by language, (neurons,)
    weight: np.ndarray | None = None

    @property
    def languages(self) -> list[str]:
        """The languages that have a query left, in order of appearance."""
        return list(dict.fromkeys(self.language.tolist()))

    def take(self, chosen: np.ndarray) -> Evidence:
        """The evidence of some queries: numbers or a boolean mask."""
        weight = None if self.weight is None else self.weight[chosen]
        return replace(
            self,
            values=self.values[chosen],
            language=self.language[chosen],
            known=self.known[chosen],
            probability=self.probability[chosen],
            weight=weight,
        )


def normalised(values: np.ndarray, how: Normalise) -> np.ndarray:
    """Each query's vector on a common scale; (queries, neurons) -> the same.

    `max` divides by the largest, `l2` by the length, `rank` gives signed ranks in (0, 1]: raw attributions scale with
    P(answer), so that one confident query would drown the others.

    >>> normalised(np.array([[1.0, -4.0, 2.0]]), "max").tolist()
    [[0.25, -1.0, 0.5]]
    """
    if how == "none":
        return values
    if how == "rank":
        order = np.abs(values).argsort(axis=-1).argsort(axis=-1)
        ranks: np.ndarray = np.sign(values) * (order + 1) / values.shape[-1]
        return ranks
    size = np.abs(values).max(axis=-1, keepdims=True) if how == "max" else np.linalg.norm(values, axis=-1, keepdims=True)
    scaled: np.ndarray = values / np.where(size > 0, size, 1.0)
    return scaled


def prepared(
    evidence: Evidence,
    *,
    gate: Gate = "first",
    normalise: Normalise = "max",
    contrast: float = 1.0,
    contrast_part: ContrastPart = "all",
) -> Evidence:
    """Gate, normalise and subtract so much of the background. A language without a query that is known is left out; it is never a zero.

    With `contrast_part="positive"` a neuron that works against unrelated facts gains nothing by it.
    """
    weight = np.ones(len(evidence.language))
    if gate == "first":
        evidence = evidence.take(evidence.known)
        weight = weight[: len(evidence.language)]
    elif gate == "probability":
        weight = _mean_one(evidence.probability, evidence.language)
    values = normalised(evidence.values, normalise)
    if contrast and evidence.background is not None and len(values):
        background = np.stack([evidence.background[code] for code in evidence.language])
        values = values - contrast * (np.maximum(background, 0.0) if contrast_part == "positive" else background)
    return replace(evidence, values=values, weight=weight)


def _mean_one(probability: np.ndarray, language: np.ndarray) -> np.ndarray:
    """Weights proportional to the probability, with mean 1 in each language."""
    weight = np.zeros(len(language))
    for code in set(language.tolist()):
        here = language == code
        mean = probability[here].mean()
        weight[here] = probability[here] / mean if mean > 0 else 1.0
    return weight


def background_of(values: np.ndarray, relations: Sequence[str], objects: Sequence[str], relation: str, answer: str) -> np.ndarray:
    """The mean over background queries of another relation and another object, (queries, neurons) -> (neurons,)."""
    other = np.array([r != relation and o != answer for r, o in zip(relations, objects, strict=True)])
    mean: np.ndarray = values[other].mean(axis=0) if other.any() else np.zeros(values.shape[1], dtype=values.dtype)
    return mean
