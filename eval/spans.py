"""Products of many rows with one matrix, done in the few directions that the rows span (docs/decisions/0011).

The rows of one unit and layer differ in one number, the node α, and lie on a smooth curve: nodes x width numbers X are
Q C with Q (nodes, nodes) orthonormal and most of C's vectors next to nothing. Then `X W = Q (C W)`, and the matrix meets
only the 2 to 9 vectors that count, where there are 20 nodes; fewer in tokens that hardly change. What is left out is
measured in every product; where too little could be left out, as with rows that have nothing in common, the product is
done in full. So no result rests on the rows' order being what it should.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import nn

__all__ = ["LEAST_NODES", "SHARE", "Batch", "Block", "Span", "axes", "linear_maps", "multiply", "span", "spanned"]

SHARE = 0.05  # what a span may miss of a row, as a share of a tolerance for attributions
LEAST_NODES = 8  # fewer are not worth it
_WORTH = 0.6  # of the nodes: the largest rank that is
_SAMPLED = 1024  # columns that choose the directions
_LEAST_OUTPUTS = 32  # of a matrix that is worth it


@dataclass(frozen=True, slots=True)
class Block:
    """Rows from `start` on, in the order (paths, nodes, units): a path is a layer's rows."""

    start: int
    paths: int
    nodes: int
    units: int

    @property
    def stop(self) -> int:
        return self.start + self.paths * self.nodes * self.units


