"""Products of many rows with one matrix, done in the few directions that the rows span (docs/decisions/0020).

The rows of one unit and layer differ in one number, the node α, and lie on a smooth curve: nodes x width numbers X are
Q C with Q (nodes, rank) orthonormal and a rank of 3 to 9 where there are 20 nodes. Then `X W = Q (C W)`: the matrix meets
rank rows instead of nodes. What Q misses of a row is measured in every product; where the rank would be large, as with
rows that have nothing in common, the product is done in full. So no result rests on the rows' order being what it should.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import nn

__all__ = ["SHARE", "Batch", "Block", "linear_maps", "multiply", "span", "spanned"]

SHARE = 1e-2  # what a span may miss of a row, as a share of a tolerance for attributions
_LEAST_NODES = 8  # fewer are not worth it
_WORTH = 0.6  # of the nodes: the largest rank that is
_SAMPLED = 1024  # columns that choose the directions
_LEAST_OUTPUTS = 32  # of a matrix that is worth it


Span = tuple[torch.Tensor, torch.Tensor]  # Q (nodes, rank) and C (paths, rank, units, width)


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


@torch.no_grad()
def span(rows: torch.Tensor, tolerance: float) -> Span | None:
    """Q (nodes, rank) and C (paths, rank, units, width) such that Q C misses no row by more than `tolerance` of its length.

    `rows` is (paths, nodes, units, width); None where the rank is too large to be worth it. The directions come from some
    of the columns, their number from what is then measured on all.

    >>> line = torch.linspace(1, 2, 10)[None, :, None, None] * torch.ones(1, 10, 1, 3)
    >>> [part.shape for part in span(line, 1e-5)]
    [torch.Size([10, 1]), torch.Size([1, 1, 1, 3])]
    """
    paths, nodes, units, width = rows.shape
    if nodes < _LEAST_NODES:
        return None
    lengths = torch.linalg.vector_norm(rows, dim=-1)  # (paths, nodes, units)
    step = max(1, paths * units * width // _SAMPLED) | 1  # odd, so that other features are read in each token
    sample = (rows[..., ::step] / lengths.amax(1)[:, None, :, None].clamp_min(torch.finfo(rows.dtype).tiny)).double()
    sample = sample.movedim(1, 0).flatten(1)  # (nodes, columns)
    if not bool(torch.isfinite(lengths).all()):
        return None
    directions = torch.linalg.eigh(sample @ sample.T).eigenvectors.flip(1).to(rows.dtype)  # (nodes, nodes), the largest first
    parts = torch.matmul(directions.T, rows.flatten(2)).view_as(rows)
    energy = torch.linalg.vector_norm(parts, dim=-1).square()  # (paths, nodes, units)
    missed = energy.flip(1).cumsum(1).flip(1)  # by all directions before each
    allowed = (tolerance * lengths.amin(1, keepdim=True)).square()
    rank = nodes - int((missed <= allowed).all(2).all(0).sum())
    if rank > _WORTH * nodes:
        return None
    return directions[:, :rank], parts[:, :rank]


def multiply(rows: torch.Tensor, weight: torch.Tensor, blocks: Sequence[Block], spans: Sequence[Span | None]) -> torch.Tensor:
    """`rows @ weight`, (rows, ..., inputs) and (inputs, outputs) -> (rows, ..., outputs), with the span of each block's rows.

    All that meets the matrix meets it in one product.
    """
    inputs, outputs = weight.shape
    pieces = [rows[: blocks[0].start]]
    pieces += [rows[block.start : block.stop] if found is None else found[1] for block, found in zip(blocks, spans, strict=True)]
    sizes = [piece.numel() // inputs for piece in pieces]
    few = torch.cat([piece.reshape(-1, inputs) for piece in pieces]) @ weight
    result = rows.new_empty(*rows.shape[:-1], outputs)
    first, *products = few.split(sizes)
    result[: blocks[0].start] = first.view_as(result[: blocks[0].start])
    for block, found, product in zip(blocks, spans, products, strict=True):
        target = result[block.start : block.stop]
        if found is None:
            target.copy_(product.view_as(target))
        else:
            directions = found[0]  # (nodes, rank)
            torch.matmul(directions, product.view(block.paths, directions.shape[1], -1), out=target.view(block.paths, block.nodes, -1))
    return result


def _spans(rows: torch.Tensor, blocks: Sequence[Block], tolerance: float) -> list[Span | None]:
    parts = (rows[block.start : block.stop].reshape(block.paths, block.nodes, block.units, -1) for block in blocks)
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
            if not blocks or len(inputs) != batch.rows or inputs.dtype != weight.dtype:
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
