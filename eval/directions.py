"""Which way a word lies, seen from a layer's FFN output: what to write into a value column so that it pushes the word.

The output embedding, taken back through the norms that stand between (the layer's own, where it takes one of its FFN's output, and
the last one); the layers between are not crossed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from rml_lama.eval.engine import Engine
from rml_lama.eval.tails import same
from rml_lama.eval.unit import Unit

__all__ = ["Crossed", "crossed_norms", "final_norm", "read_inputs", "word_directions"]

Crossed = list[tuple[Any, torch.Tensor]]  # norms from the vocabulary down, each with its input at one query, (hidden,)


def crossed_norms(engine: Engine, unit: Unit, layer: int, *, last: Any) -> Crossed:
    """The norms between a layer's FFN output and the vocabulary; `last` is what `final_norm` found."""
    norms = [norm for norm in (last, engine.tails[layer].norm) if norm is not None]
    return [(norm, read_inputs(engine, [unit], norm)[0]) for norm in norms]


@torch.no_grad()
def final_norm(engine: Engine) -> Any:
    """The norm between the last layer and the output embeddings, if that is all that stands between them."""
    seen: list[tuple[Any, torch.Tensor, torch.Tensor]] = []

    def hook(module: torch.nn.Module, args: tuple[Any, ...], output: Any) -> None:
        seen.append((module, args[0] if args else output, output[0] if isinstance(output, tuple) else output))

    watched = [engine.sites[-1].layer, engine.head.module, *(m for m in engine.model.modules() if not list(m.children()))]
    handles = [module.register_forward_hook(hook) for module in dict.fromkeys(watched)]
    try:
        engine.model(**engine.probe())
    finally:
        for handle in handles:
            handle.remove()
    end = next(made for module, _, made in seen if module is engine.sites[-1].layer)
    read = next(given for module, given, _ in seen if module is engine.head.module)
    return next((module for module, given, made in seen if same(given, end) and same(made, read)), None)


def word_directions(engine: Engine, words: Sequence[int], middle: torch.Tensor, crossed: Crossed) -> torch.Tensor:
    """Where each word's logit rises most above that of `middle`, the mean output embedding: unit rows, (words, hidden), float64."""
    numbers = torch.tensor(words, device=engine.device)
    ways = engine.head.embedding(numbers).double() - middle.double()
    for norm, at in crossed:
        with torch.enable_grad():
            place = at.to(engine.model.dtype).requires_grad_()
            made = norm(place[None, None])[0, 0]
            pulled = [torch.autograd.grad(made, place, way.to(made.dtype), retain_graph=True)[0] for way in ways]
        ways = torch.stack(pulled).double()
    return ways / ways.norm(dim=1, keepdim=True)


@torch.no_grad()
def read_inputs(engine: Engine, units: Sequence[Unit], module: torch.nn.Module) -> torch.Tensor:
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
