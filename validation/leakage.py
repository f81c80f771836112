"""Refuse a phrasing that names an answer of its relation, and find texts that hold an answer (facts whose subject gives it away).

A phrasing leaks when a label of one of the relation's objects stands in it, whole and between word boundaries (anywhere, in
scripts without spaces). A text gives an answer when each of its words stands there, as it is or inflected (the same stem with
up to three other letters at the end). The score is the number of leaked answers, the threshold 0.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from rml_lama.languages import LANGUAGES
from rml_lama.records import Template, Verdict
from rml_lama.validation.base import Context, not_judged

__all__ = ["Leakage", "answer_given", "answer_labels", "leaked_answers"]

MAX_WORDS = 8  # of a label that is looked for
MAX_CHARACTERS = 24  # of one in a script without spaces
MIN_STEM = 4  # letters of a word that may be inflected
MAX_ENDING = 3
MIN_LETTERS = 3  # of a label in a script with spaces
MIN_UNSPACED = {"th": 4}  # of one in a script without; an alphabet's shorter ones stand inside other words
MIN_IDEOGRAPHS = 2
_SLOT = re.compile(r"\[[XY]\]")
_WORD = re.compile(r"[\w\u0300-\u036f\u0980-\u09ff\u200c'’-]+")


@dataclass(frozen=True, slots=True)
class Leakage:
    """Pass when no answer of the relation stands in the phrasing; without labels of the relation it is not judged."""

    answers: Mapping[tuple[str, str], frozenset[str]]  # labels of objects by language and relation
    name: str = "leakage"

    def check(self, template: Template, context: Context) -> Verdict:
        labels = self.answers.get((template.language, template.relation))
        if not labels:
            return not_judged(self.name, 0.0, f"no labels of {template.relation} in {template.language}")
        found = leaked_answers(template.text, template.language, labels)
        return Verdict(not found, self.name, float(len(found)), 0.0, f"names an answer: {', '.join(found)}" if found else "")


def leaked_answers(text: str, code: str, labels: frozenset[str]) -> list[str]:
    """The labels that stand in the text outside its slots, in order of place.

    >>> leaked_answers("The capital of [X], Paris, is [Y].", "en", frozenset({"Paris", "Rome"}))
    ['Paris']
    """
    found = []
    for part in _SLOT.split(text):
        found += [piece for piece in _pieces(part, code) if piece in labels]
    return found


def answer_labels(labels: Iterable[tuple[str, str]], code: str) -> frozenset[str]:
    """The object labels of (subject, object) pairs in the form in which `leaked_answers` looks for them.

    >>> sorted(answer_labels([("AC/DC", "hard rock"), ("Yes", "U.K. rock")], "en"))
    ['U K rock', 'hard rock']
    """
    if _spaced(code):
        forms, least = {" ".join(_WORD.findall(obj)) for _, obj in labels}, MIN_LETTERS
    else:
        forms, least = {obj for _, obj in labels}, MIN_UNSPACED.get(code, MIN_IDEOGRAPHS)
    return frozenset(form for form in forms if len(form) >= least)


def answer_given(text: str, answer: str, code: str) -> list[str]:
    """The words of a text that are the answer, or inflected forms of its words; empty when a word of the answer is not there.

    >>> answer_given("Die Berliner Mauer stand in", "Berlin", "de")
    ['berliner']
    """
    if not _spaced(code):
        return [answer] if len(answer) > 1 and answer in text else []
    text, parts = text.lower(), _WORD.findall(answer.lower())
    if not parts or any(part[:MIN_STEM] not in text for part in parts):
        return []
    there = _WORD.findall(text)
    found = [next((word for word in there if _same_stem(word, part)), "") for part in parts]
    return found if all(found) else []


def _same_stem(word: str, part: str) -> bool:
    if word == part:
        return True
    shared = 0
    while shared < min(len(word), len(part)) and word[shared] == part[shared]:
        shared += 1
    return shared >= MIN_STEM and max(len(word), len(part)) - shared <= MAX_ENDING


def _pieces(part: str, code: str) -> Iterable[str]:
    """Stretches of the text that a label may be: runs of whole words, or any run of characters where words are not spaced."""
    if not _spaced(code):
        for start in range(len(part)):
            yield from (part[start:end] for end in range(start + 2, min(start + MAX_CHARACTERS, len(part)) + 1))
        return
    found = _WORD.findall(part)
    for first in range(len(found)):
        yield from (" ".join(found[first:end]) for end in range(first + 1, min(first + MAX_WORDS, len(found)) + 1))


def _spaced(code: str) -> bool:
    return code not in LANGUAGES or LANGUAGES[code].joiner != ""
