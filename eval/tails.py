"""What a layer does with its FFN's output on the way to the next layer: adds it as it is, adds a norm of it (Gemma 2 and 3),
or takes a norm of the sum (BERT, OPT-350m). Found by watching one pass; with it a row can enter behind its layer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

from rml_lama.errors import ModelError
from rml_lama.eval.sites import Site

__all__ = ["Tail", "find_tails"]

_LITTLE = 1e-5  # of the way, for a slope
_LEAST_ONSET = 1e-7

Event = tuple[nn.Module, torch.Tensor, torch.Tensor]  # a module that ran, its input and output


@dataclass(frozen=True, slots=True)
class Tail:
    """`plain`: out = rest + o. `norm`: out = rest + norm(o). `closing`: out = norm(rest + o)."""

    kind: Literal["plain", "norm", "closing"]
    norm: nn.Module | None = None

    def rest(self, ffn: torch.Tensor, output: torch.Tensor, before: torch.Tensor | None) -> torch.Tensor:
        """What is not the FFN's, from its output, the layer's output and the closing norm's input, all (rows, hidden)."""
        if self.norm is None:
            return output - ffn
        if self.kind == "norm":
            rest: torch.Tensor = output - self.norm(ffn)
            return rest
        assert before is not None, "a closing norm ran"
        return before - ffn

    def compose(self, rest: torch.Tensor, ffn: torch.Tensor) -> torch.Tensor:
        """The layer's output for another FFN output, (rows, hidden)."""
        if self.norm is None:
            return rest + ffn
        output: torch.Tensor = rest + self.norm(ffn) if self.kind == "norm" else self.norm(rest + ffn)
        return output

    @torch.no_grad()
    def onset(self, rest: torch.Tensor, low: torch.Tensor, high: torch.Tensor) -> torch.Tensor:
        """About the α at which what the layer gives stops growing evenly, for FFN outputs from `low` to `high`.

        (rows, hidden) -> (rows,) in (0, 1]: half of where the slope at α = 0 would have carried it as far as it ends, or as far as
        what was there. That is about sqrt(ε) by the output's size where a norm takes the output alone, a half where nothing saturates.
        """
        little = max(_LITTLE, torch.finfo(high.dtype).eps / 4)
        start = self.compose(rest, low)
        slope = (self.compose(rest, low + little * (high - low)) - start) / little
        step, size, slope = ((part.float().norm(dim=-1)) for part in (self.compose(rest, high) - start, start, slope))
        found: torch.Tensor = torch.minimum(step, size) / slope.clamp_min(torch.finfo(torch.float32).tiny) / 2
        return found.clamp(_LEAST_ONSET, 1)


@torch.no_grad()
def find_tails(model: Any, sites: Sequence[Site], inputs: Mapping[str, Any]) -> list[Tail]:
    """The tail of each layer. Raises `ModelError` when an output projection did not run exactly once in the pass."""
    events: dict[int, list[Event]] = {site.index: [] for site in sites}
    ends: dict[int, torch.Tensor] = {}
    handles = []
    for site in sites:
        for module in site.layer.modules():
            if module is site.block or not list(module.children()):
                handles.append(module.register_forward_hook(_note(events[site.index], site.block)))
        handles.append(site.layer.register_forward_hook(_keep(ends, site.index)))
    try:
        model(**inputs)
    finally:
        for handle in handles:
            handle.remove()
    return [_tail(site, events[site.index], ends.get(site.index)) for site in sites]


def _note(events: list[Event], block: nn.Module) -> Callable[..., None]:
    """Remember the FFN's output projection, and what runs in the layer after it."""

    def hook(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        if module is block or events:
            events.append((module, args[0] if args else output, output[0] if isinstance(output, tuple) else output))

    return hook


def _keep(ends: dict[int, torch.Tensor], index: int) -> Callable[..., None]:
    def hook(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        ends[index] = output[0] if isinstance(output, tuple) else output

    return hook


def _tail(site: Site, events: list[Event], end: torch.Tensor | None) -> Tail:
    if end is None or not events or events[0][0] is not site.block or any(module is site.block for module, _, _ in events[1:]):
        raise ModelError(f"layer {site.index}: the FFN's output projection did not run exactly once in a pass; looked for it by a hook")
    ffn = events[0][2]
    for module, given, made in events[1:]:
        if made is given or not list(module.parameters(recurse=False)):
            continue  # dropout at rest
        if _equal(given, ffn):
            return Tail("norm", module)
        if _equal(made, end):
            return Tail("closing", module)
    return Tail("plain")


def _equal(first: torch.Tensor, second: torch.Tensor) -> bool:
    return first.numel() == second.numel() and torch.equal(first.flatten(), second.flatten())
