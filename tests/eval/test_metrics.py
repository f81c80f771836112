"""Metrics and intervals against tables worked by hand and against other libraries."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rml_lama.eval.bootstrap import MacroBootstrap
from rml_lama.eval.metrics import precision_at, rank, reciprocal_rank


@pytest.mark.parametrize(
    ("scores", "gold", "greater", "ties", "expected_rank", "p1", "p2", "mrr"),
    [
        # scores             gold  >  =  rank  P@1  P@2  E[1/rank]
        ([-1.0, -2.0, -3.0], 0, 0, 0, 1.0, 1.0, 1.0, 1.0),
        ([-3.0, -2.0, -1.0], 0, 2, 0, 3.0, 0.0, 0.0, 1 / 3),
        ([-1.0, -1.0, -3.0], 0, 0, 1, 1.5, 0.5, 1.0, (1 + 1 / 2) / 2),
        ([-1.0, -1.0, -1.0], 1, 0, 2, 2.0, 1 / 3, 2 / 3, (1 + 1 / 2 + 1 / 3) / 3),
        ([-1.0, -2.0, -2.0], 2, 1, 1, 2.5, 0.0, 0.5, (1 / 2 + 1 / 3) / 2),
        ([-5.0], 0, 0, 0, 1.0, 1.0, 1.0, 1.0),
    ],
)
def test_ranks_by_hand(
    scores: list[float], gold: int, greater: int, ties: int, expected_rank: float, p1: float, p2: float, mrr: float
) -> None:
    ranking = rank(np.array(scores), [str(number) for number in range(len(scores))], gold)
    assert (ranking.greater, ranking.ties, ranking.rank) == (greater, ties, expected_rank)
    arrays = np.array([greater]), np.array([ties])
    assert precision_at(1, *arrays)[0] == pytest.approx(p1)
    assert precision_at(2, *arrays)[0] == pytest.approx(p2)
    assert reciprocal_rank(*arrays)[0] == pytest.approx(mrr)


def test_shares_among_the_candidates() -> None:
    ranking = rank(np.log([0.1, 0.3, 0.1]), ["a", "b", "c"])
    assert ranking.normalized == pytest.approx(np.log(0.2))
    assert ranking.entropy == pytest.approx(-(0.2 * np.log(0.2) * 2 + 0.6 * np.log(0.6)))
    assert ranking.top == ("b", "a", "c")
    assert rank(np.array([-2000.0, -1000.0]), ["a", "b"]).normalized == pytest.approx(-1000.0)


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=12), st.randoms())
def test_order_of_candidates_changes_no_rank(scores: list[int], random: object) -> None:
    order = list(range(len(scores)))
    random.shuffle(order)  # type: ignore[attr-defined]
    first = rank(np.array(scores, dtype=float), [""] * len(scores), 0)
    second = rank(np.array(scores, dtype=float)[order], [""] * len(scores), order.index(0))
    assert (first.greater, first.ties) == (second.greater, second.ties)
    chances = [precision_at(k, np.array([first.greater]), np.array([first.ties]))[0] for k in range(1, len(scores) + 1)]
    assert chances == sorted(chances)
    assert chances[-1] == 1.0


def test_the_expected_rank_is_what_scipy_gives() -> None:
    from scipy.stats import rankdata

    scores = np.random.default_rng(0).integers(0, 5, size=40).astype(float)
    theirs = rankdata(-scores, method="average")
    assert [rank(scores, [""] * 40, gold).rank for gold in range(40)] == theirs.tolist()


def test_macro_means_by_hand() -> None:
    # en: P36 has facts a (1, 0) and b (1): 2/3; P37 has c: 0 -> 1/3.  de: P36 has a: 1 -> 1.
    facts, relations = ["a", "a", "b", "c", "a"], ["P36", "P36", "P36", "P37", "P36"]
    languages, values = ["en", "en", "en", "en", "de"], np.array([1.0, 0.0, 1.0, 0.0, 1.0])
    bootstrap = MacroBootstrap(facts, relations, languages, resamples=200, seed=0)
    by_language = bootstrap.by_language(values)
    assert by_language["en"].value == pytest.approx(1 / 3)
    assert by_language["de"].value == 1.0
    assert bootstrap.overall(values).value == pytest.approx(2 / 3)
    assert bootstrap.by_relation(values)["P36"].value == pytest.approx((2 / 3 + 1) / 2)
    assert by_language["en"].low <= 1 / 3 <= by_language["en"].high


def test_intervals_are_those_of_scipy_for_one_query_a_fact() -> None:
    from scipy.stats import bootstrap as scipy_bootstrap

    values = np.random.default_rng(1).random(80)
    names = [str(number) for number in range(80)]
    ours = MacroBootstrap(names, ["P36"] * 80, ["en"] * 80, resamples=4000, seed=0).overall(values)
    theirs = scipy_bootstrap((values,), np.mean, method="percentile", n_resamples=4000, rng=0).confidence_interval
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.01)


def test_phrasings_of_a_fact_stay_together() -> None:
    """Ten copies of each query must not make the interval narrower."""
    values = (np.random.default_rng(2).random(50) < 0.5).astype(float)
    names = [str(number) for number in range(50)]
    once = MacroBootstrap(names, ["P36"] * 50, ["en"] * 50, resamples=2000, seed=0).overall(values)
    ten = MacroBootstrap(names * 10, ["P36"] * 500, ["en"] * 500, resamples=2000, seed=0).overall(np.tile(values, 10))
    assert (once.low, once.high) == pytest.approx((ten.low, ten.high))


def test_identical_values_have_no_width() -> None:
    estimate = MacroBootstrap(list("abc"), ["P36"] * 3, ["en"] * 3, resamples=50, seed=0).overall(np.ones(3))
    assert (estimate.value, estimate.low, estimate.high) == (1.0, 1.0, 1.0)
