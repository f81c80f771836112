"""The candidates of a typed ranking: all distinct objects of a relation in a language, or a seeded draw of them.

The draw is made over object ids, so that every language gets the same objects.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from rml_lama.errors import DataError

__all__ = ["Candidates", "draw_key", "read_candidates"]


@dataclass(frozen=True, slots=True)
class Candidates:
    """Labels by relation and language, in the order of the draw; `limit` 0 takes all of them."""

    labels: dict[tuple[str, str], tuple[str, ...]]
    limit: int

    def of(self, relation: str, language: str, answer: str, answers: Iterable[str]) -> tuple[str, ...]:
        """The candidates of one query: the gold answer first, the other right answers left out, at most `limit`."""
        right = set(answers)
        others = [label for label in self.labels[relation, language] if label not in right]
        return (answer, *(others[: self.limit - 1] if self.limit else others))


def draw_key(seed: int, name: str) -> str:
    """A key whose order is a seeded random order, the same on every machine."""
    return hashlib.sha256(f"{seed}\x1f{name}".encode()).hexdigest()


def read_candidates(data: Path, *, limit: int = 0, seed: int = 0) -> Candidates:
    """The candidates of a build folder, from its `facts` config. Raises `DataError` when that cannot be read."""
    path = data / "data" / "facts.parquet"
    try:
        table = pq.read_table(path, columns=["relation", "object_id", "languages", "objects"])
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"cannot read: {error}", path) from error
    objects: dict[tuple[str, str], dict[str, str]] = {}
    for row in table.to_pylist():
        for language, label in zip(row["languages"], row["objects"], strict=True):
            objects.setdefault((row["relation"], language), {})[row["object_id"]] = label
    labels = {}
    for key, by_id in objects.items():
        drawn = sorted(by_id, key=lambda item: draw_key(seed, item))
        labels[key] = tuple(dict.fromkeys(by_id[item] for item in drawn))
    return Candidates(labels, limit)
