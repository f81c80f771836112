"""Better, worse or tied: against scipy's paired tests, under a null, and refused where signatures differ."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from rml_lama.errors import DataError
from rml_lama.eval.comparison import compare, holm
from rml_lama.eval.results import Result, summarize
from rml_lama.signature import Signature
from tests.eval.test_results import SIGNATURE, Line, made


def run_of(right: np.ndarray, name: str, languages: tuple[str, ...] = ("en",)) -> Result:
    """A result with one phrasing, from (facts, languages) of right and wrong."""
    lines: list[Line] = [
        (f"x{fact:03}", code, "p", 0, [1.0, 0.0, -1.0] if right[fact, place] else [0.0, 1.0, -1.0])
        for fact in range(len(right))
        for place, code in enumerate(languages)
    ]
    signature = Signature((*SIGNATURE.pairs[:-2], ("ci", "cluster-2000-seed0"), ("model", f"{name}@local")))
    return summarize(*made(lines), signature, resamples=20, seed=0)


def test_a_paired_test_is_that_of_scipy() -> None:
    from scipy import stats

    generator = np.random.default_rng(0)
    first, second = (generator.random((60, 1)) < level for level in (0.6, 0.45))
    found = compare(run_of(first, "a"), run_of(second, "b"))
    theirs = stats.ttest_rel(first[:, 0].astype(float), second[:, 0].astype(float))
    assert found.overall.estimate.value == pytest.approx(float((first.astype(float) - second).mean()))
    assert found.overall.p == pytest.approx(theirs.pvalue, abs=0.01)
    interval = theirs.confidence_interval(0.95)
    assert (found.overall.estimate.low, found.overall.estimate.high) == pytest.approx((interval.low, interval.high), abs=0.01)
    permuted = stats.permutation_test(
        (first[:, 0].astype(float), second[:, 0].astype(float)),
        lambda a, b: np.mean(a - b),
        permutation_type="samples",
        n_resamples=5000,
        rng=0,
    )
    assert found.overall.p == pytest.approx(permuted.pvalue, abs=0.02)


def test_verdicts_and_sentences() -> None:
    good, bad = np.ones((30, 2), dtype=bool), np.zeros((30, 2), dtype=bool)
    bad[:, 1] = True  # equal in the second language
    bad[:3, 0] = True
    found = compare(run_of(good, "a", ("en", "ja")), run_of(bad, "b", ("en", "ja")))
    assert {code: one.verdict for code, one in found.languages.items()} == {"en": "better", "ja": "tied"}
    assert found.overall.verdict == "better"
    assert found.sentence() == "a is better than b on P@1, mean of languages; by language: better in 1, tied in 1."
    assert "| Japanese (ja) | +0.000 [+0.000, +0.000] | 1 | 1 | tied |" in found.table()
    assert compare(run_of(bad, "b", ("en", "ja")), run_of(good, "a", ("en", "ja"))).overall.verdict == "worse"


def test_a_constant_difference_is_a_sign_test() -> None:
    two = compare(run_of(np.ones((2, 1), dtype=bool), "a"), run_of(np.zeros((2, 1), dtype=bool), "b"))
    assert two.overall.p == pytest.approx(2 * 0.5**2)
    assert two.overall.verdict == "tied"
    many = compare(run_of(np.ones((12, 1), dtype=bool), "a"), run_of(np.zeros((12, 1), dtype=bool), "b"))
    assert many.overall.verdict == "better"


def test_equals_are_seldom_told_apart() -> None:
    """300 pairs of models that know facts equally well, 24 facts: 5% of them differ by chance."""
    from rml_lama.eval.bootstrap import FactBootstrap
    from rml_lama.eval.comparison import _test

    generator = np.random.default_rng(1)
    relations = np.repeat(["P36", "P37", "P30"], 8)
    bootstrap = FactBootstrap(relations, resamples=300, seed=0)
    fact = np.arange(24)
    rejected = 0
    for _ in range(300):
        ability = generator.normal(size=24)
        first, second = (generator.normal(ability, 1.0) > 0 for _ in range(2))
        draws = bootstrap.macro(first.astype(float) - second, fact, fact * 0, 1)[:, 0]
        rejected += _test(bootstrap, draws, fact)[1] < 0.05
    assert 3 <= rejected <= 27, "5% of 300 is 15; the bounds are three standard errors"


def test_holm_by_hand() -> None:
    # sorted .005 .01 .03 .04 times 4 3 2 1: .02 .03 .06 .04 -> running maximum .02 .03 .06 .06
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


@pytest.mark.parametrize(
    ("key", "mine", "theirs"),
    [("norm", "sum", "mean"), ("data", "lama-a", "lama-b"), ("cand", "typed", None), ("dtype", "float32", "8bit")],
)
def test_other_signatures_are_refused_by_the_key(small_result: Result, key: str, mine: str, theirs: str | None) -> None:
    pairs = dict(small_result.signature.pairs)
    first = replace(small_result, signature=Signature(tuple({**pairs, key: mine}.items())))
    other: dict[str, Any] = {**pairs, key: theirs}
    second = replace(small_result, signature=Signature(tuple((name, value) for name, value in other.items() if value is not None)))
    with pytest.raises(DataError, match=f"their signatures differ in {key}: {mine} and {theirs}"):
        first.compare(second)
    assert first.compare(second, ignore=(key,)).overall.verdict == "tied"


def test_the_same_signature_over_other_queries_is_refused(small_result: Result) -> None:
    order = list(range(len(small_result.predictions)))[::-1]
    turned = replace(small_result, predictions=small_result.predictions.take(order), scores=small_result.scores.take(order))
    with pytest.raises(DataError, match="do not hold the same queries"):
        small_result.compare(turned)


def test_two_models_of_the_same_run(small_result: Result, rival: Any, open_build: Any, options: dict[str, Any]) -> None:
    import rml_lama

    other = rml_lama.evaluate(rival, open_build, **options)
    found = small_result.compare(other)
    assert (found.first, found.second) == ("tiny", "rival")
    assert set(found.languages) == {"en", "ja"}
    assert found.overall.estimate.value == pytest.approx(small_result.overall["P@1"].value - other.overall["P@1"].value)
    assert compare(small_result, other, metric="MRR").metric == "MRR"
