"""Which rows go through the model together: as many as a memory budget allows, by what a pass is measured to keep for its backward."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import torch

from rml_lama.eval.sites import Site

__all__ = ["Rows", "kept_numbers", "passes"]


@dataclass(frozen=True, slots=True)
class Rows:
    """Changed FFN outputs of one layer: `outputs` (rows, hidden), each for the unit that `owner` (rows,) names.

    Where they are `nodes` points on the paths of some units, in the order (nodes, units), work is shared between them.
    """

    owner: torch.Tensor
    outputs: torch.Tensor
    nodes: int = 1

    def part(self, start: int, stop: int) -> Rows:
        """Some of the rows."""
        owner, units = self.owner[start:stop], len(self.owner) // self.nodes
        whole = start % units == 0 and len(owner) % units == 0
        return Rows(owner, self.outputs[start:stop], len(owner) // units if whole else 1)


def kept_numbers(model: Any, sites: Sequence[Site], inputs: Mapping[str, Any]) -> int:
    """How many numbers a layer keeps of a token for the backward, beside weights; from one pass on a few tokens."""
    owned = {tensor.untyped_storage().data_ptr() for tensor in chain(model.parameters(), model.buffers())}
    kept: dict[int, int] = {}
    tokens = 1

    def start(module: torch.nn.Module, args: tuple[Any, ...], output: Any) -> Any:
        nonlocal tokens
        hidden = output[0] if isinstance(output, tuple) else output
        tokens = hidden.shape[:-1].numel()
        hidden = hidden.detach().requires_grad_()
        return (hidden, *output[1:]) if isinstance(output, tuple) else hidden

    def note(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in owned:
            kept[storage.data_ptr()] = storage.nbytes() // tensor.element_size()
        return tensor

    handles = [
        sites[0].layer.register_forward_hook(start),
        model.get_output_embeddings().register_forward_pre_hook(lambda module, args: (args[0][:, :0], *args[1:])),
    ]
    try:
        with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            output = model(**inputs)  # what it keeps lives as long as it does
    finally:
        for handle in handles:
            handle.remove()
    del output
    return max(1, sum(kept.values()) // (tokens * max(1, len(sites) - 1)))


def passes(rows: Mapping[int, Rows], layers: int, each: int, budget: int) -> Iterator[dict[int, Rows]]:
    """Rows in passes within the budget, `each` what a row costs in one layer: cut between layers where possible, within where needed.

    A layer's rows are cut evenly and between nodes, so that the parts keep enough of them to share work.
    """
    chunk: dict[int, Rows] = {}
    used = 0
    for layer in sorted(rows):
        cost = each * max(1, layers - 1 - layer)
        count, units = len(rows[layer].owner), len(rows[layer].owner) // rows[layer].nodes
        pieces = -(-count // max(1, budget // cost))
        size = -(-count // pieces)
        size = min(size + -size % units, max(1, budget // cost)) if budget // cost >= units else size
        for start in range(0, count, size):
            part = rows[layer].part(start, min(start + size, count))
            if chunk and (layer in chunk or used + cost * len(part.owner) > budget):
                yield chunk
                chunk, used = {}, 0
            chunk[layer] = part
            used += cost * len(part.owner)
    if chunk:
        yield chunk
