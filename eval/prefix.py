"""Lay out a batch of units for the model, and cache what stands before the tokens that a row holds.

Causal sequences end in the same column (left padding, so that distances in slots are distances in tokens); the last
`block` tokens, from the site on, are what a row holds. Masked sequences are whole rows, padded on the right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers.cache_utils import DynamicCache, EncoderDecoderCache

from rml_lama.errors import ModelError
from rml_lama.eval.rows import Growth, RowCacheLayer
from rml_lama.eval.unit import Unit

__all__ = ["Layout", "Prefix", "lay_out"]


@dataclass(frozen=True, slots=True)
class Prefix:
    """Cached keys and values of the tokens before the rows, by layer; with an encoder also those of its states."""

    own: tuple[tuple[torch.Tensor, torch.Tensor], ...]
    cross: tuple[tuple[torch.Tensor, torch.Tensor], ...] = ()

    @property
    def length(self) -> int:
        return int(self.own[0][0].shape[-2]) if self.own else 0

    def cache(self, growth: Growth) -> Any:
        """A cache for one pass that hands each row its sequence's part."""
        own = DynamicCache()
        own.layers = [RowCacheLayer(keys, values, growth) for keys, values in self.own]
        if not self.cross:
            return own
        cross = DynamicCache()
        cross.layers = [RowCacheLayer(keys, values, growth) for keys, values in self.cross]
        return EncoderDecoderCache(own, cross)


@dataclass(frozen=True, slots=True)
class Layout:
    """The model's inputs for the rows' tokens, the cached prefix, and columns within a row."""

    inputs: dict[str, Any]
    prefix: Prefix | None
    site: torch.Tensor  # (units,)
    predicting: torch.Tensor  # (units, targets)


@torch.no_grad()
def lay_out(model: Any, units: Sequence[Unit], takes: set[str], *, causal: bool, pad: int) -> Layout:
    """Inputs for the rows of some units. Raises `ModelError` when their shapes do not go together."""
    if len({len(unit.targets) for unit in units}) != 1:
        raise ModelError("units of one batch must have the same number of targets")
    return _causal(model, units, takes, pad) if causal else _masked(model, units, takes, pad)


def _masked(model: Any, units: Sequence[Unit], takes: set[str], pad: int) -> Layout:
    width = max(len(unit.tokens) for unit in units)
    ids = torch.full((len(units), width), pad)
    mask = torch.zeros(len(units), width, dtype=torch.long)
    for row, unit in enumerate(units):
        ids[row, : len(unit.tokens)] = torch.tensor(unit.tokens)
        mask[row, : len(unit.tokens)] = 1
    device = model.device
    site = torch.tensor([unit.site for unit in units], device=device)
    predicting = torch.tensor([[column for column, _ in unit.targets] for unit in units], device=device)
    return Layout({"input_ids": ids.to(device), "attention_mask": mask.to(device)}, None, site, predicting)


def _causal(model: Any, units: Sequence[Unit], takes: set[str], pad: int) -> Layout:
    blocks = {len(unit.tokens) - unit.site for unit in units}
    if len(blocks) != 1 or any(column < unit.site for unit in units for column, _ in unit.targets):
        raise ModelError("units of one batch must have as many tokens from the site to the end, and predict after it")
    block = blocks.pop()
    width, device = max(len(unit.tokens) for unit in units), model.device
    ids = torch.full((len(units), width), pad)
    mask = torch.zeros(len(units), width, dtype=torch.long)
    for row, unit in enumerate(units):
        ids[row, width - len(unit.tokens) :] = torch.tensor(unit.tokens)
        mask[row, width - len(unit.tokens) :] = 1
    ids, mask = ids.to(device), mask.to(device)
    positions = (mask.cumsum(-1) - 1).clamp_min(0)
    encoded = _encode(model, units, pad) if units[0].source else {}
    before = _inputs(ids[:, :-block], mask[:, :-block], positions[:, :-block], takes, encoded)
    after = _inputs(ids[:, -block:], mask, positions[:, -block:], takes, encoded)
    prefix = _prefix(model, before, width - block, len(units), bool(encoded))
    site = torch.zeros(len(units), dtype=torch.long, device=device)
    predicting = torch.tensor([[column - unit.site for column, _ in unit.targets] for unit in units], device=device)
    return Layout(after, prefix, site, predicting)


def _inputs(ids: torch.Tensor, mask: torch.Tensor, positions: torch.Tensor, takes: set[str], encoded: dict[str, Any]) -> dict[str, Any]:
    if encoded:
        return {"decoder_input_ids": ids, "decoder_attention_mask": mask, "use_cache": True, **encoded}
    inputs: dict[str, Any] = {"input_ids": ids, "attention_mask": mask, "use_cache": True}
    if "position_ids" in takes:
        inputs["position_ids"] = positions
    return inputs


def _encode(model: Any, units: Sequence[Unit], pad: int) -> dict[str, Any]:
    width = max(len(unit.source) for unit in units)
    ids = torch.full((len(units), width), pad)
    mask = torch.zeros(len(units), width, dtype=torch.long)
    for row, unit in enumerate(units):
        ids[row, : len(unit.source)] = torch.tensor(unit.source)
        mask[row, : len(unit.source)] = 1
    ids, mask = ids.to(model.device), mask.to(model.device)
    return {"encoder_outputs": model.get_encoder()(input_ids=ids, attention_mask=mask), "attention_mask": mask}


def _prefix(model: Any, inputs: dict[str, Any], length: int, units: int, encoder: bool) -> Prefix:
    """Run the model's body on the prefix; with no prefix (a decoder's first token) the cache is empty."""
    cache: Any = EncoderDecoderCache(DynamicCache(), DynamicCache()) if encoder else DynamicCache()
    if encoder and length == 0:
        # One token must run for the encoder's keys to be there; its own keys are then dropped.
        first = {**inputs, "decoder_input_ids": torch.zeros(units, 1, dtype=torch.long, device=model.device)}
        first["decoder_attention_mask"] = torch.ones_like(first["decoder_input_ids"])
        model(**first, past_key_values=cache)
    elif length:
        _without_head(model, {**inputs, "past_key_values": cache})
    own = cache.self_attention_cache if encoder else cache
    pairs = tuple((layer.keys[..., :length, :], layer.values[..., :length, :]) for layer in own.layers)
    if not pairs:
        raise ModelError("the prompt has one token only: nothing stands before the site; a start token is needed")
    cross = tuple((layer.keys, layer.values) for layer in cache.cross_attention_cache.layers) if encoder else ()
    return Prefix(pairs, cross)


def _without_head(model: Any, inputs: dict[str, Any]) -> None:
    """A pass whose vocabulary scores nobody needs."""
    handle = model.get_output_embeddings().register_forward_pre_hook(lambda module, args: (args[0][:, :0], *args[1:]))
    try:
        model(**inputs)
    finally:
        handle.remove()
