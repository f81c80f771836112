"""Twelve kinds of fault, planted by seed into good phrasings: what the filters must find, with the cause known.

Negation is planted by putting a negator after the copula where the language has one to be found, else by a clause such as
"it is not true that"; a sibling is the nearest of the 27 languages by family, then script (`SIBLINGS`).
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from rml_lama.languages import LANGUAGES
from rml_lama.records import OBJECT, SUBJECT, Template, by_relation

__all__ = ["KINDS", "SIBLINGS", "SYMMETRIC", "Plant", "plant"]

SYMMETRIC = ("P47", "P190", "P530")  # with the slots swapped the phrasing still says its relation
SIBLINGS = {
    "en": "nl",
    "de": "nl",
    "nl": "de",
    "da": "de",
    "fr": "it",
    "es": "pt",
    "it": "es",
    "pt": "es",
    "ru": "uk",
    "uk": "ru",
    "pl": "uk",
    "bg": "ru",
    "el": "bg",
    "fa": "ar",
    "bn": "fa",
    "he": "ar",
    "ar": "fa",
    "tr": "hu",
    "hu": "fi",
    "fi": "hu",
    "ja": "zh",
    "ko": "ja",
    "zh": "ja",
    "vi": "id",
    "id": "vi",
    "th": "vi",
    "sw": "id",
}
_COPULA: dict[str, tuple[str, str]] = {  # what is found, and what is put in its place
    "en": (r"\b(is|was|are)\b", r"\1 not"),
    "de": (r"\b(ist|war|liegt|heißt)\b", r"\1 nicht"),
    "nl": (r"\b(is|was|ligt|heet)\b", r"\1 niet"),
    "da": (r"\b(er|var|ligger|hedder)\b", r"\1 ikke"),
    "fr": (r"\best\b", "n'est pas"),
    "es": (r"\b(es|está|fue|se)\b", r"no \1"),
    "it": (r"\b(è|si|fu)\b", r"non \1"),
    "pt": (r"\b(é|foi|fica|está)\b", r"não \1"),
    "ru": (r" — ", " — не "),
    "uk": (r" — ", " — не "),
    "pl": (r"\b(jest|był|to)\b", r"nie \1"),
    "bg": (r"\b(е|са|беше)\b", r"не \1"),
    "el": (r"\b(είναι|ήταν|βρίσκεται)\b", r"δεν \1"),
    "fa": (r"\bاست\b", "نیست"),
    "bn": (r"।$", " নয়।"),
    "he": (r"\b(הוא|היא)\b", r"\1 לא"),
    "ar": (r"\b(هو|هي)\b", r"ليس \1"),
    "tr": (r"\[Y\]\.$", "[Y] değildir."),
    "hu": (r"\[Y\]\.$", "nem [Y]."),
    "fi": (r"\bon\b", "ei ole"),
    "ja": (r"(?:である|です)。$", "ではない。"),
    "ko": (r"(?:이다|입니다)\.$", "이 아니다."),
    "zh": (r"是", "不是"),
    "vi": (r"\blà\b", "không phải là"),
    "id": (r"\badalah\b", "bukanlah"),
    "th": (r"คือ", "ไม่ใช่"),
    "sw": (r"\bni\b", "si"),
}
_DENIAL = {
    "en": "It is not true that ",
    "de": "Es stimmt nicht, dass ",
    "nl": "Het is niet waar dat ",
    "da": "Det passer ikke, at ",
    "fr": "Il n'est pas vrai que ",
    "es": "No es cierto que ",
    "it": "Non è vero che ",
    "pt": "Não é verdade que ",
    "ru": "Неправда, что не ",
    "uk": "Це не так, що ",
    "pl": "To nie jest prawda, że ",
    "bg": "Не е вярно, че ",
    "el": "Δεν αληθεύει ότι ",
    "fa": "درست نیست که ",
    "bn": "এটা সত্য নয় যে ",
    "he": "זה לא נכון ש",
    "ar": "ليس صحيحا أن ",
    "tr": "Doğru değil: ",
    "hu": "Nem igaz, hogy ",
    "fi": "Ei ole totta, että ",
    "ja": "本当ではないが、",
    "ko": "사실이 아니지만 ",
    "zh": "并非",
    "vi": "Không đúng là ",
    "id": "Tidak benar bahwa ",
    "th": "ไม่จริงที่ว่า",
    "sw": "Si kweli kwamba ",
}
_QUESTION = {"el": ";", "ar": "؟", "fa": "؟", "ja": "？", "zh": "？"}
_LOOKALIKES = dict(zip("aeopcxyiаеорсхуі", "аеорсхуіaeopcxyi", strict=True))


@dataclass(frozen=True, slots=True)
class Plant:
    """What a fault is made from: the bank by set, the labels of facts, and the draw."""

    bank: Mapping[tuple[str, str], Sequence[Template]]
    labels: Mapping[tuple[str, str], Sequence[tuple[str, str]]]
    draw: random.Random


def plant(
    kind: str,
    templates: Sequence[Template],
    labels: Mapping[tuple[str, str], Sequence[tuple[str, str]]],
    *,
    seed: int,
    bank: Sequence[Template] | None = None,
) -> list[Template]:
    """The templates with one fault each, in their order; those in which it cannot be planted are left out.

    Phrasings of other relations and languages are drawn from `bank`, by default the templates themselves.
    """
    source = Plant(by_relation(templates if bank is None else bank), labels, random.Random(f"{seed} {kind}"))
    made = [KINDS[kind](template, source) for template in templates]
    return [new for old, new in zip(templates, made, strict=True) if new is not None and new.text != old.text]


def _other_relation(template: Template, source: Plant) -> Template | None:
    relations = [relation for code, relation in source.bank if code == template.language and relation != template.relation]
    other = source.draw.choice(source.bank[template.language, source.draw.choice(relations)])
    return replace(other, relation=template.relation)


def _of_language(template: Template, source: Plant, code: str) -> Template | None:
    group = source.bank.get((code, template.relation))
    return replace(source.draw.choice(group), language=template.language) if group else None


def _other_language(template: Template, source: Plant) -> Template | None:
    codes = [code for code in LANGUAGES if code not in (template.language, SIBLINGS[template.language])]
    return _of_language(template, source, source.draw.choice(codes))


def _sibling_language(template: Template, source: Plant) -> Template | None:
    return _of_language(template, source, SIBLINGS[template.language])


def _english_left(template: Template, source: Plant) -> Template | None:
    """Two words in a row give way to as many words of an English phrasing of the relation."""
    if template.language == "en" or not (group := source.bank.get(("en", template.relation))):
        return None
    english = source.draw.choice(group).text
    stretches = re.findall(r"(?=\b([a-z]{2,} [a-z]{2,})\b)", english)
    if not stretches:
        return None
    pieces = re.split(r"(\s+)", template.text)
    places = [n for n in range(0, len(pieces) - 2, 2) if "[" not in pieces[n] + pieces[n + 2]]
    stretch = source.draw.choice(stretches)
    if not places:
        return replace(template, text=_inserted(template.text, f" {stretch} ", source.draw))
    place = source.draw.choice(places)
    end = re.sub(r"^.*?([.,;:。]?)$", r"\1", pieces[place + 2])
    return replace(template, text="".join([*pieces[:place], stretch + end, *pieces[place + 3 :]]))


def _inserted(text: str, piece: str, draw: random.Random) -> str:
    """A piece put in between two parts of the text, never into a slot."""
    places = [match.end() for match in re.finditer(r"\[[XY]\]|\s", text) if match.end() < len(text)] or [0]
    place = draw.choice(places)
    return " ".join((text[:place] + piece + text[place:]).split())


def _swapped(template: Template, source: Plant) -> Template | None:
    if template.relation in SYMMETRIC:
        return None
    text = template.text.replace(SUBJECT, "\0").replace(OBJECT, SUBJECT).replace("\0", OBJECT)
    return replace(template, text=text, causal=template.causal and text.index(SUBJECT) < text.index(OBJECT))


def _slot_count(template: Template, source: Plant) -> Template | None:
    slot = source.draw.choice((SUBJECT, OBJECT))
    text = template.text.replace(slot, "") if source.draw.random() < 0.5 else template.text.replace(slot, f"{slot} {slot}")
    return replace(template, text=" ".join(text.split()))


def _answer_leaked(template: Template, source: Plant) -> Template | None:
    facts = source.labels.get((template.language, template.relation))
    if not facts:
        return None
    _, answer = source.draw.choice(facts)
    return replace(template, text=_inserted(template.text, f" {answer} ", source.draw))


def _negated(template: Template, source: Plant) -> Template | None:
    found, put = _COPULA[template.language]
    text = re.sub(found, put, template.text, count=1)
    return replace(template, text=text if text != template.text else _DENIAL[template.language] + template.text)


def _question(template: Template, source: Plant) -> Template | None:
    final = LANGUAGES[template.language].final
    return replace(template, text=template.text.removesuffix(final) + _QUESTION.get(template.language, "?"))


def _truncated(template: Template, source: Plant) -> Template | None:
    """Cut off after 40 to 90 % of it, at a space where there is one, never inside a slot."""
    places = [match.start() for match in re.finditer(r"\s", template.text)]
    if not places or LANGUAGES[template.language].joiner == "":
        places = [n for n in range(1, len(template.text)) if not re.search(r"\[[XY]?$", template.text[:n])]
    size = len(template.text)
    places = [place for place in places if 0.4 * size <= place <= 0.9 * size]
    return replace(template, text=template.text[: source.draw.choice(places)]) if places else None


def _shuffled(template: Template, source: Plant) -> Template | None:
    """The pieces between the slots in another order: words, or pairs of characters where words are not spaced."""
    final = LANGUAGES[template.language].final
    body = template.text.removesuffix(final)
    spaced = LANGUAGES[template.language].joiner != ""
    pieces = re.findall(r"\S*\[[XY]\]\S*|\S+" if spaced else r"\[[XY]\]|[^\[\s]{1,2}", body)
    if len(pieces) < 4:
        return None
    order = list(pieces)
    for _ in range(20):
        source.draw.shuffle(order)
        if sum(a != b for a, b in zip(order, pieces)) >= 3:
            break
    return replace(template, text=(" " if spaced else "").join(order) + final)


def _mixed_script(template: Template, source: Plant) -> Template | None:
    """One letter of a word gives way to one of another script, its double where it has one."""
    letters = [match.start() for match in re.finditer(r"[^\W\d_]", template.text) if template.text[match.start() - 1] != "["]
    doubles = [place for place in letters if template.text[place] in _LOOKALIKES]
    if not letters:
        return None
    place = source.draw.choice(doubles or letters)
    letter = _LOOKALIKES.get(template.text[place], "ж")
    return replace(template, text=template.text[:place] + letter + template.text[place + 1 :])


KINDS: dict[str, Callable[[Template, Plant], Template | None]] = {
    "other relation": _other_relation,
    "other language": _other_language,
    "sibling language": _sibling_language,
    "English left": _english_left,
    "slots swapped": _swapped,
    "slot missing or doubled": _slot_count,
    "answer leaked": _answer_leaked,
    "negated": _negated,
    "question": _question,
    "truncated": _truncated,
    "words shuffled": _shuffled,
    "mixed script": _mixed_script,
}
