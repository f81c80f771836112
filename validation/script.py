"""Refuse a phrasing with letters that its language does not write: another script, or letters of a sister alphabet.

The score is the share of the letters outside the slots that belong to the language, the threshold 1. Alphabets are those
of the language's standard orthography with the letters that it keeps for loan words; Chinese is Simplified (OpenCC).
"""

from __future__ import annotations

import functools
import re
import unicodedata

from rml_lama.builders.labels import to_simplified
from rml_lama.languages import LANGUAGES
from rml_lama.records import Template, Verdict
from rml_lama.validation.base import Context, not_judged

__all__ = ["ALPHABETS", "Script", "foreign_letters"]

_LATIN = "abcdefghijklmnopqrstuvwxyz"
_CYRILLIC = "абвгдежзийклмнопрстуфхцчшщьюя"
_ARABIC = "ءآأؤإئابةتثجحخدذرزسشصضطظعغفقلمنهو"
ALPHABETS: dict[str, str] = {
    "en": _LATIN,
    "de": _LATIN + "äöüß",
    "nl": _LATIN + "áéíóúàèëïöüê",
    "da": _LATIN + "æøåé",
    "fr": _LATIN + "àâæçéèêëîïôœùûüÿ",
    "es": _LATIN + "áéíñóúü",
    "it": _LATIN + "àèéìíîòóùú",
    "pt": _LATIN + "áâãàçéêíóôõúü",
    "pl": _LATIN + "ąćęłńóśźż",
    "tr": _LATIN + "çğıöşüâîû",
    "hu": _LATIN + "áéíóöőúüű",
    "fi": _LATIN + "äöåšž",
    "vi": _LATIN + "ăâđêôơưàảãáạằẳẵắặầẩẫấậèẻẽéẹềểễếệìỉĩíịòỏõóọồổỗốộờởỡớợùủũúụừửữứựỳỷỹýỵ",
    "id": _LATIN + "é",
    "sw": _LATIN,
    "ru": _CYRILLIC + "ёъыэ",
    "uk": _CYRILLIC + "єіїґ",
    "bg": _CYRILLIC + "ъѝ",
    "el": "αβγδεζηθικλμνξοπρσςτυφχψωάέήίόύώϊϋΐΰ",
    "ar": _ARABIC + "ىيك",
    "fa": _ARABIC + "یکپچژگۀ",
    "he": "אבגדהוזחטיךכלםמןנסעףפץצקרשת",
}
_SLOT = re.compile(r"\[[XY]\]")
_KANA = re.compile("[\u3041-\u30ff]")
_MARK_SCRIPTS = {"ar": "ARABIC", "fa": "ARABIC", "he": "HEBREW", "tr": "COMBINING"}


class Script:
    """Pass a phrasing all of whose letters belong to its language; a language without a row of the table passes, and it is said."""

    name = "script"

    def check(self, template: Template, context: Context) -> Verdict:
        if template.language not in LANGUAGES:
            return not_judged(self.name, 1.0, f"no alphabet of {template.language!r} is known")
        rest = _SLOT.sub(" ", template.text)
        letters = sum(char.isalpha() for char in rest)
        foreign = foreign_letters(rest, template.language)
        reason = f"not letters of {LANGUAGES[template.language].name}: {' '.join(sorted(set(foreign)))}" if foreign else ""
        if template.language == "ja" and letters and not _KANA.search(rest):
            foreign, reason = list(filter(str.isalpha, rest)), "no kana: no sentence of Japanese is without"
        return Verdict(not foreign, self.name, round(1 - len(foreign) / max(letters, len(foreign), 1), 4), 1.0, reason)


def foreign_letters(text: str, code: str) -> list[str]:
    """The letters of the text that the language does not write, in order.

    >>> foreign_letters("Столиця [X] — це город.", "uk"), foreign_letters("это", "uk")
    (['X'], ['э'])
    >>> foreign_letters("首都的名稱", "zh")
    ['稱']
    """
    foreign = [char for char in text if not _belongs(char, code)]
    if code == "zh":
        simplified = to_simplified(text)
        if len(simplified) == len(text):
            foreign += [old for old, new in zip(text, simplified) if old != new]
    return foreign


@functools.lru_cache(maxsize=1 << 14)
def _belongs(char: str, code: str) -> bool:
    category = unicodedata.category(char)[0]
    if category not in "LM":
        return True
    if category == "L" and code in ALPHABETS:
        return char.lower()[0] in ALPHABETS[code] or unicodedata.category(char) == "Lm"
    name = unicodedata.name(char, "")
    if category == "M":
        return name.startswith((_MARK_SCRIPTS.get(code, ""), *LANGUAGES[code].scripts, "ZERO WIDTH")) or code in {"ja", "th", "bn"}
    return name.startswith(LANGUAGES[code].scripts) or char in "々〆ー"
