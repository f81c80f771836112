"""The numbers of EleutherAI/knowledge-neurons from this engine, so that its users can switch and compare.

Its score is `w/S Σ_k ∂P/∂w (w k/(S-1))`, k = 0..S-1: the rule `linspace-S`. In BERT its w is this package's site; in GPT-2 it is
the FFN's *pre*-activation, whose path is not a line in the FFN's output: `site="pre-activation"` of other tools.
"""

from __future__ import annotations

from typing import Any

import torch

from rml_lama.errors import ModelError
from rml_lama.eval.engine import Engine, Rows
from rml_lama.eval.quadrature import quadrature
from rml_lama.eval.sites import LinearSite
from rml_lama.eval.unit import Unit

__all__ = ["pre_activation_attribution"]


def pre_activation_attribution(engine: Engine, unit: Unit, *, rule: str = "linspace-20") -> list[torch.Tensor]:
    """Attributions of F = P to the pre-activations, baseline zero, (neurons,) a layer; for FFNs of one map, without a gate.

    Raises `ModelError` for gated FFNs and experts, where there is no single pre-activation.
    """
    found = quadrature(rule)
    alphas = torch.as_tensor(found.nodes, dtype=engine.model.dtype, device=engine.device)
    weights = torch.as_tensor(found.weights, dtype=engine.dtype, device=engine.device)
    functions = [_activation_function(engine, layer) for layer in range(len(engine.sites))]
    read: dict[int, torch.Tensor] = {}
    handles = [function.register_forward_pre_hook(_keep(read, layer)) for layer, function in enumerate(functions)]
    try:
        opened = engine.open([unit])
    finally:
        for handle in handles:
            handle.remove()
    scaled, rows = {}, {}
    owner = torch.zeros(len(found), dtype=torch.long, device=engine.device)
    for layer, site in enumerate(engine.sites):
        whole = read[layer].reshape(-1, read[layer].shape[-1])[int(opened.layout.site[0])]  # (neurons,)
        scaled[layer] = (alphas[:, None] * whole).requires_grad_()
        with torch.no_grad():
            rows[layer] = Rows(owner, site.output(functions[layer](scaled[layer])))
    result = []
    for layer, (value, slope) in engine.evaluate(opened, rows, relative=True).items():
        with torch.enable_grad():
            activation = functions[layer](scaled[layer])
            upstream = (value.exp() * weights)[:, None] * slope @ engine.sites[layer].weight.to(slope.dtype)
            (gradient,) = torch.autograd.grad(activation, scaled[layer], upstream.to(activation.dtype))
        whole = read[layer].reshape(-1, read[layer].shape[-1])[int(opened.layout.site[0])]
        result.append(whole * gradient.sum(0))
    return result


def _keep(read: dict[int, torch.Tensor], layer: int) -> Any:
    def hook(module: torch.nn.Module, args: tuple[torch.Tensor, ...]) -> None:
        read[layer] = args[0].detach()

    return hook


def _activation_function(engine: Engine, layer: int) -> torch.nn.Module:
    """The module without weights that runs just before the output projection and is not a dropout."""
    site = engine.sites[layer]
    maps = [module for module in site.layer.modules() if _is_map(module, site.neurons, engine.hidden)]
    if not isinstance(site, LinearSite) or len(maps) != 1:
        raise ModelError(f"layer {layer}: there is one pre-activation only where one map leads into the FFN; found {len(maps)}")
    ran: list[torch.nn.Module] = []
    leaves = [
        m for m in site.layer.modules() if not list(m.children()) and not list(m.parameters()) and not isinstance(m, torch.nn.Dropout)
    ]
    handles = [module.register_forward_hook(lambda module, args, output: ran.append(module)) for module in leaves]
    handles.append(site.module.register_forward_pre_hook(lambda module, args: ran.append(module)))
    try:
        with torch.no_grad():
            engine.model(**engine.probe())
    finally:
        for handle in handles:
            handle.remove()
    place = ran.index(site.module)
    if place == 0:
        raise ModelError(f"layer {layer}: looked for an activation function that runs before the output projection; found none")
    return ran[place - 1]


def _is_map(module: torch.nn.Module, neurons: int, hidden: int) -> bool:
    weight = getattr(module, "weight", None)
    if not isinstance(weight, torch.Tensor) or weight.dim() != 2:
        return False
    return tuple(weight.T.shape if type(module).__name__ == "Conv1D" else weight.shape) == (neurons, hidden)
