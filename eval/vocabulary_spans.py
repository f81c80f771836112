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

from rml_lama.eval.spans import SHARE, Block, Span, axes, span
from rml_lama.eval.vocabulary import Head, exponentials, log_sum

__all__ = ["with_gradient"]

_PROBABILITIES = 0.1  # what the sampled probabilities may miss, as a share of the tolerance
_LEAST_WEIGHT = 1e-3


@dataclass(frozen=True, slots=True)
class _Path:
    """A block's hidden states in their span; its rows are (paths, nodes, units)."""

    block: Block
    span: Span

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.block.paths, self.block.nodes, self.block.units

    def scores(self, head: Head, words: torch.Tensor | slice) -> torch.Tensor:
        """Vocabulary scores of some words, (paths, nodes, units, words)."""
        few = self.span.parts @ head.embedding(words).to(self.span.parts.dtype).T  # (few, words)
        return head.finish(self.span.spread(few).view(*self.shape, -1), words)


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
        found = span(hidden[rows].view(block.paths, block.nodes, block.units, 1, -1), SHARE * tolerance)
        if found is not None:
            known = None if reference is None else reference[rows]
            value[rows], slope[rows], missed = _gradient(head, _Path(block, found), hidden[rows], tokens[rows], tolerance, known)
            todo[rows] = missed > tolerance
    rest = todo.nonzero()[:, 0]
    if len(rest):
        value[rest], slope[rest] = head.with_gradient(hidden[rest], tokens[rest])
    return value, slope


def _gradient(
    head: Head, path: _Path, hidden: torch.Tensor, tokens: torch.Tensor, tolerance: float, reference: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Values (rows,), gradients (rows, hidden) and their paths' errors as shares (rows,)."""
    own = head.own(hidden, tokens).view(path.shape)  # (paths, nodes, units)
    answers = tokens.view(path.shape)[:, 0]  # (paths, units)
    scouts = head.scouts(hidden)
    scores = path.scores(head, scouts)
    level = scores.logsumexp(-1)
    if reference is not None:
        level = level - (own - level - reference.view(path.shape)).clamp(max=0.0).exp().clamp_min(_LEAST_WEIGHT).log()
    directions = _directions(head, scores, level, scouts == answers[:, None, :, None], tolerance)
    rest, expected = _pass(head, path, level, answers, directions)
    total = rest + (own - level).exp()
    embeddings = head.embedding(answers).to(hidden.dtype)  # (paths, units, hidden)
    # The answer's own word is apart, so that a sure model's small gradient is not a difference of large ones.
    slope = torch.einsum("nr,pruh->pnuh", -directions[:, :-1], expected[:, :-1])
    slope += (head.slope(own) * rest)[..., None] * embeddings[:, None]
    missed = expected[:, -1].norm(dim=-1) / slope.norm(dim=-1).amax(1).clamp_min(torch.finfo(slope.dtype).tiny)  # (paths, units)
    slope *= head.scale / total[..., None]
    return (own - log_sum(total) - level).flatten(), slope.flatten(0, 2), missed[:, None].expand_as(total).flatten()


def _directions(head: Head, scores: torch.Tensor, level: torch.Tensor, answer: torch.Tensor, tolerance: float) -> torch.Tensor:
    """D (nodes, rank) for the probabilities of all words but the answer, from some words' scores; the last column is the measure."""
    slope = None if head.cap is None else head.slope(scores)
    shares = exponentials(scores, level).masked_fill_(answer, 0.0)  # (paths, nodes, units, some words)
    shares = shares if slope is None else shares.mul_(slope)
    directions = axes(shares)
    energy = torch.linalg.vector_norm(torch.einsum("nr,pnuw->pruw", directions, shares), dim=-1).square()
    missed = energy.flip(1).cumsum(1).flip(1)  # by all directions from each on
    allowed = (_PROBABILITIES * tolerance * torch.linalg.vector_norm(shares, dim=-1).amin(1, keepdim=True)).square()
    directions = directions[:, : int((missed > allowed).any(2).any(0).sum())]
    signs = torch.randint(0, 2, (len(directions), 1), generator=torch.Generator().manual_seed(0)).to(scores) * 2 - 1
    return torch.cat([directions, signs - directions @ (directions.T @ signs)], dim=1)


def _pass(
    head: Head, path: _Path, level: torch.Tensor, answers: torch.Tensor, directions: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Σ exp(z - level) over all words but the answer (paths, nodes, units), and Dᵀ of their sum of f' E (paths, rank, units, hidden)."""
    paths, nodes, units = path.shape
    sums = torch.zeros_like(level)
    expected = level.new_zeros(paths * directions.shape[1] * units, path.span.parts.shape[1])
    for words in head.pieces(level.numel()):
        scores = path.scores(head, words)
        slope = None if head.cap is None else head.slope(scores)
        shares = exponentials(scores, level)
        path_of, unit_of = ((answers >= words.start) & (answers < words.stop)).nonzero(as_tuple=True)
        shares[path_of, :, unit_of, answers[path_of, unit_of] - words.start] = 0.0
        sums += shares.sum(-1)
        shares = shares if slope is None else shares.mul_(slope)
        few = torch.matmul(directions.T, shares.view(paths, nodes, -1))  # (paths, rank, units * few words)
        expected.addmm_(few.view(len(expected), -1), head.embedding(words).to(few.dtype))
    return sums, expected.view(paths, -1, units, expected.shape[1])
