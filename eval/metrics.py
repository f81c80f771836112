"""What the scores of one query say: the place of the gold answer, and how sure the model is. numpy only.

Ties get their expectation. Formula ids are in `formulas.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Ranking", "log_shares", "precision_at", "rank", "reciprocal_rank"]

TOP = 10  # candidates kept in the predictions


@dataclass(frozen=True, slots=True)
class Ranking:
    """The gold answer among the candidates of one query.

    `greater` candidates score higher than the gold answer, `ties` other candidates score the same; `rank` is the
    expected rank when ties are broken at random. `gold` is its score; `margin` that score less the best other one, the
    log-odds between the two, in nats (NaN where there is no other). Of the shares that the candidates have of their
    common probability: `normalized` is the log of the gold answer's, `confidence` the largest, `entropy` their entropy in nats,
    `brier` the sum of squared differences to the truth (Brier 1950, all classes: 0 best, 2 worst). `order` lists the
    best candidates by their places.
    """

    greater: int
    ties: int
    gold: float
    margin: float
    normalized: float
    confidence: float
    entropy: float
    brier: float
    candidates: int
    order: np.ndarray  # (at most TOP,)

    @property
    def rank(self) -> float:
        return 1 + self.greater + self.ties / 2


def rank(scores: np.ndarray, gold: int = 0) -> Ranking:
    """Rank the candidates of one query; `scores` (candidates,) are log-probabilities, `gold` the place of the right answer.

    >>> rank(np.log([0.2, 0.5, 0.2])).rank
    2.5
    """
    logs = log_shares(scores)
    shares = np.exp(logs)
    others = np.delete(scores, gold)
    return Ranking(
        greater=int((scores > scores[gold]).sum()),
        ties=int((scores == scores[gold]).sum()) - 1,
        gold=float(scores[gold]),
        margin=float(scores[gold] - others.max()) if len(others) else float("nan"),
        normalized=float(logs[gold]),
        confidence=float(shares.max()),
        entropy=float(-(shares * logs).sum()) if len(others) else 0.0,
        brier=float((shares**2).sum() - 2 * shares[gold] + 1),
        candidates=len(scores),
        order=np.lexsort((np.arange(len(scores)), -scores))[:TOP],
    )


def log_shares(scores: np.ndarray) -> np.ndarray:
    """Log-probabilities (..., candidates) to the logs of their shares of the candidates' common probability.

    The largest is subtracted first: whole sentences have log-probabilities below -1,000, whose exponentials are 0.

    >>> np.exp(log_shares(np.array([-2000.0, -2000.0]))).tolist()
    [0.5, 0.5]
    """
    shifted = scores - scores.max(axis=-1, keepdims=True)
    logs: np.ndarray = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return logs


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
    harmonic = np.concatenate([[0.0], np.cumsum(1.0 / np.arange(1, (greater + ties).max(initial=0) + 2))])
    mean: np.ndarray = (harmonic[greater + ties + 1] - harmonic[greater]) / (ties + 1)
    return mean
