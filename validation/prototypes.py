"""What each relation looks like in the embedder's space, whatever the language: centroids of the bank's phrasings.

A vector says more about its language than about its relation. The mean vector of its language is taken off first (Libovický
et al. 2020), so that one centroid serves all languages; then a linear discriminant projection (Fisher 1936, the within-relation
covariance shrunk towards the identity) weighs down what differs between phrasings of one relation. `prototypes.json` holds what the
package's bank gave, so that judging a few phrasings needs no pass over the bank (`benchmarks/validation.py prototypes` writes it anew).
"""

from __future__ import annotations

import base64
import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rml_lama.errors import DataError, OutputError

__all__ = ["PROTOTYPES", "Margin", "Prototypes", "fit_prototypes", "load_prototypes", "save_prototypes"]

DIMENSIONS = 40  # of the projection
SHRINKAGE = 1.0  # of the within-relation covariance, in units of its mean eigenvalue
PROTOTYPES = Path(__file__).parent / "prototypes.json"


@dataclass(frozen=True, slots=True)
class Margin:
    """How near the own relation is, how much nearer than the best other one, and which that is."""

    own: float
    score: float
    rival: str


@dataclass(frozen=True, slots=True)
class Prototypes:
    """Sums of projected unit vectors by relation, with the numbers of phrasings; the projection; the mean vector of each language."""

    model: str
    relations: tuple[str, ...]
    sums: np.ndarray  # (relations, projected)
    counts: np.ndarray  # (relations,)
    projection: np.ndarray  # (dimensions, projected)
    languages: Mapping[str, np.ndarray]  # mean vectors, (dimensions,)

    def projected(self, vector: np.ndarray, language: str) -> np.ndarray:
        """The vector without what its language adds, as a unit vector, projected; an unknown language counts as the mean one."""
        mean = self.languages.get(language)
        if mean is None:
            mean = np.mean(list(self.languages.values()), axis=0)
        found: np.ndarray = _unit(vector - mean) @ self.projection
        return found

    def margin(self, vector: np.ndarray, language: str, relation: str, *, member_of: Sequence[str] = ()) -> Margin | None:
        """Nearness to the own relation and to the others; the vector is taken out of the sums that it is a part of.

        None for a relation without a prototype.
        """
        if relation not in self.relations:
            return None
        point, own = self.projected(vector, language), self.relations.index(relation)
        sums = np.array(self.sums, dtype=np.float64)
        for name in member_of:
            if name in self.relations and self.counts[self.relations.index(name)] > 1:
                sums[self.relations.index(name)] -= point
        near = _unit(sums) @ _unit(point)  # (relations,)
        others = near.copy()
        others[own] = -np.inf
        rival = int(others.argmax())
        return Margin(round(float(near[own]), 4), round(float(near[own] - near[rival]), 4), self.relations[rival])


def fit_prototypes(model: str, rows: Sequence[tuple[str, str]], vectors: np.ndarray) -> Prototypes:
    """Prototypes from (language, relation) of each phrasing and its unit vector, (phrasings, dimensions)."""
    codes, names = np.array([code for code, _ in rows]), np.array([relation for _, relation in rows])
    languages = {str(code): vectors[codes == code].mean(axis=0) for code in dict.fromkeys(codes)}
    unit = _unit(vectors - np.stack([languages[code] for code in codes]))  # (phrasings, dimensions)
    relations = tuple(dict.fromkeys(str(name) for name in names))
    member = np.stack([names == name for name in relations]).astype(np.float64)  # (relations, phrasings)
    counts = member.sum(axis=1)
    projection = _discriminants(unit, member, counts)
    return Prototypes(model, relations, member @ (unit @ projection), counts.astype(int), projection, languages)


def _discriminants(unit: np.ndarray, member: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The directions in which relations differ most, measured against how much phrasings of one relation do, (dimensions, projected)."""
    means = member @ unit / counts[:, None]  # (relations, dimensions)
    within = unit - member.T @ means  # (phrasings, dimensions)
    values, vectors = np.linalg.eigh(within.T @ within / len(unit))
    whitening = vectors / np.sqrt(np.maximum(values, 0.0) + SHRINKAGE * max(float(values.mean()), 1e-12))  # (dimensions, dimensions)
    between = means @ whitening
    _, _, directions = np.linalg.svd(between - between.mean(axis=0), full_matrices=False)
    found: np.ndarray = whitening @ directions[: min(DIMENSIONS, max(len(means) - 1, 1))].T
    return found


def _unit(rows: np.ndarray) -> np.ndarray:
    """Rows of length 1."""
    found: np.ndarray = rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), 1e-9)
    return found


def save_prototypes(prototypes: Prototypes, path: Path, *, bank: str) -> None:
    """Write them as text (vectors as base64 of float16); `bank` is the hash of the phrasings. Raises `OutputError`."""
    content = {
        "model": prototypes.model,
        "bank": bank,
        "counts": dict(zip(prototypes.relations, prototypes.counts.tolist(), strict=True)),
        "relations": {name: _packed(row) for name, row in zip(prototypes.relations, prototypes.sums, strict=True)},
        "projection": [_packed(column) for column in prototypes.projection.T],
        "languages": {code: _packed(mean) for code, mean in prototypes.languages.items()},
    }
    try:
        path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise OutputError(f"cannot write the prototypes to {path}: {error.strerror}") from error


@functools.cache
def load_prototypes(path: Path = PROTOTYPES) -> Prototypes:
    """Read prototypes. Raises `DataError`."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        relations = tuple(content["relations"])
        sums = np.stack([_unpacked(content["relations"][name]) for name in relations])
        counts = np.array([content["counts"][name] for name in relations])
        projection = np.stack([_unpacked(column) for column in content["projection"]], axis=1)
        languages = {code: _unpacked(row) for code, row in content["languages"].items()}
        return Prototypes(content["model"], relations, sums, counts, projection, languages)
    except OSError as error:
        raise DataError(f"cannot read the prototypes: {error.strerror}", path) from error
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"not prototypes: {error}", path) from error


def _packed(row: np.ndarray) -> str:
    return base64.b64encode(row.astype("<f2").tobytes()).decode("ascii")


def _unpacked(text: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), dtype="<f2").astype(np.float64)
