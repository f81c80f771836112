"""RankC against the published formula, word for word, and a fixture worked by hand; Jaccard by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rml_lama.eval.agreement import jaccard, rank_consistency, weights


def published(first: list[int], second: list[int], weight: list[float]) -> float:
    """Equation 2 of Qi et al. 2023: sum over depths of weight times P@depth, by sets."""
    return sum(w * len(set(first[:j]) & set(second[:j])) / j for j, w in enumerate(weight, 1))


def soft(count: int) -> list[float]:
    """Their weights, w_j = e^(N-j) / sum_k e^(N-k), computed plainly."""
    exponentials = [np.exp(count - j) for j in range(1, count + 1)]
    return [float(value / sum(exponentials)) for value in exponentials]


def test_a_fixture_by_hand() -> None:
    """Four candidates a b c d; English ranks a b c d, German b a c d, French d c b a."""
    scores = np.array([[4.0, 3.0, 2.0, 1.0], [3.0, 4.0, 2.0, 1.0], [1.0, 2.0, 3.0, 4.0]])
    # overlaps at depths 1..4, over the depth     en-de: 0, 2/2, 3/3, 4/4    en-fr: 0, 0, 2/3, 4/4    de-fr: 0, 0, 2/3, 4/4
    e = np.exp([3.0, 2.0, 1.0, 0.0])
    w = e / e.sum()  # .6439 .2369 .0871 .0321
    found = rank_consistency(scores)
    assert found[0, 1] == pytest.approx(w[1] + w[2] + w[3])
    assert found[0, 2] == pytest.approx(2 / 3 * w[2] + w[3])
    assert found[1, 2] == pytest.approx(2 / 3 * w[2] + w[3])
    assert np.diag(found).tolist() == pytest.approx([1, 1, 1])
    linear = rank_consistency(scores, "linear")  # weights .4 .3 .2 .1
    assert linear[0, 1] == pytest.approx(0.3 + 0.2 + 0.1)
    assert linear[0, 2] == pytest.approx(2 / 3 * 0.2 + 0.1)


@given(st.integers(1, 9), st.integers(0, 1000))
def test_the_fast_form_is_the_published_formula(count: int, seed: int) -> None:
    scores = np.random.default_rng(seed).normal(size=(3, count))
    ranked = np.argsort(-scores, axis=1).tolist()
    for weighting, weight in (("softmax", soft(count)), ("linear", weights(count, "linear").tolist())):
        found = rank_consistency(scores, weighting)  # type: ignore[arg-type]
        for a in range(3):
            for b in range(3):
                assert found[a, b] == pytest.approx(published(ranked[a], ranked[b], weight))


def test_many_candidates_do_not_overflow() -> None:
    assert weights(2000).sum() == pytest.approx(1)
    assert weights(2000)[0] == pytest.approx(1 - 1 / np.e)  # 63% on the first place
    scores = np.random.default_rng(0).normal(size=(2, 2000))
    assert 0 <= rank_consistency(scores)[0, 1] <= 1


def test_agreement_is_symmetric_one_with_itself_and_blind_to_the_order_of_candidates() -> None:
    scores = np.random.default_rng(1).normal(size=(4, 30))
    scores[3] = scores[0]
    found = rank_consistency(scores)
    np.testing.assert_allclose(found, found.T)
    assert found[0, 3] == pytest.approx(1)
    np.testing.assert_allclose(rank_consistency(scores[:, ::-1]), found)


def test_jaccard_by_hand() -> None:
    #                  en     de     fr
    right = np.array([[True, True, False], [True, False, False], [False, True, False], [True, True, False]])
    found = jaccard(right)
    assert found[0, 1] == pytest.approx(2 / 4)
    assert found[0, 2] == 0
    assert np.isnan(found[2, 2])
    assert found[0, 0] == 1
