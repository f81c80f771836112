"""The forms in which filters read a phrasing: without case and final mark, without slots, filled, cut into words or grams."""

from __future__ import annotations

import functools
import re
import unicodedata

from rml_lama.languages import LANGUAGES
from rml_lama.records import OBJECT, SUBJECT

__all__ = ["bare", "filled", "grams", "plain", "presented", "split", "words"]

GRAM = 4  # characters; a slot counts as one
_SLOT = re.compile(r"\[[XY]\]")
_FINAL = re.compile(r"\s*[.。।]+\s*$")
_WORD = re.compile(r"[^\W\d_](?:[\w\u0300-\u036f\u064b-\u065f\u0900-\u0dff\u0e31-\u0e4e\u200c\u200d'’-]*)")
_SUBJECT_MARK, _OBJECT_MARK = "\ue000", "\ue001"  # one private character a slot


@functools.lru_cache(maxsize=1 << 15)
def plain(text: str) -> str:
    """The text in lower case (slots aside), NFC, single spaces, without its final full stop.

    >>> plain("The capital of [X] is  [Y].")
    'the capital of [X] is [Y]'
    """
    text = _FINAL.sub("", " ".join(unicodedata.normalize("NFC", text).split()))
    return (
        text.replace(SUBJECT, _SUBJECT_MARK)
        .replace(OBJECT, _OBJECT_MARK)
        .lower()
        .replace(_SUBJECT_MARK, SUBJECT)
        .replace(_OBJECT_MARK, OBJECT)
    )


def bare(text: str) -> str:
    """The text without slots and final full stop, as detectors of language read it.

    >>> bare("The capital of [X] is [Y].")
    'The capital of is'
    """
    return " ".join(_FINAL.sub("", _SLOT.sub(" ", text)).split())


def presented(text: str, code: str) -> str:
    """The text as a sentence: a capital first where a letter stands first, and the language's final mark.

    >>> presented("the capital of [X] is [Y]", "en")
    'The capital of [X] is [Y].'
    >>> presented("[X]の首都は[Y]です", "ja")
    '[X]の首都は[Y]です。'
    """
    text = _FINAL.sub("", " ".join(unicodedata.normalize("NFC", text).split()))
    final = LANGUAGES[code].final if code in LANGUAGES else "."
    return text[:1].upper() + text[1:] + final


def filled(text: str, subject: str, answer: str) -> str:
    """Both slots filled at once, so that a label that looks like a slot is left alone.

    >>> filled("[Y] is the capital of [X].", "France", "Paris")
    'Paris is the capital of France.'
    """
    return _SLOT.sub(lambda match: subject if match.group() == SUBJECT else answer, text)


def split(text: str) -> list[str]:
    """The stretches before, between and after the slots.

    >>> split("The capital of [X] is [Y].")
    ['The capital of ', ' is ', '.']
    """
    return _SLOT.split(text)


def words(text: str) -> list[str]:
    """The words outside the slots in lower case; scripts without spaces give one long word a stretch.

    >>> words("The capital of [X] is [Y].")
    ['the', 'capital', 'of', 'is']
    """
    return _WORD.findall(_SLOT.sub(" ", text).lower())


@functools.lru_cache(maxsize=1 << 15)
def grams(text: str, size: int = GRAM) -> tuple[str, ...]:
    """Character n-grams of the plain form, with a mark at either end and one character a slot.

    >>> grams("[X] is [Y].", 3)
    ('^\\ue000 ', '\\ue000 i', ' is', 'is ', 's \\ue001', ' \\ue001$')
    """
    marked = "^" + plain(text).replace(SUBJECT, _SUBJECT_MARK).replace(OBJECT, _OBJECT_MARK) + "$"
    return tuple(marked[start : start + size] for start in range(len(marked) - size + 1))
