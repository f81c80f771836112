"""Is model A better than model B? Paired by query, clustered by fact, Holm-corrected over languages; it may say "tied".

The difference of each query is averaged as the scores are (macro over relations, then languages); its interval and p-value
come from the bootstrap over facts with Student's t (`bootstrap.py`). Results of different signatures are refused.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from rml_lama.errors import ConfigError, DataError
from rml_lama.eval.bootstrap import Estimate, FactBootstrap, nan_mean
from rml_lama.eval.frame import Frame
from rml_lama.eval.metrics import reciprocal_rank
from rml_lama.eval.student import t_tail
from rml_lama.languages import LANGUAGES

if TYPE_CHECKING:
    from rml_lama.eval.results import Result

__all__ = ["Comparison", "Difference", "compare", "holm"]

Verdict = Literal["better", "worse", "tied"]
_LEVEL = 0.05


@dataclass(frozen=True, slots=True)
class Difference:
    """First model less second, with its 95% interval; `p` is two-sided, `adjusted` by Holm; the verdict is of the first model."""

    estimate: Estimate
    p: float
    adjusted: float

    @property
    def verdict(self) -> Verdict:
        if not self.adjusted < _LEVEL:
            return "tied"
        return "better" if self.estimate.value > 0 else "worse"


@dataclass(frozen=True, slots=True)
class Comparison:
    """One metric of two models over the same queries. Languages are corrected among each other, the mean of all stands alone."""

    first: str
    second: str
    metric: str
    overall: Difference
    languages: Mapping[str, Difference]
    signature: str

    def table(self) -> str:
        """The differences as a Markdown table, and the verdict in words."""
        rows = [f"| language | {self.metric}: {self.first} - {self.second} | p | p (Holm) | {self.first} is |", "|---|---:|---:|---:|---|"]
        for name, one in [
            *((f"{LANGUAGES[code].name} ({code})", one) for code, one in self.languages.items()),
            ("mean of languages", self.overall),
        ]:
            estimate = f"{one.estimate.value:+.3f} [{one.estimate.low:+.3f}, {one.estimate.high:+.3f}]"
            rows.append(f"| {name} | {estimate} | {one.p:.2g} | {one.adjusted:.2g} | {one.verdict} |")
        return "\n".join([*rows, "", self.sentence()])

    def sentence(self) -> str:
        """What it all says."""
        verdicts = [one.verdict for one in self.languages.values()]
        counts = ", ".join(f"{word} in {verdicts.count(word)}" for word in ("better", "worse", "tied") if word in verdicts)
        verb = {"better": "is better than", "worse": "is worse than", "tied": "is tied with"}[self.overall.verdict]
        return f"{self.first} {verb} {self.second} on {self.metric}, mean of languages; by language: {counts}."


def compare(first: Result, second: Result, *, metric: str = "P@1", ignore: Sequence[str] = ()) -> Comparison:
    """Compare two results query by query.

    `metric` is P@1 or MRR. Raises `DataError` when their signatures differ in more than the model, naming the keys;
    `ignore` lets keys of the signature differ, such as `dtype`. Raises `ConfigError` for another metric.
    """
    if metric not in ("P@1", "MRR"):
        raise ConfigError(f"cannot compare by {metric!r}; use P@1 or MRR")
    differing = first.signature.differences(second.signature, ignore=("model", *ignore))
    if differing:
        what = "; ".join(f"{key}: {mine} and {theirs}" for key, (mine, theirs) in differing.items())
        raise DataError(f"the two results cannot be compared, their signatures differ in {what}")
    frame, other = (Frame(result.predictions, result.scores) for result in (first, second))
    if frame.columns["query_id"].tolist() != other.columns["query_id"].tolist():
        raise DataError("the two results do not hold the same queries in the same order, though their signatures agree")
    values = _values(frame, metric) - _values(other, metric)
    resamples, seed = _draws_of(first)
    bootstrap = FactBootstrap(frame.relations, resamples=resamples, seed=seed)
    draws = bootstrap.macro(values, frame.fact, frame.language, len(frame.languages))  # (draws, languages)
    overall, p = _test(bootstrap, nan_mean(draws), frame.fact)
    tests = [_test(bootstrap, draws[:, place], frame.fact[frame.language == place]) for place in range(len(frame.languages))]
    adjusted = holm([p for _, p in tests])
    languages = {
        code: Difference(estimate, p, better) for code, (estimate, p), better in zip(frame.languages, tests, adjusted, strict=True)
    }
    return Comparison(first.model, second.model, metric, Difference(overall, p, p), languages, str(first.signature))


def holm(p: Sequence[float]) -> list[float]:
    """Holm's step-down correction: p-values that hold for all tests together.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(p, kind="stable")
    adjusted = np.empty(len(p))
    largest = 0.0
    for step, place in enumerate(order):
        largest = max(largest, min(1.0, (len(p) - step) * p[place]))
        adjusted[place] = largest
    return [float(value) for value in adjusted]


def _values(frame: Frame, metric: str) -> np.ndarray:
    return frame.right if metric == "P@1" else reciprocal_rank(frame.columns["greater"], frame.columns["ties"])


def _draws_of(result: Result) -> tuple[int, int]:
    """Resamples and seed, as the signature says."""
    _, resamples, seed = (result.signature.get("ci") or "cluster-1000-seed0").split("-")
    return int(resamples), int(seed.removeprefix("seed"))


def _test(bootstrap: FactBootstrap, draws: np.ndarray, facts: np.ndarray) -> tuple[Estimate, float]:
    """The difference and its two-sided p-value: of t; of a sign test over facts where they all differ by the same amount."""
    estimate = bootstrap.estimate(draws, facts, bounded=False)
    error = float(np.sqrt(np.nanmean((draws[1:] - draws[0]) ** 2)))
    if math.isnan(estimate.value) or estimate.value == 0:
        return estimate, 1.0
    if error < 1e-9 or bootstrap.degrees(facts) < 1:
        return estimate, min(1.0, 2 * 0.5**estimate.facts)
    return estimate, 2 * t_tail(abs(estimate.value) / error, bootstrap.degrees(facts))
