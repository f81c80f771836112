"""Localize one fact: attributions of its queries, a score for each neuron, how sure that is, and in which languages it holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rml_lama.config import LocalizeConfig
from rml_lama.errors import ConfigError
from rml_lama.eval.attribute import Attributed, attribute, layer_offsets
from rml_lama.eval.causal import transfer
from rml_lama.eval.choose import choose
from rml_lama.eval.engine import Engine
from rml_lama.eval.evidence import Evidence, background_of, normalised
from rml_lama.eval.localization import classify
from rml_lama.eval.matrice import language_level
from rml_lama.eval.models import LoadedModel
from rml_lama.eval.rivals import PRESETS, Recipe, matched_random, preset
from rml_lama.eval.uncertainty import localizability, resample, variance_components
from rml_lama.languages import LANGUAGES
from rml_lama.records import Query

__all__ = ["Background", "background_from", "changed_choices", "evidence_of", "locate_fact", "recipe_of", "support"]

_SUPPORT_SHARE = 0.005  # of a language's neurons: the first half percent
_WORDS = 10  # neurons whose words are looked up
_CHOICES = ("gate", "normalise", "contrast", "contrast_part", "query_penalty", "exponent", "family_balanced")
_USED_BY = {"exponent": ("matrice",), "family_balanced": ("matrice", "matrice-se")}  # the others serve every method


@dataclass(frozen=True, slots=True)
class Background:
    """Attributions of unrelated facts in one language, normalised, (facts, neurons), with their relations and answers."""

    values: np.ndarray
    relations: tuple[str, ...]
    answers: tuple[str, ...]


def recipe_of(config: LocalizeConfig) -> Recipe:
    """The method of a config, with its choices changed. `random-matched` first finds what `matrice` does.

    Raises `ConfigError` for an unknown method, and for a choice that the method has no use for.
    """
    recipe = PRESETS["matrice"] if config.method == "random-matched" else preset(config.method)
    changed = changed_choices(config)
    for name, methods in _USED_BY.items():
        if name in changed and recipe.summary not in methods:
            raise ConfigError(f"{config.method} has no use for {name}; leave it out, or take a method that has: {', '.join(methods)}")
    recipe = replace(recipe, **changed)
    if "contrast_part" in changed and not recipe.contrast:
        raise ConfigError(f"{config.method} subtracts no background, so contrast_part says nothing; leave it out, or set contrast above 0")
    return recipe


def changed_choices(config: LocalizeConfig) -> dict[str, Any]:
    """Those choices of the method that a config changes, by name."""
    values = {name: getattr(config, name) for name in _CHOICES}
    return {name: value for name, value in values.items() if value is not None}


def evidence_of(
    attributed: Sequence[Attributed], known: Mapping[str, bool], backgrounds: Mapping[str, Background], recipe: Recipe
) -> Evidence:
    """The certified queries of one fact, with the contrast that fits it; `known` is by query id."""
    good = [one for one in attributed if one.certified]
    background = {}
    for one in good:
        query = one.query
        if query.language not in background and query.language in backgrounds:
            found = backgrounds[query.language]
            background[query.language] = background_of(found.values, found.relations, found.answers, query.relation, query.answer)
    size = len(attributed[0].values) if attributed else 0
    return Evidence(
        np.stack([one.values for one in good]) if good else np.zeros((0, size), dtype=np.float32),
        np.array([one.query.language for one in good], dtype=object),
        np.array([known[one.query.query_id] for one in good], dtype=bool),
        np.array([one.probability for one in good]),
        activations=np.mean([np.abs(one.activations) for one in good], axis=0) if good else None,
        background=background if background and recipe.contrast else None,
    )


def support(ready: Evidence, penalty: float) -> dict[str, np.ndarray]:
    """For each kept language, whether each neuron is supported: s_jl > 0 and among the first half percent, (neurons,) bool."""
    level = language_level(ready)
    lower = level.lower(penalty)
    count = max(1, round(_SUPPORT_SHARE * lower.shape[1]))
    result = {}
    for code, row in zip(level.languages, lower, strict=True):
        limit = np.partition(row, -count)[-count]
        result[code] = (row > 0) & (row >= limit)
    return result


def locate_fact(
    engine: Engine,
    loaded: LoadedModel,
    queries: Sequence[Query],
    known: Mapping[str, bool],
    backgrounds: Mapping[str, Background],
    *,
    config: LocalizeConfig,
) -> dict[str, Any]:
    """Everything that a run keeps of one fact, as plain JSON values."""
    recipe = recipe_of(config)
    options: dict[str, Any] = {"rule": config.quadrature, "objective": config.objective, "tolerance": config.tolerance}
    attributed = attribute(engine, loaded, queries, source=recipe.source, steps=config.steps, **options)
    result = _counts(queries, attributed, known, is_integral=recipe.source in ("integrated", "replaced"))
    evidence = evidence_of(attributed, known, backgrounds, recipe)
    if recipe.gate == "first" and not evidence.known.any():
        why = "no certified query" if not len(evidence.known) else "the model names the answer in no query"
        return {**result, "status": why, "neurons": [], "details": {}}
    ready = recipe.prepare(evidence)
    scores = recipe.summarise(ready)
    if config.method == "random-matched":
        assert evidence.activations is not None
        best = matched_random(
            np.argsort(-scores, kind="stable")[: config.top], evidence.activations, layer_offsets(engine), seed=config.seed
        )
    else:
        best = choose(recipe, ready, scores, config.select, most=config.top, seed=config.seed)
    variance = variance_components(ready)
    supported = support(ready, recipe.query_penalty)
    details: dict[str, Any] = {"top": _top_by_language(ready, config.top)}
    if config.transfer and len(ready.languages) > 1:
        details["transfer"] = _transfer(engine, loaded, queries, ready, evidence, config)
    return {
        **result,
        "status": "localized",
        "kept_languages": ready.languages,
        "localizability": _finite(localizability(recipe, ready, k=config.top, splits=10, seed=config.seed)),
        "neuron_variance": _finite(variance.neuron),
        "language_variance": _finite(variance.language),
        "phrasing_variance": _finite(variance.phrasing),
        "neurons": _neurons(engine, loaded, recipe, ready, scores, best, supported, config),
        "details": details,
    }


def _counts(queries: Sequence[Query], attributed: Sequence[Attributed], known: Mapping[str, bool], *, is_integral: bool) -> dict[str, Any]:
    first = next((query for query in queries if query.language == "en"), queries[0])
    return {
        "fact_id": first.fact_id,
        "relation": first.relation,
        "subject": first.subject,
        "answer": first.answer,
        "queries": len(queries),
        "certified": sum(one.certified for one in attributed) if is_integral else 0,
        "known": sum(known[query.query_id] for query in queries),
        "nodes": sum(one.nodes for one in attributed),
        "residual": _finite(max(one.residual for one in attributed)),
        "kept_languages": [],
        "localizability": None,
        "neuron_variance": None,
        "language_variance": None,
        "phrasing_variance": None,
    }


def _neurons(
    engine: Engine,
    loaded: LoadedModel,
    recipe: Recipe,
    ready: Evidence,
    scores: np.ndarray,
    best: np.ndarray,
    supported: Mapping[str, np.ndarray],
    config: LocalizeConfig,
) -> list[dict[str, Any]]:
    found = resample(recipe, ready, k=config.top, draws=config.draws, seed=config.seed)
    reproduced = _held_out_top(recipe, ready, config.top)
    agreement = _icc(ready)
    offsets = layer_offsets(engine)
    families = {code: LANGUAGES[code].family for code in ready.languages}
    rows = []
    for place, neuron in enumerate(best.tolist()):
        layer = int(np.searchsorted(offsets, neuron, side="right")) - 1
        languages = [code for code in ready.languages if supported[code][neuron]]
        rows.append(
            {
                "place": place,
                "layer": layer,
                "index": neuron - int(offsets[layer]),
                "score": _finite(scores[neuron]),
                "low": _finite(found.low[neuron]),
                "high": _finite(found.high[neuron]),
                "inclusion": float(found.inclusion[neuron]),
                "support": len(languages) / len(ready.languages),
                "icc": _finite(agreement[neuron]),
                "reproduced": None if reproduced is None else neuron in reproduced,
                "class": classify(languages, ready.languages, families, config.support_share),
                "languages": languages,
                "words": _words(engine, loaded, layer, neuron - int(offsets[layer])) if place < _WORDS else [],
            }
        )
    return rows


def _held_out_top(recipe: Recipe, ready: Evidence, k: int) -> set[int] | None:
    """The first k of the last phrasing of each language alone; None where some language has one phrasing only."""
    last = np.zeros(len(ready.language), dtype=bool)
    for code in ready.languages:
        here = np.flatnonzero(ready.language == code)
        if len(here) < 2:
            return None
        last[here[-1]] = True
    return set(np.argsort(-recipe.summarise(ready.take(last)), kind="stable")[:k].tolist())


def _icc(ready: Evidence) -> np.ndarray:
    """The share of each neuron's variance over queries that lies between languages, (neurons,)."""
    groups = [ready.values[ready.language == code] for code in ready.languages]
    within = np.mean([group.var(axis=0) for group in groups], axis=0)
    between = np.var([group.mean(axis=0) for group in groups], axis=0)
    share: np.ndarray = between / np.maximum(between + within, 1e-30)
    return share


