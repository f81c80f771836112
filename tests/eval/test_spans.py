"""Products in spans equal full ones to their tolerance, whatever the rows are; the engine's shared work equals its full work."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from rml_lama.eval import spans
from rml_lama.eval.engine import Engine, Rows
from rml_lama.eval.gradients import integrate
from rml_lama.eval.models import LoadedModel
from rml_lama.eval.passes import kept_numbers, passes
from rml_lama.eval.rows import Growth
from rml_lama.eval.spans import Block, linear_maps, span, spanned
from rml_lama.eval.unit import Unit
from rml_lama.eval.vocabulary import Head
from rml_lama.eval.vocabulary_spans import with_gradient
from tests.eval.families import families, kind_of, tiny

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning")

BLOCK = Block(2, 3, 20, 2)  # behind two rows: three layers, twenty nodes, two units
UNITS = {"causal": Unit((1, 5, 6, 7, 8, 9, 10), 6, ((6, 33),)), "masked": Unit((1, 6, 7, 2, 9, 10, 11), 3, ((3, 33),))}


def curves(columns: int = 4, width: int = 40, *, seed: int = 0) -> torch.Tensor:
    """Rows of two sequences, then smooth curves for `BLOCK`: (rows, columns, width)."""
    generator = torch.Generator().manual_seed(seed)
    alpha = torch.linspace(0, 1, BLOCK.nodes)[None, :, None, None, None]
    size = (BLOCK.paths, 1, BLOCK.units, columns, width)
    first, second = (torch.randn(size, generator=generator) for _ in range(2))
    return torch.cat([torch.randn(BLOCK.start, columns, width, generator=generator), torch.tanh(first + alpha * second).flatten(0, 2)])


def relative(found: torch.Tensor, exact: torch.Tensor) -> float:
    return float(((found - exact).flatten(1).norm(dim=1) / exact.flatten(1).norm(dim=1)).max())


@pytest.mark.parametrize("tolerance", [1e-2, 1e-4, 1e-5])
def test_a_span_misses_no_more_than_its_tolerance(tolerance: float) -> None:
    rows = curves()[BLOCK.start :].view(BLOCK.paths, BLOCK.nodes, BLOCK.units, 4, 40)
    found = span(rows, tolerance)
    assert found is not None
    assert relative(found.spread(found.parts).view_as(rows).flatten(0, 2), rows.flatten(0, 2)) <= tolerance + 1e-6
    assert len(found.parts) < 0.6 * rows[..., 0].numel()


def test_columns_that_do_not_change_cost_less() -> None:
    rows = curves()[BLOCK.start :].view(BLOCK.paths, BLOCK.nodes, BLOCK.units, 4, 40).clone()
    moving = span(rows, 1e-4)
    rows[:, :, :, 1:] = rows[:, :1, :, 1:]
    still = span(rows, 1e-4)
    assert moving is not None
    assert still is not None
    assert len(still.parts) < 0.8 * len(moving.parts)


@pytest.mark.parametrize(
    "rows",
    [torch.randn(1, 20, 2, 1, 64), torch.full((1, 20, 1, 1, 4), torch.inf), torch.ones(1, 4, 1, 1, 8)],
    ids=["nothing in common", "not finite", "few nodes"],
)
def test_what_has_no_span_has_none(rows: torch.Tensor) -> None:
    assert span(rows, 1e-4) is None


def test_rows_of_zeros_have_a_span() -> None:
    found = span(torch.zeros(1, 20, 2, 3, 8), 1e-4)
    assert found is not None
    assert not found.spread(found.parts).any()


def conv1d() -> nn.Module:
    from transformers.pytorch_utils import Conv1D

    module: nn.Module = Conv1D(48, 40)
    return module


@pytest.mark.parametrize(
    "make", [lambda: nn.Linear(40, 48), lambda: nn.Linear(40, 48, bias=False), conv1d], ids=["linear", "no bias", "conv1d"]
)
@pytest.mark.parametrize("shuffled", [False, True], ids=["curves", "rows in no order"])
def test_a_linear_map_forwards_and_backwards(make: Any, shuffled: bool) -> None:
    torch.manual_seed(0)
    module = make().requires_grad_(False)
    growth = Growth(torch.arange(BLOCK.start))
    for _ in range(BLOCK.paths):
        growth.add(torch.arange(BLOCK.units).repeat(BLOCK.nodes), BLOCK.nodes)
    assert growth.blocks == [BLOCK]
    inputs = curves()
    order = torch.cat([torch.arange(2), 2 + torch.randperm(len(inputs) - 2)]) if shuffled else torch.arange(len(inputs))
    inputs = inputs[order].requires_grad_()
    slopes = curves(width=48, seed=1)[order]
    slopes[: BLOCK.start] = 0.0  # nothing depends on the sequences as they are
    exact = module(inputs)
    (exact_slope,) = torch.autograd.grad(exact, inputs, slopes)
    maps = linear_maps([nn.Sequential(module)])
    assert maps == [module]
    with spanned(maps, growth, 1e-4):
        found = module(inputs)
        (slope,) = torch.autograd.grad(found, inputs, slopes)
        other = module(inputs[:5])  # has not the batch's rows
    assert relative(found.detach(), exact.detach()) <= 1e-4
    assert relative(slope[BLOCK.start :], exact_slope[BLOCK.start :]) <= 1e-3
    torch.testing.assert_close(other, module(inputs[:5]))
    assert "forward" not in vars(module)


def test_only_plain_frozen_maps_are_replaced() -> None:
    class Other(nn.Linear):
        pass

    kept = nn.Linear(40, 48).requires_grad_(False)
    layer = nn.ModuleList([kept, Other(40, 48).requires_grad_(False), nn.Linear(40, 48), nn.Linear(40, 4).requires_grad_(False)])
    assert linear_maps([layer]) == [kept]


@pytest.mark.parametrize("family", sorted(families()))
def test_shared_work_equals_full_work(family: str) -> None:
    """The rules of the other tests have too few nodes to share work; here the spans must have been at work, too."""
    model = tiny(family)
    loaded = LoadedModel("tiny", "local", kind_of(family), "float32", model, None)
    unit = Unit((0, 7), 1, ((1, 33),), source=(5, 6, 7, 8, 9)) if family in ("mt5", "t5") else UNITS[kind_of(family)]
    exact, _ = integrate(Engine(loaded, tolerance=0.0), [unit, unit], rule="gauss-kronrod-cubic-21", doublings=0)
    made: list[bool] = []
    original = spans.span

    def counting(rows: torch.Tensor, tolerance: float) -> Any:
        found = original(rows, tolerance)
        made.append(found is not None)
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spans, "span", counting)
        found, _ = integrate(Engine(loaded), [unit, unit], rule="gauss-kronrod-cubic-21", doublings=0)
    largest = max(float(value.abs().max()) for value in exact.values)
    assert max(float((a - b).abs().max()) for a, b in zip(found.values, exact.values, strict=True)) <= 1e-3 * largest
    assert any(made) or family == "falcon", "Falcon's maps are of a class of their own and run as they are"


class Tied(nn.Module):
    """As much of a model as the head reads."""

    def __init__(self, words: int, width: int, cap: float | None) -> None:
        super().__init__()
        self.head = nn.Linear(width, words)
        self.config = type("Config", (), {"final_logit_softcapping": cap})()

    def get_output_embeddings(self) -> nn.Module:
        return self.head


@pytest.mark.parametrize("cap", [None, 3.0])
@pytest.mark.parametrize("sure", [False, True])
@pytest.mark.parametrize("words", [500, 9000])
def test_the_head_in_spans(cap: float | None, sure: bool, words: int) -> None:
    torch.manual_seed(0)
    head = Head(Tied(words, 40, cap).requires_grad_(False))
    hidden = curves(columns=1)[:, 0] * (3.0 if sure else 1.0)
    tokens = torch.cat([torch.tensor([3, 5]), torch.tensor([7, 11]).repeat(BLOCK.paths * BLOCK.nodes)])
    if sure:
        head.module.weight[[7, 11]] += hidden[-1] / 4  # type: ignore[operator]
    value, slope = head.with_gradient(hidden, tokens)
    for reference in (None, value + 0.5):
        found, near = with_gradient(head, hidden, tokens, blocks=[BLOCK], tolerance=1e-3, reference=reference)
        torch.testing.assert_close(found, value, atol=1e-3, rtol=1e-3)
        weight = (value if reference is None else (value - reference).clamp(max=0.0)).exp()[:, None]
        torch.testing.assert_close(near * weight, slope * weight, atol=2e-3 * float((slope * weight).norm(dim=1).max()), rtol=0)
    torch.testing.assert_close(head.log_probability(hidden, tokens), value)


def test_the_heads_paths_that_miss_too_much_are_done_in_full() -> None:
    torch.manual_seed(0)
    head = Head(Tied(500, 40, None).requires_grad_(False))
    hidden = torch.randn(len(curves()), 40)  # in no span
    tokens = torch.zeros(len(hidden), dtype=torch.long)
    value, slope = with_gradient(head, hidden, tokens, blocks=[BLOCK], tolerance=1e-3)
    exact, exact_slope = head.with_gradient(hidden, tokens)
    torch.testing.assert_close(value, exact)
    torch.testing.assert_close(slope, exact_slope)


def test_passes_stay_within_the_budget_and_keep_nodes_together() -> None:
    rows = {layer: Rows(torch.arange(2).repeat(10), torch.zeros(20, 4), 10) for layer in range(4)}
    (whole,) = passes(rows, 4, 1, 1000)
    assert list(whole) == list(rows)
    assert all(torch.equal(whole[layer].owner, part.owner) and whole[layer].nodes == 10 for layer, part in rows.items())
    found = list(passes(rows, 4, 1, 36))
    assert all(sum(len(part.owner) * max(1, 3 - layer) for layer, part in chunk.items()) <= 36 for chunk in found)
    assert [part.nodes for chunk in found for layer, part in chunk.items() if layer == 0] == [5, 5]
    for layer in rows:
        assert torch.equal(torch.cat([chunk[layer].owner for chunk in found if layer in chunk]), rows[layer].owner)
    assert all(len(part.owner) == 1 for chunk in passes(rows, 4, 1, 1) for part in chunk.values())


@pytest.mark.parametrize("family", ["gpt2", "bert", "mt5"])
def test_what_a_layer_keeps_is_measured(family: str) -> None:
    engine = Engine(LoadedModel("tiny", "local", kind_of(family), "float32", tiny(family), None))
    assert 4 * engine.hidden < kept_numbers(engine.model, engine.sites, engine.probe()) < 100 * engine.hidden
