"""Score candidates with a causal model: one pass over prompt and candidate trie, exact and without repeated work.

For query q and candidate c the score is `sum_t log p(c_t | prompt, c_<t)` (docs/methods: Probing). All candidates of a
query form a trie of tokens. The prompt and the trie's inner nodes are one sequence in which a node sees the prompt and
its own ancestors only (tree attention), so each shared prefix is computed once, and the vocabulary is projected at
answer positions only. Models whose attention does not take such a mask (found out by trying) get one plain row a
candidate.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from rml_lama.errors import ModelError, ScoreError
from rml_lama.eval.models import LoadedModel
from rml_lama.eval.trie import Trie, build_trie

__all__ = ["Ask", "CausalScorer"]

TOKEN_BUDGET = 1536  # tokens a pass, padding included
LOGIT_BUDGET = 1 << 27  # vocabulary scores a pass
NODE_BUDGET = 192  # inner nodes of one sequence; attention cost grows with its square
_CACHE_ROWS = 16  # sites whose vocabulary scores are summed up at once


@dataclass(frozen=True, slots=True)
class Ask:
    """What the scorer needs of a query: text before and after the blank, and the candidate answers."""

    prompt: str
    suffix: str
    candidates: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Row:
    """One sequence: the context, and the trie of some of the query's candidates."""

    ask: int
    members: np.ndarray  # (candidates of this row,) their numbers in the ask
    context: Sequence[int]
    trie: Trie


