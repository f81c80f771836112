"""Write neurons into a model whose truth is then known, and see which method finds them (METHODS 4.1).

A planted neuron fires on wanted queries only, and its value column pushes the answer's word: agnostic ones for a fact in
every language, decoys for one language, one family or one phrasing, and hubs that fire for everything. The key is found
by ridge regression on what the layer's FFN reads at the predicting position; the old weights come back on leaving.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch

from rml_lama.errors import ModelError
from rml_lama.eval.engine import Engine
from rml_lama.eval.sites import LinearSite
from rml_lama.eval.unit import Unit

__all__ = ["Plan", "Planted", "average_precision", "plant", "recall_at"]

_HIGH = 4.0  # the pre-activation that a planted key gives on wanted queries
_RIDGE = 1e-3

Role = Literal["agnostic", "language", "family", "phrasing", "hub"]


@dataclass(frozen=True, slots=True)
class Plan:
    """One neuron to plant: its role, the queries (numbers) on which it fires, and the words that it pushes."""

    role: Role
    fact: str
    queries: tuple[int, ...]
    words: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Planted:
    """Where a plan was written: layer, index, and the mean activation on wanted and on other queries."""

    plan: Plan
    layer: int
    index: int
    wanted: float
    other: float


@contextlib.contextmanager
def plant(
    engine: Engine, units: Sequence[Unit], plans: Sequence[Plan], *, layers: Sequence[int], strength: float, seed: int
) -> Iterator[list[Planted]]:
    """Write the plans into `layers` in turn (as many as plans: each its own), in place of random neurons; weights come back on leaving.

    `strength` is c: how far the value column goes towards each word, as a multiple of the mean length of the layer's own columns. Planted
    from the lowest layer up, so that each key is fitted to what its layer reads in the end. Raises `ModelError` for
    layers of experts, or whose first projection cannot be told, and for output embeddings of another width than the layers.
    """
    generator = np.random.default_rng(seed)
    middle = engine.head.mean_embedding()
    if len(middle) != engine.hidden:
        raise ModelError(f"output embeddings are {len(middle)} wide and layers {engine.hidden}: planting needs the same width")
    saved: list[tuple[torch.Tensor, torch.Tensor]] = []
    planted: list[tuple[int, int, int]] = []  # plan, layer, index
    try:
        for layer in sorted(set(layers)):
            mine = [number for number in range(len(plans)) if layers[number % len(layers)] == layer]
            keys, weight = _first_maps(engine, layer), _value_weight(engine, layer)
            tensors = [weight, *(part for key in keys for part in (key.weight, key.bias) if part is not None)]
            saved += [(tensor, tensor.clone()) for tensor in tensors]
            read = _read_inputs(engine, units, keys[0])  # (units, hidden)
            size = strength * engine.sites[layer].weight.data.norm(dim=0).mean()
            for number, index in zip(mine, generator.permutation(engine.sites[layer].neurons)[: len(mine)].tolist(), strict=True):
                _write_key(keys, index, read, plans[number].queries)
                _write_value(engine, layer, index, plans[number].words, size, middle)
                planted.append((number, layer, index))
        fired = _activations(engine, units)
        yield [_measured(plans[number], layer, index, fired[layer][:, index]) for number, layer, index in sorted(planted)]
    finally:
        for tensor, value in reversed(saved):
            tensor.copy_(value)


def _first_maps(engine: Engine, layer: int) -> list[Any]:
    """The maps into the FFN: one, or gate and up. Phi-3's fused one is not supported."""
    site = engine.sites[layer]
    if not isinstance(site, LinearSite):
        raise ModelError(f"layer {layer}: neurons can be planted in dense layers only")
    found = [
        module
        for name, module in site.layer.named_modules()
        if not any(part in name.lower() for part in ("attn", "attention"))
        and getattr(module, "weight", None) is not None
        and module is not site.module
        and tuple(_matrix(module).shape) == (site.neurons, engine.hidden)
    ]
    if not 1 <= len(found) <= 2:
        raise ModelError(f"layer {layer}: looked for one or two maps from {engine.hidden} to {site.neurons}; found {len(found)}")
    return found


def _matrix(module: Any) -> torch.Tensor:
    """The weight as (outputs, inputs)."""
    weight: torch.Tensor = module.weight.data
    if weight.dim() != 2:
        return weight.new_empty(0, 0)
    return weight.T if type(module).__name__ == "Conv1D" else weight


def _value_weight(engine: Engine, layer: int) -> torch.Tensor:
    module: Any = engine.sites[layer].block
    weight: torch.Tensor = module.weight.data
    return weight


