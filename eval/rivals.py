"""MATRICE and its rivals as recipes behind one contract: evidence of a fact in, a score for each neuron out (METHODS 3).

A recipe says which attribution, gate, normalisation and contrast it takes, and how it sums up. Higher is better; the
first k are the localization. The rivals are our own writing of published criteria (docs/matrice.md).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal, Protocol

import numpy as np

from rml_lama.errors import ConfigError
from rml_lama.eval.attribute import Source
from rml_lama.eval.evidence import ContrastPart, Evidence, Gate, Normalise, prepared
from rml_lama.eval.matrice import agnostic_score, language_level, penalised_score

__all__ = ["PRESETS", "Localizer", "Recipe", "matched_random", "preset"]

Summary = Literal["matrice", "matrice-se", "matrice-sd", "mean", "random-effects", "shared-prompts", "shared-languages", "random"]


class Localizer(Protocol):
    """What every method is: a name, the attribution it asks for, and scores from evidence."""

    name: str
    source: Source

    def score(self, evidence: Evidence) -> np.ndarray:
        """A score for each neuron, (neurons,), from the raw evidence of one fact."""
        ...


@dataclass(frozen=True, slots=True)
class Recipe:
    """A method as a list of choices; `threshold` and `share` are t and the share of prompts or languages of set criteria."""

    name: str
    summary: Summary
    source: Source = "integrated"
    gate: Gate = "first"
    normalise: Normalise = "max"
    contrast: float = 1.0  # how much of the background is subtracted
    contrast_part: ContrastPart = "all"
    query_penalty: float = 1.0  # standard errors over phrasings
    exponent: float = 0.25  # of the power mean over languages
    language_penalty: float = 1.5  # of `matrice-se`: standard errors over languages
    family_balanced: bool = False
    threshold: float = 0.2
    share: float = 0.7
    seed: int = 0

    def prepare(self, evidence: Evidence) -> Evidence:
        """Gate, normalise and contrast as this recipe does; all queries where the gate would leave none."""
        ready = partial(prepared, evidence, normalise=self.normalise, contrast=self.contrast, contrast_part=self.contrast_part)
        found = ready(gate=self.gate)
        return found if len(found.language) else ready(gate="none")

    def score(self, evidence: Evidence) -> np.ndarray:
        return self.summarise(self.prepare(evidence))

    def summarise(self, ready: Evidence) -> np.ndarray:
        """Scores from prepared evidence, (neurons,)."""
        return _SUMMARIES[self.summary](self, ready)


def _matrice(recipe: Recipe, ready: Evidence) -> np.ndarray:
    return agnostic_score(
        language_level(ready), query_penalty=recipe.query_penalty, exponent=recipe.exponent, family_balanced=recipe.family_balanced
    )


def _matrice_se(recipe: Recipe, ready: Evidence) -> np.ndarray:
    return penalised_score(
        language_level(ready),
        query_penalty=recipe.query_penalty,
        language_penalty=recipe.language_penalty,
        family_balanced=recipe.family_balanced,
    )


def _matrice_sd(recipe: Recipe, ready: Evidence) -> np.ndarray:
    """Mean less half a standard deviation, over phrasings and then over languages."""
    parts = []
    for code in ready.languages:
        here = ready.values[ready.language == code]  # (queries of the language, neurons)
        parts.append(here.mean(axis=0) - 0.5 * here.std(axis=0))
    lower = np.stack(parts)
    score: np.ndarray = lower.mean(axis=0) - 0.5 * lower.std(axis=0)
    return score


def _mean(recipe: Recipe, ready: Evidence) -> np.ndarray:
    mean: np.ndarray = language_level(ready).mean.mean(axis=0)
    return mean


def _random_effects(recipe: Recipe, ready: Evidence) -> np.ndarray:
    """A moderated z: the random-effects mean over languages by its standard error (DerSimonian and Laird 1986).

    The variance between languages is shrunken towards its mean over neurons, as much as two languages' worth.
    """
    level = language_level(ready)
    within = level.error**2  # (languages, neurons)
    count = len(within)
    weight = 1 / np.maximum(within, 1e-30)
    fixed = (weight * level.mean).sum(axis=0) / weight.sum(axis=0)
    heterogeneity = (weight * (level.mean - fixed) ** 2).sum(axis=0)
    scale = weight.sum(axis=0) - (weight**2).sum(axis=0) / weight.sum(axis=0)
    between = np.maximum((heterogeneity - (count - 1)) / np.maximum(scale, 1e-30), 0.0)
    between = ((count - 1) * between + 2 * between.mean()) / (count + 1)
    weight = 1 / (within + between + 1e-30)
    score: np.ndarray = (weight * level.mean).sum(axis=0) / np.sqrt(weight.sum(axis=0))
    return score


def _shared_prompts(recipe: Recipe, ready: Evidence) -> np.ndarray:
    """Dai et al. (2022): in how many prompts a neuron passes t of the prompt's largest; those in at least `share` come first."""
    passed = ready.values > recipe.threshold * ready.values.max(axis=1, keepdims=True)
    share = passed.mean(axis=0)
    mean = ready.values.mean(axis=0)
    score: np.ndarray = np.where(share >= recipe.share, 2.0, 0.0) + share + 0.5 * _unit(mean) / len(passed)
    return score


