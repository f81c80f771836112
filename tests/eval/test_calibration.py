"""Calibration error and risk-coverage, by hand and by their laws."""

from __future__ import annotations

import numpy as np
import pytest

from rml_lama.eval.calibration import calibration_error, equal_mass_bins, risk_coverage, risk_coverage_area


def test_bins_by_hand() -> None:
    confidence = np.array([0.9, 0.2, 0.8, 0.4])
    right = np.array([1.0, 0.0, 0.0, 1.0])
    bins = equal_mass_bins(confidence, right, bins=2)
    assert bins.counts.tolist() == [2, 2]
    assert bins.confidence.tolist() == pytest.approx([0.3, 0.85])
    assert bins.accuracy.tolist() == [0.5, 0.5]
    assert calibration_error(confidence, right, bins=2) == pytest.approx((0.2 + 0.35) / 2)


def test_fewer_queries_than_bins_and_sizes_that_differ_by_one() -> None:
    assert len(equal_mass_bins(np.array([0.1, 0.9]), np.zeros(2)).counts) == 2
    assert sorted(equal_mass_bins(np.random.default_rng(0).random(100), np.zeros(100)).counts.tolist()) == [6] * 5 + [7] * 10


def test_bins_are_those_of_scikit_learn() -> None:
    from sklearn.calibration import calibration_curve

    generator = np.random.default_rng(1)
    confidence = generator.random(1500)
    right = (generator.random(1500) < confidence).astype(float)
    accuracy, mean = calibration_curve(right, confidence, n_bins=15, strategy="quantile")
    ours = equal_mass_bins(confidence, right)
    np.testing.assert_allclose(ours.accuracy, accuracy, atol=0.02)
    np.testing.assert_allclose(ours.confidence, mean, atol=0.01)
    assert calibration_error(confidence, right) < 0.05
    assert calibration_error(confidence, 1 - right) > 0.4


def test_risk_by_hand() -> None:
    uncertainty, right = np.array([0.1, 0.3, 0.2, 0.4]), np.array([1.0, 0.0, 1.0, 1.0])
    coverage, risk = risk_coverage(uncertainty, right)
    assert coverage.tolist() == [0.25, 0.5, 0.75, 1.0]
    assert risk.tolist() == pytest.approx([0, 0, 1 / 3, 1 / 4])
    assert risk_coverage_area(uncertainty, right) == pytest.approx((1 / 3 + 1 / 4) / 4)


def test_a_blind_order_costs_the_error_rate() -> None:
    right = np.array([1.0, 0.0, 0.0, 1.0, 1.0])
    assert risk_coverage_area(np.zeros(5), right) == pytest.approx(0.4)
    order = np.random.default_rng(0).permutation(5)
    assert risk_coverage_area(np.zeros(5), right[order]) == pytest.approx(0.4)
    assert risk_coverage_area(1 - right, right) < 0.4 < risk_coverage_area(right, right)
