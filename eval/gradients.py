"""Integrated gradients of F at the FFN neurons, certified by completeness (METHODS 2). Pure torch; no tokenizer.

`A_j = (a_j - b_j) ∫_0^1 ∂F/∂a_j (b + α(a - b)) dα` (Sundararajan et al. 2017, equation 1; Dai et al. 2022, equation 3). The
projection is linear, so `A_j = (a_j - b_j) <W[:, j], g>` with `g = ∫ ∂F/∂o dα` at its output o: one vector a layer is
all that the integral needs. Completeness: `Σ_j A_j = F(a) - F(b)`, per layer; what misses it by more than the tolerance
is computed again with twice the nodes, and in the end reported as uncertified.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch

from rml_lama.eval.engine import Engine, Opened, Rows
from rml_lama.eval.quadrature import Quadrature, quadrature
from rml_lama.eval.unit import Unit

__all__ = ["Attribution", "Objective", "integrate"]

Objective = Literal["probability", "log-probability", "logit-difference"]


@dataclass(frozen=True, slots=True)
class Attribution:
    """The attributions of one unit; what is per layer is (layers,).

    `values[l]` (neurons of l,) are A; `effect` is F(a) - F(b), `residual` the absolute difference of Σ A from it,
    `nodes` how many nodes the layer took, `error` the distance of the embedded Gauss rule's Σ A (NaN without one).
    """

    values: tuple[torch.Tensor, ...]
    activations: tuple[torch.Tensor, ...]
    gradients: torch.Tensor  # (layers, hidden): ∫ ∂F/∂o dα
    value: float  # F(a)
    log_probability: float  # log F, or the logit difference
    effect: torch.Tensor
    residual: torch.Tensor
    error: torch.Tensor
    nodes: torch.Tensor
    certified: torch.Tensor

    @property
    def complete(self) -> bool:
        """Whether every layer is certified."""
        return bool(self.certified.all())


@dataclass(frozen=True, slots=True)
class _State:
    """What is known of each (layer, unit) so far: the tensors of `Attribution`, (layers, units, ...)."""

    gradients: torch.Tensor
    effect: torch.Tensor
    residual: torch.Tensor
    error: torch.Tensor
    nodes: torch.Tensor


def integrate(
    engine: Engine,
    units: Sequence[Unit],
    *,
    rule: str = "gauss-kronrod-sinh",
    objective: Objective = "probability",
    baselines: Sequence[Sequence[torch.Tensor]] | None = None,
    tolerance: float = 0.01,
    floor: float = 0.01,
    doublings: int = 3,
) -> list[Attribution]:
    """Attributions of a batch of units that can be opened together (see `Engine.open`).

    `baselines[u][l]` (neurons,) is the baseline of unit u in layer l, zero by default. A layer is certified when its
    residual is at most `tolerance * max(|F(a) - F(b)|, floor)`; others are computed again with twice the nodes, up to
    `doublings` times. Equal-step rules are never doubled: they are for parity with other tools.
    """
    opened = engine.open(units)
    start = quadrature(rule)
    lows = _baseline_outputs(engine, opened, baselines)
    full = _function(opened.log_probability.to(engine.dtype), objective)  # (units,)
    shape = (len(engine.sites), len(units))
    # A rule that has a node at 0 evaluates the baseline itself.
    effect = torch.zeros(shape, dtype=engine.dtype, device=engine.device)
    if start.nodes[0] != 0:
        effect = full[None] - _low_values(engine, opened, lows, objective)  # (layers, units)
    state = _State(
        torch.zeros(*shape, engine.hidden, dtype=engine.dtype, device=engine.device),
        effect,
        torch.full_like(effect, torch.inf),
        torch.full_like(effect, torch.nan),
        torch.zeros(shape, dtype=torch.int64, device=engine.device),
    )
    todo = torch.ones(shape, dtype=torch.bool, device=engine.device)
    for number in range(1 + (doublings if start.coarse is not None else 0)):
        start = start.doubled() if number else start
        _apply(engine, opened, lows, objective, start, todo, state, full)
        limit = tolerance * effect.abs().clamp_min(floor)
        todo = state.residual > limit
        if not bool(todo.any()):
            break
    return _attributions(engine, opened, baselines, full, state, state.residual <= limit)


def _apply(
    engine: Engine,
    opened: Opened,
    lows: Sequence[torch.Tensor],
    objective: Objective,
    rule: Quadrature,
    todo: torch.Tensor,
    state: _State,
    full: torch.Tensor,
) -> None:
    """Integrate the wanted (layer, unit) pairs with one rule; writes into `state`.

    A node at 1 is the unchanged model, whose gradients in all layers are one pass.
    """
    ends = rule.nodes[-1] == 1
    inner = len(rule) - int(ends)
    unchanged = engine.unchanged(opened) if ends else None  # (layers, units, hidden)
    rows: dict[int, Rows] = {}
    weights: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}  # by layer: fine and coarse, (nodes, wanted units)
    for layer, low in enumerate(lows):
        owner = todo[layer].nonzero()[:, 0]
        if len(owner):
            low, high = low[owner], opened.outputs[layer][owner]
            onset = engine.onset(opened, layer, owner, low, high)
            alphas, *both = (torch.as_tensor(part, dtype=engine.dtype, device=engine.device) for part in rule.at(onset.cpu().numpy()))
            outputs = low + alphas[:inner, :, None].to(low.dtype) * (high - low)  # (nodes, wanted units, hidden)
            rows[layer], weights[layer] = Rows(owner.repeat(inner), outputs.flatten(0, 1), inner), (both[0], both[1])
    for layer, (value, slope) in engine.evaluate(opened, rows, relative=objective == "probability").items():
        owner = todo[layer].nonzero()[:, 0]
        if rule.nodes[0] == 0:
            state.effect[layer, owner] = full[owner] - _function(value[: len(owner)].to(engine.dtype), objective)
        if unchanged is not None:
            value = torch.cat([value, opened.log_probability[owner].to(value)])
            slope = torch.cat([slope, unchanged[layer, owner]])
        scale = value.exp()[:, None] if objective == "probability" else 1.0
        slope = (slope * scale).view(len(rule), len(owner), -1)  # ∂F/∂o at each node
        step = (opened.outputs[layer][owner] - lows[layer][owner]).to(engine.dtype)
        fine, coarse = weights[layer]
        gradient = torch.einsum("ku,kuh->uh", fine, slope)
        total = (gradient * step).sum(-1)  # Σ_j A_j, (wanted units,)
        state.gradients[layer, owner] = gradient
        state.residual[layer, owner] = (total - state.effect[layer, owner]).abs()
        state.nodes[layer, owner] = len(rule)
        if rule.coarse is not None:
            state.error[layer, owner] = ((torch.einsum("ku,kuh->uh", coarse, slope) * step).sum(-1) - total).abs()


def _attributions(
    engine: Engine,
    opened: Opened,
    baselines: Sequence[Sequence[torch.Tensor]] | None,
    full: torch.Tensor,
    state: _State,
    certified: torch.Tensor,
) -> list[Attribution]:
    steps = [activation.to(engine.dtype) for activation in opened.activations]
    if baselines is not None:
        steps = [step - _stack(baselines, layer).to(step) for layer, step in enumerate(steps)]
    values = [step * (state.gradients[layer] @ site.weight.to(engine.dtype)) for layer, (site, step) in enumerate(zip(engine.sites, steps))]
    return [
        Attribution(
            tuple(value[unit] for value in values),
            tuple(activation[unit] for activation in opened.activations),
            state.gradients[:, unit],
            float(full[unit]),
            float(opened.log_probability[unit]),
            state.effect[:, unit],
            state.residual[:, unit],
            state.error[:, unit],
            state.nodes[:, unit],
            certified[:, unit],
        )
        for unit in range(len(opened.units))
    ]


def _stack(baselines: Sequence[Sequence[torch.Tensor]], layer: int) -> torch.Tensor:
    return torch.stack([baseline[layer] for baseline in baselines])  # (units, neurons)


@torch.no_grad()
def _baseline_outputs(engine: Engine, opened: Opened, baselines: Sequence[Sequence[torch.Tensor]] | None) -> list[torch.Tensor]:
    """The FFN's output at the baseline, by layer (units, hidden)."""
    zeros = [torch.zeros_like(activation) for activation in opened.activations]
    given = zeros if baselines is None else [_stack(baselines, layer).to(zeros[layer]) for layer in range(len(zeros))]
    return [site.output(low) for site, low in zip(engine.sites, given, strict=True)]


def _low_values(engine: Engine, opened: Opened, lows: Sequence[torch.Tensor], objective: Objective) -> torch.Tensor:
    """F at each layer's baseline, (layers, units)."""
    units = torch.arange(len(opened.units), device=engine.device)
    rows: Mapping[int, Rows] = {layer: Rows(units, low) for layer, low in enumerate(lows)}
    found = engine.evaluate(opened, rows, gradient=False)
    return torch.stack([_function(found[layer][0].to(engine.dtype), objective) for layer in range(len(lows))])


def _function(value: torch.Tensor, objective: Objective) -> torch.Tensor:
    return value.exp() if objective == "probability" else value