def _shared_languages(recipe: Recipe, ready: Evidence) -> np.ndarray:
    """Chen et al. (2024): in how many languages a neuron passes t of the language's largest mean; all of them come first."""
    means = np.stack([ready.values[ready.language == code].mean(axis=0) for code in ready.languages])
    passed = means > recipe.threshold * means.max(axis=1, keepdims=True)
    score: np.ndarray = passed.mean(axis=0) + 0.5 * _unit(means.mean(axis=0)) / len(means)
    return score


def _random(recipe: Recipe, ready: Evidence) -> np.ndarray:
    score: np.ndarray = np.random.default_rng(recipe.seed).random(size=(ready.values.shape[1],))
    return score


def _unit(values: np.ndarray) -> np.ndarray:
    """Scaled into [-1, 1], to break ties only."""
    scaled: np.ndarray = values / max(float(np.abs(values).max()), 1e-30)
    return scaled


_SUMMARIES: Mapping[str, Callable[[Recipe, Evidence], np.ndarray]] = {
    "matrice": _matrice,
    "matrice-se": _matrice_se,
    "matrice-sd": _matrice_sd,
    "mean": _mean,
    "random-effects": _random_effects,
    "shared-prompts": _shared_prompts,
    "shared-languages": _shared_languages,
    "random": _random,
}

PRESETS: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        Recipe("matrice", "matrice"),
        Recipe("matrice-se", "matrice-se", query_penalty=1.5),
        Recipe("matrice-sd", "matrice-sd"),
        Recipe("random-effects", "random-effects"),
        Recipe("mean-contrast", "mean"),
        Recipe("dai2022", "shared-prompts", gate="none", normalise="none", contrast=0.0),
        Recipe("amig", "shared-languages", source="replaced", gate="none", normalise="none", contrast=0.0),
        Recipe("neurgrad", "mean", source="gradient", contrast=0.0),
        Recipe("activation", "mean", source="activation", contrast=0.0),
        Recipe("random", "random", contrast=0.0),
    )
}


def preset(name: str) -> Recipe:
    """The recipe of a name. Raises `ConfigError` for another one."""
    try:
        return PRESETS[name]
    except KeyError:
        raise ConfigError(f"unknown method {name!r}; known: {', '.join([*PRESETS, 'random-matched'])}") from None


def matched_random(chosen: np.ndarray, activations: np.ndarray, offsets: np.ndarray, *, seed: int) -> np.ndarray:
    """For each chosen neuron another one of the same layer and like activation size: the method `random-matched`.

    `chosen` (k,) are flat numbers, `activations` (neurons,), `offsets` (layers + 1,) where layers begin. Each is drawn
    from the 20 nearest in size that are not chosen themselves.
    """
    generator = np.random.default_rng(seed)
    taken = set(chosen.tolist())
    result = []
    for neuron in chosen.tolist():
        layer = int(np.searchsorted(offsets, neuron, side="right")) - 1
        peers = np.arange(offsets[layer], offsets[layer + 1])
        free = np.array([peer for peer in peers.tolist() if peer not in taken])
        nearest = free[np.argsort(np.abs(np.abs(activations[free]) - abs(activations[neuron])), kind="stable")[:20]]
        pick = int(generator.choice(nearest))
        taken.add(pick)
        result.append(pick)
    return np.array(result, dtype=np.int64)
