"""Letters and names of letters count as slots in brackets; bare ones only where they cannot be a word, a number or an initial.

The sentences are invented; they show what is done to slots, not what a system wrote.
"""

from __future__ import annotations

import pytest

from rml_lama.builders.placeholders import repair
from rml_lama.builders.slot_marks import find_marks, y_may_be_a_word
from rml_lama.languages import LANGUAGES
from rml_lama.records import OBJECT, SUBJECT

OTHER_SCRIPTS = [
    ("ru", "[Х] течёт мимо [У].", "[X] течёт мимо [Y]."),
    ("ru", "[Икс] течёт мимо [игрек].", "[X] течёт мимо [Y]."),
    ("el", "[Χ] κυλά δίπλα στο [Υ].", "[X] κυλά δίπλα στο [Y]."),
    ("ar", "[س] نهر في [ص].", "[X] نهر في [Y]."),
    ("ar", "نهر [إكس] في [واي].", "نهر [X] في [Y]."),
    ("fa", "[ایکس] رودی در [وای] است.", "[X] رودی در [Y] است."),
    ("he", "[איקס] זורם ליד [וואי].", "[X] זורם ליד [Y]."),
    ("hi", "[एक्स] नदी [वाई] में है।", "[X] नदी [Y] में है।"),
    ("mr", "[एक्स] नदी [वाय] मध्ये आहे.", "[X] नदी [Y] मध्ये आहे."),
    ("bn", "[এক্স] নদী [ওয়াই] শহরে।", "[X] নদী [Y] শহরে।"),
    ("bn", "[এক্স] নদী [ওয়াই] শহরে।", "[X] নদী [Y] শহরে।"),
    ("gu", "[એક્સ] નદી [વાય]માં છે.", "[X] નદી [Y]માં છે."),
    ("pa", "[ਐਕਸ] ਨਦੀ [ਵਾਈ] ਵਿੱਚ ਹੈ।", "[X] ਨਦੀ [Y] ਵਿੱਚ ਹੈ।"),
    ("ta", "[எக்ஸ்] ஆறு [ஒய்] இல் உள்ளது.", "[X] ஆறு [Y] இல் உள்ளது."),
    ("te", "[ఎక్స్] నది [వై]లో ఉంది.", "[X] నది [Y]లో ఉంది."),
    ("kn", "[ಎಕ್ಸ್] ನದಿ [ವೈ] ನಲ್ಲಿದೆ.", "[X] ನದಿ [Y] ನಲ್ಲಿದೆ."),
    ("ml", "(എക്സ്) നദി [വൈ] നഗരത്തിലാണ്.", "[X] നദി [Y] നഗരത്തിലാണ്."),
    ("th", "แม่น้ำ [เอ็กซ์] ไหลผ่าน [วาย]", "แม่น้ำ [X] ไหลผ่าน [Y]"),
    ("ja", "【エックス】川は【ワイ】を流れる。", "[X]川は[Y]を流れる。"),
    ("ko", "[엑스] 강은 [와이]에 있다.", "[X] 강은 [Y]에 있다."),
    ("ka", "[იქსი] არის [იგრეკი].", "[X] არის [Y]."),
]

BY_ELIMINATION = [
    ("[X] vloei verby [J].", "[X] vloei verby [Y]."),
    ("[E] corre junto a [x].", "[Y] corre junto a [X]."),
    ("[К] тече поред [И].", "[X] тече поред [Y]."),
    ("[X] नदी [हाँ] में है।", "[X] नदी [Y] में है।"),
    ("[ အိပ် ] သည် [ ဝ ] ဖြစ် သည် ။", "[X] သည် [Y] ဖြစ် သည် ။"),
]

