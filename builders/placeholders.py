"""Find the two slots in what a machine wrote and spell them `[X]` and `[Y]`, or say why they cannot be told.

Machines lower-case slots, write them in another script, change, lose or move their brackets, drop or repeat them. A slot
is taken only where a bracket, a capital that is no word, or (by elimination) the source makes it certain. Nothing is
touched but the slots, the brackets and quotation marks that hold them, and white space.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from rml_lama.builders.slot_marks import BRACKETS, CLOSING, GROUP, OPENING, Mark, find_marks, in_word, is_alphabetic, y_may_be_a_word
from rml_lama.records import OBJECT, SUBJECT

__all__ = ["Repaired", "repair"]

_MARKUP = re.compile(r"font color|https?:|==|</?[a-z]|%[sd]|&\w+;|\\", re.IGNORECASE)
_MIRRORED = re.compile(r"\](\s*\w{1,4}\s*)\[")
_SLOT = re.compile(r"(.)(\[[XY]\])")
_SUFFIX = re.compile(r"([:'’ʼ–-])\s*(\w{1,6})")  # a case ending in the bracket: [X:n]
_ESCAPES = (
    (re.compile(r"&\s?(?:#\s?(?:91|x5b)|lsqb|lbrack)\s?;", re.IGNORECASE), "["),
    (re.compile(r"&\s?(?:#\s?(?:93|x5d)|rsqb|rbrack)\s?;", re.IGNORECASE), "]"),
    (re.compile(r"&\s?(?:lt|quot|apos|#39)\s?;\s*([XxYy])\s*&\s?(?:gt|quot|apos|#39)\s?;"), r"[\1]"),
    (re.compile(r'""\s*([XxYy])\s*""'), r'"\1"'),
    (re.compile(r"\\(?=[\[\]])"), ""),
)


@dataclass(frozen=True, slots=True)
class Repaired:
    """A text with each slot once, `kept` or `repaired`; or no text, `rejected`.

    The reason of a repaired text tells what was taken for the slots; that of a reject its kind and, after a colon, the case.
    """

    text: str | None
    status: Literal["kept", "repaired", "rejected"]
    reason: str = ""


class _Hopeless(Exception):
    """The slots cannot be told; the message is the reason."""


def repair(text: str, *, source: str | None = None, language: str | None = None) -> Repaired:
    """Spell the two slots of a machine output `[X]` and `[Y]`.

    `source` is the template that the machine was given, where there was one; `language` is the code of the output's
    language, which tells whether a bare `y` may be a word. Without them fewer outputs are repaired.

    >>> repair("La capitale di [ x ] è 【Y】.").text
    'La capitale di [X] è [Y].'
    >>> repair("[X] vive aquí y trabaja allí.", language="es").reason
    "no [Y]: a bare 'y' may be something else"
    """
    try:
        mended, taken = _mended(text, source, language)
    except _Hopeless as fault:
        return Repaired(None, "rejected", str(fault))
    return Repaired(text, "kept") if mended == text else Repaired(mended, "repaired", taken)


def _mended(text: str, source: str | None, language: str | None) -> tuple[str, str]:
    """The text with its slots mended, and what was taken for them."""
    plain = _unescaped(text)
    marks = find_marks(plain, source, language)
    chosen = _chosen(plain, marks, y_is_a_word=y_may_be_a_word(plain, language))
    edits = [(mark.start, mark.end, _spaced(plain, mark)) for mark in chosen]
    edits += _without_partners(plain, chosen)
    mended = plain
    for start, end, new in sorted(edits, reverse=True):
        mended = mended[:start] + new + mended[end:]
    mended = _SLOT.sub(_parted, mended)
    if mended != text and mended.count("(") != mended.count(")"):
        raise _Hopeless("a round bracket without its partner")
    if mended != text and (markup := _MARKUP.search(mended)):
        raise _Hopeless(f"markup: {markup.group()}")
    return mended, ", ".join(f"{plain[mark.start : mark.end].strip()} for {mark.slot}" for mark in chosen)


def _unescaped(text: str) -> str:
    """The text with escaped brackets as brackets, and those that a right-to-left script has mirrored turned."""
    for pattern, bracket in _ESCAPES:
        text = pattern.sub(bracket, text)
    turned, count = _MIRRORED.subn(r"[\1]", text)
    return turned if count == text.count("[") == text.count("]") else text


def _chosen(text: str, marks: Sequence[Mark], *, y_is_a_word: bool) -> tuple[Mark, Mark]:
    """The one mark of each slot. Raises `_Hopeless` where there is none, or more than one."""
    found = {}
    for slot in (SUBJECT, OBJECT):
        held = [mark for mark in marks if mark.slot == slot and mark.is_held]
        found[slot] = _joined(text, held) or [mark for mark in marks if mark.slot == slot and mark.kind == "bare"]
    missing = [slot for slot, of_slot in found.items() if not of_slot]
    if missing:
        raise _Hopeless(f"no {' and no '.join(missing)}{_instead(text, marks, missing)}")
    are_spelled = all(text[of_slot[0].start : of_slot[0].end] == slot for slot, of_slot in found.items())
    for slot, of_slot in found.items():
        stray = {"bare"} if slot == OBJECT and y_is_a_word else {"bare", "doubtful"}
        others = [mark for mark in marks if mark.slot == slot and mark.kind in stray and mark != of_slot[0]]
        if len(of_slot) > 1 or (others and not are_spelled):
            raise _Hopeless(f"{slot} more than once")
    first, second = sorted((found[SUBJECT][0], found[OBJECT][0]), key=lambda mark: mark.start)
    if first.end > second.start:
        raise _Hopeless("one bracket for two slots")
    if first.kind == "bare" and second.kind == "round" and not text[first.end : second.start].strip():
        raise _Hopeless("one slot explains the other: in round brackets behind it")
    return found[SUBJECT][0], found[OBJECT][0]


def _joined(text: str, marks: list[Mark]) -> list[Mark]:
    """The marks, with a slot that is written twice in one place taken as one."""
    if len(marks) == 2 and all(mark.kind == "square" for mark in marks) and not text[marks[0].end : marks[1].start].strip():
        return [marks[0]._replace(end=marks[1].end)]
    return marks


def _instead(text: str, marks: Sequence[Mark], missing: Sequence[str]) -> str:
    """What may have become of the missing slots."""
    for mark in marks:
        if mark.kind == "doubtful" and mark.slot in missing:
            return f": a bare {text[mark.start : mark.end]!r} may be something else"
    groups = [group[0] for group in GROUP.finditer(text) if not any(mark.start <= group.start() < mark.end for mark in marks)]
    return f": {groups[0][:30]} stands in brackets" if groups else ""


def _spaced(text: str, mark: Mark) -> str:
    """The slot, behind a space where the space had slipped into its bracket; a lone letter before it is a prefix and stays glued."""
    before, inside = text[max(0, mark.start - 2) : mark.start], text[mark.start + 1 : mark.start + 2]
    slipped = inside.isspace() and len(before) == 2 and all(in_word(char) for char in before)
    return " " + mark.slot if mark.is_held and slipped else mark.slot


def _parted(found: re.Match[str]) -> str:
    """A slot parted from the word before it; what is glued to its end may be an ending and stays."""
    return f"{found[1]} {found[2]}" if is_alphabetic(found[1]) else found[0]


def _without_partners(text: str, chosen: Sequence[Mark]) -> Iterator[tuple[int, int, str]]:
    """Edits that drop the other bracket of a slot that holds more than its letter, as `[X:n]` and `[capital X]` do."""
    stray = [at for at, char in enumerate(text) if char in BRACKETS and not any(m.start <= at < m.end for m in chosen)]
    for mark in chosen:
        opens = text[mark.start] in OPENING
        beyond = [at for at in stray if (at >= mark.end if opens else at < mark.start)]
        partner = (beyond[0] if opens else beyond[-1]) if beyond else None
        if mark.kind != "half" or partner is None or (text[partner] in CLOSING) != opens:
            continue
        inside = text[mark.end : partner] if opens else text[partner + 1 : mark.start]
        after = text[partner + 1 : partner + 2] if opens else text[mark.end : mark.end + 1]
        if " " in inside.rstrip() and is_alphabetic(after):
            raise _Hopeless("a bracket between two words without a space")
        stray.remove(partner)
        suffix = _SUFFIX.fullmatch(inside)
        yield (mark.end, partner + 1, suffix[1] + suffix[2]) if opens and suffix else (partner, partner + 1, "")
    if stray:
        raise _Hopeless(f"other brackets: {text[max(0, stray[0] - 5) : stray[-1] + 6]}")