@torch.no_grad()
def _read_inputs(engine: Engine, units: Sequence[Unit], module: torch.nn.Module) -> torch.Tensor:
    """What a map reads at the site, (units, hidden); each unit on its own, as lengths differ."""
    rows: list[torch.Tensor] = []

    def hook(module: torch.nn.Module, args: tuple[torch.Tensor, ...]) -> None:
        rows.append(args[0].reshape(-1, args[0].shape[-1]))

    handle = module.register_forward_pre_hook(hook)
    try:
        for unit in units:
            tokens = torch.tensor([unit.tokens], device=engine.device)
            source = {"input_ids": torch.tensor([unit.source], device=engine.device), "decoder_input_ids": tokens}
            engine.model(**(source if unit.source else {"input_ids": tokens}))
            rows[-1] = rows[-1][unit.site]
    finally:
        handle.remove()
    return torch.stack(rows).double()


def _write_key(keys: Sequence[Any], index: int, read: torch.Tensor, wanted: Sequence[int]) -> None:
    """Rows that give a large pre-activation on wanted queries and a negative one elsewhere (gated: gate so, up a constant).

    Ridge regression in the dual: as many unknowns as queries, not as hidden sizes.
    """
    target = torch.full((len(read),), -_HIGH, dtype=read.dtype, device=read.device)
    target[list(wanted)] = _HIGH
    weights = torch.ones_like(target)  # wanted queries are few: both sides count the same
    weights[list(wanted)] = max(1.0, (len(read) - len(wanted)) / max(1, len(wanted)))
    ones = torch.ones_like(target)
    _set_row(keys[0], index, _ridge(read, target, weights))
    if len(keys) == 2:
        _set_row(keys[1], index, _ridge(read, ones, weights))


def _ridge(read: torch.Tensor, target: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    gram = read @ read.T  # (queries, queries)
    noise = torch.diag(_RIDGE * gram.diagonal().mean() / weights)
    row: torch.Tensor = read.T @ torch.linalg.solve(gram + noise, target)  # (hidden,)
    return row


def _set_row(module: Any, index: int, row: torch.Tensor) -> None:
    _matrix(module)[index] = row.to(module.weight.dtype)
    if module.bias is not None:
        module.bias.data[index] = 0.0


def _write_value(engine: Engine, layer: int, index: int, words: Sequence[int], size: torch.Tensor | float, middle: torch.Tensor) -> None:
    """The shortest value column that goes `size` far along the way from the output embeddings' `middle` to each word's own.

    Words that are alike (Roma, Rom) share their way, so that none of them is pushed more than another.
    """
    columns = engine.sites[layer].weight.data  # (hidden, neurons), a view
    ways = engine.head.embedding(torch.tensor(words, device=engine.device)).double() - middle.double()  # (words, hidden)
    ways = ways / ways.norm(dim=1, keepdim=True)
    columns[:, index] = (size * torch.linalg.pinv(ways, rtol=1e-3).sum(dim=1)).to(columns.dtype)


def _measured(plan: Plan, layer: int, index: int, fired: np.ndarray) -> Planted:
    """With the neuron's activations on all units, (units,)."""
    inside = np.isin(np.arange(len(fired)), plan.queries)
    return Planted(plan, layer, index, float(fired[inside].mean()), float(np.abs(fired[~inside]).mean()) if (~inside).any() else 0.0)


@torch.no_grad()
def _activations(engine: Engine, units: Sequence[Unit]) -> list[np.ndarray]:
    """By layer, (units, neurons)."""
    opened = [engine.open([unit]).activations for unit in units]
    return [torch.cat([one[layer] for one in opened]).float().cpu().numpy() for layer in range(len(engine.sites))]


def average_precision(scores: np.ndarray, truth: Sequence[int]) -> float:
    """The mean, over true neurons, of the precision at their rank; 1 when they come first.

    >>> average_precision(np.array([0.1, 0.9, 0.5]), [1, 0])
    0.8333333333333333
    """
    order = np.argsort(-scores, kind="stable")
    places = np.sort(np.flatnonzero(np.isin(order, np.asarray(truth))))
    return float(np.mean(np.arange(1, len(places) + 1) / (places + 1)))


def recall_at(scores: np.ndarray, truth: Sequence[int], k: int) -> float:
    """The share of true neurons among the first k."""
    best = np.argsort(-scores, kind="stable")[:k]
    return float(np.isin(np.asarray(truth), best).mean())
