"""Held-out effect: neurons from some phrasings and languages, suppressed on others (METHODS 4.2).

Selectivity of a set of neurons = minus the mean change of log P of the fact's held-out queries, plus that of unrelated
facts' (same relation, other relation, same object): how much more the fact suffers than others do, in nats.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rml_lama.eval.causal import Intervention, effects
from rml_lama.eval.engine import Engine
from rml_lama.eval.models import LoadedModel
from rml_lama.records import Query

__all__ = ["Split", "paired_difference", "selectivity", "split_queries"]


@dataclass(frozen=True, slots=True)
class Split:
    """The queries of one fact: those to locate with, and the held-out ones by kind (`phrasing` or `language`)."""

    locate: tuple[Query, ...]
    phrasing: tuple[Query, ...]
    language: tuple[Query, ...]


def split_queries(queries: Sequence[Query], held_out: Sequence[str]) -> Split:
    """Every second phrasing of each language is held out, and all of the held-out languages'.

    A language with one phrasing gives it to locate with.
    """
    locate: list[Query] = []
    phrasing: list[Query] = []
    language = tuple(query for query in queries if query.language in held_out)
    for code in dict.fromkeys(query.language for query in queries if query.language not in held_out):
        own = [query for query in queries if query.language == code]
        locate += own[::2]
        phrasing += own[1::2]
    return Split(tuple(locate), tuple(phrasing), language)


def selectivity(
    engine: Engine,
    loaded: LoadedModel,
    split: Split,
    unrelated: Mapping[str, Sequence[Query]],
    sets: Mapping[str, Sequence[int]],
    counts: Mapping[str, Sequence[int]],
) -> list[dict[str, float | int | str]]:
    """For each method (its neurons, best first) and each k of its `counts`, the changes of log P in nats and the selectivity.

    `unrelated` holds control queries by kind; a kind without a query is left out.
    """
    keys = [(name, k) for name in sets for k in counts[name]]
    interventions = [Intervention(tuple(sets[name][:k])) for name, k in keys]
    groups: dict[str, Sequence[Query]] = {"phrasing": split.phrasing, "language": split.language, **unrelated}
    groups = {name: queries for name, queries in groups.items() if queries}
    everything = [query for queries in groups.values() for query in queries]
    change = effects(engine, loaded, everything, interventions)  # (queries, interventions)
    owner = np.concatenate([[name] * len(queries) for name, queries in groups.items()])
    rows: list[dict[str, float | int | str]] = []
    for place, (name, k) in enumerate(keys):
        means = {group: float(change[owner == group, place].mean()) for group in groups}
        controls = [means[group] for group in unrelated if group in means]
        control = float(np.mean(controls)) if controls else 0.0
        row: dict[str, float | int | str] = {"method": name, "k": k, **{f"change_{group}": mean for group, mean in means.items()}}
        row |= {f"selectivity_{group}": control - means[group] for group in ("phrasing", "language") if group in means}
        rows.append(row)
    return rows


def paired_difference(
    first: np.ndarray, second: np.ndarray, relations: Sequence[str], *, resamples: int, seed: int
) -> tuple[float, float, float]:
    """The mean difference of paired values (facts,), with a 95% interval: relations are drawn with replacement, then facts.

    >>> paired_difference(np.array([2.0, 2.0]), np.array([1.0, 1.0]), ["P36", "P30"], resamples=10, seed=0)
    (1.0, 1.0, 1.0)
    """
    difference = first - second
    names = np.asarray(relations)
    members = {name: np.flatnonzero(names == name) for name in dict.fromkeys(relations)}
    generator = np.random.default_rng(seed)
    draws = np.empty(resamples)
    for draw in range(resamples):
        chosen = generator.choice(list(members), size=len(members))
        draws[draw] = difference[np.concatenate([generator.choice(members[name], size=len(members[name])) for name in chosen])].mean()
    low, high = np.percentile(draws, [2.5, 97.5])
    return float(difference.mean()), float(low), float(high)
