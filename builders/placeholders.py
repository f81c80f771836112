"""Find the two slots in what a machine wrote and spell them `[X]` and `[Y]`, or say why they cannot be told apart.

Machines lower-case slots, write them in another script, change, lose or move their brackets, drop or repeat them. A slot
is taken only where a bracket, a capital that is no word, or (by elimination) the source makes it certain. Nothing is
touched but the slots, the brackets and quotation marks that hold them, and white space.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from rml_lama.records import OBJECT, SUBJECT

__all__ = ["Repaired", "protect", "repair"]

# What the letters look like or are called in other scripts. They count in brackets only.
_OTHER_NAMES = {
    "X": "Х х Χ χ س Икс икс Кс кс إكس اكس أكس ایکس اکس איקס אקס एक्स ऐक्स এক্স એક્સ ਐਕਸ எக்ஸ் ఎక్స్ ಎಕ್ಸ್ എക്സ് എക്‌സ് එක්ස් "
    "เอ็กซ์ เอกซ์ အိပ် အိပ်ခ်ျ အိတ်စ် იქსი Իքս エックス エクス 엑스",
    "Y": "У у Υ υ ص Игрек игрек Ипсилон ипсилон ύψιλον واي وای وائی וואי वाई वाय वाइ ওয়াই ওয়াই વાય વાઈ વાઇ ਵਾਈ ਵਾਇ ஒய் వై ವೈ വൈ වයි "
    "วาย ဝိုင် ဝိုင်း იგრეკი Իգրեկ ワイ 와이",
}
# Renderings that are trusted only where the source leaves nothing else: cut names, and a Y read as short for "yes".
_BY_ELIMINATION = {"К": "X", "к": "X"} | dict.fromkeys("И и ဝ ယူ वा हाँ होय да Да Bẹẹni".split(), "Y")
_Y_IS_A_WORD = frozenset("an ast ca ceb cy es fr gl la mg oc tl vi".split())
_NO_SLOT_BEFORE = re.compile(  # a Roman ten (century, chapter, title), X-ray, Vietnamese words of medicine, an initial, a digit
    r"\s(?:век|столе|століт|century|siglo|século|secol|siècle|wiek|jahrhundert|yüzyıl|asr|αιών|ғасыр|кылым|tế|khoa|học|tá|sĩ|dược)"
    r"|-(?:[A-Z]|ray|men)|\.\s*\S|\s?[\d=&]",
    re.IGNORECASE,
)
_NO_SLOT_AFTER = re.compile(r"(?:\b(?:siglo|século|siècle|secolul|capítulo|Luis|Carlos|Karl|Pius)\s|[.\d&=/]|[^\W\u0590-\u06ff]-)$")
_MARKUP = re.compile(r"font color|https?:|==|</?[a-z]|%[sd]|&\w+;", re.IGNORECASE)

_ALPHABET = "A-Za-zÀ-ɏ\u0300-\u036fͰ-ϿЀ-ԯḀ-ỿἀ-῿"  # Latin, Greek, Cyrillic: a slot beside such a letter is glued to its word
_GLUED = re.compile(f"[{_ALPHABET}]")
_LATIN_WORD = re.compile("[A-Za-zÀ-ɏḀ-ỿ]{2}")
_LETTER = re.compile(
    f"(?<![{_ALPHABET}0-9])(?:([XxＸｘ])\\1?|([YyＹｙ])\\2?)(?![{_ALPHABET}0-9](?<!s(?![{_ALPHABET}0-9])))"  # a genitive s may follow
    f"|{'|'.join(sorted((name for names in _OTHER_NAMES.values() for name in names.split()), key=len, reverse=True))}"
)
_SLOT_OF = {name: slot for slot, names in _OTHER_NAMES.items() for name in names.split()}

_SQUARE = {"[": "]", "［": "］", "【": "】", "〔": "〕", "⟦": "⟧", "{": "}", "｛": "｝"}
_ROUND = {"(": ")", "（": "）"}
_QUOTES = {'"': '"', "'": "'", "`": "`", "“": "”“", "”": "”", "„": "“”", "‘": "’", "’": "’", "«": "»", "»": "«", "‹": "›", "<": ">"}
_QUOTES |= {"〈": "〉", "《": "》", "「": "」", "『": "』"}
_OPENING, _CLOSING = frozenset(_SQUARE), frozenset(_SQUARE.values())
_GROUP = re.compile(r"[\[［【〔{]([^\[\]［］【】〔〕{}]*)[\]］】〕}]")
_UNSEEN = r"[\s\u200b-\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]*"
_PAD_LEFT, _PAD_RIGHT = re.compile(_UNSEEN + r"\Z"), re.compile(_UNSEEN)
_ENTITIES = (
    (re.compile(r"&\s?(?:#\s?(?:91|x5b)|lsqb|lbrack)\s?;|\\(?=\[)", re.IGNORECASE), "["),
    (re.compile(r"&\s?(?:#\s?(?:93|x5d)|rsqb|rbrack)\s?;|\\(?=\])", re.IGNORECASE), "]"),
    (re.compile(r"&\s?(?:lt|quot|apos|#39)\s?;\s*([XxYy])\s*&\s?(?:gt|quot|apos|#39)\s?;"), r"[\1]"),
)


@dataclass(frozen=True, slots=True)
class Repaired:
    """A text with each slot once and `kept` or `repaired`, or no text, `rejected` and a reason.

    The reason of a repaired text tells what was taken for the slots. A reject's reason is its kind, and after a colon the case.
    """

    text: str | None
    status: Literal["kept", "repaired", "rejected"]
    reason: str = ""


class _Hopeless(Exception):
    """The slots cannot be told; the message is the reason."""


class _Mark(NamedTuple):
    """A place that may be a slot. `kind`: what holds it; `half` is one square bracket of the two."""

    slot: str
    start: int
    end: int
    kind: Literal["square", "half", "round", "quote", "bare", "doubtful"]
    letter: str

    @property
    def is_held(self) -> bool:
        return self.kind not in ("bare", "doubtful")


def protect(text: str) -> str:
    """What to show a translation system instead of the template: the template itself.

    Of five systems' 101,650 outputs those of mBART-50 keep `[X]` and `[Y]` in 88%, and what the others do to them is
    mostly told apart again by `repair`; no other form has been shown to last longer (docs/decisions/0005).

    >>> protect("[X] was born in [Y].")
    '[X] was born in [Y].'
    """
    return text


def repair(text: str, *, source: str | None = None, language: str | None = None) -> Repaired:
    """Spell the two slots of a machine output `[X]` and `[Y]`.

    `source` is the template that the machine was given, where there was one; `language` the code of the output's, which
    tells whether a bare `y` may be a word. Without them fewer outputs are repaired, never others.

    >>> repair("La capitale di [ x ] è 【Y】.").text
    'La capitale di [X] è [Y].'
    >>> repair("[X] vive a Roma y trabaja en y.", language="es").reason
    "no [Y]: a bare 'y' may be a word"
    """
    try:
        mended, taken = _mended(text, source, language)
    except _Hopeless as fault:
        return Repaired(None, "rejected", str(fault))
    return Repaired(text, "kept") if mended == text else Repaired(mended, "repaired", taken)


def _mended(text: str, source: str | None, language: str | None) -> tuple[str, str]:
    """The text with its slots mended, and what was taken for them."""
    plain = _unescaped(text)
    marks = list(_marks(plain, source, language))
    if source is not None:
        marks += _by_elimination(plain, marks)
    subject, object_ = (_only(slot, marks, plain) for slot in (SUBJECT, OBJECT))
    ...
```
