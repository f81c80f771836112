"""Refuse a phrasing whose form is broken: slots, normalization, white space, punctuation, repetition, false `causal`.

The score is the number of faults, the threshold 0; the reason lists every fault.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from rml_lama.languages import LANGUAGES, Language
from rml_lama.records import OBJECT, SUBJECT, Template, Verdict
from rml_lama.validation.base import Context

__all__ = ["MAX_CAUSAL_SUFFIX", "MAX_FRAME_SHARE", "Structure", "faults", "folded"]

MAX_CAUSAL_SUFFIX = 25  # characters after the blank of a causal phrasing: final punctuation and at most a few empty words
MAX_FRAME_SHARE = 2  # phrasings of one set that may share their main predicate
MAX_LENGTH = 200
_QUESTION = re.compile("[?？؟]")
_GREEK_QUESTION = re.compile("[?;]")
_SLOT_LIKE = re.compile(r"[\[【［(（]\s*[XYxyХУ]\s*[\]】］)）]")
_FORBIDDEN_CATEGORIES = {"Cc", "Cs", "Co", "Cn"}
_DIRECTION_MARKS = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\u00ad]")


class Structure:
    """Pass a phrasing that has no fault of form."""

    name = "structure"

    def check(self, template: Template, context: Context) -> Verdict:
        found = [*faults(template), *_repetitions(template, context)]
        return Verdict(not found, self.name, float(len(found)), 0.0, "; ".join(found))


def folded(text: str) -> str:
    """The text up to case, punctuation and white space: letters, marks, digits and slots only.

    >>> folded("The capital of [X] is: [Y].") == folded("the capital, of [X], is [Y]")
    True
    """
    return "".join(char for char in text.casefold() if char in "[]" or unicodedata.category(char)[0] in "LNM")


def faults(template: Template) -> Iterator[str]:
    """Every fault that the phrasing has on its own."""
    text, row = template.text, LANGUAGES.get(template.language)
    for slot in (SUBJECT, OBJECT):
        if text.count(slot) != 1:
            yield f"{slot} occurs {text.count(slot)} times, not once"
    rest = text.replace(SUBJECT, "").replace(OBJECT, "")
    if odd := _SLOT_LIKE.search(rest):
        yield f"a broken slot {odd.group()!r}"
    if text != unicodedata.normalize("NFC", text):
        yield "not in Unicode form NFC"
    if text != " ".join(text.split()):
        yield "white space at an end, doubled, or not a plain space"
    if _DIRECTION_MARKS.search(text) or any(unicodedata.category(char) in _FORBIDDEN_CATEGORIES for char in text):
        yield "a control character or a mark of writing direction"
    if len(text) > MAX_LENGTH:
        yield f"{len(text)} characters; at most {MAX_LENGTH}"
    if not any(char.isalpha() for char in rest):
        yield "no words beside the slots"
    if row is not None:  # how other languages punctuate is not known
        yield from _punctuation_faults(text, rest, row)
    yield from _causal_faults(template)


def _punctuation_faults(text: str, rest: str, row: Language) -> Iterator[str]:
    final = row.final
    if final and not text.endswith(final):
        yield f"does not end with {final!r}"
    if not final and text.endswith((".", "。", "।")):
        yield f"ends with {text[-1]!r} where the language writes no full stop"
    if question := (_GREEK_QUESTION if row.code == "el" else _QUESTION).search(rest):
        yield f"{question.group()!r}: not a statement"


def _causal_faults(template: Template) -> Iterator[str]:
    before, _, after = template.text.partition(OBJECT)
    if not template.causal:
        return
    if SUBJECT not in before:
        yield f"called causal, but {SUBJECT} stands after {OBJECT}"
    if not any(char.isalpha() for char in before.replace(SUBJECT, "")):
        yield "called causal, but no word of the relation stands before the blank"
    if len(after) > MAX_CAUSAL_SUFFIX:
        yield f"called causal, but {len(after)} characters follow the blank; at most {MAX_CAUSAL_SUFFIX}"


def _repetitions(template: Template, context: Context) -> Iterator[str]:
    """Only the later of two equal phrasings, and the third of one frame, is at fault."""
    key, same_frame = folded(template.text), 0
    for other in context.siblings_of(template):
        if other.text == template.text:
            break
        if folded(other.text) == key:
            yield f"the same as {other.template_id} up to case and punctuation"
        same_frame += bool(template.frame) and other.frame == template.frame
    if same_frame >= MAX_FRAME_SHARE:
        yield f"{same_frame} other phrasings share the frame {template.frame!r}; at most {MAX_FRAME_SHARE} may"
