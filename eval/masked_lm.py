"""Score candidates with a masked model, batched over masks and candidates; what two candidates ask in common is asked once.

`mask-joint`: k masks for an answer of k tokens, one pass, `sum_t log p(c_t | prompt, k masks, suffix)`, as in mLAMA
(Kassner et al. 2021). `pll-l2r`: each token in turn, with the rest of its word masked too (Kauf & Ivanova 2023,
"PLL-word-l2r"), the words on both sides given. With the scope `sentence` (pll-l2r only) every token is scored.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import numpy as np
import torch

from rml_lama.errors import ConfigError, ModelError
from rml_lama.eval.base import Ask, Scored, finite
from rml_lama.eval.budget import TokenBudget, default_tokens
from rml_lama.eval.head import Head
from rml_lama.eval.models import LoadedModel

__all__ = ["MaskedScorer", "answer_places"]

Masked = tuple[int, ...]  # a whole sequence with its masks
Part = tuple[Masked, list[int], list[int]]  # with the places that are asked and the tokens that were there
Masking = Literal["mask-joint", "pll-l2r"]


class MaskedScorer:
    """Log-probabilities of candidates under a masked model."""

    def __init__(self, loaded: LoadedModel, *, masking: Masking = "mask-joint", sentence: bool = False) -> None:
        if sentence and masking == "mask-joint":
            raise ConfigError("mask-joint scores the answer only; for the whole sentence use --masking pll-l2r")
        self._model = loaded.model
        self._tokenizer = loaded.tokenizer
        if loaded.tokenizer.mask_token_id is None:
            raise ModelError(f"the tokenizer of {loaded.name!r} has no mask token")
        self._mask: int = loaded.tokenizer.mask_token_id
        self._pad: int = loaded.tokenizer.pad_token_id or 0
        self._masking = masking
        self._sentence = sentence
        self.mode = f"{masking}-sentence" if sentence else masking
        self._budget = TokenBudget(default_tokens(loaded.device))
        self._head = Head(self._model, self._probe_logits)

    @torch.inference_mode()
    def score(self, asks: Sequence[Ask]) -> list[Scored]:
        """For each ask, the log-probability and the number of scored tokens of each candidate.

        Raises `ScoreError` when the model gives a number that is not finite.
        """
        wanted: dict[Masked, list[tuple[int, int, int, int]]] = {}  # by sequence: ask, candidate, place, token
        scores = [np.zeros(len(ask.candidates)) for ask in asks]
        lengths = [np.zeros(len(ask.candidates), dtype=np.int64) for ask in asks]
        firsts: list[list[int]] = [[] for _ in asks]
        for number, ask in enumerate(asks):
            for member, parts in enumerate(self._parts(ask)):
                for sequence, places, tokens in parts:
                    lengths[number][member] += len(places)
                    firsts[number] += tokens if member == 0 else []
                    wanted.setdefault(sequence, []).extend(
                        (number, member, place, token) for place, token in zip(places, tokens, strict=True)
                    )
        sequences = list(wanted.items())
        found = self._budget.run(sequences, lambda item: len(item[0]), self._pass)
        for (_, edges), values in zip(sequences, found, strict=True):
            for (number, member, _, _), value in zip(edges, values, strict=True):
                scores[number][member] += value
        finite(asks, scores)
        return [Scored(*parts) for parts in zip(scores, lengths, map(tuple, firsts), strict=True)]

    def _parts(self, ask: Ask) -> Iterator[list[Part]]:
        """For each candidate, the sequences that its score needs."""
        texts = [ask.prompt + candidate + ask.suffix for candidate in ask.candidates]
        encoded = self._tokenizer(texts, return_offsets_mapping=True, return_special_tokens_mask=True)
        for member, candidate in enumerate(ask.candidates):
            ids = encoded["input_ids"][member]
            if self._sentence:
                places = [place for place, special in enumerate(encoded["special_tokens_mask"][member]) if not special]
            else:
                places = answer_places(encoded["offset_mapping"][member], texts[member], len(ask.prompt), candidate)
            words = encoded.word_ids(member) if self._masking == "pll-l2r" else []
            yield [
                (tuple(self._mask if place in hidden else token for place, token in enumerate(ids)), asked, [ids[place] for place in asked])
                for asked, hidden in self._steps(places, words)
            ]

    def _steps(self, places: list[int], words: Sequence[int | None]) -> Iterator[tuple[list[int], set[int]]]:
        """What is asked, and what is masked for it."""
        if self._masking == "mask-joint":
            yield places, set(places)
            return
        for number, place in enumerate(places):
            rest = places[number + 1 :] if words[place] is not None else []
            yield [place], {place, *(other for other in rest if words[other] == words[place])}

    def _pass(self, batch: list[tuple[Masked, list[tuple[int, int, int, int]]]]) -> list[np.ndarray]:
        """For each sequence, the log-probabilities of what is asked of it."""
        width = max(len(sequence) for sequence, _ in batch)
        ids = np.full((len(batch), width), self._pad, dtype=np.int64)
        attention = np.zeros((len(batch), width), dtype=np.int64)
        for row, (sequence, _) in enumerate(batch):
            ids[row, : len(sequence)], attention[row, : len(sequence)] = sequence, 1
        device = self._model.device
        inputs: dict[str, Any] = {"input_ids": torch.from_numpy(ids).to(device), "attention_mask": torch.from_numpy(attention).to(device)}
        places = [np.array([place for _, _, place, _ in edges]) for _, edges in batch]
        tokens = [np.array([token for *_, token in edges]) for _, edges in batch]
        return self._head.edges(lambda: self._model(**inputs).logits, width, places, tokens)

    @torch.inference_mode()
    def _probe_logits(self) -> torch.Tensor:
        ids = self._tokenizer("1 2 3 4")["input_ids"]
        logits: torch.Tensor = self._model(input_ids=torch.tensor([ids], device=self._model.device)).logits
        return logits


def answer_places(offsets: Sequence[tuple[int, int]], text: str, start: int, candidate: str) -> list[int]:
    """The tokens of a sentence that hold a part of the answer, found by their place in the text.

    Raises `ModelError` when the tokenizer leaves nothing of it.

    >>> answer_places([(0, 3), (3, 5), (5, 6), (6, 8)], "It's Rome.", 5, "Rome")
    [2, 3]
    """
    end = start + len(candidate)
    inside = [place for place, (a, b) in enumerate(offsets) if a < end and b > start and b > a and text[a:b].strip()]
    if not inside:
        raise ModelError(f"the tokenizer gives no token for {candidate!r} in {text!r}")
    return inside
