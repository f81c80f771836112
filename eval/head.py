"""The vocabulary head: log P(token) and its gradient at hidden states, without ever writing out rows x words.

`log P = z_y - log Σ_w exp z_w`, `z = f(E h + b)`, `∇ log P = f'(z_y) E_y - Σ_w p_w f'(z_w) E_w` with f the identity or a
softcap `c tanh(z/c)`. The first pass goes through the words in pieces that stay in the processor's cache and keeps the
sums only, and for each word its largest share in any row. The second pass goes through the words that matter: those left
out carry at most `tolerance` of the probability of each row (checked exactly), and the mean of their embeddings stands
for them.
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


class Head:
    """The output embeddings of a model, with what it does to their products."""

    def __init__(self, model: Any, *, tolerance: float = 1e-5) -> None:
        self.module = model.get_output_embeddings()
        if self.module is None or getattr(self.module, "weight", None) is None:
            raise ModelError(f"{type(model).__name__}: looked for output embeddings (a vocabulary head); found none")
        self._weight: torch.Tensor = self.module.weight
        self._bias: torch.Tensor | None = getattr(self.module, "bias", None)
        config = model.config.get_text_config() if hasattr(model.config, "get_text_config") else model.config
        self._cap: float | None = getattr(config, "final_logit_softcapping", None)
        self._scale = float(getattr(config, "logit_scale", None) or 1.0) / float(getattr(config, "logits_scaling", None) or 1.0)
        self._sum: tuple[int, torch.Tensor] | None = None  # of all embeddings, with the version of the weights it is of
        self.tolerance = tolerance

    @property
    def words(self) -> int:
        return int(self._weight.shape[0])

    def embedding(self, word: int) -> torch.Tensor:
        """One word's output embedding, (hidden,)."""
        return self._weight[word]

    def mean_embedding(self) -> torch.Tensor:
        """The mean of all output embeddings, (hidden,), float32."""
        if self._sum is None or self._sum[0] != self._weight._version:
            self._sum = (self._weight._version, self._weight.sum(0, dtype=torch.float32))
        return self._sum[1] / self.words

    def logits(self, hidden: torch.Tensor, chosen: torch.Tensor | slice) -> torch.Tensor:
        """Vocabulary scores of some words, (rows, hidden) -> (rows, words), in the dtype of `hidden`."""
        scores = hidden @ self._weight[chosen].to(hidden.dtype).T
        if self._bias is not None:
            scores += self._bias[chosen].to(hidden.dtype)
        if self._scale != 1.0:
            scores *= self._scale
        return scores if self._cap is None else torch.tanh(scores / self._cap) * self._cap

    def log_probability(self, hidden: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        """log P of one token for each row, (rows, hidden), (rows,) -> (rows,)."""
        return self._of(hidden, tokens) - self._pass(hidden)[0]

    @torch.no_grad()
    def with_gradient(self, hidden: torch.Tensor, tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """log P of one token for each row, (rows,), and its gradient in the hidden state, (rows, hidden).

        Raises `ScoreError` when a score is not finite.
        """
        total, share = self._pass(hidden)
        gradient = torch.zeros_like(hidden)
        kept = self._kept(share)
        mass = self._subtract(gradient, hidden, total, kept)
        if kept is not None and float((1 - mass).max()) > self.tolerance:  # the bound on shares was too optimistic
            gradient.zero_()
            kept = None
            mass = self._subtract(gradient, hidden, total, None)
        if kept is not None:
            gradient -= (1 - mass).clamp_min_(0)[:, None] * self._left_out(kept, hidden.dtype)
        gradient += self._slope(self._of(hidden, tokens))[:, None] * self._scale * self._weight[tokens].to(hidden.dtype)
        return self._of(hidden, tokens) - total, gradient

    @torch.no_grad()
    def difference(self, hidden: torch.Tensor, tokens: torch.Tensor, rivals: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The logit of one token less that of another for each row, (rows,), and its gradient, (rows, hidden)."""
        first, second = self._of(hidden, tokens), self._of(hidden, rivals)
        up = (self._slope(first) * self._scale)[:, None] * self._weight[tokens].to(hidden.dtype)
        down = (self._slope(second) * self._scale)[:, None] * self._weight[rivals].to(hidden.dtype)
        return first - second, up - down

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

    @torch.no_grad()
    def _pass(self, hidden: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """log Σ exp over all words, (rows,), and each word's largest share in any row by a first estimate, (words,)."""
        level = self.logits(hidden, self._scouts(hidden)).logsumexp(-1)  # (rows,)
        sums = torch.zeros_like(level)
        share = hidden.new_empty(self.words)
        step = max(256, _TILE_NUMBERS // max(1, len(hidden)))
        for start in range(0, self.words, step):
            scores = self.logits(hidden, slice(start, start + step))  # (rows, few words)
            scores.sub_(level[:, None]).clamp_max_(_MAX_EXPONENT).exp_()
            sums += scores.sum(-1)
            share[start : start + step] = scores.amax(0)
        total = level + sums.log()
        if not bool(torch.isfinite(total).all()) or float(sums.max()) >= 2.0**100:
            raise ScoreError("the model gives vocabulary scores that are not finite or too far apart; try --dtype float32")
        # exp(z - level) / sums <= exp(z - level) / the smallest sums: an upper bound of the share in any row
        return total, share / sums.min()

    def _scouts(self, hidden: torch.Tensor) -> torch.Tensor | slice:
        """Words that hold much of the probability in a few of the rows, and some from everywhere."""
        if self.words <= 2 * _SCOUTS:
            return slice(None)
        few = hidden[:: max(1, len(hidden) // _SCOUT_ROWS)][:_SCOUT_ROWS]
        scores = self.logits(few, slice(None))
        best = (scores - scores.amax(-1, keepdim=True)).amax(0).topk(_SCOUTS).indices
        everywhere = torch.arange(0, self.words, self.words // _SCOUTS, device=hidden.device)
        return torch.unique(torch.cat([best, everywhere]))

    def _kept(self, share: torch.Tensor) -> torch.Tensor | None:
        """The words to sum over; None for all of them."""
        if self.tolerance <= 0:
            return None
        ordered, words = share.sort(descending=True)
        rest = ordered.flip(0).cumsum(0).flip(0)  # the sum of this word's share and all smaller ones
        count = int((rest > self.tolerance).sum())
        return None if 2 * count > self.words else words[:count].sort().values

    def _subtract(self, gradient: torch.Tensor, hidden: torch.Tensor, total: torch.Tensor, kept: torch.Tensor | None) -> torch.Tensor:
        """Subtract Σ_w p_w f'(z_w) E_w from the gradient; returns Σ_w p_w, (rows,)."""
        count = self.words if kept is None else len(kept)
        step = max(256, _TILE_NUMBERS // max(1, len(hidden)))
        mass = torch.zeros_like(total)
        for start in range(0, count, step):
            chosen = slice(start, start + step) if kept is None else kept[start : start + step]
            scores = self.logits(hidden, chosen)
            slope = self._slope(scores) if self._cap is not None else None
            scores.sub_(total[:, None]).exp_()  # probabilities, (rows, few words)
            mass += scores.sum(-1)
            if slope is not None:
                scores *= slope
            gradient.addmm_(scores, self._weight[chosen].to(hidden.dtype), alpha=-self._scale)
        return mass

    def _left_out(self, kept: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        """The mean embedding of the words that were left out, (hidden,)."""
        chosen = self._weight[kept].sum(0, dtype=torch.float32)
        return ((self.mean_embedding() * self.words - chosen) / max(1, self.words - len(kept)) * self._scale).to(dtype)
