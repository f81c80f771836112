"""Macro means by hand, intervals against scipy and against what they must do; Student's t against scipy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rml_lama.eval.bootstrap import Estimate, FactBootstrap, nan_mean, score_interval
from rml_lama.eval.student import t_quantile, t_tail


def overall(values: np.ndarray, fact: np.ndarray, relations: list[str], *, bounded: bool = True, resamples: int = 2000) -> Estimate:
    bootstrap = FactBootstrap(relations, resamples=resamples, seed=0)
    draws = bootstrap.macro(values, fact, np.zeros(len(values), dtype=int), 1)[:, 0]
    return bootstrap.estimate(draws, fact, bounded=bounded)


def test_macro_means_by_hand() -> None:
    # en: P36 has facts a (1, 0) and b (1): 2/3; P37 has c: 0 -> 1/3.  de: P36 has a: 1 -> 1.
    bootstrap = FactBootstrap(["P36", "P36", "P37"], resamples=200, seed=0)
    fact, language = np.array([0, 0, 1, 2, 0]), np.array([0, 0, 0, 0, 1])
    values = np.array([1.0, 0.0, 1.0, 0.0, 1.0])
    draws = bootstrap.macro(values, fact, language, 2)
    assert draws.shape == (201, 2)
    assert draws[0].tolist() == pytest.approx([1 / 3, 1.0])
    assert nan_mean(draws)[0] == pytest.approx(2 / 3)
    assert bootstrap.by_relation(values, fact, language, 2)[0].tolist() == pytest.approx([(2 / 3 + 1) / 2, 0.0])
    holes = bootstrap.macro(np.array([1.0, 0.0, np.nan, 0.0, np.nan]), fact, language, 2)
    assert holes[0, 0] == pytest.approx(1 / 4)
    assert np.isnan(holes[0, 1])


def test_the_variance_is_the_unbiased_one_of_a_stratified_mean() -> None:
    generator = np.random.default_rng(3)
    relations, values = ["P36"] * 4 + ["P37"] * 7, generator.random(11)
    bootstrap = FactBootstrap(relations, resamples=40_000, seed=0)
    draws = bootstrap.macro(values, np.arange(11), np.zeros(11, dtype=int), 1)[:, 0]
    expected = (np.var(values[:4], ddof=1) / 4 + np.var(values[4:], ddof=1) / 7) / 4
    assert np.var(draws[1:]) == pytest.approx(expected, rel=0.03)
    assert draws[1:].mean() == pytest.approx(draws[0], abs=0.002)


def test_intervals_are_students_where_there_are_no_bounds() -> None:
    from scipy import stats

    values = np.random.default_rng(1).normal(size=12)
    ours = overall(values, np.arange(12), ["P36"] * 12, bounded=False, resamples=20_000)
    theirs = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.02 * (theirs.high - theirs.low))


def test_intervals_of_plain_answers_are_wilsons() -> None:
    """One binary answer a fact, many facts: Wilson's interval as scipy computes it."""
    from scipy import stats

    for right in (0, 3, 200, 397, 400):
        values = (np.arange(400) < right).astype(float)
        ours = overall(values, np.arange(400), ["P36"] * 400, resamples=4000)
        theirs = stats.binomtest(right, 400).proportion_ci(method="wilson")
        assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.004)
        assert ours.facts == 400


def test_phrasings_of_a_fact_stay_together() -> None:
    """Ten copies of each query must not make the interval narrower."""
    values = (np.random.default_rng(2).random(50) < 0.5).astype(float)
    once = overall(values, np.arange(50), ["P36"] * 50)
    ten = overall(np.tile(values, 10), np.tile(np.arange(50), 10), ["P36"] * 50)
    assert (once.low, once.high) == pytest.approx((ten.low, ten.high))


def test_a_fact_is_drawn_in_all_languages_at_once() -> None:
    bootstrap = FactBootstrap(["P36"] * 20, resamples=100, seed=0)
    values = np.random.default_rng(4).random(20)
    draws = bootstrap.macro(np.tile(values, 2), np.tile(np.arange(20), 2), np.repeat([0, 1], 20), 2)
    np.testing.assert_allclose(draws[:, 0], draws[:, 1])


def test_what_is_never_wrong_is_not_certain() -> None:
    sure = overall(np.ones(8), np.arange(8), ["P36"] * 8)
    assert sure.value == sure.high == 1.0
    assert 0.5 < sure.low < 0.7  # 8 of 8
    surer = overall(np.ones(80), np.arange(80), ["P36"] * 80)
    assert surer.low > 0.94


def test_one_fact_says_nothing_and_lonely_facts_are_drawn_against_each_other() -> None:
    alone = overall(np.array([1.0, 0.0]), np.array([0, 0]), ["P36"])
    assert (alone.value, alone.low, alone.high, alone.facts) == (0.5, 0.0, 1.0, 1)
    unbounded = overall(np.array([3.0]), np.array([0]), ["P36"], bounded=False)
    assert math.isnan(unbounded.low)
    values = np.random.default_rng(5).random(12)
    lonely = overall(values, np.arange(12), [f"P{number}" for number in range(12)], bounded=False, resamples=20_000)
    width = 2 * t_quantile(0.975, 11) * math.sqrt(np.var(values, ddof=1) / 12)
    assert lonely.high - lonely.low == pytest.approx(width, rel=0.02)
    nothing = FactBootstrap(["P36"], resamples=10, seed=0).estimate(np.full(11, np.nan), np.array([0]))
    assert str(nothing) == "-"


@given(st.floats(0, 1), st.floats(0, 0.2), st.integers(2, 500))
def test_score_intervals_hold_the_value_and_stay_in_bounds(value: float, variance: float, facts: int) -> None:
    low, high = score_interval(value, variance, facts=facts, t=2.0)
    assert 0 <= low <= value + 1e-9
    assert value - 1e-9 <= high <= 1


def test_seeds_decide() -> None:
    values, fact = np.random.default_rng(6).random(30), np.arange(30)
    first, second, other = (FactBootstrap(["P36"] * 30, resamples=50, seed=seed).macro(values, fact, fact * 0, 1) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, second)
    assert (first != other).any()


@pytest.mark.parametrize("degrees", [1, 2, 5, 30, 1000])
def test_students_t_is_that_of_scipy(degrees: int) -> None:
    from scipy import stats

    for probability in (0.001, 0.025, 0.5, 0.9, 0.975, 0.9999):
        assert t_quantile(probability, degrees) == pytest.approx(stats.t.ppf(probability, degrees), rel=1e-9, abs=1e-12)
    for value in (0.0, 0.1, 1.0, 5.0, 40.0):
        assert t_tail(value, degrees) == pytest.approx(stats.t.sf(value, degrees), rel=1e-9)
    assert t_tail(math.inf, degrees) == 0
