"""What the scores of one query say: the place of the gold answer, and how that counts. numpy only; ties get their expectation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["Ranking", "precision_at", "rank", "reciprocal_rank"]

TOP = 10  # candidates kept in the predictions


@dataclass(frozen=True, slots=True)
class Ranking:
    """The gold answer among the candidates of one query.

    `greater` candidates score higher than the gold answer, `ties` other candidates score the same; `rank` is the
    expected rank when ties are broken at random. `gold` and `top` are log-probabilities in nats, `normalized` is the
    gold answer's log-probability among the candidates alone, `entropy` that distribution's entropy in nats.
    """

    greater: int
    ties: int
    gold: float
    normalized: float
    entropy: float
    candidates: int
    top: tuple[str, ...]
    top_scores: tuple[float, ...]

    @property
    def rank(self) -> float:
        return 1 + self.greater + self.ties / 2


def rank(scores: np.ndarray, labels: Sequence[str], gold: int = 0) -> Ranking:
    """Rank the candidates of one query; `scores` (candidates,) are log-probabilities, `gold` the place of the right answer.

    >>> rank(np.log([0.2, 0.5, 0.2]), ["Bern", "Zurich", "Geneva"]).rank
    2.5
    """
    order = np.lexsort((np.arange(len(scores)), -scores))[:TOP]
    log_total = float(np.logaddexp.reduce(scores))
    log_shares = scores - log_total  # (candidates,)
    return Ranking(
        greater=int((scores > scores[gold]).sum()),
        ties=int((scores == scores[gold]).sum()) - 1,
        gold=float(scores[gold]),
        normalized=float(log_shares[gold]),
        entropy=float(-(np.exp(log_shares) * log_shares).sum()),
        candidates=len(scores),
        top=tuple(labels[place] for place in order),
        top_scores=tuple(float(scores[place]) for place in order),
    )


def precision_at(k: int, greater: np.ndarray, ties: np.ndarray) -> np.ndarray:
    """The chance that the gold answer is among the first k when ties are broken at random; (queries,) -> (queries,).

    >>> precision_at(1, np.array([0, 0, 2]), np.array([0, 1, 0])).tolist()
    [1.0, 0.5, 0.0]
    """
    chance: np.ndarray = np.clip((k - greater) / (ties + 1), 0.0, 1.0)
    return chance


def reciprocal_rank(greater: np.ndarray, ties: np.ndarray) -> np.ndarray:
    """The expected 1/rank when ties are broken at random; (queries,) -> (queries,).

    >>> reciprocal_rank(np.array([0, 0, 2]), np.array([0, 1, 0])).round(3).tolist()
    [1.0, 0.75, 0.333]
    """
    return np.array([np.mean(1.0 / np.arange(g + 1, g + t + 2)) for g, t in zip(greater, ties, strict=True)])
