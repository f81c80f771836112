"""Metrics of single queries against tables worked by hand and against scipy and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rml_lama.eval.metrics import log_shares, precision_at, rank, reciprocal_rank


@pytest.mark.parametrize(
    ("scores", "gold", "greater", "ties", "expected_rank", "p1", "p2", "mrr", "margin"),
    [
        # scores             gold  >  =  rank  P@1  P@2  E[1/rank]              log-odds to the best other
        ([-1.0, -2.0, -3.0], 0, 0, 0, 1.0, 1.0, 1.0, 1.0, 1.0),
        ([-3.0, -2.0, -1.0], 0, 2, 0, 3.0, 0.0, 0.0, 1 / 3, -2.0),
        ([-1.0, -1.0, -3.0], 0, 0, 1, 1.5, 0.5, 1.0, (1 + 1 / 2) / 2, 0.0),
        ([-1.0, -1.0, -1.0], 1, 0, 2, 2.0, 1 / 3, 2 / 3, (1 + 1 / 2 + 1 / 3) / 3, 0.0),
        ([-1.0, -2.0, -2.0], 2, 1, 1, 2.5, 0.0, 0.5, (1 / 2 + 1 / 3) / 2, -1.0),
        ([-5.0], 0, 0, 0, 1.0, 1.0, 1.0, 1.0, float("nan")),
    ],
)
def test_ranks_by_hand(
    scores: list[float], gold: int, greater: int, ties: int, expected_rank: float, p1: float, p2: float, mrr: float, margin: float
) -> None:
    ranking = rank(np.array(scores), gold)
    assert (ranking.greater, ranking.ties, ranking.rank) == (greater, ties, expected_rank)
    arrays = np.array([greater]), np.array([ties])
    assert precision_at(1, *arrays)[0] == pytest.approx(p1)
    assert precision_at(2, *arrays)[0] == pytest.approx(p2)
    assert reciprocal_rank(*arrays)[0] == pytest.approx(mrr)
    assert ranking.margin == pytest.approx(margin, nan_ok=True)


def test_shares_by_hand() -> None:
    ranking = rank(np.log([0.1, 0.3, 0.1]))  # shares .2 .6 .2
    assert ranking.normalized == pytest.approx(np.log(0.2))
    assert ranking.confidence == pytest.approx(0.6)
    assert ranking.entropy == pytest.approx(-(0.2 * np.log(0.2) * 2 + 0.6 * np.log(0.6)))
    assert ranking.brier == pytest.approx(0.8**2 + 0.6**2 + 0.2**2)
    assert ranking.order.tolist() == [1, 0, 2]
    assert rank(np.array([-2000.0, -1000.0])).normalized == pytest.approx(-1000.0)
    assert rank(np.array([-7.0])).entropy == 0.0


def test_long_sentences_do_not_vanish() -> None:
    """The plain softmax of such log-likelihoods is NaN."""
    shares = np.exp(log_shares(np.array([[-1500.0, -1501.0], [0.0, -800.0]])))
    np.testing.assert_allclose(shares, [[1 / (1 + np.exp(-1)), 1 / (1 + np.e)], [1, 0]], atol=1e-12)


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=12), st.randoms())
def test_order_of_candidates_changes_nothing(scores: list[int], random: object) -> None:
    order = list(range(len(scores)))
    random.shuffle(order)  # type: ignore[attr-defined]
    first = rank(np.array(scores, dtype=float), 0)
    second = rank(np.array(scores, dtype=float)[order], order.index(0))
    assert (first.greater, first.ties) == (second.greater, second.ties)
    for name in ("margin", "normalized", "confidence", "entropy", "brier"):
        assert getattr(first, name) == pytest.approx(getattr(second, name), abs=1e-12, nan_ok=True)
    chances = [precision_at(k, np.array([first.greater]), np.array([first.ties]))[0] for k in range(1, len(scores) + 1)]
    assert chances == sorted(chances)
    assert chances[-1] == 1.0


def test_the_expected_rank_is_that_of_scipy() -> None:
    from scipy.stats import entropy, rankdata

    scores = np.random.default_rng(0).integers(0, 5, size=40).astype(float)
    assert [rank(scores, gold).rank for gold in range(40)] == rankdata(-scores, method="average").tolist()
    assert rank(scores).entropy == pytest.approx(entropy(np.exp(scores)))


def test_scores_without_ties_are_those_of_scikit_learn() -> None:
    from sklearn.metrics import brier_score_loss, label_ranking_average_precision_score, top_k_accuracy_score

    generator = np.random.default_rng(1)
    scores, gold = generator.normal(size=(200, 6)), generator.integers(0, 6, size=200)
    rankings = [rank(line, int(place)) for line, place in zip(scores, gold, strict=True)]
    greater, ties = (np.array([getattr(one, name) for one in rankings]) for name in ("greater", "ties"))
    for k in (1, 2, 5):
        assert precision_at(k, greater, ties).mean() == pytest.approx(top_k_accuracy_score(gold, scores, k=k, labels=range(6)))
    truth = np.eye(6)[gold]
    assert reciprocal_rank(greater, ties).mean() == pytest.approx(label_ranking_average_precision_score(truth, scores))
    shares = np.exp(log_shares(scores))
    assert np.mean([one.brier for one in rankings]) == pytest.approx(brier_score_loss(gold, shares, labels=range(6), scale_by_half=False))
