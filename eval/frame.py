"""Predictions as arrays: every query with the numbers of its fact, language and phrasing, and the shares of its candidates.

A fact in a language is a group: its phrasings rank the same candidates, so their distributions are lines of one matrix.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rml_lama.errors import DataError
from rml_lama.eval.metrics import log_shares, precision_at
from rml_lama.languages import ALL_CODES

__all__ = ["PREDICTIONS", "SCORES", "Frame", "Group"]

_texts = pa.list_(pa.field("element", pa.string()))


def _fields(kind: pa.DataType, names: str) -> list[tuple[str, pa.DataType]]:
    return [(name, kind) for name in names.split()]


PREDICTIONS = pa.schema(
    _fields(pa.string(), "query_id fact_id relation language template_id answer")
    + _fields(pa.bool_(), "single_answer answer_in_subject")
    + _fields(pa.int32(), "greater ties candidates answer_tokens")
    + _fields(pa.float64(), "rank gold_score margin normalized confidence entropy brier")
    + _fields(_texts, "top top_objects")
    + [("top_scores", pa.list_(pa.field("element", pa.float64()))), ("answer_ids", pa.list_(pa.field("element", pa.int32())))]
)
SCORES = pa.schema(
    [
        ("query_id", pa.string()),
        ("objects", _texts),
        ("scores", pa.list_(pa.field("element", pa.float32()))),
    ]
)


@dataclass(frozen=True, slots=True)
class Group:
    """A fact in a language: `queries` (phrasings,) are places in the frame, `objects` (candidates,) codes of object ids."""

    fact: int
    language: int
    queries: np.ndarray
    objects: np.ndarray
    shares: np.ndarray  # (phrasings, candidates), each line sums to one


class Frame:
    """The columns of a run. `columns` are the predictions as numpy arrays; codes count `facts` and `languages`."""

    def __init__(self, predictions: pa.Table, scores: pa.Table) -> None:
        if predictions["query_id"] != scores["query_id"]:
            raise DataError("predictions and scores are not of the same queries in the same order")
        self.columns: dict[str, np.ndarray] = {
            name: predictions[name].to_numpy(zero_copy_only=False)
            for name in PREDICTIONS.names
            if not pa.types.is_list(PREDICTIONS.field(name).type)
        }
        self.answer_ids: list[list[int]] = predictions["answer_ids"].to_pylist()
        self.facts, self.fact = np.unique(self.columns["fact_id"].astype(str), return_inverse=True)
        here = set(self.columns["language"])
        self.languages = [code for code in ALL_CODES if code in here]
        self.language = np.array([self.languages.index(code) for code in self.columns["language"]])
        relation = np.empty(len(self.facts), dtype=object)
        relation[self.fact] = self.columns["relation"]
        self.relations: np.ndarray = relation.astype(str)  # of each fact
        self._scores = scores.combine_chunks()

    def __len__(self) -> int:
        return len(self.fact)

    @property
    def right(self) -> np.ndarray:
        """P@1 of each query."""
        return precision_at(1, self.columns["greater"], self.columns["ties"])

    def groups(self) -> Iterator[Group]:
        """Every fact in every language, in order of fact and language."""
        return iter(self._groups)

    @functools.cached_property
    def _groups(self) -> list[Group]:
        objects, object_ends = _flat(self._scores["objects"])
        scores, ends = _flat(self._scores["scores"])
        order = np.lexsort((self.columns["template_id"].astype(str), self.language, self.fact))
        keys = self.fact[order] * len(self.languages) + self.language[order]
        found = []
        for queries in np.split(order, np.flatnonzero(np.diff(keys)) + 1):
            codes = [objects[object_ends[query] : object_ends[query + 1]] for query in queries]
            if any(len(other) != len(codes[0]) or (other != codes[0]).any() for other in codes[1:]):
                raise DataError(f"phrasings of fact {self.facts[self.fact[queries[0]]]} rank different candidates")
            lines = np.stack([scores[ends[query] : ends[query + 1]] for query in queries]).astype(float)
            shares = np.exp(log_shares(lines))
            found.append(Group(int(self.fact[queries[0]]), int(self.language[queries[0]]), queries, codes[0], shares))
        return found


def _flat(column: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray]:
    """All elements of a list column, as numbers or codes, and where each row begins and ends."""
    array: Any = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    values = array.values
    if pa.types.is_string(values.type):
        values = pc.dictionary_encode(values).indices
    return values.to_numpy(zero_copy_only=False), array.offsets.to_numpy()
