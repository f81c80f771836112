"""The vocabulary head: log P(token) and its gradient at hidden states, without ever writing out rows x words.

`log P = z_y - log Σ_w exp z_w`, `z = f(E h + b)`, `∇ log P = f'(z_y) E_y - Σ_w p_w f'(z_w) E_w` with f the identity or a
softcap `c tanh(z/c)`. One pass goes through the words in pieces that stay in the processor's cache. A piece's exponentials
are added up for the sum, and multiplied with its embeddings for the gradient while both are there. Words that are
improbable in all rows skip that product: the mean of their embeddings, each with its share over all rows, stands for
them. They carry at most `tolerance` of each row's probability; that is measured, and rows that have more are done again
with every word.
"""

from __future__ import annotations

from typing import Any

import torch

from rml_lama.errors import ModelError, ScoreError

__all__ = ["Head"]

_TILE_NUMBERS = 1 << 20  # rows x words of one piece: 4 MB in float32
_SCOUTS = 4096  # words that set the scale of each row
_SCOUT_ROWS = 8
_MAX_EXPONENT = 80.0
_LEAST_WEIGHT = 1e-3


class Head:
    """The output embeddings of a model, with what it does to their products. Raises `ModelError` where there are none."""

    def __init__(self, model: Any, *, tolerance: float = 1e-3) -> None:
        self.module = model.get_output_embeddings()
        if self.module is None or getattr(self.module, "weight", None) is None:
            raise ModelError(f"{type(model).__name__}: looked for output embeddings (a vocabulary head); found none")
        self._weight: torch.Tensor = self.module.weight
        self._bias: torch.Tensor | None = getattr(self.module, "bias", None)
        config = model.config.get_text_config() if hasattr(model.config, "get_text_config") else model.config
        self._cap: float | None = getattr(config, "final_logit_softcapping", None)
        self._scale = float(getattr(config, "logit_scale", None) or 1.0) / float(getattr(config, "logits_scaling", None) or 1.0)
        self.tolerance = tolerance

    @property
    def words(self) -> int:
        return int(self._weight.shape[0])

    def embedding(self, words: torch.Tensor) -> torch.Tensor:
        """Output embeddings of some words, (words, hidden)."""
        return self._weight[words]

    def mean_embedding(self) -> torch.Tensor:
        """The mean of all output embeddings, (hidden,), float32."""
        return self._weight.mean(0, dtype=torch.float32)

    def logits(self, hidden: torch.Tensor, chosen: torch.Tensor | slice) -> torch.Tensor:
        """Vocabulary scores of some words, (rows, hidden) -> (rows, words), in the dtype of `hidden`."""
        return self._scores(self._weight[chosen].to(hidden.dtype), hidden.T, chosen).T

    @torch.no_grad()
    def log_probability(self, hidden: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        """log P of one token for each row, (rows, hidden), (rows,) -> (rows,)."""
        level = self._level(hidden)
        sums = torch.zeros_like(level)
        for scores, _ in self._pieces(hidden):
            sums += scores.sub_(level).clamp_max_(_MAX_EXPONENT).exp_().sum(0)
        return self._of(hidden, tokens) - _log(sums) - level

    @torch.no_grad()
    def with_gradient(
        self, hidden: torch.Tensor, tokens: torch.Tensor, reference: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """log P of one token for each row, (rows,), and its gradient in the hidden state, (rows, hidden).

        With a `reference` (rows,), the log P that matters, a row of a smaller P may have more words stand in a mean: in an
        integral of P's gradient, which is P times that of log P, its error weighs less. Raises `ScoreError` when a score is
        not finite.
        """
        own = self._of(hidden, tokens)
        level = self._level(hidden)
        weight = torch.ones_like(own)
        if reference is not None:
            weight = (own - level - reference).clamp(max=0.0).exp().clamp_min(_LEAST_WEIGHT)
        total, expected, dropped = self._pass(hidden, level, weight, self.tolerance)
        again = (dropped * weight > self.tolerance).nonzero()[:, 0]
        if len(again):
            total[again], expected[again], _ = self._pass(hidden[again], level[again], weight[again], 0.0)
        return own - total, self._scale * (self._slope(own)[:, None] * self._weight[tokens].to(hidden.dtype) - expected)

    @torch.no_grad()
    def difference(self, hidden: torch.Tensor, tokens: torch.Tensor, rivals: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The logit of one token less that of another for each row, (rows,), and its gradient, (rows, hidden)."""
        first, second = self._of(hidden, tokens), self._of(hidden, rivals)
        up = (self._slope(first) * self._scale)[:, None] * self._weight[tokens].to(hidden.dtype)
        down = (self._slope(second) * self._scale)[:, None] * self._weight[rivals].to(hidden.dtype)
        return first - second, up - down

    def _pass(
        self, hidden: torch.Tensor, level: torch.Tensor, weight: torch.Tensor, tolerance: float
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """log Σ exp z (rows,), Σ_w p_w f'(z_w) E_w (rows, hidden), and the share of words that a mean stands for (rows,)."""
        level = level - weight.log()  # all sums of a row are then scaled by its weight
        # An average of four times the tolerance's part a word is allowed to be left out: no row has all words at its largest.
        least = 4 * tolerance / self.words if tolerance > 0 else -1.0
        sums, kept = torch.zeros_like(level), torch.zeros_like(level)
        expected = torch.zeros_like(hidden)
        rest, rest_sum = hidden.new_zeros(hidden.shape[1]), hidden.new_zeros(())
        for scores, embeddings in self._pieces(hidden):
            slope = None if self._cap is None else self._slope(scores)
            scores.sub_(level).clamp_max_(_MAX_EXPONENT).exp_()  # (few words, rows)
            sums += scores.sum(0)
            large = scores.amax(1) > least
            some = int(large.sum()) < 0.75 * len(large)
            chosen = large.nonzero()[:, 0] if some else slice(None)
            part = scores[chosen]
            kept += part.sum(0)
            if some:
                small = scores.sum(1).masked_fill_(large, 0.0)  # (few words,)
                rest += small @ embeddings
                rest_sum += small.sum()
            expected.addmm_((part if slope is None else part * slope[chosen]).T, embeddings[chosen])
        dropped = (sums - kept).clamp_min_(0.0)
        if float(rest_sum) > 0:
            expected += dropped[:, None] * (rest / rest_sum)
        return _log(sums) + level, expected / sums[:, None], dropped / sums

    def _pieces(self, hidden: torch.Tensor) -> Any:
        """Scores (few words, rows) and embeddings (few words, hidden) of all words, piece by piece."""
        columns = hidden.T.contiguous()  # (hidden, rows)
        step = max(256, _TILE_NUMBERS // max(1, len(hidden)))
        for start in range(0, self.words, step):
            embeddings = self._weight[start : start + step].to(hidden.dtype)
            yield self._scores(embeddings, columns, slice(start, start + step)), embeddings

    def _scores(self, embeddings: torch.Tensor, columns: torch.Tensor, chosen: torch.Tensor | slice) -> torch.Tensor:
        """Scores of words with these embeddings, (words, rows)."""
        scores = embeddings @ columns
        if self._bias is not None:
            scores += self._bias[chosen].to(scores.dtype)[:, None]
        if self._scale != 1.0:
            scores *= self._scale
        return scores if self._cap is None else scores.div_(self._cap).tanh_().mul_(self._cap)

    def _of(self, hidden: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        """The score of one word a row, (rows,)."""
        scores = (hidden * self._weight[tokens].to(hidden.dtype)).sum(-1)
        if self._bias is not None:
            scores = scores + self._bias[tokens].to(hidden.dtype)
        scores = scores * self._scale
        return scores if self._cap is None else torch.tanh(scores / self._cap) * self._cap

    def _slope(self, scores: torch.Tensor) -> torch.Tensor:
        """f' at scores that f has been applied to."""
        return torch.ones_like(scores) if self._cap is None else 1 - (scores / self._cap) ** 2

    def _level(self, hidden: torch.Tensor) -> torch.Tensor:
        """A first estimate of log Σ exp z, (rows,), from words that matter in a few of the rows and some from everywhere."""
        if self.words <= 2 * _SCOUTS:
            return self.logits(hidden, slice(None)).logsumexp(-1)
        few = hidden[:: max(1, len(hidden) // _SCOUT_ROWS)][:_SCOUT_ROWS]
        scores = self.logits(few, slice(None))
        best = (scores - scores.amax(-1, keepdim=True)).amax(0).topk(_SCOUTS).indices
        everywhere = torch.arange(0, self.words, self.words // _SCOUTS, device=hidden.device)
        return self.logits(hidden, torch.unique(torch.cat([best, everywhere]))).logsumexp(-1)


def _log(sums: torch.Tensor) -> torch.Tensor:
    """The logarithm of the sums, which must be neither nothing nor too much for the exponent's limit."""
    if not bool(torch.isfinite(sums).all()) or float(sums.max()) > 1e30 or float(sums.min()) <= 0:
        raise ScoreError("the model gives vocabulary scores that are not finite or too far apart; try --dtype float32")
    return sums.log()
