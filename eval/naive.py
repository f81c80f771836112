"""The reference: whole sequences through the whole model, a layer and a batch of steps at a time, as other tools do it.

Slow, and independent of the engine: the activations are scaled by a hook in a plain forward, the whole vocabulary's
softmax is taken, and autograd gives the gradient. Tests compare with it, benchmarks race against it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from rml_lama.eval.quadrature import Quadrature
from rml_lama.eval.sites import LinearSite, Site
from rml_lama.eval.unit import Unit

__all__ = ["naive_attribution", "naive_layer"]


def naive_attribution(model: Any, sites: Sequence[Site], unit: Unit, rule: Quadrature, *, batch: int = 20) -> list[torch.Tensor]:
    """A of every layer for F = P, baseline zero, (neurons,) each; `batch` steps in one forward and backward."""
    return [naive_layer(model, site, unit, rule, batch=batch) for site in sites]


def naive_layer(model: Any, site: Site, unit: Unit, rule: Quadrature, *, batch: int = 20) -> torch.Tensor:
    """A of one dense layer, (neurons,). Raises `TypeError` for a layer of experts, whose activations no hook can scale."""
    if not isinstance(site, LinearSite):
        raise TypeError("the reference scales the input of a dense projection")
    total: torch.Tensor | None = None
    activation: torch.Tensor | None = None
    for start in range(0, len(rule), batch):
        activation, gradient = _steps(model, site, unit, rule, slice(start, start + batch))
        total = gradient if total is None else total + gradient
    assert total is not None, "a rule has nodes"
    assert activation is not None, "a rule has nodes"
    return activation * total


def _steps(model: Any, site: LinearSite, unit: Unit, rule: Quadrature, steps: slice) -> tuple[torch.Tensor, torch.Tensor]:
    """The activation, and the weighted sum of the gradients of some steps, (neurons,) both."""
    alphas = torch.as_tensor(rule.nodes[steps], dtype=model.dtype, device=model.device)
    weights = torch.as_tensor(rule.weights[steps], dtype=model.dtype, device=model.device)
    seen: dict[str, torch.Tensor] = {}

    def scale(module: torch.nn.Module, args: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        rows = args[0].detach().reshape(len(alphas), -1, args[0].shape[-1])
        seen["activation"] = rows[0, unit.site]
        seen["scaled"] = (alphas[:, None] * rows[:, unit.site]).requires_grad_()
        place = (torch.arange(len(alphas), device=rows.device), torch.full_like(alphas, unit.site, dtype=torch.long))
        return (rows.index_put(place, seen["scaled"]).reshape(args[0].shape), *args[1:])

    handle = site.module.register_forward_pre_hook(scale)
    try:
        with torch.enable_grad():
            logits = model(**_inputs(model, unit, len(alphas))).logits  # (steps, columns, vocabulary)
            log_probability = sum(torch.log_softmax(logits[:, column], dim=-1)[:, token] for column, token in unit.targets)
            probability = torch.as_tensor(log_probability).exp()  # (steps,)
            (gradient,) = torch.autograd.grad((probability * weights).sum(), seen["scaled"])
    finally:
        handle.remove()
    return seen["activation"], gradient.sum(0)


def _inputs(model: Any, unit: Unit, rows: int) -> dict[str, torch.Tensor]:
    tokens = torch.tensor([unit.tokens], device=model.device).expand(rows, -1)
    if not unit.source:
        return {"input_ids": tokens}
    return {"input_ids": torch.tensor([unit.source], device=model.device).expand(rows, -1), "decoder_input_ids": tokens}