def _top_by_language(ready: Evidence, k: int) -> dict[str, list[int]]:
    level = language_level(ready)
    return {code: np.argsort(-row, kind="stable")[:k].tolist() for code, row in zip(level.languages, level.mean, strict=True)}


def _transfer(
    engine: Engine, loaded: LoadedModel, queries: Sequence[Query], ready: Evidence, evidence: Evidence, config: LocalizeConfig
) -> list[list[Any]]:
    """Suppress each language's own neurons; the effect in every language, less that of matched random neurons."""
    top = {code: tuple(numbers) for code, numbers in _top_by_language(ready, config.top).items()}
    assert evidence.activations is not None
    offsets = layer_offsets(engine)
    controls = {
        code: tuple(matched_random(np.array(numbers), evidence.activations, offsets, seed=config.seed).tolist())
        for code, numbers in top.items()
    }
    one_each = {query.language: query for query in reversed(queries) if query.language in top}
    found = transfer(engine, loaded, list(one_each.values()), top, controls)
    return [[source, target, round(value, 6)] for (source, target), value in sorted(found.items())]


def _words(engine: Engine, loaded: LoadedModel, layer: int, index: int) -> list[str]:
    """The words that a neuron's value vector points at most."""
    column = engine.sites[layer].weight[:, index].to(engine.dtype)
    best = engine.head.logits(column[None], slice(None))[0].topk(5).indices.tolist()
    return [loaded.tokenizer.decode([token]).strip() or repr(loaded.tokenizer.decode([token])) for token in best]


def _finite(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None


def background_from(attributed: Sequence[Attributed], recipe: Recipe) -> Background:
    """The background of one language from attributions of its unrelated queries; what is not certified is left out."""
    good = [one for one in attributed if one.certified]
    values = normalised(np.stack([one.values for one in good]), recipe.normalise) if good else np.zeros((0, 0), dtype=np.float32)
    return Background(values.astype(np.float32), tuple(one.query.relation for one in good), tuple(one.query.answer for one in good))
