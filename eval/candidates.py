"""The candidates of a typed ranking: all distinct objects of a relation in a language, or a seeded draw of them.

The draw is made over object ids, so that every language gets the same objects.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from rml_lama.errors import DataError

__all__ = ["Candidates", "Choice", "draw_key", "read_candidates"]


@dataclass(frozen=True, slots=True)
class Choice:
    """The candidates of one query, the right answer first: object ids, and their labels in the query's language."""

    objects: tuple[str, ...]
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Candidates:
    """Object ids by label, by relation and language, in the order of the draw; `limit` 0 takes all of them.

    Objects that share a label in a language are one candidate there, named by the first of them in the draw.
    """

    by_label: Mapping[tuple[str, str], Mapping[str, str]]
    object_of: Mapping[str, str]  # by fact id
    limit: int

    def of(self, relation: str, language: str, fact_id: str, answer: str, answers: Iterable[str]) -> Choice:
        """The candidates of one query: the gold answer first, the other right answers left out, at most `limit`."""
        right = {answer, *answers}
        others = [(label, name) for label, name in self.by_label[relation, language].items() if label not in right]
        if self.limit:
            others = others[: self.limit - 1]
        return Choice((self.object_of[fact_id], *(name for _, name in others)), (answer, *(label for label, _ in others)))

    def labels(self, relation: str, language: str) -> tuple[str, ...]:
        """All labels of a relation's objects in a language, in the order of the draw."""
        return tuple(self.by_label[relation, language])


def draw_key(seed: int, name: str) -> str:
    """A key whose order is a seeded random order, the same on every machine."""
    return hashlib.sha256(f"{seed}\x1f{name}".encode()).hexdigest()


def read_candidates(data: Path, *, limit: int = 0, seed: int = 0) -> Candidates:
    """The candidates of a build folder, from its `facts` config. Raises `DataError` when that cannot be read."""
    path = data / "data" / "facts.parquet"
    try:
        table = pq.read_table(path, columns=["fact_id", "relation", "object_id", "languages", "objects"])
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"cannot read: {error}", path) from error
    labels: dict[tuple[str, str], dict[str, str]] = {}
    object_of: dict[str, str] = {}
    for row in table.to_pylist():
        object_of[row["fact_id"]] = row["object_id"]
        for language, label in zip(row["languages"], row["objects"], strict=True):
            labels.setdefault((row["relation"], language), {})[row["object_id"]] = label
    by_label: dict[tuple[str, str], dict[str, str]] = {}
    for key, by_object in labels.items():
        drawn = by_label[key] = {}
        for name in sorted(by_object, key=lambda item: draw_key(seed, item)):
            drawn.setdefault(by_object[name], name)
    return Candidates(by_label, object_of, limit)
