"""The vocabulary head: log P(token) and its gradient at hidden states, without ever writing out rows x words.

`log P = z_y - log Σ_w exp z_w`, `z = f(E h + b)`, `∇ log P = f'(z_y) E_y - Σ_w p_w f'(z_w) E_w` with f the identity or a
softcap `c tanh(z/c)`. One pass goes through the words in pieces that stay in the processor's cache. A piece's exponentials
are added up for the sum, and multiplied with its embeddings for the gradient while both are there. What rows in
blocks share is in `vocabulary_spans.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from rml_lama.errors import ModelError, ScoreError

__all__ = ["Head", "exponentials", "log_sum"]

_TILE_NUMBERS = 1 << 20  # rows x words of one piece: 4 MB in float32
_SCOUTS = 4096  # words that set the scale of each row
_SCOUT_ROWS = 8
_MAX_EXPONENT = 80.0


class Head:
    """The output embeddings of a model, with what it does to their products. Raises `ModelError` where there are none."""

    def __init__(self, model: Any) -> None:
        self.module = model.get_output_embeddings()
        if self.module is None or getattr(self.module, "weight", None) is None:
            raise ModelError(f"{type(model).__name__}: looked for output embeddings (a vocabulary head); found none")
        self._weight: torch.Tensor = self.module.weight
        self._bias: torch.Tensor | None = getattr(self.module, "bias", None)
        config = model.config.get_text_config() if hasattr(model.config, "get_text_config") else model.config
        self.cap: float | None = getattr(config, "final_logit_softcapping", None)
        self.scale = float(getattr(config, "logit_scale", None) or 1.0) / float(getattr(config, "logits_scaling", None) or 1.0)

    @property
    def words(self) -> int:
        return int(self._weight.shape[0])

    def embedding(self, words: torch.Tensor | slice) -> torch.Tensor:
        """Output embeddings of some words, (words, hidden)."""
        return self._weight[words]

    def mean_embedding(self) -> torch.Tensor:
        """The mean of all output embeddings, (hidden,), float32."""
        return self._weight.mean(0, dtype=torch.float32)

    def logits(self, hidden: torch.Tensor, chosen: torch.Tensor | slice) -> torch.Tensor:
        """Vocabulary scores of some words, (rows, hidden) -> (rows, words), in the dtype of `hidden`."""
        return self.finish(hidden @ self.embedding(chosen).to(hidden.dtype).T, chosen)

    @torch.no_grad()
    def log_probability(self, hidden: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        """log P of one token for each row, (rows, hidden), (rows,) -> (rows,)."""
        if len(hidden) <= _SCOUT_ROWS:  # the first estimate would be as dear as the whole
            return self.own(hidden, tokens) - self.logits(hidden, slice(None)).logsumexp(-1)
        level = self.level(hidden)
        sums = torch.zeros_like(level)
        for words in self.pieces(len(hidden)):
            sums += exponentials(self.logits(hidden, words), level).sum(-1)
        return self.own(hidden, tokens) - log_sum(sums) - level

    @torch.no_grad()
    def with_gradient(self, hidden: torch.Tensor, tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """log P of one token for each row, (rows,), and its gradient in the hidden state, (rows, hidden).

        Raises `ScoreError` when a score is not finite.
        """
        own, level = self.own(hidden, tokens), self.level(hidden)
        sums, expected = torch.zeros_like(level), torch.zeros_like(hidden)
        for words in self.pieces(len(hidden)):
            embeddings = self.embedding(words).to(hidden.dtype)
            scores = self.finish(hidden @ embeddings.T, words)  # (rows, few words)
            slope = None if self.cap is None else self.slope(scores)
            shares = exponentials(scores, level)
            sums += shares.sum(-1)
            expected.addmm_(shares if slope is None else shares.mul_(slope), embeddings)
        gradient = self.slope(own)[:, None] * self.embedding(tokens).to(hidden.dtype) - expected / sums[:, None]
        return own - log_sum(sums) - level, self.scale * gradient

    @torch.no_grad()
    def difference(self, hidden: torch.Tensor, tokens: torch.Tensor, rivals: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The logit of one token less that of another for each row, (rows,), and its gradient, (rows, hidden)."""
        first, second = self.own(hidden, tokens), self.own(hidden, rivals)
        up = (self.slope(first) * self.scale)[:, None] * self._weight[tokens].to(hidden.dtype)
        down = (self.slope(second) * self.scale)[:, None] * self._weight[rivals].to(hidden.dtype)
        return first - second, up - down

    def pieces(self, rows: int) -> Iterator[slice]:
        """All words, in pieces of which the scores of so many rows stay in the cache."""
        step = max(256, _TILE_NUMBERS // max(1, rows))
        return (slice(start, min(start + step, self.words)) for start in range(0, self.words, step))

    def finish(self, products: torch.Tensor, chosen: torch.Tensor | slice) -> torch.Tensor:
        """The scores of words from their embeddings' products, (..., words), in place."""
        if self._bias is not None:
            products += self._bias[chosen].to(products.dtype)
        if self.scale != 1.0:
            products *= self.scale
        if self.cap is not None:
            products.div_(self.cap).tanh_().mul_(self.cap)
        return products

    def own(self, hidden: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        """The score of one word a row, (rows,)."""
        scores = (hidden * self._weight[tokens].to(hidden.dtype)).sum(-1)
        if self._bias is not None:
            scores = scores + self._bias[tokens].to(hidden.dtype)
        scores = scores * self.scale
        return scores if self.cap is None else torch.tanh(scores / self.cap) * self.cap

    def slope(self, scores: torch.Tensor) -> torch.Tensor:
        """f' at scores that f has been applied to."""
        return torch.ones_like(scores) if self.cap is None else 1 - (scores / self.cap) ** 2

    def level(self, hidden: torch.Tensor) -> torch.Tensor:
        """A first estimate of log Σ exp z, (rows,)."""
        return self.logits(hidden, self.scouts(hidden)).logsumexp(-1)

    def scouts(self, hidden: torch.Tensor) -> torch.Tensor:
        """Words that matter in a few of the rows and some from everywhere, (words,); all where they are few."""
        if self.words <= 2 * _SCOUTS:
            return torch.arange(self.words, device=hidden.device)
        few = hidden[:: max(1, len(hidden) // _SCOUT_ROWS)][:_SCOUT_ROWS]
        scores = self.logits(few, slice(None))
        best = (scores - scores.amax(-1, keepdim=True)).amax(0).topk(_SCOUTS).indices
        everywhere = torch.arange(0, self.words, self.words // _SCOUTS, device=hidden.device)
        found: torch.Tensor = torch.unique(torch.cat([best, everywhere]))
        return found


def exponentials(scores: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
    """exp(scores - level), (..., words) and (...), in place."""
    shares: torch.Tensor = scores.sub_(level[..., None]).clamp_max_(_MAX_EXPONENT).exp_()
    return shares


def log_sum(sums: torch.Tensor) -> torch.Tensor:
    """The logarithm of the sums, which must be neither nothing nor too much for the exponent's limit."""
    if not bool(torch.isfinite(sums).all()) or float(sums.max()) > 1e30 or float(sums.min()) <= 0:
        raise ScoreError("the model gives vocabulary scores that are not finite or too far apart; try --dtype float32")
    return sums.log()
