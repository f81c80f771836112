"""The probability that a person would approve of a phrasing, from the scores of the filters.

A logistic model with few features (`judge.toml`; how it was fitted: `rml_lama.validation.calibrate`, docs/validation). There is a
variant for each set of filters that may have run; a phrasing is judged by the richest variant whose filters are there. A
score that is missing counts as the mean, an unknown relation as an average one, and no feature is a language's own.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rml_lama.errors import DataError
from rml_lama.records import Verdict

__all__ = ["JUDGE", "RELATION", "Judge", "Variant", "load_judge"]

JUDGE = Path(__file__).parent / "judge.toml"
RELATION = "relation"  # the feature that is looked up in `Judge.relations`


@dataclass(frozen=True, slots=True)
class Variant:
    """One fitted model: a weight for each feature, on the scale (score - mean) / scale."""

    name: str
    features: tuple[str, ...]
    means: tuple[float, ...]
    scales: tuple[float, ...]
    weights: tuple[float, ...]
    intercept: float

    def approve(self, scores: Mapping[str, float]) -> float:
        """The probability, from scores by filter; NaN and missing ones count as the mean."""
        logit = self.intercept
        for name, mean, scale, weight in zip(self.features, self.means, self.scales, self.weights, strict=True):
            score = scores.get(name, math.nan)
            if math.isfinite(score):
                logit += weight * (score - mean) / scale
        return (1 + math.tanh(logit / 2)) / 2  # the logistic function, without overflow


@dataclass(frozen=True, slots=True)
class Judge:
    """Variants, richest first, and how much more (or less) often people approve of a relation's phrasings."""

    variants: tuple[Variant, ...]
    relations: Mapping[str, float]
    data: str = ""  # SHA-256 of the labels that it was fitted to

    def approve(self, verdicts: Sequence[Verdict], relation: str) -> float:
        """The probability that a person approves, rounded to four digits; NaN when no variant fits what ran."""
        scores = {verdict.filter: verdict.score for verdict in verdicts}
        judged = {name for name, score in scores.items() if math.isfinite(score)}
        scores[RELATION] = self.relations.get(relation, 0.0)
        for variant in self.variants:
            if set(variant.features) - {RELATION} <= judged:
                return round(variant.approve(scores), 4)
        for variant in self.variants[::-1]:
            if set(variant.features) - {RELATION} <= set(scores):  # it ran, but could not say anything of this phrasing
                return round(variant.approve(scores), 4)
        return math.nan


def load_judge(path: Path = JUDGE) -> Judge:
    """Read a judge. Raises `DataError` for a file that is not one."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
        variants = tuple(_variant(row) for row in values["variant"])
        return Judge(variants, {key: float(value) for key, value in values["relations"].items()}, values["data"]["sha256"])
    except OSError as error:
        raise DataError(f"cannot read the judge: {error.strerror}", path) from error
    except (tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"not a judge: {error}", path) from error


def _variant(row: Mapping[str, Any]) -> Variant:
    def numbers(key: str) -> tuple[float, ...]:
        return tuple(float(value) for value in row[key])

    means, scales, weights = numbers("means"), numbers("scales"), numbers("weights")
    return Variant(row["name"], tuple(row["features"]), means, scales, weights, float(row["intercept"]))
