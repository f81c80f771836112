"""Change FFN neurons while a model runs: a' = factor * a + offset at chosen columns. Weights are never touched, so leaving
the context leaves the model as it was, bit for bit.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from rml_lama.eval.sites import LinearSite, Site

__all__ = ["Change", "changed", "enhance", "suppress"]


@dataclass(frozen=True, slots=True)
class Change:
    """What happens to one layer's neurons: `factor` and `offset`, both (rows or 1, neurons)."""

    factor: torch.Tensor
    offset: torch.Tensor

    def of(self, activation: torch.Tensor) -> torch.Tensor:
        return self.factor.to(activation) * activation + self.offset.to(activation)


@contextlib.contextmanager
def changed(
    sites: Sequence[Site], changes: Mapping[int, Change], *, columns: torch.Tensor | int | None = None, first_row: int = 0
) -> Iterator[None]:
    """While open, rows from `first_row` on have their neurons changed at `columns`: one for each row, one for all, or all (None)."""
    handles = []
    for layer, change in changes.items():
        site = sites[layer]
        if isinstance(site, LinearSite):
            handles.append(site.module.register_forward_pre_hook(_before(change, columns, first_row)))
        else:
            handles.append(site.block.register_forward_hook(_after(site, change, columns, first_row)))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def suppress(sites: Sequence[Site], neurons: Sequence[tuple[int, int]], *, means: Mapping[tuple[int, int], float] | None = None) -> Any:
    """A context in which neurons, (layer, index) pairs, are zero (or at their `means`) in the last column."""
    return changed(sites, _one_row(sites, neurons, 0.0, means or {}), columns=-1)


def enhance(sites: Sequence[Site], neurons: Sequence[tuple[int, int]], *, factor: float = 2.0) -> Any:
    """A context in which neurons, (layer, index) pairs, are multiplied in the last column."""
    return changed(sites, _one_row(sites, neurons, factor, {}), columns=-1)


def _one_row(
    sites: Sequence[Site], neurons: Sequence[tuple[int, int]], factor: float, means: Mapping[tuple[int, int], float]
) -> dict[int, Change]:
    changes: dict[int, Change] = {}
    for layer, index in neurons:
        if layer not in changes:
            changes[layer] = Change(torch.ones(1, sites[layer].neurons), torch.zeros(1, sites[layer].neurons))
        changes[layer].factor[0, index] = factor
        changes[layer].offset[0, index] = means.get((layer, index), 0.0)
    return changes


def _places(rows: int, width: int, columns: torch.Tensor | int | None, first: int, device: torch.device) -> tuple[Any, Any]:
    """Index of the changed rows' columns in (rows, width, ...): broadcastable against the change's rows."""
    if isinstance(columns, torch.Tensor):
        return torch.arange(first, rows, device=device), columns
    if columns is None:
        return slice(first, None), slice(None)
    return slice(first, None), columns % width


def _before(change: Change, columns: torch.Tensor | int | None, first: int) -> Any:
    def hook(module: torch.nn.Module, args: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        whole = _by_rows(args[0], change, columns, first)
        place = _places(len(whole), whole.shape[1], columns, first, whole.device)
        result = whole.clone()
        result[place] = _widened(change, whole[place]).of(whole[place])
        return (result.reshape(args[0].shape), *args[1:])

    return hook


def _after(site: Site, change: Change, columns: torch.Tensor | int | None, first: int) -> Any:
    """Experts: the change of the activations, brought through the projection, is added to the block's output."""

    def hook(module: torch.nn.Module, args: tuple[Any, ...], output: torch.Tensor) -> torch.Tensor:
        activation = _by_rows(site.activation(args), change, columns, first)
        whole = output.reshape(*activation.shape[:2], -1).clone()
        place = _places(len(whole), whole.shape[1], columns, first, whole.device)
        before = activation[place]
        whole[place] += site.output(_widened(change, before).of(before) - before)
        return whole.reshape(output.shape)

    return hook


def _by_rows(value: torch.Tensor, change: Change, columns: torch.Tensor | int | None, first: int) -> torch.Tensor:
    """(rows, columns, width), where a family has flattened rows and columns (OPT, experts)."""
    if value.dim() == 3:
        return value
    rows = first + (len(columns) if isinstance(columns, torch.Tensor) else len(change.factor))
    return value.reshape(rows, -1, value.shape[-1])


def _widened(change: Change, chosen: torch.Tensor) -> Change:
    """For all columns the change's rows get a column dimension."""
    if chosen.dim() == 2:
        return change
    return Change(change.factor[:, None], change.offset[:, None])
