"""How much the answers hang on the phrasing and on the language: consistency, best and worst phrasing, uncertainty, agreement."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from rml_lama.eval.agreement import jaccard, rank_consistency
from rml_lama.eval.bootstrap import Estimate, FactBootstrap, nan_mean
from rml_lama.eval.formulas import FORMULAS
from rml_lama.eval.frame import Frame, Group
from rml_lama.eval.phrasing import consistency, split_uncertainty
from rml_lama.eval.sums import Scores

__all__ = ["Agreement", "Phrasing", "language_agreement", "phrasing_spread"]

_OF_A_GROUP = ("consistency", "all right", "any right", "uncertainty", "disagreement", "unsure")
Matrix = tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class Phrasing:
    """What the phrasings of a fact do, in all languages and by language; `templates` is P@1 of each phrasing."""

    overall: Scores
    languages: Mapping[str, Scores]
    templates: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Agreement:
    """Languages against each other: `matrices` (languages, languages) by name, and their means over pairs.

    `overall` also holds how the answers to one fact differ between languages, `mean_q p_q` of each in the place of phrasings.
    """

    languages: tuple[str, ...]
    matrices: Mapping[str, Matrix]
    overall: Scores


def phrasing_spread(frame: Frame, bootstrap: FactBootstrap) -> Phrasing:
    """Macro means, as for the scores, of what each fact's phrasings do in each language."""
    groups = list(frame.groups())
    fact = np.array([group.fact for group in groups])
    language = np.array([group.language for group in groups])
    values: dict[str, list[float]] = {
        name: [] for name in ("consistency", "all right", "any right", "uncertainty", "disagreement", "unsure")
    }
    right = frame.right
    for group in groups:
        split = split_uncertainty(group.shares)
        values["consistency"].append(consistency(group.shares.argmax(axis=1)))
        values["all right"].append(right[group.queries].min())
        values["any right"].append(right[group.queries].max())
        values["uncertainty"].append(split.total)
        values["disagreement"].append(split.disagreement)
        values["unsure"].append(split.unsure)
    count = len(frame.languages)
    draws = {name: bootstrap.macro(np.array(column), fact, language, count) for name, column in values.items()}
    templates = _template_scores(frame, right)
    for name, chosen in _extreme_templates(frame, templates).items():
        mask = np.isin(frame.columns["template_id"].astype(str), chosen)
        draws[name] = bootstrap.macro(right[mask], frame.fact[mask], frame.language[mask], count)

    def over(members: list[int]) -> Scores:
        facts = fact[np.isin(language, members)]
        return {name: bootstrap.estimate(nan_mean(draw[:, members]), facts, bounded=FORMULAS[name].bounded) for name, draw in draws.items()}

    return Phrasing(over(list(range(count))), {code: over([place]) for place, code in enumerate(frame.languages)}, templates)


def _template_scores(frame: Frame, right: np.ndarray) -> dict[str, float]:
    names, which = np.unique(frame.columns["template_id"].astype(str), return_inverse=True)
    means = np.bincount(which, right) / np.bincount(which)
    return dict(zip(names.tolist(), means.tolist(), strict=True))


def _extreme_templates(frame: Frame, scores: Mapping[str, float]) -> dict[str, list[str]]:
    """The phrasing of each relation and language that scores best, and the one that scores worst (the first of equals)."""
    cells: dict[tuple[str, str], list[str]] = {}
    seen = dict.fromkeys(zip(frame.columns["relation"], frame.columns["language"], frame.columns["template_id"], strict=True))
    for relation, code, template in seen:
        cells.setdefault((relation, code), []).append(str(template))
    best = [max(sorted(names), key=lambda name: scores[name]) for names in cells.values()]
    worst = [min(sorted(names), key=lambda name: scores[name]) for names in cells.values()]
    return {"best phrasing": best, "worst phrasing": worst}


