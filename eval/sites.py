"""Find the FFN neurons of a model by structure: the input of each layer's output projection (METHODS 2).

That projection multiplies the value vectors, whatever its name: `down_proj`, `c_proj`, `dense_4h_to_h`, `fc2`,
`output.dense`, `wo`. It is the one linear map of a layer, outside attention, whose output has the model's width and
whose input is the FFN's. A mixture of experts has one such map an expert: its neurons are numbered through all experts,
and an activation counts with its expert's routing weight.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from rml_lama.errors import ModelError

__all__ = ["ExpertSite", "LinearSite", "Site", "find_sites"]

_ATTENTION = re.compile(r"attn|attention", re.IGNORECASE)
_LAST_NAMES = ("down_proj", "c_proj", "dense_4h_to_h", "fc2", "fc_out", "wo", "output.dense", "w2")


@dataclass(frozen=True, slots=True)
class LinearSite:
    """The neurons of one dense layer; `module` is the output projection, `layer` the block that holds it."""

    index: int
    layer: nn.Module
    module: nn.Module

    @property
    def weight(self) -> torch.Tensor:
        """The value vectors as columns, (hidden, neurons)."""
        module: Any = self.module
        weight: torch.Tensor = module.weight
        return weight.T if type(self.module).__name__ == "Conv1D" else weight

    @property
    def neurons(self) -> int:
        return int(self.weight.shape[1])

    @property
    def block(self) -> nn.Module:
        """The module whose output is the FFN's output."""
        return self.module

    def activation(self, inputs: tuple[Any, ...]) -> torch.Tensor:
        """The neurons' activations from what the module was called with, (..., neurons)."""
        activation: torch.Tensor = inputs[0]
        return activation

    def output(self, activation: torch.Tensor) -> torch.Tensor:
        """What the projection makes of activations, (..., neurons) -> (..., hidden)."""
        output: torch.Tensor = self.module(activation.to(self.weight.dtype))
        return output


@dataclass(frozen=True, slots=True)
class ExpertSite:
    """The neurons of one layer of experts with stacked weights; neuron `e * width + j` is number j of expert e."""

    index: int
    layer: nn.Module
    module: nn.Module

    @property
    def weight(self) -> torch.Tensor:
        """The value vectors of all experts as columns, (hidden, experts * width)."""
        module: Any = self.module
        stacked: torch.Tensor = module.down_proj  # (experts, hidden, width)
        return stacked.movedim(0, 1).flatten(1)

    @property
    def neurons(self) -> int:
        stacked: Any = self.module.down_proj
        return int(stacked.shape[0] * stacked.shape[2])

    @property
    def block(self) -> nn.Module:
        return self.module

    def activation(self, inputs: tuple[Any, ...]) -> torch.Tensor:
        """Routed activations, zero for experts that the router did not choose, (tokens, experts * width)."""
        hidden, chosen, weights = inputs[:3]
        module: Any = self.module
        experts, _, width = module.down_proj.shape
        result: torch.Tensor = hidden.new_zeros(len(hidden), experts, width)
        for place in range(chosen.shape[1]):
            for expert in chosen[:, place].unique().tolist():
                rows = (chosen[:, place] == expert).nonzero()[:, 0]
                gate, up = nn.functional.linear(hidden[rows], module.gate_up_proj[expert]).chunk(2, dim=-1)
                result[rows, expert] += module.act_fn(gate) * up * weights[rows, place, None].to(hidden.dtype)
        return result.flatten(1)

    def output(self, activation: torch.Tensor) -> torch.Tensor:
        return activation.to(self.weight.dtype) @ self.weight.T


Site = LinearSite | ExpertSite


def find_sites(model: nn.Module) -> list[Site]:
    """The FFN neurons of every layer, from the first to the last; of the decoder where there are two stacks.

    Raises `ModelError` saying what was looked for when a layer has no projection of that kind, or several.
    """
    config: Any = model.config
    hidden = int(getattr(config, "hidden_size", None) or config.d_model)
    name, layers = _stack(model)
    sites: list[Site] = []
    for index, layer in enumerate(layers):
        experts = [module for module in layer.modules() if _is_experts(module)]
        if experts:
            others = [path for path, _ in _projections(layer, hidden)]
            if len(experts) > 1 or others:
                raise ModelError(
                    f"layer {index} of {name} has {len(experts)} blocks of experts and the dense maps {others or 'none'}: "
                    "layers that mix experts with a dense branch are not supported"
                )
            sites.append(ExpertSite(index, layer, experts[0]))
            continue
        found = dict(_projections(layer, hidden))
        chosen = list(found) if len(found) == 1 else [path for path in found if path.endswith(_LAST_NAMES)]
        if len(chosen) != 1:
            raise ModelError(
                f"layer {index} of {name} ({type(layer).__name__}): looked for one linear map outside attention with {hidden} outputs, "
                f"the FFN's output projection ({', '.join(_LAST_NAMES)}); found {', '.join(found) or 'none'}"
            )
        sites.append(LinearSite(index, layer, found[chosen[0]]))
    return sites


def _stack(model: nn.Module) -> tuple[str, nn.ModuleList]:
    """The list of layers: the decoder's where there is one, else the longest list of blocks that have an attention."""
    found = [
        (name, module)
        for name, module in model.named_modules()
        if isinstance(module, nn.ModuleList) and len(module) and all(_has_attention(block) for block in module)
    ]
    found = [(name, module) for name, module in found if not any(name.startswith(other + ".") for other, _ in found if other != name)]
    if not found:
        raise ModelError(f"{type(model).__name__}: looked for a list of layers that each hold an attention module; found none")
    decoders = [(name, module) for name, module in found if "decoder" in name.split(".")]
    return max(decoders or found, key=lambda pair: len(pair[1]))


def _has_attention(block: nn.Module) -> bool:
    return any(_ATTENTION.search(name.rpartition(".")[2]) for name, _ in block.named_modules() if name)


def _projections(layer: nn.Module, hidden: int) -> Iterator[tuple[str, nn.Module]]:
    """Linear maps to the model's width, outside attention and outside experts."""
    for path, module in layer.named_modules():
        weight = getattr(module, "weight", None)
        if not isinstance(weight, torch.Tensor) or weight.dim() != 2 or any(_ATTENTION.search(part) for part in path.split(".")):
            continue
        outputs = weight.shape[1] if type(module).__name__ == "Conv1D" else weight.shape[0]
        if outputs == hidden and (isinstance(module, nn.Linear) or type(module).__name__ == "Conv1D"):
            yield path, module


def _is_experts(module: nn.Module) -> bool:
    stacked, gate = getattr(module, "down_proj", None), getattr(module, "gate_up_proj", None)
    return isinstance(stacked, nn.Parameter) and isinstance(gate, nn.Parameter) and stacked.dim() == gate.dim() == 3
