"""Score candidates with an encoder-decoder model of the T5 kind (mT5), by its first sentinel.

The encoder reads the sentence with `<extra_id_0>` in the place of the answer's tokens, as in span corruption (Raffel et
al. 2020); the decoder reads the start token, the sentinel and the answer. The score is
`sum_t log p(c_t | sentence, sentinel, c_<t)` over the answer's tokens, as they stand in the sentence. A sentence is
encoded once, whatever the number of its candidates.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from rml_lama.errors import ModelError
from rml_lama.eval.base import Ask, Scored, finite
from rml_lama.eval.budget import TokenBudget, default_tokens
from rml_lama.eval.forest import Row, pack
from rml_lama.eval.head import Head
from rml_lama.eval.masked_lm import answer_places
from rml_lama.eval.models import LoadedModel

__all__ = ["EncoderDecoderScorer"]

SENTINEL = "<extra_id_0>"
Sentence = tuple[int, ...]  # what the encoder reads
_Line = tuple[Sentence, Row]


class EncoderDecoderScorer:
    """Log-probabilities of candidates under an encoder-decoder model."""

    mode = "sentinel"

    def __init__(self, loaded: LoadedModel) -> None:
        self._model = loaded.model
        self._tokenizer = loaded.tokenizer
        sentinel = loaded.tokenizer.convert_tokens_to_ids(SENTINEL)
        start = loaded.model.config.decoder_start_token_id
        if sentinel is None or sentinel == loaded.tokenizer.unk_token_id or start is None:
            raise ModelError(f"the model {loaded.name!r} is an encoder-decoder, but its tokenizer has no {SENTINEL}, as T5 and mT5 have it")
        self._sentinel: int = sentinel
        self._start: int = start
        self._pad: int = loaded.tokenizer.pad_token_id or 0
        self._budget = TokenBudget(default_tokens(loaded.device))
        self._head = Head(self._model, self._probe_logits)

    @torch.inference_mode()
    def score(self, asks: Sequence[Ask]) -> list[Scored]:
        """For each ask, the log-probability and the number of scored tokens of each candidate.

        Raises `ScoreError` when the model gives a number that is not finite.
        """
        by_sentence: dict[Sentence, list[tuple[int, int, tuple[int, ...]]]] = {}
        scores = [np.zeros(len(ask.candidates)) for ask in asks]
        lengths = [np.zeros(len(ask.candidates), dtype=np.int64) for ask in asks]
        firsts: list[tuple[int, ...]] = [()] * len(asks)
        for number, ask in enumerate(asks):
            for member, (sentence, answer) in enumerate(self._encode(ask)):
                by_sentence.setdefault(sentence, []).append((number, member, answer))
                lengths[number][member] = len(answer)
                firsts[number] = answer if member == 0 else firsts[number]
        encoded = dict(zip(by_sentence, self._budget.run(list(by_sentence), len, self._read), strict=True))
        lines: list[_Line] = []
        owners: list[list[tuple[int, int, tuple[int, ...]]]] = []
        for sentence, members in by_sentence.items():
            rows = pack([(self._start, self._sentinel, *answer) for *_, answer in members], [2] * len(members), capacity=0, tree=False)
            lines += [(sentence, row) for row in rows]
            owners += [members] * len(rows)
        found = self._budget.run(lines, lambda line: len(line[0]) + len(line[1].tokens), lambda batch: self._pass(batch, encoded))
        for (_, row), members, values in zip(lines, owners, found, strict=True):
            for owner, value in zip(row.edge_owner, values, strict=True):
                number, member, _ = members[owner]
                scores[number][member] += value
        finite(asks, scores)
        return [Scored(*parts) for parts in zip(scores, lengths, firsts, strict=True)]

    def _encode(self, ask: Ask) -> list[tuple[Sentence, tuple[int, ...]]]:
        """For each candidate, the sentence with the sentinel, and the answer's tokens."""
        texts = [ask.prompt + candidate + ask.suffix for candidate in ask.candidates]
        encoded = self._tokenizer(texts, return_offsets_mapping=True)
        result = []
        for member, candidate in enumerate(ask.candidates):
            ids = encoded["input_ids"][member]
            places = answer_places(encoded["offset_mapping"][member], texts[member], len(ask.prompt), candidate)
            sentence = (*ids[: places[0]], self._sentinel, *ids[places[-1] + 1 :])
            result.append((sentence, tuple(ids[places[0] : places[-1] + 1])))
        return result

    def _read(self, sentences: list[Sentence]) -> list[torch.Tensor]:
        """The encoder's states of each sentence, (tokens, hidden)."""
        ids, attention = _right_pad(sentences, self._pad, self._model.device)
        states = self._model.get_encoder()(input_ids=ids, attention_mask=attention).last_hidden_state  # (sentences, width, hidden)
        return [state[: len(sentence)] for state, sentence in zip(states, sentences, strict=True)]

    def _pass(self, lines: list[_Line], encoded: dict[Sentence, torch.Tensor]) -> list[np.ndarray]:
        from transformers.modeling_outputs import BaseModelOutput

        states = torch.nn.utils.rnn.pad_sequence([encoded[sentence] for sentence, _ in lines], batch_first=True)
        _, attention = _right_pad([sentence for sentence, _ in lines], self._pad, self._model.device)
        rows = [row for _, row in lines]
        ids, seen = _right_pad([row.tokens.tolist() for row in rows], self._pad, self._model.device)
        inputs: dict[str, Any] = {
            "encoder_outputs": BaseModelOutput(last_hidden_state=states),
            "attention_mask": attention,
            "decoder_input_ids": ids,
            "decoder_attention_mask": seen,
            "use_cache": False,
        }
        places, tokens = [row.edge_node for row in rows], [row.edge_token for row in rows]
        return self._head.edges(lambda: self._model(**inputs).logits, ids.shape[1], places, tokens)

    @torch.inference_mode()
    def _probe_logits(self) -> torch.Tensor:
        ids = torch.tensor([self._tokenizer("1 2 3 4")["input_ids"]], device=self._model.device)
        decoder = torch.tensor([[self._start, self._sentinel]], device=self._model.device)
        logits: torch.Tensor = self._model(input_ids=ids, decoder_input_ids=decoder, use_cache=False).logits
        return logits


def _right_pad(sequences: Sequence[Sequence[int]], pad: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids and attention mask, (sequences, width) each."""
    width = max(map(len, sequences))
    ids = torch.tensor([[*sequence, *[pad] * (width - len(sequence))] for sequence in sequences], device=device)
    attention = torch.tensor([[1] * len(sequence) + [0] * (width - len(sequence)) for sequence in sequences], device=device)
    return ids, attention