class CausalScorer:
    """Log-probabilities of candidates under a causal model."""

    def __init__(self, loaded: LoadedModel, *, with_suffix: bool = False, tree: bool | None = None) -> None:
        self._model = loaded.model
        self._tokenizer = loaded.tokenizer
        self._with_suffix = with_suffix
        self._vocabulary = int(self._model.get_output_embeddings().weight.shape[0])
        self._start = _start_tokens(loaded.tokenizer)
        self.tree = self._tree_is_exact() if tree is None else tree

    @torch.inference_mode()
    def score(self, asks: Sequence[Ask]) -> list[tuple[np.ndarray, np.ndarray]]:
        """For each ask, the log-probability (nats, float64) and the number of tokens of each candidate, in their order.

        Raises `ScoreError` when the model gives a number that is not finite.
        """
        encoded = self._encode(asks)
        scores = [np.zeros(len(ask.candidates)) for ask in asks]
        lengths = [np.array([len(tokens) for tokens in continuations]) for _, continuations in encoded]
        rows = [row for number, (context, tokens) in enumerate(encoded) for row in self._rows(number, context, tokens)]
        for batch in self._batches(rows):
            for row, values in zip(batch, self._pass(batch), strict=True):
                scores[row.ask][row.members] = values
        for ask, values in zip(asks, scores, strict=True):
            if not np.isfinite(values).all():
                worst = ask.candidates[int(np.flatnonzero(~np.isfinite(values))[0])]
                raise ScoreError(f"the model gives no finite log-probability for {worst!r} after {ask.prompt!r}; try --dtype float32")
        return list(zip(scores, lengths, strict=True))

    def _encode(self, asks: Sequence[Ask]) -> list[tuple[list[int], list[list[int]]]]:
        """Context tokens and each candidate's tokens after them.

        Prompt and answer are tokenized together, as the model would read them. Where that changes the last tokens of
        the prompt for some candidate, the context ends before them for all candidates of the query, so that every
        candidate is scored from the same place.
        """
        texts = [ask.prompt.rstrip() for ask in asks]
        for ask in asks:
            end = ask.suffix if self._with_suffix else ""
            texts += [ask.prompt + candidate + end for candidate in ask.candidates]
        encoded = [list(ids) for ids in self._tokenizer(texts, add_special_tokens=False)["input_ids"]]
        result = []
        position = len(asks)
        for number, ask in enumerate(asks):
            prompt, whole = encoded[number], encoded[position : position + len(ask.candidates)]
            position += len(ask.candidates)
            shared = min((_common_prefix(prompt, ids) for ids in whole), default=0)
            context = self._start + prompt[:shared]
            if not context:
                raise ModelError(f"nothing stands before the blank of {ask.prompt!r}, and the model has no start token")
            result.append((context, [ids[shared:] for ids in whole]))
        return result

    def _rows(self, number: int, context: list[int], tokens: list[list[int]]) -> Iterator[_Row]:
        if not self.tree:
            for member, ids in enumerate(tokens):
                yield _Row(number, np.array([member]), context, build_trie([ids]))
            return
        order = sorted(range(len(tokens)), key=lambda member: tokens[member])
        start = inner = 0
        for end, member in enumerate(order):
            inner += len(tokens[member]) - 1  # an upper bound: shared prefixes count once in the trie
            if inner > NODE_BUDGET and end > start:
                yield _row(number, order[start:end], context, tokens)
                start, inner = end, len(tokens[member]) - 1
        yield _row(number, order[start:], context, tokens)

    def _batches(self, rows: list[_Row]) -> Iterator[list[_Row]]:
        """Rows of like size together, within the budgets."""
        rows = sorted(rows, key=lambda row: (len(row.trie.tokens), len(row.context), row.ask))
        batch: list[_Row] = []
        for row in rows:
            context = max(len(row.context), *(len(other.context) for other in batch)) if batch else len(row.context)
            nodes = len(row.trie.tokens)  # rows come with ever more nodes
            size = len(batch) + 1
            if batch and (size * (context + nodes) > TOKEN_BUDGET or size * (nodes + 1) * self._vocabulary > LOGIT_BUDGET):
                yield batch
                batch = []
            batch.append(row)
        if batch:
            yield batch

    def _pass(self, rows: list[_Row]) -> list[np.ndarray]:
        """One forward pass; for each row the log-probabilities of its members."""
        logits = self._logits(rows)  # (sites of all rows, vocabulary)
        starts = np.cumsum([0, *(1 + len(row.trie.tokens) for row in rows)])  # a row's sites: end of context, then nodes
        sites = np.concatenate([start + row.trie.edge_site for start, row in zip(starts[:-1], rows, strict=True)])
        tokens = np.concatenate([row.trie.edge_token for row in rows])
        where = torch.from_numpy(sites).to(logits.device)
        edges = logits[where, torch.from_numpy(tokens).to(logits.device)].float()  # (edges of all rows,)
        edges -= _log_sum_exp(logits)[where]
        parts = np.split(edges.double().cpu().numpy(), np.cumsum([len(row.trie.edge_site) for row in rows])[:-1])
        return [row.trie.path_sums(part) for row, part in zip(rows, parts, strict=True)]

    def _logits(self, rows: list[_Row]) -> torch.Tensor:
        """Vocabulary scores where an answer token is predicted, (sites of all rows, vocabulary)."""
        width = max(len(row.context) for row in rows)
        nodes = max(len(row.trie.tokens) for row in rows)
        ids, positions, mask = _pack(rows, width, nodes)
        device = self._model.device
        kwargs: dict[str, Any] = {"input_ids": torch.from_numpy(ids).to(device), "use_cache": False}
        if self.tree:
            bias = torch.where(torch.from_numpy(mask), 0.0, torch.finfo(self._model.dtype).min).to(self._model.dtype)
            kwargs |= {"attention_mask": bias[:, None].to(device), "position_ids": torch.from_numpy(positions).to(device)}
            first = [width - 1] * len(rows)
        else:  # a plain row: real tokens first, so that every model counts positions the same way
            kwargs["attention_mask"] = torch.from_numpy(_right_pad(kwargs["input_ids"], rows, width)).to(device)
            first = [len(row.context) - 1 for row in rows]
        size = width + nodes
        flat = [number * size + start + np.arange(1 + len(row.trie.tokens)) for number, (start, row) in enumerate(zip(first, rows))]
        keep = torch.from_numpy(np.concatenate(flat)).to(device)

        def only_sites(module: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
            hidden = inputs[0]  # (rows, width + nodes, hidden) -> (1, sites, hidden), contiguous: one matrix product
            return (hidden.reshape(-1, hidden.shape[-1])[keep][None], *inputs[1:])

        hook = self._model.get_output_embeddings().register_forward_pre_hook(only_sites)
        try:
            output: torch.Tensor = self._model(**kwargs).logits
        finally:
            hook.remove()
        return output[0]

    def _tree_is_exact(self) -> bool:
        """Try tree attention against plain rows on three small candidates of different lengths."""
        probe = [Ask("1 2 3 4", "", (" 5 6 7", " 5 6", " 8 9 10 11")), Ask("1 2 3 4 5 6", "", (" 7 8 9", " 7", " 9 9 9"))]
        self.tree = False
        plain = self.score(probe)
        self.tree = True
        try:
            tree = self.score(probe)
        except (TypeError, ValueError, RuntimeError, IndexError):
            return False
        tolerance = 1e-3 if self._model.dtype == torch.float32 else 0.25
        return all(np.allclose(ours[0], theirs[0], atol=tolerance, rtol=0) for ours, theirs in zip(tree, plain, strict=True))


def _log_sum_exp(logits: torch.Tensor) -> torch.Tensor:
    """Over the vocabulary, in float32; overwrites `logits`, in pieces that stay in the processor's cache."""
    totals = torch.empty(len(logits), device=logits.device)
    for start in range(0, len(logits), _CACHE_ROWS):
        piece = logits[start : start + _CACHE_ROWS].float()  # (few sites, vocabulary)
        top = piece.amax(dim=-1, keepdim=True)
        totals[start : start + _CACHE_ROWS] = piece.sub_(top).exp_().sum(dim=-1).log_() + top[:, 0]
    return totals


def _row(number: int, members: list[int], context: list[int], tokens: list[list[int]]) -> _Row:
    return _Row(number, np.array(members), context, build_trie([tokens[member] for member in members]))


def _start_tokens(tokenizer: Any) -> list[int]:
    """What the tokenizer puts before a text on its own, such as BOS; never what it puts after."""
    probe = tokenizer("a")["input_ids"]
    bare = tokenizer("a", add_special_tokens=False)["input_ids"]
    return list(probe[: len(probe) - len(bare)]) if probe[-len(bare) :] == bare else list(probe[:1])


def _common_prefix(first: Sequence[int], second: Sequence[int]) -> int:
    """How many tokens both start with; at least one token of `second` is left over."""
    length = 0
    for a, b in zip(first, second[:-1], strict=False):
        if a != b:
            break
        length += 1
    return length


def _pack(rows: list[_Row], width: int, nodes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Token ids, position ids (rows, width + nodes) and the mask of who sees whom (rows, width + nodes, width + nodes).

    Contexts end in column `width - 1`, so the nodes of all rows begin in the same column.
    """
    size = width + nodes
    ids = np.zeros((len(rows), size), dtype=np.int64)
    positions = np.zeros((len(rows), size), dtype=np.int64)
    mask = np.zeros((len(rows), size, size), dtype=bool)
    causal = np.tril(np.ones((width, width), dtype=bool))
    for number, row in enumerate(rows):
        pad, count = width - len(row.context), len(row.trie.tokens)
        ids[number, pad:width] = row.context
        ids[number, width : width + count] = row.trie.tokens
        positions[number, pad:width] = np.arange(len(row.context))
        positions[number, width : width + count] = len(row.context) + row.trie.depth
        mask[number, pad:width, pad:width] = causal[: len(row.context), : len(row.context)]
        mask[number, width : width + count, pad:width] = True
        mask[number, width : width + count, width : width + count] = row.trie.ancestors
    mask[:, np.arange(size), np.arange(size)] = True  # padding sees itself: a row of nothing would be NaN
    return ids, positions, mask


def _right_pad(ids: torch.Tensor, rows: list[_Row], width: int) -> np.ndarray:
    """Shift each row of `ids` to start in column 0, in place; returns the 2-D attention mask."""
    attention = np.zeros(tuple(ids.shape), dtype=np.int64)
    for number, row in enumerate(rows):
        pad = width - len(row.context)
        if pad:
            ids[number] = torch.cat([ids[number, pad:], ids[number, :pad]])
        attention[number, : len(row.context) + len(row.trie.tokens)] = 1
    return attention