def language_agreement(frame: Frame, bootstrap: FactBootstrap) -> Agreement | None:
    """How alike languages rank and know the facts that they share; None with a single language.

    Per fact and language the ranking is that of `mean_q p_q`, over the candidates that all of the fact's languages have.
    """
    count = len(frame.languages)
    pairs = list(itertools.combinations(range(count), 2))
    if not pairs:
        return None
    column = {pair: place for place, pair in enumerate(pairs)}
    values: dict[str, list[float]] = {name: [] for name in ("RankC", "RankC linear", "same answer")}
    spread: dict[str, list[float]] = {name: [] for name in ("uncertainty", "disagreement", "unsure")}
    fact: list[int] = []
    place: list[int] = []
    facts: list[int] = []
    for number, groups in itertools.groupby(frame.groups(), key=lambda group: group.fact):
        codes, shares = _aligned(list(groups))
        if len(codes) < 2 or not shares.shape[1]:
            continue
        found = {"RankC": rank_consistency(shares), "RankC linear": rank_consistency(shares, "linear")}
        top = shares.argmax(axis=1)
        found["same answer"] = (top[:, None] == top[None, :]).astype(float)
        first, second = np.triu_indices(len(codes), 1)
        fact += [number] * len(first)
        place += [column[codes[a], codes[b]] for a, b in zip(first, second, strict=True)]
        for name, matrix in found.items():
            values[name] += matrix[first, second].tolist()
        split = split_uncertainty(shares / shares.sum(axis=1, keepdims=True))
        facts.append(number)
        for name, value in zip(spread, (split.total, split.disagreement, split.unsure), strict=True):
            spread[name].append(value)
    fact_of, place_of, alone = np.array(fact, dtype=int), np.array(place, dtype=int), np.array(facts, dtype=int)
    draws = {name: bootstrap.macro(np.array(column), fact_of, place_of, len(pairs)) for name, column in values.items()}
    matrices = {name: _square(draw[0], pairs, count) for name, draw in draws.items()}
    overall = {name: bootstrap.estimate(nan_mean(draw), fact_of) for name, draw in draws.items()}
    for name, one in spread.items():
        draw = bootstrap.macro(np.array(one), alone, np.zeros(len(alone), dtype=int), 1)
        overall[name] = bootstrap.estimate(draw[:, 0], alone, bounded=False)
    matrices["Jaccard"], overall["Jaccard"] = _jaccard(frame, bootstrap, pairs)
    return Agreement(tuple(frame.languages), matrices, overall)


def _aligned(groups: list[Group]) -> tuple[list[int], np.ndarray]:
    """The languages of a fact and `mean_q p_q` in each, (languages, candidates), over the candidates that all of them have."""
    common = groups[0].objects
    for group in groups[1:]:
        common = np.intersect1d(common, group.objects)
    common = np.unique(common)
    lines = []
    for group in groups:
        order = np.argsort(group.objects)
        lines.append(group.shares.mean(axis=0)[order[np.searchsorted(group.objects[order], common)]])
    return [group.language for group in groups], np.stack(lines)


def _jaccard(frame: Frame, bootstrap: FactBootstrap, pairs: list[tuple[int, int]]) -> tuple[Matrix, Estimate]:
    """Of the facts asked in both languages; right means right under more than half of the phrasings."""
    shape = (len(frame.facts), len(frame.languages))
    right = np.zeros(shape, dtype=bool)
    asked = np.zeros(shape, dtype=bool)
    for group in frame.groups():
        asked[group.fact, group.language] = True
        right[group.fact, group.language] = frame.right[group.queries].mean() > 0.5
    matrix = np.eye(shape[1])
    draws = np.full((len(bootstrap.weights), len(pairs)), np.nan)
    for place, (a, b) in enumerate(pairs):
        both = asked[:, a] & asked[:, b]
        matrix[a, b] = matrix[b, a] = jaccard(right[both][:, [a, b]])[0, 1]
        top = bootstrap.weights @ (right[:, a] & right[:, b] & both).astype(float)
        bottom = bootstrap.weights @ ((right[:, a] | right[:, b]) & both).astype(float)
        draws[:, place] = np.divide(top, bottom, out=np.full(len(top), np.nan), where=bottom > 0)
    square = tuple(tuple(float(value) for value in line) for line in matrix)
    return square, bootstrap.estimate(nan_mean(draws), np.flatnonzero(asked.sum(axis=1) > 1))


def _square(values: np.ndarray, pairs: list[tuple[int, int]], count: int) -> Matrix:
    matrix = np.eye(count)
    for value, (a, b) in zip(values, pairs, strict=True):
        matrix[a, b] = matrix[b, a] = value
    return tuple(tuple(float(value) for value in line) for line in matrix)
