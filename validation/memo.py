"""Slow answers by content: what a model says of an item is computed once, kept in the ledger, and the same in any batch.

An item is anything that JSON can hold; its address is the hash of the model's name and the item itself, so that neither
the order of a file nor its other rows can change an answer. With a ledger file a run that was stopped goes on.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from rml_lama.ledger import Ledger, content_key

__all__ = ["Memo", "Progress"]

Progress = Callable[[str, int, int], None]  # what is being asked, how many are done, of how many
CHUNK = 64  # items between two writes


class Memo:
    """Answers by content, in memory and, where there is one, in a ledger."""

    def __init__(self, ledger: Ledger | None = None, *, progress: Progress = lambda what, done, total: None) -> None:
        self._ledger = ledger
        self._known: dict[str, Any] = {}
        self._progress = progress

    def answers(self, model: str, items: Sequence[Any], compute: Callable[[list[Any]], Sequence[Any]]) -> list[Any]:
        """The answer to each item, in order; `compute` is called with those that are new, some at a time.

        `compute` must give an item the same answer whatever stands beside it.
        """
        keys = [content_key({"model": model, "item": item}) for item in items]
        missing = {key: item for key, item in zip(keys, items, strict=True) if not self._has(key)}
        waiting = list(missing.items())
        for start in range(0, len(waiting), CHUNK):
            chunk = waiting[start : start + CHUNK]
            found = compute([item for _, item in chunk])
            new = {key: answer for (key, _), answer in zip(chunk, found, strict=True)}
            self._known |= new
            if self._ledger is not None:
                self._ledger.put_many(new)
            self._progress(model, start + len(chunk), len(waiting))
        return [self._known[key] for key in keys]

    def vectors(self, model: str, texts: Sequence[str], compute: Callable[[list[str]], np.ndarray]) -> np.ndarray:
        """Vectors of texts, (texts, dimensions) in float32; kept, and so rounded, as float16."""
        answers = self.answers(model, texts, lambda chunk: [_packed(vector) for vector in compute(chunk)])
        return np.stack([_unpacked(answer) for answer in answers]) if answers else np.zeros((0, 0), dtype=np.float32)

    def _has(self, key: str) -> bool:
        if key not in self._known and self._ledger is not None and key in self._ledger:
            self._known[key] = self._ledger.get(key)
        return key in self._known


def _packed(vector: np.ndarray) -> str:
    return base64.b64encode(vector.astype("<f2").tobytes()).decode("ascii")


def _unpacked(answer: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(answer), dtype="<f2").astype(np.float32)
