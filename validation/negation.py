"""Refuse a phrasing that negates: a fact filled into it would be false.

The score is the number of negators, the threshold 0. The markers are each language's particles, negative pronouns and
auxiliaries, and the endings that negate a verb where those are plain to see. They are written down here by hand.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from rml_lama.records import Template, Verdict
from rml_lama.validation.base import Context, not_judged
from rml_lama.validation.forms import bare

__all__ = ["NEGATORS", "Negation", "negators"]


_LETTER = r"[\w\u0980-\u09ff]"  # the vowel signs of Bengali are no word characters to `re`


class _Markers(NamedTuple):
    words: str  # whole words, as alternatives of a regular expression
    anywhere: str = ""  # parts of words, for scripts without spaces and for endings
    harmless: str = ""  # what holds a marker without negating


NEGATORS: dict[str, _Markers] = {
    "en": _Markers(
        r"not|never|no|cannot|nor|neither|none|nobody", r"n['’]t\b", r"no less than|no other than|none other than|not (?:\w+ ){1,4}without"
    ),
    "de": _Markers(r"nicht|kein\w*|nie|niemals|weder|niemand\w*|nirgend\w*", "", r"nicht nur|kein\w* ander\w* als|nicht zuletzt"),
    "nl": _Markers(r"niet|geen|nooit|noch|niemand|nergens", "", r"niet alleen|niets anders dan|geen ander\w* dan"),
    "da": _Markers(r"ikke|aldrig|ingen|intet|hverken|ej", "", r"ikke kun|ikke andet end|ingen anden end"),
    "fr": _Markers(r"ne|non|pas|jamais|aucun\w*", r"\bn['’]", r"non seulement|n['’]est autre que|ne (?:\w+ )*que"),
    "es": _Markers(r"no|nunca|jamás|ningun\w*|ningún|tampoco|nadie", "", r"no solo|no sólo|no es otr\w+ que"),
    "it": _Markers(r"non|mai|nessun\w*|neppure|nemmeno", "", r"non solo|non è altr\w+ che"),
    "pt": _Markers(r"não|nunca|jamais|nenhum\w*|nem|ninguém", "", r"não só|não é outr\w+ senão"),
    "ru": _Markers(r"не|ни|нет|никогда|нельзя|никак\w*", "", r"не только|не что иное|не кто иной"),
    "uk": _Markers(r"не|ні|немає|ніколи|нема|жодн\w*", "", r"не тільки|не лише|не що інше|не хто інший"),
    "pl": _Markers(r"nie|nigdy|żad\w+|ani|brak", "", r"nie tylko|nie kto inny"),
    "bg": _Markers(r"не|няма|никога|нито|недей", "", r"не само|не кой да е"),
    "el": _Markers(r"δεν|δε|μην|μη|όχι|ποτέ|ούτε|κανέν\w*", "", r"όχι μόνο|δεν είναι άλλ\w+ από"),
    "fa": _Markers(r"نیست\w*|نبود\w*|نه|هرگز|هیچ\w*|نشد\w*|ندارد|نداشت|نکرد\w*", r"\bنمی[\u200c\s]?", ""),
    "bn": _Markers(r"না|নয়|নয়|নেই|নি|কখনো|কখনোই|নন|নহে"),
    "he": _Markers(r"לא|אין|אינו|אינה|אינם|אינן|איננו|איננה|מעולם|בל", "", r"לא רק|אינו אלא|אין זה אלא"),
    "ar": _Markers(r"(?:و|ف)?(?:ليس|ليست|لم|لن|لا|غير|ليسوا)", "", r"لا سيما|لا يزال|لا تزال"),
    "tr": _Markers(
        r"değil\w*|yok\w*|hiç\w*|asla", r"\w{2,}m[ae]z(?:lar|ler|dı|di)?\b|\w{2,}m[ae]dı\b|\w{2,}m[ae]di\b|\w{2,}m[ıiuü]yor\b", ""
    ),
    "hu": _Markers(r"nem|ne|sem|nincs\w*|soha|sose|sohasem|senki\w*|semm\w*", "", r"nem más, mint|nem csak|nemcsak"),
    "fi": _Markers(r"ei|eivät|en|et|emme|ette|älä|eikä|ettei|eiköhän", "", r"ei kukaan muu kuin|ei mikään muu kuin"),
    "ja": _Markers(
        "",
        r"ない(?!ちょう)|ません|なかった|なく(?!な)|[わらたかさまばいしき]ず(?=[。、]|に)",
        r"にほかならない|に他ならない|間違いない|違いない|欠かせない|だけでなく|少なくない",
    ),
    "ko": _Markers(r"안|못", r"않|아니(?=[다라었며고지,])|아닙니다|없[다었습는]|못하", ""),
    "zh": _Markers("", r"不|没有|並非|并非|未(?!来)|从未|绝非", r"不仅|不但|不少|不同|不断|离不开|分不开|不外|不可分|密不可分|不可或缺"),
    "vi": _Markers(r"không|chẳng|chưa|đừng|chả", "", r"chẳng hạn|không chỉ|không ai khác|không gì khác"),
    "id": _Markers(r"bukan\w*|tidak\w*|tak|belum|jangan|tanpa", "", r"bukan hanya|tidak hanya|tidak lain|tak lain|bukan lain"),
    "th": _Markers("", r"ไม่|มิได้|หาไม่|มิใช่|มิเคย", r"ไม่ใช่อื่นใด|ไม่ใช่ใครอื่น|ไม่เพียง"),
    "sw": _Markers(
        r"si|sio|siyo|hakuna|hapana|kamwe|wala|bila|hana|hawana|haina|hayupo|haiko|hakuwa|haikuwa",
        r"\bha(?:ku|ja|wa|i|zi|ya|u|li)\w{3,}i\b",
        "",
    ),
}


class Negation:
    """Pass a phrasing without a negator; a language without a row of the table passes, and it is said."""

    name = "negation"

    def check(self, template: Template, context: Context) -> Verdict:
        if template.language not in NEGATORS:
            return not_judged(self.name, 0.0, f"the negators of {template.language!r} are not known")
        found = negators(template.text, template.language)
        return Verdict(not found, self.name, float(len(found)), 0.0, f"negates: {', '.join(found)}" if found else "")


def negators(text: str, code: str) -> list[str]:
    """The negators of a text in their order.

    >>> negators("The capital of [X] is not [Y].", "en"), negators("[X] is none other than [Y].", "en")
    (['not'], [])
    """
    markers = NEGATORS[code]
    rest = re.sub(markers.harmless, " ", bare(text).lower()) if markers.harmless else bare(text).lower()
    patterns = [rf"(?<!{_LETTER})(?:{markers.words})(?!{_LETTER})"] if markers.words else []
    patterns += [markers.anywhere] if markers.anywhere else []
    return [match.group() for match in re.finditer("|".join(patterns), rest)]
