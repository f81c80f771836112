"""Language detectors, asked not "which language is this?" but "by how much does it look like the expected one?".

The margin of a text is its log-likelihood in the expected language minus that in the best other one, in nats. langdetect is
read without its random draws: its own profiles, summed over all n-grams of the text, so that no seed is needed and one
text takes a fraction of a millisecond (seeded langdetect agrees on the language in the tests' sample).
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from rml_lama.errors import MissingExtraError
from rml_lama.languages import LANGUAGES

__all__ = ["DETECTORS", "Detector", "LangDetect", "Lingua", "Py3LangId", "margin"]

# Languages outside the 27 that are near one of them: without them as rivals a Norwegian text would pass as Danish.
NEIGHBOURS = ("af", "az", "be", "ca", "cs", "et", "mk", "ms", "nb", "ro", "sk", "sv", "ur")
_FLOOR = 1e-12  # lingua's confidences come rounded to zero


class Detector(Protocol):
    """Knows some languages, and how much a text looks like each of them."""

    def log_likelihoods(self, text: str) -> Mapping[str, float]:
        """Nats by the detector's own language codes; empty where the text holds nothing to go by."""
        ...

    def code_of(self, language: str) -> str:
        """The detector's code of one of our languages, or of any other."""
        ...


def margin(detector: Detector, text: str, language: str) -> float | None:
    """Expected language minus the best other one, in nats; None where the detector does not know the language or the text."""
    found = detector.log_likelihoods(text)
    code = detector.code_of(language)
    if code not in found:
        return None
    own_script_twin = {"zh-cn": "zh-tw"}.get(code)
    return found[code] - max(value for other, value in found.items() if other not in (code, own_script_twin))


@dataclass(frozen=True, slots=True)
class Py3LangId:
    """py3langid: naive Bayes over byte n-grams, 97 languages."""

    def log_likelihoods(self, text: str) -> Mapping[str, float]:
        ranked: list[tuple[str, float]] = _py3langid().rank(text)
        return dict(ranked)

    def code_of(self, language: str) -> str:
        row = LANGUAGES.get(language)
        return (row and row.py3langid) or language


@dataclass(frozen=True, slots=True)
class LangDetect:
    """langdetect's profiles: character n-grams of one to three, 55 languages."""

    SMOOTHING = 0.5 / 10_000  # Detector.ALPHA_DEFAULT / Detector.BASE_FREQ

    def log_likelihoods(self, text: str) -> Mapping[str, float]:
        factory, rows, table = _langdetect()
        detector = factory.create()
        detector.append(text)
        detector.cleaning_text()
        found = [rows[gram] for gram in _ngrams(detector.text) if gram in rows]
        if not found:
            return {}
        return dict(zip(factory.langlist, table[found].sum(axis=0, dtype=np.float64).tolist(), strict=True))

    def code_of(self, language: str) -> str:
        row = LANGUAGES.get(language)
        return (row and row.langdetect) or language


@dataclass(frozen=True, slots=True)
class Lingua:
    """lingua, high accuracy, among our languages and their neighbours. Raises `MissingExtraError` where it is not installed."""

    def log_likelihoods(self, text: str) -> Mapping[str, float]:
        values = _lingua().compute_language_confidence_values(text)
        return {value.language.iso_code_639_1.name.lower(): float(np.log(max(value.value, _FLOOR))) for value in values}

    def code_of(self, language: str) -> str:
        row = LANGUAGES.get(language)
        return (row and row.lingua) or language


DETECTORS: dict[str, type[Detector]] = {"py3langid": Py3LangId, "langdetect": LangDetect, "lingua": Lingua}


@functools.cache
def _py3langid() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE)


@functools.cache
def _langdetect() -> tuple[Any, dict[str, int], np.ndarray]:
    """The factory, the row of each n-gram, and log-probabilities (n-grams, languages)."""
    from langdetect import detector_factory

    factory = detector_factory.DetectorFactory()
    factory.load_profile(detector_factory.PROFILES_DIRECTORY)
    profiles = factory.word_lang_prob_map
    table = np.log(np.array(list(profiles.values()), dtype=np.float32) + LangDetect.SMOOTHING)  # (n-grams, languages)
    return factory, {gram: number for number, gram in enumerate(profiles)}, table


def _ngrams(text: str) -> list[str]:
    """The n-grams of one to three characters that langdetect would draw from, by its own rules."""
    from langdetect.utils.ngram import NGram

    found: list[str] = []
    window = NGram()
    for char in text:
        window.add_char(char)
        if not window.capitalword:
            found += [window.grams[-size:] for size in range(1, min(NGram.N_GRAM, len(window.grams)) + 1)]
    return [gram for gram in found if gram != " "]


@functools.cache
def _lingua() -> Any:
    try:
        from lingua import IsoCode639_1, LanguageDetectorBuilder
    except ImportError as error:
        raise MissingExtraError("lingua-language-detector", "build") from error
    codes = [*(row.lingua for row in LANGUAGES.values() if row.lingua), *NEIGHBOURS]
    return LanguageDetectorBuilder.from_iso_codes_639_1(*(getattr(IsoCode639_1, code.upper()) for code in codes)).build()
