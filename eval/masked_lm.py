"""Score candidates with a masked model: `mask-joint`, k masks for an answer of k tokens, one pass for each k.

The score of candidate c is `sum_t log p(c_t | prompt, k masks, suffix)`; this is the manner of mLAMA (Kassner et al. 2021).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from rml_lama.errors import ModelError, ScoreError
from rml_lama.eval.causal_lm import LOGIT_BUDGET, TOKEN_BUDGET, Ask
from rml_lama.eval.models import LoadedModel

__all__ = ["MaskedScorer"]

Masked = tuple[int, ...]  # a whole sequence with its masks


class MaskedScorer:
    """Log-probabilities of candidates under a masked model."""

    def __init__(self, loaded: LoadedModel) -> None:
        self._model = loaded.model
        self._tokenizer = loaded.tokenizer
        if loaded.tokenizer.mask_token_id is None:
            raise ModelError(f"the tokenizer of {loaded.name!r} has no mask token")
        self._mask: int = loaded.tokenizer.mask_token_id
        self._pad: int = loaded.tokenizer.pad_token_id or 0
        self._vocabulary = int(self._model.config.vocab_size)

    @torch.inference_mode()
    def score(self, asks: Sequence[Ask]) -> list[tuple[np.ndarray, np.ndarray]]:
        """For each ask, the log-probability (nats, float64) and the number of tokens of each candidate, in their order.

        Raises `ScoreError` when the model gives a number that is not finite.
        """
        wanted: dict[Masked, list[tuple[int, int, list[int]]]] = {}  # by sequence: ask, candidate, answer tokens
        for number, ask in enumerate(asks):
            for member, (sequence, tokens) in enumerate(self._mask_answers(ask)):
                wanted.setdefault(sequence, []).append((number, member, tokens))
        scores = [np.zeros(len(ask.candidates)) for ask in asks]
        lengths = [np.zeros(len(ask.candidates), dtype=np.int64) for ask in asks]
        for batch in self._batches(sorted(wanted, key=lambda sequence: (len(sequence), sequence))):
            for sequence, log_probabilities in zip(batch, self._pass(batch), strict=True):
                for number, member, tokens in wanted[sequence]:
                    picked = log_probabilities[torch.arange(len(tokens)), torch.tensor(tokens)]
                    scores[number][member] = float(picked.double().sum())
                    lengths[number][member] = len(tokens)
        for ask, values in zip(asks, scores, strict=True):
            if not np.isfinite(values).all():
                raise ScoreError(f"the model gives a log-probability that is not finite for {ask.prompt!r}; try --dtype float32")
        return list(zip(scores, lengths, strict=True))

    def _mask_answers(self, ask: Ask) -> Iterator[tuple[Masked, list[int]]]:
        """Each candidate's masked sequence and its tokens, found by their place in the text, as the model would read it."""
        texts = [ask.prompt + candidate + ask.suffix for candidate in ask.candidates]
        encoded = self._tokenizer(texts, return_offsets_mapping=True)
        start = len(ask.prompt)
        for candidate, text, ids, offsets in zip(ask.candidates, texts, encoded["input_ids"], encoded["offset_mapping"], strict=True):
            end = start + len(candidate)
            inside = [place for place, (a, b) in enumerate(offsets) if a < end and b > start and b > a and text[a:b].strip()]
            if not inside:
                raise ModelError(f"the tokenizer gives no token for {candidate!r} in {text!r}")
            masked = tuple(self._mask if place in set(inside) else token for place, token in enumerate(ids))
            yield masked, [ids[place] for place in inside]

    def _batches(self, sequences: Sequence[Masked]) -> Iterator[list[Masked]]:
        batch: list[Masked] = []
        for sequence in sequences:
            size = (len(batch) + 1) * len(sequence)  # sequences come with ever more tokens
            if batch and (size > TOKEN_BUDGET or size * self._vocabulary > LOGIT_BUDGET):
                yield batch
                batch = []
            batch.append(sequence)
        if batch:
            yield batch

    def _pass(self, batch: Sequence[Masked]) -> list[torch.Tensor]:
        """For each sequence, log-probabilities at its masks, (masks, vocabulary)."""
        width = max(map(len, batch))
        ids = np.full((len(batch), width), self._pad, dtype=np.int64)
        attention = np.zeros((len(batch), width), dtype=np.int64)
        for row, sequence in enumerate(batch):
            ids[row, : len(sequence)] = sequence
            attention[row, : len(sequence)] = 1
        device = self._model.device
        inputs: dict[str, Any] = {"input_ids": torch.from_numpy(ids).to(device), "attention_mask": torch.from_numpy(attention).to(device)}
        logits = self._model(**inputs).logits  # (rows, width, vocabulary)
        at_masks = torch.from_numpy((ids == self._mask) & (attention == 1)).to(device)
        return [torch.log_softmax(part[keep].float(), dim=-1).cpu() for part, keep in zip(logits, at_masks, strict=True)]
