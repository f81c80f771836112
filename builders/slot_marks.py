"""Every place in a text that may be one of the two slots, and what makes it so: a bracket, a name of the letter, a bare capital.

How sure a place is depends on what holds it (`Mark.kind`) and on the words of the language: `y` is "and" in Spanish,
"the" in Welsh, and Cyrillic `у` is "at". Which mark is taken for a slot is decided in `rml_lama.builders.placeholders`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

from rml_lama.records import OBJECT, SUBJECT

__all__ = ["BRACKETS", "CLOSING", "GROUP", "OPENING", "Mark", "find_marks", "in_word", "is_alphabetic", "y_may_be_a_word"]

Kind = Literal["square", "half", "round", "quote", "bare", "doubtful"]

# What the letters look like or are called in other scripts. They count in brackets only.
_OTHER_NAMES = {
    SUBJECT: "Х х Χ χ س Икс икс Кс кс إكس اكس أكس ایکس اکس איקס אקס एक्स ऐक्स এক্স એક્સ ਐਕਸ எக்ஸ் ఎక్స్ ಎಕ್ಸ್ എക്സ് എക്‌സ് එක්ස් "
    "เอ็กซ์ เอกซ์ အိပ် အိပ်ခ်ျ အိတ်စ် იქსი Իքս エックス エクス 엑스",
    OBJECT: "У у Υ υ ص Игрек игрек Ипсилон ипсилон ύψιλον واي وای وائی וואי वाई वाय वाइ ওয়াই ওয়াই વાય વાઈ વાઇ ਵਾਈ ਵਾਇ ஒய் వై ವೈ വൈ වයි "
    "วาย ဝိုင် ဝိုင်း იგრეკი Իգրեկ ワイ 와이",
}
_SLOT_OF = {name: slot for slot, names in _OTHER_NAMES.items() for name in names.split()}
_SLOT_OF |= {letter * times: slot for slot, letters in ((SUBJECT, "XxＸｘ"), (OBJECT, "YyＹｙ")) for letter in letters for times in (1, 2)}
_CAPITALS = frozenset("XYＸＹХΧ")  # the last two are Cyrillic and Greek
# Renderings that are trusted only where the source leaves nothing else: cut names, and a Y read as short for "yes".
_BY_ELIMINATION = dict.fromkeys(["К", "к"], SUBJECT) | dict.fromkeys(["И", "и", "ဝ", "ယူ", "वा", "हाँ", "होय", "да", "Да", "Bẹẹni"], OBJECT)
_LONE_LETTER = re.compile(r"[EIJUVeijuv]|[^\W\d_A-Za-zÀ-ʯ]")  # Latin ones only where they may have been a Y or an "and"

_Y_IS_A_WORD = frozenset(["an", "ast", "ca", "ceb", "cy", "es", "fr", "gl", "la", "mg", "oc", "tl", "vi"])
_NO_SLOT_BEFORE = re.compile(  # a Roman ten (century, chapter), X-ray, Vietnamese words of medicine, an initial, a number
    r"\s(?i:век|столе|століт|century|siglo|século|secol|siècle|wiek|jahrhundert|yüzyıl|asr|αιών|ғасыр|кылым|tế|khoa|học|tá|sĩ|dược)"
    r"|-(?:[A-ZА-Я]|(?i:ray|men)\b)|\.\s*\w|\s?[\d=&]"
)
_NO_SLOT_AFTER = re.compile(r"(?:\b(?:siglo|século|siècle|secolul|capítulo|Luis|Carlos|Karl|Pius)\s|[.=&/]|\d\s?|[^\W\u0590-\u06ff]-)\Z")
_SENTENCE_START = re.compile(r"(?:\A|[.!?:;…。！？।])[\W_]*\Z")
_ALPHABET = "A-Za-zÀ-ʯ\u0300-\u036fͰ-ϿЀ-ԯḀ-ỿἀ-῿"  # Latin, Greek, Cyrillic: a letter beside one of these is part of a word
_ALPHABETIC = re.compile(f"[{_ALPHABET}]")
_CYRILLIC, _LATIN_WORD = re.compile("[Ѐ-ԯ]"), re.compile("[A-Za-zÀ-ʯḀ-ỿ]{2}")
_LETTER = re.compile(  # a genitive s may follow a Latin letter
    f"(?<![{_ALPHABET}0-9])(?:([XxＸｘ])\\1?|([YyＹｙ])\\2?)(?![{_ALPHABET}0-9](?<!s(?![{_ALPHABET}0-9])))|"
    + "|".join(sorted((name for names in _OTHER_NAMES.values() for name in names.split()), key=len, reverse=True))
)

_SQUARE = {"[": "]", "［": "］", "【": "】", "〔": "〕", "⟦": "⟧", "{": "}", "｛": "｝"}
_ROUND = {"(": ")", "（": "）"}
_QUOTES = {'"': '"', "'": "'", "`": "`", "“": "”“", "”": "”", "„": "“”", "‘": "’", "’": "’", "«": "»", "»": "«", "‹": "›", "<": ">"}
_QUOTES |= {"〈": "〉", "《": "》", "「": "」", "『": "』"}
OPENING, CLOSING, BRACKETS = frozenset(_SQUARE), frozenset(_SQUARE.values()), frozenset("".join([*_SQUARE, *_SQUARE.values()]))
GROUP = re.compile(r"[\[［【〔{]([^\[\]［］【】〔〕{}]*)[\]］】〕}]")
_UNSEEN = " \t\n\r\xa0\u3000" + "".join(map(chr, [*range(0x2000, 0x2010), *range(0x202A, 0x2030), *range(0x2060, 0x2070), 0xFEFF]))


class Mark(NamedTuple):
    """A place that may be a slot. `kind`: what holds it; `half` is one square bracket of the two."""

    slot: str
    start: int
    end: int
    kind: Kind

    @property
    def is_held(self) -> bool:
        return self.kind not in ("bare", "doubtful")


def find_marks(text: str, source: str | None, language: str | None) -> list[Mark]:
    """The marks of a text in order; with a source, also the slot that it leaves when the other is certain.

    >>> find_marks("[x] e Y", None, "it")
    [Mark(slot='[X]', start=0, end=3, kind='square'), Mark(slot='[Y]', start=6, end=7, kind='bare')]
    """
    marks = list(_marks(text, source, language))
    return marks if source is None else [*marks, *_by_elimination(text, marks)]


def _marks(text: str, source: str | None, language: str | None) -> Iterator[Mark]:
    """Every place that may be a slot by its letter or its name."""
    for match in _LETTER.finditer(text):
        letter = match.group()
        start, end, kind = _held(text, *match.span())
        if letter in "yｙ" and kind in ("half", "round", "quote") and y_may_be_a_word(text, language):
            kind = "doubtful"
        if kind == "bare" and (letter not in _CAPITALS or _is_doubtful(text, match, source, language)):
            kind = "doubtful"
        if match.lastindex or _counts_in_its_script(text, match, kind):
            yield Mark(_SLOT_OF[letter], start, end, kind)


def _counts_in_its_script(text: str, match: re.Match[str], kind: Kind) -> bool:
    """Whether a letter or a name of another script is a word of its own, and is held well enough."""
    letter, around = match.group(), text[max(0, match.start() - 1) : match.start()] + text[match.end() : match.end() + 1]
    if any(in_word(char) for char in around):
        return False
    return letter in _CAPITALS or kind == "square" or (len(letter) > 1 and kind in ("half", "round", "quote"))


def _held(text: str, start: int, end: int) -> tuple[int, int, Kind]:
    """The span with the brackets or quotation marks around it, and what they are."""
    kind: Kind = "bare"
    while True:
        left, right = len(text[:start].rstrip(_UNSEEN)), len(text) - len(text[end:].lstrip(_UNSEEN))
        opener, closer = text[max(0, left - 1) : left], text[right : right + 1]
        if opener in ("'", "’") and left > 1 and in_word(text[left - 2]):
            opener = ""  # an apostrophe
        closer = _as_square(closer, text[:right], ")", "(", "]")
        opener = _as_square(opener, text[left:], "(", ")", "[") if closer in CLOSING else opener
        layer = _layer(opener, closer, padded=(left, right) != (start, end))
        if not layer or (kind not in ("bare", layer) and layer not in ("square", "half")):
            return start, end, kind
        start = start if layer == "half" and opener not in OPENING else left - 1
        end = end if layer == "half" and opener in OPENING else right + 1
        kind = layer if kind == "bare" or layer == "square" else kind


def _as_square(char: str, beyond: str, one: str, other: str, square: str) -> str:
    """A square bracket for a round one that has no partner in the text beyond the slot."""
    return square if char == one and beyond.count(one) >= beyond.count(other) else char


def _layer(opener: str, closer: str, *, padded: bool) -> Kind | None:
    """What a left and a right neighbour are to what is between them."""
    opens, closes = opener in OPENING, closer in CLOSING
    if closes and (opens or (opener in _QUOTES and not padded)):
        return "square"
    if opens or closes:
        return "half"
    if closer and closer in _ROUND.get(opener, ""):
        return "round"
    if closer and closer in _QUOTES.get(opener, "") and not (padded and opener == closer):
        return "quote"
    return None


def is_alphabetic(char: str) -> bool:
    """Whether it is a Latin, Greek or Cyrillic letter: one that parts words by spaces and is part of a word beside another."""
    return bool(_ALPHABETIC.fullmatch(char))


def in_word(char: str) -> bool:
    """Whether it is a letter, a digit or a mark on one, in any script."""
    return bool(char) and unicodedata.category(char)[0] in "LMN"


def y_may_be_a_word(text: str, language: str | None) -> bool:
    """Whether a lone Latin y may be a word of the language; of any language in Latin letters, where it is not known."""
    return language in _Y_IS_A_WORD if language else bool(_LATIN_WORD.search(text))


def _is_doubtful(text: str, match: re.Match[str], source: str | None, language: str | None) -> bool:
    """Whether a capital without brackets may be a word, a number, an initial or part of a name."""
    letter, before, after = match.group(), text[: match.start()], text[match.end() :]
    may_be_a_word = y_may_be_a_word(text, language) or (_CYRILLIC.search(text) and not (source or "").startswith(OBJECT))
    if letter in "YＹ" and may_be_a_word and _SENTENCE_START.search(before):
        return True
    if _NO_SLOT_BEFORE.match(after) or _NO_SLOT_AFTER.search(before):
        return True
    rambling = source is not None and len(text) > 3 * len(source) + 40
    return rambling or (text.isupper() and sum(map(str.isupper, text)) > 4)


def _by_elimination(text: str, marks: Sequence[Mark]) -> list[Mark]:
    """The slot that is left, where the text has two bracketed groups, as the source has, and one of them is the other slot."""
    groups, square = list(GROUP.finditer(text)), [mark for mark in marks if mark.kind == "square"]
    if len(groups) != 2:
        return []
    known = [next((mark.slot for mark in square if mark.start <= group.start() < mark.end), "") for group in groups]
    words = [group[1].strip() for group in groups]
    guesses = [slot or _BY_ELIMINATION.get(word, "?" if _LONE_LETTER.fullmatch(word) else "") for slot, word in zip(known, words)]
    for at, other in ((0, 1), (1, 0)):
        if guesses[at] == "?" and guesses[other] in (SUBJECT, OBJECT):
            guesses[at] = OBJECT if guesses[other] == SUBJECT else SUBJECT
    if {*guesses} != {SUBJECT, OBJECT}:
        return []
    return [Mark(guess, *group.span(), "square") for group, slot, guess in zip(groups, known, guesses) if not slot]
