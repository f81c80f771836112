"""Log-probabilities at chosen positions, without ever writing out a positions x vocabulary matrix.

The head (hidden state to vocabulary) is most of the work of a small model with a large vocabulary. The model runs with
its head shortened to one position; the wanted hidden states are projected here, a block of the vocabulary at a time
that stays in the processor's cache, and only the log of the summed exponentials and the wanted words are kept. The
product is float32 whatever the dtype of the model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from rml_lama.errors import ModelError

__all__ = ["Head"]

_WORDS = 1024  # of the vocabulary at once
_SITES = 512  # positions at once: a block of scores is 2 MB
_EDGES = 4096  # wanted words at once

Forward = Callable[[], torch.Tensor]  # runs the model, gives its logits


class Head:
    """The output embeddings of a model, with what the model does to their scores (scaling, soft caps).

    That is found by comparing the scores of one pass before and after it, not by the model's name. `exact` is False
    where it is none of the known ways, or the projection is no plain matrix (quantized, adapted): then the model's own
    logits are used, with the head shortened to the wanted positions.
    """

    def __init__(self, model: Any, probe: Forward) -> None:
        self._module = model.get_output_embeddings()
        if self._module is None:
            raise ModelError(f"the model {type(model).__name__} has no output embeddings: nothing predicts words")
        self._cap = getattr(model.config, "final_logit_softcapping", None)
        self._scale = self._find_scale(probe) if _is_plain(self._module) else None
        self.exact = self._scale is not None

    def edges(self, forward: Forward, width: int, places: Sequence[np.ndarray], tokens: Sequence[np.ndarray]) -> list[np.ndarray]:
        """For each row of a pass, log p(tokens[row][e]) at the position places[row][e], float64; rows are `width` wide."""
        flat = np.concatenate([number * width + row for number, row in enumerate(places)])
        keep, sites = np.unique(flat, return_inverse=True)
        found = self.log_probabilities(forward, torch.from_numpy(keep), torch.from_numpy(sites), torch.from_numpy(np.concatenate(tokens)))
        return np.split(found.double().cpu().numpy(), np.cumsum([len(row) for row in places])[:-1])

    def log_probabilities(self, forward: Forward, keep: torch.Tensor, sites: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        """log p(tokens[e]) at the position keep[sites[e]], (edges,), float32, on the device of the head.

        `keep` (sites,) counts positions over the flattened batch of one pass, `forward`.
        """
        caught: list[torch.Tensor] = []

        def shorten(module: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
            hidden = inputs[0].reshape(-1, inputs[0].shape[-1])[keep.to(inputs[0].device)]  # (sites, hidden)
            caught.append(hidden)
            return ((hidden[:1] if self.exact else hidden)[None], *inputs[1:])

        hook = self._module.register_forward_pre_hook(shorten)
        try:
            logits = forward()
        finally:
            hook.remove()
        if not self.exact:
            return _from_logits(logits[0], sites.to(logits.device), tokens.to(logits.device))
        hidden = caught[0].to(self._module.weight.device)
        return self._project(hidden.float(), sites.to(hidden.device), tokens.to(hidden.device))

    def _project(self, hidden: torch.Tensor, sites: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        weight, bias = self._module.weight, self._module.bias
        picked = [
            torch.einsum("eh,eh->e", hidden[where], weight[which].float()) + (0 if bias is None else bias[which].float())
            for where, which in zip(torch.split(sites, _EDGES), torch.split(tokens, _EDGES), strict=True)
        ]
        totals = torch.full((len(hidden),), -torch.inf, device=hidden.device)
        for start in range(0, len(weight), _WORDS):
            words = weight[start : start + _WORDS].float().T  # (hidden, words)
            for first in range(0, len(hidden), _SITES):
                block = hidden[first : first + _SITES] @ words  # (sites, words)
                if bias is not None:
                    block += bias[start : start + _WORDS]
                part = _log_sum_exp(self._finish(block))
                totals[first : first + _SITES] = torch.logaddexp(totals[first : first + _SITES], part)
        return self._finish(torch.cat(picked)) - totals[sites]

    def _finish(self, scores: torch.Tensor) -> torch.Tensor:
        """What the model does to the scores of its head, in place."""
        if self._scale is not None and self._scale != 1.0:
            scores *= self._scale
        return scores.div_(self._cap).tanh_().mul_(self._cap) if self._cap else scores

    def _find_scale(self, probe: Forward) -> float | None:
        """The factor that makes this class's scores those of the model, None if none does."""
        caught: list[torch.Tensor] = []
        hook = self._module.register_forward_hook(lambda module, inputs, output: caught.append(output))
        try:
            final = probe().float()
        finally:
            hook.remove()
        if len(caught) != 1 or caught[0].shape != final.shape:
            return None
        raw = caught[0].float()
        finite = torch.isfinite(raw) & torch.isfinite(final)
        ratio = 1.0 if self._cap else float((raw[finite] * final[finite]).sum() / (raw[finite] ** 2).sum())
        self._scale = 1.0 if abs(ratio - 1) < 1e-3 else ratio
        tolerance = 1e-4 if caught[0].dtype == torch.float32 else 5e-2
        return self._scale if torch.allclose(self._finish(raw.clone()), final, rtol=tolerance, atol=tolerance) else None


def _is_plain(module: Any) -> bool:
    return isinstance(module, torch.nn.Linear) and module.weight.is_floating_point() and module.weight.shape[0] == module.out_features


def _log_sum_exp(block: torch.Tensor) -> torch.Tensor:
    """Over the words, (sites, words) -> (sites,). One pass of the library's log-softmax, whose largest value is top - total."""
    top = block.amax(dim=-1)
    return top - torch.log_softmax(block, dim=-1, out=block).amax(dim=-1)


def _from_logits(logits: torch.Tensor, sites: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """(sites, vocabulary) -> (edges,), a few lines at a time."""
    totals = torch.cat([piece.float().logsumexp(dim=-1) for piece in torch.split(logits, 16)])  # (sites,)
    return logits[sites, tokens].float() - totals[sites]
