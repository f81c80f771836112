"""Run a model's own layers on a batch that grows: rows of layer l join behind layer l and need only the layers above.

The model's forward makes masks, positions and norms as always; hooks on its layers append the new rows and repeat what
belongs to a sequence (mask, rotary angles, cached keys) for each of its rows. In causal models a row is the last tokens
of a sequence on the shared key-value cache; in masked ones it is a whole sequence.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import nn
from transformers.cache_utils import DynamicLayer

from rml_lama.eval.spans import Block

__all__ = ["Growth", "RowCacheLayer", "grow_rows"]

Append = Callable[[int, torch.Tensor], torch.Tensor | None]  # layer, base rows' output -> new rows' output


@dataclass(slots=True)
class Growth:
    """Which sequence each row of the batch belongs to; the first `base` rows are the sequences as they are."""

    owner: torch.Tensor  # (rows,)
    base: int = field(init=False)
    blocks: list[Block] = field(init=False, default_factory=list)  # of the rows behind the base

    def __post_init__(self) -> None:
        self.base = len(self.owner)

    def add(self, owner: torch.Tensor, nodes: int = 1) -> None:
        """Rows join, in the order (nodes, sequences)."""
        units = len(owner) // nodes
        last = self.blocks[-1] if self.blocks else None
        if last is not None and (last.nodes, last.units, last.stop) == (nodes, units, self.rows):
            self.blocks[-1] = replace(last, paths=last.paths + 1)
        else:
            self.blocks.append(Block(self.rows, 1, nodes, units))
        self.owner = torch.cat([self.owner, owner])

    @property
    def rows(self) -> int:
        return len(self.owner)

    def repeat(self, value: Any, name: str = "") -> Any:
        """What belongs to the sequences, for each row: tensors whose first dimension counts sequences, and tuples of them."""
        if isinstance(value, tuple | list):
            return type(value)(self.repeat(item, name) for item in value)
        if not isinstance(value, torch.Tensor) or value.dim() < 2 or self.rows == self.base:
            return value
        if name == "alibi":  # (sequences * heads, 1, keys)
            return value.reshape(self.base, -1, *value.shape[1:])[self.owner].flatten(0, 1)
        if value.shape[0] != self.base:
            return value  # it is broadcast
        return value.expand(self.rows, *value.shape[1:]) if self.base == 1 else value[self.owner]

    def narrow(self, value: Any, rows: int) -> Any:
        """The inverse for what a layer hands to the next beside its rows: the base rows' part."""
        if isinstance(value, torch.Tensor) and value.dim() >= 2 and value.shape[0] == rows and rows != self.base:
            return value[: self.base]
        return value


class RowCacheLayer(DynamicLayer):  # type: ignore[no-untyped-call]
    """One layer's cached keys and values of the sequences, handed out for each row; nothing is stored in it."""

    def __init__(self, keys: torch.Tensor, values: torch.Tensor, growth: Growth) -> None:
        self._stored = (keys, values)
        self._growth = growth
        super().__init__()  # type: ignore[no-untyped-call]
        self.is_initialized = True
        self.dtype, self.device = keys.dtype, keys.device

    @property
    def keys(self) -> torch.Tensor:  # read directly by cross-attention
        return self._stored[0][self._growth.owner] if self._growth.rows != self._growth.base else self._stored[0]

    @keys.setter
    def keys(self, value: Any) -> None: ...

    @property
    def values(self) -> torch.Tensor:
        return self._stored[1][self._growth.owner] if self._growth.rows != self._growth.base else self._stored[1]

    @values.setter
    def values(self, value: Any) -> None: ...

    def update(self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.cat([self.keys, key_states], dim=-2), torch.cat([self.values, value_states], dim=-2)

    def get_seq_length(self) -> int:
        return int(self._stored[0].shape[-2])


@contextlib.contextmanager
def grow_rows(layers: Sequence[nn.Module], growth: Growth, append: Append, *, entering: torch.Tensor | None = None) -> Iterator[None]:
    """While open, each layer appends the rows that `append` gives for it (after telling `growth` whose they are).

    `entering` (rows,) are the sequences of rows that go through all layers: they join before the first.
    """
    handles = []

    def enter(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        assert entering is not None
        growth.add(entering)
        if args:
            return (torch.cat([args[0], args[0][entering]]), *args[1:]), kwargs
        hidden = kwargs["hidden_states"]
        return args, {**kwargs, "hidden_states": torch.cat([hidden, hidden[entering]])}

    def before(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        first = args[:1] if args else ()
        named = {name: value if name == "hidden_states" else growth.repeat(value, name) for name, value in kwargs.items()}
        return (*first, *(growth.repeat(value) for value in args[1:])), named

    def after(index: int) -> Callable[..., Any]:
        def hook(module: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
            hidden = output[0] if isinstance(output, tuple) else output
            rows = len(hidden)
            new = append(index, hidden[: growth.base])
            grown = hidden if new is None else torch.cat([hidden, new])
            if isinstance(output, tuple):
                return (grown, *(growth.narrow(value, rows) for value in output[1:]))
            return grown

        return hook

    try:
        if entering is not None:
            handles.append(layers[0].register_forward_pre_hook(enter, with_kwargs=True))
        for index, layer in enumerate(layers):
            handles.append(layer.register_forward_pre_hook(before, with_kwargs=True))
            handles.append(layer.register_forward_hook(after(index)))
        yield
    finally:
        for handle in handles:
            handle.remove()
