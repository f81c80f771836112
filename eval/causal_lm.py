"""Score candidates with a causal model: each shared prefix is read once, the vocabulary is projected at answer positions only.

For query q and candidate c the score is `sum_t log p(c_t | prompt, c_<t)` (docs/methods: Probing). Prompts and candidates
of many queries are packed into forests of tokens (`forest.py`) that the model reads in one pass each, under a mask in
which a token sees its ancestors only. Models whose attention does not take such a mask (found out by trying), and
sequences longer than a sliding window, are read as plain rows.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch

from rml_lama.errors import ModelError
from rml_lama.eval.base import Ask, Scored, finite
from rml_lama.eval.budget import TokenBudget, default_tokens
from rml_lama.eval.forest import Row, pack
from rml_lama.eval.head import Head
from rml_lama.eval.models import LoadedModel

__all__ = ["CausalScorer", "Work"]

ROW_NODES = 192  # tokens of one row: attention costs their square, a cut repeats a prompt
Scope = Literal["answer", "answer+suffix", "sentence"]


@dataclass(frozen=True, slots=True)
class Work:
    """What a set of asks costs: tokens that are read, positions at which the vocabulary is projected, and the tokens of all
    sentences on their own, which is what a scorer without shared prefixes reads."""

    read: int
    predicted: int
    unshared: int


class CausalScorer:
    """Log-probabilities of candidates under a causal model.

    `scope` says what is scored: the answer's tokens, also those after the blank, or the whole sentence.
    `tree` forces tree attention on or off; by default it is tried.
    """

    def __init__(self, loaded: LoadedModel, *, scope: Scope = "answer", tree: bool | None = None) -> None:
        self._model = loaded.model
        self._tokenizer = loaded.tokenizer
        self.mode = scope
        self._start = _start_tokens(loaded.tokenizer)
        self._budget = TokenBudget(default_tokens(loaded.device))
        self._window = _sliding_window(loaded.model.config)
        self._head = Head(self._model, self._probe_logits)
        self.tree = self._tree_is_exact() if tree is None else tree

    @torch.inference_mode()
    def score(self, asks: Sequence[Ask]) -> list[Scored]:
        """For each ask, the log-probability and the number of scored tokens of each candidate.

        Raises `ScoreError` when the model gives a number that is not finite, `ModelError` when there is nothing before a blank.
        """
        sequences, starts = self._sequences(asks)
        totals = self._totals(sequences, starts, tree=self.tree)
        lengths = np.array([len(sequence) - start for sequence, start in zip(sequences, starts, strict=True)])
        ends = np.cumsum([0, *(len(ask.candidates) for ask in asks)])
        scored = [
            Scored(totals[first:end], lengths[first:end], sequences[first][starts[first] :]) for first, end in itertools.pairwise(ends)
        ]
        finite(asks, [one.log_probabilities for one in scored])
        return scored

    def work(self, asks: Sequence[Ask]) -> Work:
        """What scoring these asks costs, without running the model."""
        sequences, starts = self._sequences(asks)
        rows = [row for _, rows, _ in self._packed(sequences, starts, tree=self.tree) for row in rows]
        predicted = sum(len(np.unique(row.edge_node)) for row in rows)
        return Work(sum(len(row.tokens) for row in rows), predicted, sum(map(len, sequences)))

    def _sequences(self, asks: Sequence[Ask]) -> tuple[list[tuple[int, ...]], list[int]]:
        """The tokens of every candidate of every ask, and the place from which they are scored."""
        sequences: list[tuple[int, ...]] = []
        starts: list[int] = []
        for start, wholes in self._encode(asks):
            sequences += wholes
            starts += [start] * len(wholes)
        return sequences, starts

    def _packed(self, sequences: list[tuple[int, ...]], starts: list[int], *, tree: bool) -> Iterator[tuple[np.ndarray, list[Row], bool]]:
        """The numbers of the sequences that go into trees, their rows, True; and the same for plain rows, False."""
        capacity = min(ROW_NODES, self._window)
        fits = np.array([tree and len(sequence) <= self._window for sequence in sequences], dtype=bool)
        for as_tree in (True, False):
            numbers = np.flatnonzero(fits == as_tree)
            yield numbers, pack([sequences[n] for n in numbers], [starts[n] for n in numbers], capacity=capacity, tree=as_tree), as_tree

    def _totals(self, sequences: list[tuple[int, ...]], starts: list[int], *, tree: bool) -> np.ndarray:
        """The summed log-probability of each sequence from its start on, (sequences,)."""
        totals = np.zeros(len(sequences))
        for numbers, rows, as_tree in self._packed(sequences, starts, tree=tree):
            found = self._budget.run(rows, lambda row: len(row.tokens), self._tree_pass if as_tree else self._plain_pass)
            for row, values in zip(rows, found, strict=True):
                np.add.at(totals, numbers[row.edge_owner], values)
        return totals

    def _encode(self, asks: Sequence[Ask]) -> Iterator[tuple[int, list[tuple[int, ...]]]]:
        """For each ask, the place from which tokens are scored and each candidate's whole sequence.

        Prompt and answer are tokenized together, as the model would read them. Where that changes the last tokens of
        the prompt for some candidate, scoring starts before them for all candidates of the query, so that every
        candidate is scored from the same place.
        """
        texts = [ask.prompt.rstrip() for ask in asks]
        for ask in asks:
            end = "" if self.mode == "answer" else ask.suffix
            texts += [ask.prompt + candidate + end for candidate in ask.candidates]
        encoded = [tuple(ids) for ids in self._tokenizer(texts, add_special_tokens=False)["input_ids"]] if texts else []
        position = len(asks)
        for number, ask in enumerate(asks):
            prompt, wholes = encoded[number], encoded[position : position + len(ask.candidates)]
            position += len(ask.candidates)
            shared = 0 if self.mode == "sentence" else min((_common_prefix(prompt, ids) for ids in wholes), default=0)
            start = len(self._start) + shared
            if start == 0 and self.mode == "sentence":
                start = 1  # without a start token nothing predicts the first word
            if start == 0:
                raise ModelError(f"nothing stands before the blank of {ask.prompt!r}, and the model has no start token")
            yield start, [self._start + ids for ids in wholes]

    def _tree_pass(self, rows: list[Row]) -> list[np.ndarray]:
        width = max(len(row.tokens) for row in rows)
        ids, positions = (np.zeros((len(rows), width), dtype=np.int64) for _ in range(2))
        mask = np.zeros((len(rows), width, width), dtype=bool)
        mask[:, np.arange(width), np.arange(width)] = True  # padding sees itself: a row of nothing would be NaN
        for number, row in enumerate(rows):
            count = len(row.tokens)
            ids[number, :count], positions[number, :count] = row.tokens, row.depths
            mask[number, :count, :count] = row.visible()
        dtype, device = self._model.dtype, self._model.device
        places = torch.from_numpy(positions).to(device)
        bias = torch.where(torch.from_numpy(mask), 0.0, torch.finfo(dtype).min).to(device, dtype)[:, None]  # (rows, 1, width, width)
        with _positions(self._model, places) as extra:
            return self._edges(rows, {"input_ids": torch.from_numpy(ids).to(device), "attention_mask": bias, **extra})

    def _plain_pass(self, rows: list[Row]) -> list[np.ndarray]:
        """Real tokens first, so that every model counts positions the same way."""
        width = max(len(row.tokens) for row in rows)
        ids, attention = (np.zeros((len(rows), width), dtype=np.int64) for _ in range(2))
        for number, row in enumerate(rows):
            ids[number, : len(row.tokens)], attention[number, : len(row.tokens)] = row.tokens, 1
        device = self._model.device
        return self._edges(rows, {"input_ids": torch.from_numpy(ids).to(device), "attention_mask": torch.from_numpy(attention).to(device)})

    def _edges(self, rows: list[Row], inputs: dict[str, Any]) -> list[np.ndarray]:
        """Log-probabilities of the edges of each row, float64."""
        width = inputs["input_ids"].shape[1]
        places, tokens = [row.edge_node for row in rows], [row.edge_token for row in rows]
        return self._head.edges(lambda: self._model(**inputs, use_cache=False).logits, width, places, tokens)

    @torch.inference_mode()
    def _probe_logits(self) -> torch.Tensor:
        ids = torch.tensor([self._some_tokens(5)], device=self._model.device)
        logits: torch.Tensor = self._model(input_ids=ids, use_cache=False).logits
        return logits

    def _some_tokens(self, count: int) -> list[int]:
        """Any tokens, but different ones: what a mask hides must be seen to matter."""
        vocabulary = self._model.get_input_embeddings().weight.shape[0]
        found: list[int] = np.random.default_rng(0).choice(vocabulary, size=count, replace=False).tolist()
        return found

    @torch.inference_mode()
    def _tree_is_exact(self) -> bool:
        """Try tree attention against plain rows on a few small sequences that branch at different depths."""
        some = self._some_tokens(30)
        sequences = [(*some[:4], *some[first:last]) for first, last in ((4, 7), (4, 6), (8, 12), (12, 30))]
        sequences += [(*some[:2], *some[first:last]) for first, last in ((4, 9), (20, 22))]
        starts = [4, 4, 4, 4, 2, 2]
        plain = self._totals(sequences, starts, tree=False)
        try:
            tree = self._totals(sequences, starts, tree=True)
        except (TypeError, ValueError, RuntimeError, IndexError):
            return False
        tolerance = 1e-3 if self._model.dtype == torch.float32 else 0.05
        return bool(np.allclose(tree, plain, atol=tolerance, rtol=tolerance))


@contextlib.contextmanager
def _positions(model: Any, positions: torch.Tensor) -> Iterator[dict[str, torch.Tensor]]:
    """How a model is told the position of each token, (rows, width): an argument, or for BLOOM its bias by distance (ALiBi)."""
    base = model.base_model
    build = getattr(base, "build_alibi_tensor", None)
    if build is None:
        yield {"position_ids": positions}
        return

    def build_here(mask: torch.Tensor, heads: int, dtype: torch.dtype) -> torch.Tensor:
        slopes = build(torch.ones(1, 2, device=mask.device), heads, torch.float32)[:, 0, 1]  # (heads,)
        bias: torch.Tensor = slopes[None, :, None] * positions[:, None, :]  # (rows, heads, width)
        return bias.reshape(-1, 1, positions.shape[1]).to(dtype)

    base.build_alibi_tensor = build_here
    try:
        yield {}
    finally:
        del base.build_alibi_tensor


def _sliding_window(config: Any) -> int:
    """The longest sequence that no layer's window cuts."""
    text = config.get_text_config()
    found = (getattr(text, name, None) for name in ("sliding_window", "attention_chunk_size", "window_size"))
    return min((window for window in found if isinstance(window, int) and window > 0), default=1 << 30)


def _start_tokens(tokenizer: Any) -> tuple[int, ...]:
    """What the tokenizer puts before a text on its own, such as BOS; never what it puts after."""
    probe = tokenizer("a", return_special_tokens_mask=True)
    special = probe["special_tokens_mask"]
    return tuple(probe["input_ids"][: special.index(0)])


def _common_prefix(first: Sequence[int], second: Sequence[int]) -> int:
    """How many tokens both start with; at least one token of `second` is left over."""
    length = 0
    for a, b in zip(first, second[:-1], strict=False):
        if a != b:
            break
        length += 1
    return length
