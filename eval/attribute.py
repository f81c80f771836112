"""Attributions of many queries, in batches of like length: one vector over all FFN neurons for each query.

`integrated` is the certified integral from zero, `replaced` the integral from the activations of a neutral prompt (as
AMIG's path), `gradient` the gradient at the activations, `activation` the activations themselves.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch

from rml_lama.eval.engine import Engine
from rml_lama.eval.gradients import Attribution, Objective, integrate
from rml_lama.eval.models import LoadedModel
from rml_lama.eval.steps import Steps, neutral_unit, units_of
from rml_lama.eval.unit import Unit
from rml_lama.records import Query

__all__ = ["Attributed", "Source", "attribute", "layer_offsets"]

Source = Literal["integrated", "replaced", "gradient", "activation"]
_BATCH = 4  # units opened together


@dataclass(frozen=True, slots=True)
class Attributed:
    """One query: attributions and activations (neurons of all layers,), float32, and how far the integral can be trusted.

    `probability` is P(answer), the product over its tokens. `residual` is the largest of any layer as a share of what it may be
    (1 is the limit; NaN, and certified, where nothing was integrated); `effect` the largest |F(a) - F(b)| of a layer; `nodes`
    the gradients that were taken.
    """

    query: Query
    values: np.ndarray
    activations: np.ndarray
    probability: float
    certified: bool
    residual: float
    effect: float
    nodes: int


def layer_offsets(engine: Engine) -> np.ndarray:
    """Where each layer's neurons begin among those of all layers, (layers + 1,)."""
    return np.cumsum([0, *(site.neurons for site in engine.sites)])


def attribute(
    engine: Engine,
    loaded: LoadedModel,
    queries: Sequence[Query],
    *,
    source: Source = "integrated",
    steps: Steps = "stepwise",
    batch: int = _BATCH,
    **options: Any,
) -> list[Attributed]:
    """Attributions of queries, in their order; `options` go to `integrate` (rule, objective, tolerance, floor, doublings)."""
    wanted = [(number, unit) for number, query in enumerate(queries) for unit in units_of(loaded, query, steps=steps)]
    parts: list[list[tuple[Attribution, np.ndarray]]] = [[] for _ in queries]
    for group in _groups(wanted, batch):
        units = [unit for _, unit in group]
        for (number, _), found in zip(group, _attribute_units(engine, loaded, units, source, options), strict=True):
            parts[number].append(found)
    tolerance, floor = options.get("tolerance", 0.01), options.get("floor", 0.01)
    joined = [_joined(query, part, tolerance, floor) for query, part in zip(queries, parts, strict=True)]
    is_integral = source in ("integrated", "replaced")
    return joined if is_integral else [replace(one, certified=True, residual=float("nan")) for one in joined]


def _groups(wanted: Sequence[tuple[int, Unit]], batch: int) -> Iterator[list[tuple[int, Unit]]]:
    """Units of equal shape and like length together."""

    def shape(item: tuple[int, Unit]) -> tuple[int, int, int, int]:
        unit = item[1]
        return (len(unit.targets), len(unit.tokens) - unit.site if len(unit.targets) > 1 else 0, len(unit.tokens), len(unit.source))

    ordered = sorted(wanted, key=lambda item: (*shape(item), item[0], item[1].site))
    group: list[tuple[int, Unit]] = []
    for item in ordered:
        if group and (len(group) == batch or shape(item)[:2] != shape(group[0])[:2] or shape(item)[2] > 1.3 * shape(group[0])[2] + 2):
            yield group
            group = []
        group.append(item)
    if group:
        yield group


def _attribute_units(
    engine: Engine, loaded: LoadedModel, units: list[Unit], source: Source, options: dict[str, Any]
) -> list[tuple[Attribution, np.ndarray]]:
    if source in ("integrated", "replaced"):
        baselines = None
        if source == "replaced":
            low = engine.open([neutral_unit(loaded, unit) for unit in units])
            baselines = [[layer[number] for layer in low.activations] for number in range(len(units))]
        found = integrate(engine, units, baselines=baselines, **options)
        return [(one, _flat(one.values)) for one in found]
    found = integrate(engine, units, rule="left-2", objective=options.get("objective", "probability"))  # activations and values
    if source == "activation":
        return [(one, _flat(one.activations)) for one in found]
    return list(zip(found, _gradients(engine, units, options.get("objective", "probability")), strict=True))


def _gradients(engine: Engine, units: list[Unit], objective: Objective) -> list[np.ndarray]:
    """Activation times gradient, at the activations."""
    opened = engine.open(units)
    scale = opened.log_probability.exp()[:, None].to(engine.dtype) if objective == "probability" else 1.0
    result: list[list[torch.Tensor]] = [[] for _ in units]
    for layer, slope in enumerate(engine.unchanged(opened)):
        products = (slope * scale) @ engine.sites[layer].weight.to(engine.dtype) * opened.activations[layer].to(engine.dtype)
        for number in range(len(units)):
            result[number].append(products[number])
    return [_flat(parts) for parts in result]


def _flat(parts: Sequence[torch.Tensor]) -> np.ndarray:
    flat: np.ndarray = torch.cat([part.float() for part in parts]).cpu().numpy()
    return flat


def _joined(query: Query, parts: Sequence[tuple[Attribution, np.ndarray]], tolerance: float, floor: float) -> Attributed:
    """The mean over a query's units."""
    found = [one for one, _ in parts]
    limits = [tolerance * one.effect.abs().clamp_min(floor) for one in found]
    log_probability = sum(one.log_probability for one in found)
    return Attributed(
        query,
        np.stack([values for _, values in parts]).mean(axis=0, dtype=np.float32),
        np.stack([_flat(one.activations) for one in found]).mean(axis=0, dtype=np.float32),
        float(np.exp(log_probability)),
        all(one.complete for one in found),
        max(float((one.residual / limit).max()) for one, limit in zip(found, limits, strict=True)),
        max(float(one.effect.abs().max()) for one in found),
        sum(int(one.nodes.sum()) for one in found),
    )
