"""Sum up the facts of a localization: where the neurons are, how far languages agree, what transfers, how sure it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from rml_lama.config import LocalizeConfig
from rml_lama.eval.localization import FACTS, NEURONS, Localization
from rml_lama.eval.uncertainty import Variance, reliability_table
from rml_lama.signature import Signature

__all__ = ["agreement", "summarize_localization"]

_BINS = 5  # of the inclusion probability


def summarize_localization(facts: Sequence[dict[str, Any]], signature: Signature, config: LocalizeConfig) -> Localization:
    """Tables and sums from what `locate_fact` gave for each fact."""
    import json

    neurons = [{"fact_id": fact["fact_id"], "relation": fact["relation"], **neuron} for fact in facts for neuron in fact["neurons"]]
    rows = [{**fact, "details": json.dumps(fact["details"], sort_keys=True)} for fact in facts]
    localized = [fact for fact in facts if fact["status"] == "localized"]
    queries = sum(fact["queries"] for fact in facts)
    variance = _mean_variance(localized)
    summary = {
        "facts": len(facts),
        "localized": len(localized),
        "queries": queries,
        "certified_share": sum(fact["certified"] for fact in facts) / queries,
        "known_share": sum(fact["known"] for fact in facts) / queries,
        "localizability": _mean([fact["localizability"] for fact in localized]),
        "classes": {name: sum(row["class"] == name for row in neurons) for name in sorted({row["class"] for row in neurons})},
        "layers": _layers(neurons),
        "agreement": agreement(localized, seed=config.seed),
        "transfer": _transfer(localized),
        "calibration": _calibration(neurons),
        "variance": {"neuron": variance.neuron, "language": variance.language, "phrasing": variance.phrasing} if variance else None,
        "reliability": reliability_table(variance, (1, 2, 3, 4, 6, 8, 12, 16, 24), (1, 2, 3, 4, 6, 8)) if variance else [],
    }
    return Localization(signature, summary, pa.Table.from_pylist(neurons, schema=NEURONS), pa.Table.from_pylist(rows, schema=FACTS))


def agreement(facts: Sequence[dict[str, Any]], *, seed: int) -> list[dict[str, Any]]:
    """For each pair of languages, the mean share of a fact's first k neurons that both have, and the same between a fact in
    one language and a fact of another relation in the other: what hubs and frequent words alone would give.
    """
    tops = [(fact["relation"], {code: frozenset(numbers) for code, numbers in fact["details"]["top"].items()}) for fact in facts]
    codes = sorted({code for _, top in tops for code in top})
    generator = np.random.default_rng(seed)
    order = generator.permutation(len(tops)).tolist()
    rows = []
    for first in codes:
        for second in codes:
            if first == second:
                continue
            same = [len(top[first] & top[second]) / len(top[first]) for _, top in tops if first in top and second in top]
            null = [
                len(tops[a][1][first] & tops[b][1][second]) / len(tops[a][1][first])
                for a, b in zip(range(len(tops)), order, strict=True)
                if tops[a][0] != tops[b][0] and first in tops[a][1] and second in tops[b][1]
            ]
            rows.append({"first": first, "second": second, "overlap": _mean(same), "null": _mean(null), "facts": len(same)})
    return rows


def _layers(neurons: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    counts: dict[tuple[int, str], int] = {}
    for row in neurons:
        counts[row["layer"], row["class"]] = counts.get((row["layer"], row["class"]), 0) + 1
    return [{"layer": layer, "class": name, "count": count} for (layer, name), count in sorted(counts.items())]


def _transfer(facts: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    found: dict[tuple[str, str], list[float]] = {}
    for fact in facts:
        for source, target, value in fact["details"].get("transfer", []):
            found.setdefault((source, target), []).append(value)
    return [
        {"source": source, "target": target, "effect": float(np.mean(values)), "facts": len(values)}
        for (source, target), values in sorted(found.items())
    ]


def _calibration(neurons: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """How often neurons of like inclusion probability are found again in the last phrasing of each language alone."""
    pairs = [(row["inclusion"], row["reproduced"]) for row in neurons if row["reproduced"] is not None]
    rows = []
    for place in range(_BINS):
        low, high = place / _BINS, (place + 1) / _BINS
        here = [hit for inclusion, hit in pairs if low <= inclusion < high or (place == _BINS - 1 and inclusion == 1)]
        if here:
            rows.append({"low": low, "high": high, "reproduced": float(np.mean(here)), "neurons": len(here)})
    return rows


def _mean_variance(facts: Sequence[dict[str, Any]]) -> Variance | None:
    found = [fact for fact in facts if fact["neuron_variance"] is not None]
    if not found:
        return None
    return Variance(*(float(np.mean([fact[f"{name}_variance"] for fact in found])) for name in ("neuron", "language", "phrasing")))


def _mean(values: Sequence[float | None]) -> float | None:
    there = [value for value in values if value is not None]
    return float(np.mean(there)) if there else None
