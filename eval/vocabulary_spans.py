"""The vocabulary head for rows in blocks: its two large products, done in the directions that the rows of a path span.

Hidden states H = Q C (`spans.py`) have the scores `Q (C Eᵀ)`. The probabilities P (nodes, words) of a path lie on a smooth
curve too, so that the gradient's `P E` is `D (Dᵀ P) E` with few directions D, which a sample of the words gives. What
they leave out is measured: one more row, the sum of what is left out with random signs, goes through the same pass, and
its length is that of the gradient's error. Paths with more of it than the tolerance are done again in full.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from rml_lama.eval.spans import SHARE, Block, span
from rml_lama.eval.vocabulary import Head, exponentials, log_sum

__all__ = ["with_gradient"]

_PROBABILITIES = 0.1  # what the sampled probabilities may miss, as a share of the tolerance
_LEAST_WEIGHT = 1e-3


@dataclass(frozen=True, slots=True)
class _Path:
    """Hidden states of a block as Q C; rows are (nodes, lines), a line is a path of one unit."""

    block: Block
    directions: torch.Tensor  # Q (nodes, rank)
    parts: torch.Tensor  # C (rank * lines, hidden)

    @property
    def lines(self) -> int:
        return self.block.paths * self.block.units

    def scores(self, head: Head, words: torch.Tensor | slice) -> torch.Tensor:
        """Vocabulary scores of some words, (nodes, lines, words)."""
        few = self.parts @ head.embedding(words).to(self.parts.dtype).T  # (rank * lines, words)
        products = self.directions @ few.view(self.directions.shape[1], -1)  # (nodes, lines * words)
        return head.finish(products.view(self.block.nodes, self.lines, -1), words)

    def arrange(self, rows: torch.Tensor) -> torch.Tensor:
        """(rows, ...) -> (nodes, lines, ...)."""
        block = self.block
        return rows.unflatten(0, (block.paths, block.nodes, block.units)).movedim(1, 0).flatten(1, 2)

    def restore(self, lines: torch.Tensor) -> torch.Tensor:
        """(nodes, lines, ...) -> (rows, ...)."""
        return lines.unflatten(1, (self.block.paths, self.block.units)).movedim(0, 1).flatten(0, 2)


@torch.no_grad()
def with_gradient(
    head: Head,
    hidden: torch.Tensor,
    tokens: torch.Tensor,
    *,
    blocks: Sequence[Block],
    tolerance: float,
    reference: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """log P of one token for each row, (rows,), and its gradient in the hidden state, (rows, hidden).

    `tolerance` is the error of a path's gradients as a share of the largest of them. With a `reference` (rows,), the log P
    that matters, the gradient of a row of a smaller P weighs less: in an integral of P's gradient it is multiplied by P.
    Raises `ScoreError` when a score is not finite.
    """
    value, slope = torch.empty_like(hidden[:, 0]), torch.empty_like(hidden)
    todo = torch.ones(len(hidden), dtype=torch.bool, device=hidden.device)
    for block in blocks:
        rows = slice(block.start, block.stop)
        found = span(hidden[rows].view(block.paths, block.nodes, block.units, -1), SHARE * tolerance)
        if found is not None:
            path = _Path(block, found[0], found[1].movedim(1, 0).flatten(0, 2))
            value[rows], slope[rows], missed = _gradient(head, path, hidden[rows], tokens[rows], tolerance, reference)
            todo[rows] = missed > tolerance
    rest = todo.nonzero()[:, 0]
    if len(rest):
        value[rest], slope[rest] = head.with_gradient(hidden[rest], tokens[rest])
    return value, slope


def _gradient(
    head: Head, path: _Path, hidden: torch.Tensor, tokens: torch.Tensor, tolerance: float, reference: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Values (rows,), gradients (rows, hidden) and their paths' errors as shares (rows,)."""
    own, answers = path.arrange(head.own(hidden, tokens)), path.arrange(tokens)[0]  # (nodes, lines), (lines,)
    scouts = head.scouts(hidden)
    scores = path.scores(head, scouts)
    level = scores.logsumexp(-1)
    if reference is not None:
        known = path.arrange(reference[path.block.start : path.block.stop])
        level = level - (own - level - known).clamp(max=0.0).exp().clamp_min(_LEAST_WEIGHT).log()
    directions = _directions(head, scores, level, scouts[None] == answers[:, None], tolerance)
    rest, expected = _pass(head, path, level, answers, directions)
    total = rest + (own - level).exp()
    embeddings = head.embedding(answers).to(hidden.dtype)  # (lines, hidden)
    # The answer's own word is apart, so that a sure model's small gradient is not a difference of large ones.
    slope = (head.slope(own) * rest)[..., None] * embeddings - torch.tensordot(directions[:, :-1], expected[:-1], 1)
    missed = expected[-1].norm(dim=-1) / slope.norm(dim=-1).amax(0).clamp_min(torch.finfo(slope.dtype).tiny)  # (lines,)
    slope *= head.scale / total[..., None]
    return path.restore(own - log_sum(total) - level), path.restore(slope), path.restore(missed.expand_as(total))


def _directions(head: Head, scores: torch.Tensor, level: torch.Tensor, answer: torch.Tensor, tolerance: float) -> torch.Tensor:
    """D (nodes, rank) for the probabilities of all words but the answer, from some words' scores; the last column is the measure."""
    slope = None if head.cap is None else head.slope(scores)
    shares = exponentials(scores, level).masked_fill_(answer, 0.0)  # (nodes, lines, some words)
    found = span((shares if slope is None else shares * slope)[None], _PROBABILITIES * tolerance)
    nodes = len(scores)
    directions = torch.eye(nodes).to(scores) if found is None else found[0]
    signs = torch.randint(0, 2, (nodes, 1), generator=torch.Generator().manual_seed(0)).to(scores) * 2 - 1
    return torch.cat([directions, signs - directions @ (directions.T @ signs)], dim=1)


def _pass(
    head: Head, path: _Path, level: torch.Tensor, answers: torch.Tensor, directions: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Σ exp(z - level) over all words but the answer (nodes, lines), and Dᵀ of their sum of f' E (rank, lines, hidden)."""
    rank = directions.shape[1]
    sums = torch.zeros_like(level)
    expected = level.new_zeros(rank * path.lines, path.parts.shape[1])
    for words in head.pieces(level.numel()):
        scores = path.scores(head, words)
        slope = None if head.cap is None else head.slope(scores)
        shares = exponentials(scores, level)
        inside = ((answers >= words.start) & (answers < words.stop)).nonzero()[:, 0]
        shares[:, inside, answers[inside] - words.start] = 0.0
        sums += shares.sum(-1)
        shares = shares if slope is None else shares.mul_(slope)
        few = directions.T @ shares.flatten(1)  # (rank, lines * few words)
        expected.addmm_(few.view(rank * path.lines, -1), head.embedding(words).to(few.dtype))
    return sums, expected.view(rank, path.lines, -1)
