"""What the held-out effect says: selectivity by method, how the default differs from each, pair by pair, and which variant of MATRICE
a relation that it was not chosen on would get."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rml_lama.eval.heldout import paired_difference

KINDS = ("phrasing", "language")
DEFAULT = "matrice"
Found = dict[tuple[str, int, int], dict[str, Any]]  # by method, k and number of the fact


def summary(done: Sequence[dict[str, Any]], k: int, variants: Sequence[str]) -> dict[str, Any]:
    """By method and k: mean selectivity, and the changes of log P that it is the difference of; the default's paired difference from each,
    with intervals; what choosing a variant at one k gives.
    """
    done = [row for row in done if row["rows"]]
    if not done:
        return {}
    relations = [row["relation"] for row in done]
    found: Found = {(r["method"], r["k"], number): r for number, row in enumerate(done) for r in row["rows"]}
    rows, against = [], []
    for method, count in dict.fromkeys((method, count) for method, count, _ in found):
        for kind in KINDS:
            there, values = _values(found, method, count, kind, range(len(done)))
            name = {"held_out": kind, "k": count, "method": method, "facts": len(there)}
            mean, low, high = _interval(values, 0 * values, there, relations)
            own = float(np.mean([found[method, count, number][f"change_{kind}"] for number in there]))
            rows.append({**name, "selectivity": mean, "low": low, "high": high, "change": own, "change_of_others": own + mean})
            if method != DEFAULT:
                difference, low, high = _interval(_values(found, DEFAULT, count, kind, there)[1], values, there, relations)
                against.append({**name, "difference": difference, "low": low, "high": high})
    certified = sum(row["certified"] for row in done) / sum(row["queries"] for row in done)
    result = {"certified": certified, "rows": rows, "against": against, "chosen": _choice(found, variants, k, relations)}
    for row in [*(row for row in (*rows, *against) if row["k"] == k), *result["chosen"]["against"]]:
        print({name: round(value, 3) if isinstance(value, float) else value for name, value in row.items()}, flush=True)
    return result


def _values(found: Found, method: str, k: int, kind: str, facts: Sequence[int]) -> tuple[list[int], np.ndarray]:
    """Those of the facts that have this selectivity, and its values."""
    name = f"selectivity_{kind}"
    there = [number for number in facts if name in found.get((method, k, number), {})]
    return there, np.array([found[method, k, number][name] for number in there], dtype=float)


def _interval(first: np.ndarray, second: np.ndarray, facts: Sequence[int], relations: Sequence[str]) -> tuple[float, float, float]:
    return paired_difference(first, second, [relations[number] for number in facts], resamples=2000, seed=0)


def _choice(found: Found, variants: Sequence[str], k: int, relations: Sequence[str]) -> dict[str, Any]:
    """The variant of the highest selectivity, mean of both kinds; each relation has that of the other relations (so nothing is chosen
    on what it is measured on). Paired differences of that choice from every other method.
    """
    methods = [method for method in dict.fromkeys(method for method, count, _ in found if count == k) if method not in variants]
    table = {}
    for method in (*variants, *methods):
        for kind in KINDS:
            there, values = _values(found, method, k, kind, range(len(relations)))
            table[method, kind] = np.full(len(relations), np.nan)
            table[method, kind][there] = values

    def best(among: np.ndarray) -> str:
        return max(variants, key=lambda name: sum(float(np.nanmean(table[name, kind][among])) for kind in KINDS))

    names = np.array(relations)
    by_relation = {relation: best(names != relation) for relation in dict.fromkeys(relations)}
    against = []
    for kind in KINDS:
        ours = np.array([table[by_relation[relation], kind][number] for number, relation in enumerate(relations)])
        for method in methods:
            there = np.flatnonzero(~np.isnan(ours) & ~np.isnan(table[method, kind])).tolist()
            mean, low, high = _interval(ours[there], table[method, kind][there], there, relations)
            row = {"held_out": kind, "k": k, "than": method, "facts": len(there), "ours": float(ours[there].mean())}
            against.append({**row, "difference": mean, "low": low, "high": high})
    return {"over_all": best(np.ones(len(names), dtype=bool)), "by_relation": by_relation, "against": against}
