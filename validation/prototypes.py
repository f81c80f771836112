"""What each relation looks like in the embedder's space, whatever the language: centroids of the bank's phrasings.

A vector says more about its language than about its relation. The mean vector of its language is taken off first (Libovický
et al. 2020), so that one centroid serves all languages. `prototypes.json` holds what the package's bank gave, so that judging a
few phrasings needs no pass over the bank; `rml-lama validate --prototypes FILE` writes it anew.
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

PROTOTYPES = Path(__file__).parent / "prototypes.json"


@dataclass(frozen=True, slots=True)
class Margin:
    """How near the own relation is, how much nearer than the best other one, and which that is."""

    own: float
    score: float
    rival: str


@dataclass(frozen=True, slots=True)
class Prototypes:
    """Sums of unit vectors by relation, with the numbers of phrasings; and the mean vector of each language."""

    model: str
    relations: tuple[str, ...]
    sums: np.ndarray  # (relations, dimensions)
    counts: np.ndarray  # (relations,)
    languages: Mapping[str, np.ndarray]  # mean vectors, (dimensions,)

    def centred(self, vector: np.ndarray, language: str) -> np.ndarray:
        """The vector without what its language adds, as a unit vector; an unknown language counts as the mean one."""
        mean = self.languages.get(language)
        if mean is None:
            mean = np.mean(list(self.languages.values()), axis=0)
        rest = vector - mean
        unit: np.ndarray = rest / max(float(np.linalg.norm(rest)), 1e-9)
        return unit

    def margin(self, vector: np.ndarray, language: str, relation: str, *, member_of: Sequence[str] = ()) -> Margin | None:
        """Nearness to the own relation and to the others; the vector is taken out of the sums that it is a part of.

        None for a relation without a prototype.
        """
        if relation not in self.relations:
            return None
        unit, own = self.centred(vector, language), self.relations.index(relation)
        sums = np.array(self.sums, dtype=np.float64)
        for name in member_of:
            if name in self.relations and self.counts[self.relations.index(name)] > 1:
                sums[self.relations.index(name)] -= unit
        near = sums @ unit / np.maximum(np.linalg.norm(sums, axis=1), 1e-9)  # (relations,)
        others = near.copy()
        others[own] = -np.inf
        rival = int(others.argmax())
        return Margin(round(float(near[own]), 4), round(float(near[own] - near[rival]), 4), self.relations[rival])


def fit_prototypes(model: str, rows: Sequence[tuple[str, str]], vectors: np.ndarray) -> Prototypes:
    """Prototypes from (language, relation) of each phrasing and its unit vector, (phrasings, dimensions)."""
    codes, names = np.array([code for code, _ in rows]), np.array([relation for _, relation in rows])
    languages = {str(code): vectors[codes == code].mean(axis=0) for code in dict.fromkeys(codes)}
    rest = vectors - np.stack([languages[code] for code in codes])
    unit = rest / np.maximum(np.linalg.norm(rest, axis=1, keepdims=True), 1e-9)
    relations = tuple(dict.fromkeys(str(name) for name in names))
    sums = np.stack([unit[names == name].sum(axis=0) for name in relations])
    return Prototypes(model, relations, sums, np.array([(names == name).sum() for name in relations]), languages)


def save_prototypes(prototypes: Prototypes, path: Path, *, bank: str) -> None:
    """Write them as text (vectors as base64 of float16); `bank` is the hash of the phrasings. Raises `OutputError`."""
    content = {
        "model": prototypes.model,
        "bank": bank,
        "counts": dict(zip(prototypes.relations, prototypes.counts.tolist(), strict=True)),
        "relations": {name: _packed(row) for name, row in zip(prototypes.relations, prototypes.sums, strict=True)},
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
        return Prototypes(content["model"], relations, sums, counts, {code: _unpacked(row) for code, row in content["languages"].items()})
    except OSError as error:
        raise DataError(f"cannot read the prototypes: {error.strerror}", path) from error
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"not prototypes: {error}", path) from error


def _packed(row: np.ndarray) -> str:
    return base64.b64encode(row.astype("<f2").tobytes()).decode("ascii")


def _unpacked(text: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), dtype="<f2").astype(np.float64)