class Batch(Protocol):
    """A batch whose rows, from some on, lie in blocks."""

    blocks: list[Block]

    @property
    def rows(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Span:
    """Rows (paths, nodes, lines, width) as Q C: `directions` Q (nodes, rank) and those vectors of C that count."""

    directions: torch.Tensor
    parts: torch.Tensor  # (few, width)
    places: torch.Tensor  # (few,) where they are in (paths, rank, lines)
    paths: int
    lines: int

    def spread(self, parts: torch.Tensor, out: torch.Tensor | None = None) -> torch.Tensor:
        """What the parts have become, (few, outputs), for all rows: (paths, nodes, lines * outputs)."""
        rank = self.directions.shape[1]
        whole = parts.new_zeros(self.paths * rank * self.lines, parts.shape[1]).index_copy_(0, self.places, parts)
        return torch.matmul(self.directions, whole.view(self.paths, rank, -1), out=out)


@torch.no_grad()
def axes(rows: torch.Tensor) -> torch.Tensor:
    """The directions Q (nodes, nodes) of rows (paths, nodes, lines, width), the largest first, from some of their columns."""
    step = max(1, rows[:, 0].numel() // _SAMPLED) | 1  # odd, so that other features are read in each token
    sample = rows[..., ::step].movedim(1, 0).double()  # (nodes, paths, lines, some)
    sample = sample / torch.linalg.vector_norm(sample, dim=(0, 3), keepdim=True).clamp_min(torch.finfo(rows.dtype).tiny)
    sample = sample.flatten(1)  # (nodes, columns)
    vectors: torch.Tensor = torch.linalg.eigh(sample @ sample.T).eigenvectors  # (nodes, nodes)
    return vectors.flip(1).to(rows.dtype)


@torch.no_grad()
def span(rows: torch.Tensor, tolerance: float) -> Span | None:
    """Rows (paths, nodes, units, columns, width) in few directions: no row of a unit, of all its columns, misses more than
    `tolerance` of its length. None where that takes too many.

    >>> line = torch.linspace(1, 2, 10)[None, :, None, None, None] * torch.ones(1, 10, 1, 1, 3)
    >>> span(line, 1e-5).parts.shape
    torch.Size([1, 3])
    """
    paths, nodes, units, columns, width = rows.shape
    lengths = torch.linalg.vector_norm(rows, dim=(3, 4))  # (paths, nodes, units)
    if nodes < LEAST_NODES or not bool(torch.isfinite(lengths).all()):
        return None
    directions = axes(rows.flatten(2, 3))
    parts = torch.matmul(directions.T, rows.flatten(2)).view_as(rows)
    energy = torch.linalg.vector_norm(parts, dim=-1).square()  # (paths, nodes, units, columns)
    allowed = (tolerance * lengths.amin(1)).square()  # (paths, units)
    sizes, order = energy.movedim(1, 2).flatten(2).sort(-1)  # (paths, units, nodes * columns)
    counts = torch.empty_like(sizes, dtype=torch.bool).scatter_(2, order, sizes.cumsum(-1) > allowed[..., None])
    counts = counts.view(paths, units, nodes, columns).movedim(2, 1)  # (paths, nodes, units, columns)
    rank = int(counts.any(3).any(2).any(0).nonzero().amax()) + 1 if bool(counts.any()) else 1
    kept = counts.flatten().nonzero()[:, 0]
    if len(kept) > _WORTH * counts.numel():
        return None
    places = counts[:, :rank].flatten().nonzero()[:, 0]
    return Span(directions[:, :rank], parts.view(-1, width)[kept], places, paths, units * columns)


def multiply(rows: torch.Tensor, weight: torch.Tensor, blocks: Sequence[Block], spans: Sequence[Span | None]) -> torch.Tensor:
    """`rows @ weight`, (rows, ..., inputs) and (inputs, outputs) -> (rows, ..., outputs), with the span of each block's rows.

    All that meets the matrix meets it in one product.
    """
    inputs, outputs = weight.shape
    pieces = [rows[: blocks[0].start]]
    pieces += [rows[block.start : block.stop] if found is None else found.parts for block, found in zip(blocks, spans, strict=True)]
    sizes = [piece.numel() // inputs for piece in pieces]
    few = torch.cat([piece.reshape(-1, inputs) for piece in pieces]) @ weight
    result = rows.new_empty(*rows.shape[:-1], outputs)
    first, *products = torch.split(few, sizes)
    result[: blocks[0].start] = first.view_as(result[: blocks[0].start])
    for block, found, product in zip(blocks, spans, products, strict=True):
        target = result[block.start : block.stop]
        if found is None:
            target.copy_(product.view_as(target))
        else:
            found.spread(product, out=target.view(block.paths, block.nodes, -1))
    return result


def _spans(rows: torch.Tensor, blocks: Sequence[Block], tolerance: float) -> list[Span | None]:
    parts = (rows[block.start : block.stop].reshape(block.paths, block.nodes, block.units, -1, rows.shape[-1]) for block in blocks)
    return [span(part, tolerance) for part in parts]


class _Product(torch.autograd.Function):
    """`rows @ weight + bias` in spans, forwards and backwards; the weights are frozen."""

    @staticmethod
    def forward(
        ctx: Any,
        rows: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        blocks: tuple[Block, ...],
        spans: Any,
        tolerance: float,
    ) -> torch.Tensor:
        ctx.weight, ctx.blocks, ctx.tolerance = weight, blocks, tolerance
        result = multiply(rows, weight, blocks, spans)
        return result if bias is None else result.add_(bias)

    @staticmethod
    def backward(ctx: Any, *slopes: torch.Tensor) -> Any:
        found = _spans(slopes[0], ctx.blocks, ctx.tolerance)
        return multiply(slopes[0], ctx.weight.T, ctx.blocks, found), None, None, None, None, None


def linear_maps(layers: Iterable[nn.Module]) -> list[nn.Module]:
    """The plain linear maps within some layers, whose forward is nothing but a product with a frozen matrix."""
    found = []
    for layer in layers:
        for module in layer.modules():
            weight: Any = getattr(module, "weight", None)
            plain = type(module) is nn.Linear or type(module).__name__ == "Conv1D"
            if (
                plain
                and "forward" not in vars(module)
                and weight.dim() == 2
                and not weight.requires_grad
                and min(weight.shape) >= _LEAST_OUTPUTS
            ):
                found.append(module)
    return found


@contextlib.contextmanager
def spanned(maps: Sequence[nn.Module], batch: Batch, tolerance: float) -> Iterator[None]:
    """While open, linear maps multiply the batch's rows in spans that miss `tolerance` of a row (0: they do nothing)."""
    if tolerance <= 0:
        maps = ()
    last: tuple[torch.Tensor, list[Span | None]] | None = None  # several maps read one input

    def forward(module: Any) -> Callable[[torch.Tensor], torch.Tensor]:
        weight = module.weight if type(module).__name__ == "Conv1D" else module.weight.T  # (inputs, outputs)

        def product(inputs: torch.Tensor) -> torch.Tensor:
            nonlocal last
            blocks = tuple(batch.blocks)
            if all(block.nodes < LEAST_NODES for block in blocks) or len(inputs) != batch.rows or inputs.dtype != weight.dtype:
                plain: torch.Tensor = type(module).forward(module, inputs)
                return plain
            if last is None or last[0] is not inputs:
                last = (inputs, _spans(inputs.detach(), blocks, tolerance))
            result: torch.Tensor = _Product.apply(inputs, weight, module.bias, blocks, last[1], tolerance)  # type: ignore[no-untyped-call]
            return result

        return product

    try:
        for module in maps:
            module.forward = forward(module)
        yield
    finally:
        for module in maps:
            vars(module).pop("forward", None)