WORDS_AND_NUMBERS = [
    ("es", "[X] corre y corre."),
    ("es", "[X] corre (y corre)."),
    ("es", "[X] corre, y [y corre."),
    ("es", "Y corre junto a [X]."),
    ("fr", "Y coule [X]."),
    ("cy", "Y afon yw [X]."),
    ("vi", "Y là con sông của [X]."),
    ("vi", "[X] là trường Y khoa."),
    ("ru", "[X] течёт у леса."),
    ("ru", "У леса течёт [X]."),
    ("uk", "[X] тече у лісі."),
    ("bg", "[X] тече у нас."),
    ("sr", "И тече [X]."),
    ("el", "Υ και [X]."),
    ("pl", "[Y] płynie od X wieku."),
    ("es", "[Y] existe desde el siglo X."),
    ("ru", "[Y] стоит с X века."),
    ("en", "[Y] is seen in an X-ray."),
    ("en", "[Y] is one of the X-Men."),
    ("en", "[Y] was met by X. Miller."),
    ("en", "[Y] has 3 X 4 metres."),
    ("az", "[Y] Xəzər boyundadır."),
    ("el", "[Y] Χωριό."),
    ("de", "FLUSS X [Y] UND STADT"),
    ("uz", "[X] y‘q daryo."),
]


@pytest.mark.parametrize(("language", "text", "expected"), OTHER_SCRIPTS)
def test_slots_in_other_scripts_are_known_by_name_with_and_without_the_language(language: str, text: str, expected: str) -> None:
    assert repair(text).text == repair(text, language=language).text == expected


@pytest.mark.parametrize(("text", "expected"), BY_ELIMINATION)
def test_a_rendering_that_is_no_name_counts_only_where_the_source_leaves_nothing_else(text: str, expected: str) -> None:
    assert repair(text, source="[X] flows past [Y].").text == expected
    assert repair(text).status == "rejected"


@pytest.mark.parametrize(("language", "text"), WORDS_AND_NUMBERS)
def test_a_word_a_number_or_an_initial_is_no_slot(language: str, text: str) -> None:
    for repaired in (repair(text), repair(text, language=language), repair(text, source="[Y] flows past [X].", language=language)):
        assert repaired.status == "rejected", repaired


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("fi", "Y on X:n joki.", "[Y] on [X]:n joki."),
        ("it", "Y è il fiume di X.", "[Y] è il fiume di [X]."),
        ("de", "(x) fließt an (y) vorbei.", "[X] fließt an [Y] vorbei."),
    ],
)
def test_the_language_tells_that_y_is_no_word(language: str, text: str, expected: str) -> None:
    assert repair(text, language=language).text == expected
    assert repair(text).status == "rejected"


def test_a_capital_at_the_start_of_a_cyrillic_text_needs_a_source_that_starts_so() -> None:
    text = "Y тече повз X."
    assert repair(text, source="[Y] flows past [X].", language="uk").text == "[Y] тече повз [X]."
    assert repair(text, source="Past [X] flows [Y].", language="uk").status == "rejected"


def test_a_letter_in_a_text_far_longer_than_its_source_is_no_slot() -> None:
    text = "Naselje ima petsto stanovnika, staru crkvu, dva mlina i most preko X, a spominje se prvi put u popisu [Y]."
    assert repair(text, language="bs").text == text.replace(" X", " [X]")
    assert repair(text, source="[X] is [Y].", language="bs").status == "rejected"


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("[X] (X) «X» X] X x", ["square", "round", "quote", "half", "bare", "doubtful"]),
        ("[X is bare", ["half"]),
        ("l'X'", ["bare"]),
        ("[[X]] [(X)] ([X])", ["square", "square", "square"]),
        ("Xylem, oxen, FOX, X1, 1X", []),
    ],
)
def test_a_mark_tells_what_holds_it(text: str, kinds: list[str]) -> None:
    assert [mark.kind for mark in find_marks(text, None, None)] == kinds


def test_the_span_of_a_mark_takes_in_what_holds_it() -> None:
    text = "ab [ x ] cd «Y» ef"
    assert [(mark.slot, text[mark.start : mark.end]) for mark in find_marks(text, None, "de")] == [(SUBJECT, "[ x ]"), (OBJECT, "«Y»")]


def test_y_is_a_word_in_some_of_our_languages_and_may_be_one_in_an_unknown_one() -> None:
    assert {code for code in LANGUAGES if y_may_be_a_word("", code)} == {"es", "fr", "vi"}
    assert y_may_be_a_word("some words", None)
    assert not y_may_be_a_word("川を流れる", None)
