"""What a scorer is asked and what it answers: the contract between the evaluator and the kinds of models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from rml_lama.errors import ScoreError

__all__ = ["Ask", "Scored", "Scorer", "finite"]


@dataclass(frozen=True, slots=True)
class Ask:
    """What a scorer needs of a query: the text before and after the blank, and the candidate answers."""

    prompt: str
    suffix: str
    candidates: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Scored:
    """What a model says of one ask, candidate by candidate.

    `log_probabilities` (candidates,) in nats, float64; `lengths` (candidates,) the number of tokens that were scored;
    `first_tokens` the token ids of the first candidate, which is the right answer.
    """

    log_probabilities: np.ndarray
    lengths: np.ndarray
    first_tokens: tuple[int, ...]


class Scorer(Protocol):
    """Scores the candidates of queries; `mode` names the way and goes into the signature."""

    @property
    def mode(self) -> str: ...

    def score(self, asks: Sequence[Ask]) -> list[Scored]:
        """One `Scored` for each ask, in order. Raises `ScoreError` when the model gives a number that is not finite."""
        ...


def finite(asks: Sequence[Ask], scores: Sequence[np.ndarray]) -> None:
    """Raise `ScoreError`, naming the first candidate whose score is not a finite number."""
    for ask, values in zip(asks, scores, strict=True):
        if not np.isfinite(values).all():
            worst = ask.candidates[int(np.flatnonzero(~np.isfinite(values))[0])]
            raise ScoreError(f"the model gives no finite log-probability for {worst!r} after {ask.prompt!r}; try --dtype float32")
