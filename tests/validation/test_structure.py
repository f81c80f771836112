"""The structural filter: each fault alone, and no fault where there is none."""

from __future__ import annotations

import pytest

from rml_lama.records import Template
from rml_lama.validation.base import Context
from rml_lama.validation.runner import validate
from rml_lama.validation.structure import Structure, faults


def template(text: str, *, language: str = "en", causal: bool = True, frame: str = "") -> Template:
    return Template(language, "P36", text, causal, frame)


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "The capital of [X] is the city of [Y]."),
        ("ja", "[X]の首都は[Y]です。"),
        ("bn", "[X]-এর রাজধানীর নাম [Y]।"),
        ("th", "เมืองหลวงของ[X]คือ[Y]"),
        ("tr", "[X] bir ülkedir; başkenti [Y]."),
        ("fa", "پایتخت [X] شهر [Y] است."),
    ],
)
def test_good_phrasings_pass(language: str, text: str) -> None:
    assert list(faults(template(text, language=language))) == []


@pytest.mark.parametrize(
    ("language", "text", "fault"),
    [
        ("en", "The capital of [X] is here.", "[Y] occurs 0 times"),
        ("en", "[X] and [X] have [Y].", "[X] occurs 2 times"),
        ("en", "The [x] of [X] is [Y].", "a broken slot '[x]'"),
        ("ja", "【X】の[X]は[Y]です。", "a broken slot"),
        ("en", "Cafe\u0301 [X] is [Y].", "NFC"),
        ("en", "The  capital of [X] is [Y].", "white space"),
        ("en", "The capital of [X]\u00a0is [Y].", "white space"),
        ("he", "בירת\u200f [X] היא [Y].", "mark of writing direction"),
        ("en", "The capital of [X] is [Y]", "does not end with '.'"),
        ("zh", "[X]的首都是[Y].", "does not end with '。'"),
        ("th", "เมืองหลวงของ[X]คือ[Y].", "ends with '.'"),
        ("en", "Is the capital of [X]? [Y].", "not a statement"),
        ("el", "Η πρωτεύουσα; [X] η πόλη [Y].", "not a statement"),
        ("en", "[X] [Y].", "no words beside the slots"),
        ("en", "The city of [Y] is the capital of [X].", "called causal, but [X] stands after"),
        ("en", "[X] [Y] is its capital city.", "no word of the relation stands before the blank"),
        ("en", "The capital of [X] is [Y], as every child in every school knows.", "characters follow the blank"),
        ("en", "The capital " + "very " * 40 + "far of [X] is [Y].", "at most 200"),
    ],
)
def test_each_fault_is_found(language: str, text: str, fault: str) -> None:
    assert any(fault in found for found in faults(template(text, language=language)))


def test_repetitions_blame_the_later_one() -> None:
    first, second = template("The capital of [X] is [Y]."), template("The Capital, of [X] is: [Y].")
    accepted, rejects = validate([first, second], [Structure()])
    assert accepted == [first]
    assert "the same as" in rejects[0].reason


def test_at_most_two_share_a_frame() -> None:
    texts = ["The capital of [X] is [Y].", "Its capital gives [X] the city [Y].", "As capital [X] has [Y].", "A seat of [X] is [Y]."]
    phrasings = [template(text, frame="capital") for text in texts[:3]] + [template(texts[3], frame="seat")]
    accepted, rejects = validate(phrasings, [Structure()])
    assert [reject.item for reject in rejects] == [texts[2]]
    assert len(accepted) == 3


def test_verdicts_do_not_depend_on_company_from_other_sets() -> None:
    other = Template("de", "P36", "The capital of [X] is [Y].", True)
    mine = template("The capital of [X] is [Y].")
    alone = Structure().check(mine, Context())
    assert validate([other, mine], [Structure()]) == ([other, mine], [])
    assert alone.passed
