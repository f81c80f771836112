"""Rules against published tables, and the integrals they are for."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rml_lama.errors import ConfigError
from rml_lama.eval.quadrature import kronrod, quadrature

# QUADPACK (Piessens et al. 1983), qk15: nodes and weights of the non-negative half, outermost first.
QK15 = [
    (0.991455371120812639206854697526329, 0.022935322010529224963732008058970),
    (0.949107912342758524526189684047851, 0.063092092629978553290700663189204),
    (0.864864423359769072789712788640926, 0.104790010322250183839876322541518),
    (0.741531185599394439863864773280788, 0.140653259715525918745189590510238),
    (0.586087235467691130294144045493800, 0.169004726639267902826583426598550),
    (0.405845151377397166906606412076961, 0.190350578064785409913256402421014),
    (0.207784955007898467600689403773245, 0.204432940075298892414161999234649),
    (0.000000000000000000000000000000000, 0.209482141084727828012999174891714),
]


def test_the_kronrod_rule_is_quadpacks() -> None:
    nodes, weights, coarse = kronrod(7)
    np.testing.assert_allclose(nodes[::-1][:8], [node for node, _ in QK15], atol=1e-14)
    np.testing.assert_allclose(weights[::-1][:8], [weight for _, weight in QK15], atol=1e-14)
    assert (coarse[::2] == 0).all()
    np.testing.assert_allclose(coarse.sum(), 2)


@pytest.mark.parametrize("n", [3, 7, 10, 15, 31, 63])
def test_a_kronrod_rule_is_exact_for_its_degree(n: int) -> None:
    nodes, weights, _ = kronrod(n)
    assert (weights > 0).all()
    assert (np.diff(nodes) > 0).all()
    for power in range(3 * n + 2):
        assert weights @ nodes**power == pytest.approx(2 / (power + 1) if power % 2 == 0 else 0, abs=1e-13)


def test_rules_of_other_tools() -> None:
    assert quadrature("linspace-5").nodes.tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert quadrature("left-4").nodes.tolist() == [0, 0.25, 0.5, 0.75]
    assert quadrature("midpoint-2").nodes.tolist() == [0.25, 0.75]
    for name in ("linspace-20", "left-20", "midpoint-20"):
        assert quadrature(name).weights.sum() == pytest.approx(1)
        assert quadrature(name).coarse is None


def test_cubed_nodes_see_what_happens_near_zero() -> None:
    """The derivative of a/(a+ε), a function that saturates as a norm does: 15 nodes beat 200 equal steps."""

    def error(name: str) -> float:
        rule, small = quadrature(name), 1e-3
        return abs(float(rule.weights @ (small / (rule.nodes + small) ** 2)) - 1 / (1 + small))

    assert error("gauss-kronrod-cubic-31") < 0.01 < error("midpoint-200")
    assert error("gauss-kronrod-cubic-63") < error("gauss-kronrod-cubic-31") < error("gauss-kronrod-cubic-15")


@pytest.mark.parametrize("small", [1e-4, 1e-3, 1e-2, 1.0])
def test_nodes_fitted_to_the_onset_see_it_wherever_it_is(small: float) -> None:
    """The derivative of a norm's output in α, 15 nodes: to 1e-4, where α = t³ misses by ten times that."""

    def error(name: str) -> float:
        nodes, weights, _ = quadrature(name).at(np.array([small / 2]))
        slope = small**2 / (nodes[:, 0] ** 2 + small**2) ** 1.5
        return abs(float(weights[:, 0] @ slope) - 1 / math.hypot(1, small))

    assert error("gauss-kronrod-sinh-15") < 1e-4
    if small < 1e-2:
        assert error("gauss-kronrod-cubic-15") > 1e-3


def test_each_path_has_nodes_of_its_own() -> None:
    rule = quadrature("gauss-kronrod-sinh")
    nodes, weights, coarse = rule.at(np.array([1e-4, 1.0]))
    assert rule.name == "gauss-kronrod-sinh-15"
    assert nodes.shape == weights.shape == coarse.shape == (15, 2)
    assert nodes[7, 0] < 0.02 < 0.3 < nodes[7, 1]
    for part in (weights, coarse):
        assert part.sum(0) == pytest.approx([1, 1], abs=1e-3)
    cubic, _, _ = quadrature("gauss-kronrod-cubic").at(np.array([1e-4, 1.0]))
    assert (cubic[:, 0] == cubic[:, 1]).all()


def test_doubling_and_wrong_names() -> None:
    assert quadrature("gauss-kronrod-sinh").doubled().name == "gauss-kronrod-sinh-31"
    assert quadrature("gauss-kronrod-cubic").name == "gauss-kronrod-cubic-21"
    assert quadrature("gauss-kronrod-cubic-15").doubled().name == "gauss-kronrod-cubic-31"
    assert quadrature("left-20").doubled().name == "left-40"
    for name, message in (("simpson-3", "unknown quadrature"), ("left-1", "at least 2"), ("gauss-kronrod-cubic-16", "odd number")):
        with pytest.raises(ConfigError, match=message):
            quadrature(name)
