"""Consistency and the split of uncertainty, by hand and by their laws."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rml_lama.eval.phrasing import consistency, entropy, split_uncertainty

LN2 = float(np.log(2))


@pytest.mark.parametrize(
    ("shares", "total", "disagreement", "unsure"),
    [
        # every phrasing sure of the same       | sure of different ones        | all equally unsure
        ([[1.0, 0.0], [1.0, 0.0]], 0.0, 0.0, 0.0),
        ([[1.0, 0.0], [0.0, 1.0]], LN2, LN2, 0.0),
        ([[0.5, 0.5], [0.5, 0.5]], LN2, 0.0, LN2),
        # one sure, one unsure: mean .75 .25
        ([[1.0, 0.0], [0.5, 0.5]], 0.562335, 0.562335 - LN2 / 2, LN2 / 2),
    ],
)
def test_splits_by_hand(shares: list[list[float]], total: float, disagreement: float, unsure: float) -> None:
    found = split_uncertainty(np.array(shares))
    assert (found.total, found.disagreement, found.unsure) == pytest.approx((total, disagreement, unsure), abs=1e-6)


@given(st.integers(1, 5), st.integers(2, 6), st.integers(0, 1000))
def test_the_parts_make_the_whole_and_none_is_negative(phrasings: int, candidates: int, seed: int) -> None:
    shares = np.random.default_rng(seed).dirichlet(np.ones(candidates), size=phrasings)
    found = split_uncertainty(shares)
    assert found.total == pytest.approx(found.disagreement + found.unsure, abs=1e-12)
    assert min(found.total, found.disagreement, found.unsure) >= 0
    assert found.total <= np.log(candidates) + 1e-12


def test_entropy_is_that_of_scipy() -> None:
    from scipy.stats import entropy as scipy_entropy

    shares = np.random.default_rng(0).dirichlet(np.ones(7), size=3)
    np.testing.assert_allclose(entropy(shares), scipy_entropy(shares, axis=1))


@pytest.mark.parametrize(
    ("top", "expected"),
    [(["a", "a", "a"], 1.0), (["a", "a", "b"], 1 / 3), (["a", "b", "c"], 0.0), (["a", "a", "b", "b"], 2 / 6), (["a"], float("nan"))],
)
def test_consistency_by_hand(top: list[str], expected: float) -> None:
    assert consistency(np.array(top)) == pytest.approx(expected, nan_ok=True)
