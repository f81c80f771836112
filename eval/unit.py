"""One prediction to explain: what the model reads, where the neurons are looked at, and which tokens are predicted where."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Unit"]


@dataclass(frozen=True, slots=True)
class Unit:
    """The function `F = P(targets | tokens)` of the FFN activations at one column.

    `tokens` is all that the model reads (a decoder's side where there is an encoder, which reads `source`). A causal
    model's tokens end with the column that predicts the last target. `targets` pairs a column with the token predicted
    there; with several, F is the product of their probabilities. `rival` is the token whose log-probability is
    subtracted when F is a logit difference.
    """

    tokens: tuple[int, ...]
    site: int
    targets: tuple[tuple[int, int], ...]
    source: tuple[int, ...] = ()
    rival: int | None = None
