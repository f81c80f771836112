"""The forms of a phrasing, and what is counted over references: by hand, and with the phrasing itself left out."""

from __future__ import annotations

import pytest
from sacrebleu.metrics import CHRF

from rml_lama.builders.bank import read_bank
from rml_lama.records import Template
from rml_lama.validation.chrf import chrf
from rml_lama.validation.forms import bare, filled, grams, plain, presented, words
from rml_lama.validation.references import References


def template(text: str, relation: str = "P36", language: str = "en") -> Template:
    return Template(language, relation, text, True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The capital of [X] is [Y].", "the capital of [X] is [Y]"),
        ("  [X]的首都是[Y]。 ", "[X]的首都是[Y]"),
        ("[X]-এর রাজধানী [Y]।", "[X]-এর রাজধানী [Y]"),
        ("İl [X] [Y]", "i̇l [X] [Y]"),
        ("Cafe\u0301 [X] [Y]", "café [X] [Y]"),
    ],
)
def test_the_plain_form(text: str, expected: str) -> None:
    assert plain(text) == expected
    assert plain(plain(text)) == plain(text)


def test_presenting_undoes_what_plain_takes_away() -> None:
    assert presented(plain("Die Hauptstadt von [X] ist [Y]."), "de").startswith("Die ")
    assert presented("[X] เป็นเมืองหลวงของ[Y]", "th") == "[X] เป็นเมืองหลวงของ[Y]"
    assert presented("[X] estas en [Y]", "eo").endswith(".")


def test_a_label_that_looks_like_a_slot_is_left_alone() -> None:
    assert filled("[X] is [Y].", "[Y]", "[X]") == "[Y] is [X]."


def test_words_and_grams_know_slots() -> None:
    assert words("L'auteur de [X], c'est [Y].") == ["l'auteur", "de", "c'est"]
    assert bare("[X] เป็น [Y]") == "เป็น"
    assert len(grams("[X]ab[Y]")) == 3  # ^Xab, XabY, abY$


def test_chrf_is_that_of_sacrebleu() -> None:
    texts = [plain(one.text) for one in read_bank(("en", "ja", "ru", "th", "ar"))[::37]] + ["a", "(a)", "", "x y."]
    metric = CHRF(word_order=2)
    for text in texts:
        for reference in texts[::3]:
            assert chrf(text, reference) == pytest.approx(metric.sentence_score(text, [reference]).score, abs=1e-9)


def test_a_phrasing_is_never_its_own_reference() -> None:
    first, second = template("The capital of [X] is [Y]."), template("[X] is ruled from [Y].")
    references = References([first, second, template("[X] speaks [Y].", "P37")])
    assert references.others(first) == ["[X] is ruled from [Y]"]
    assert references.others(template("the capital of [X] is [Y]")) == ["[X] is ruled from [Y]"]
    assert references.word_count(first, "capital") == 0
    assert references.word_count(second, "capital") == 1
    assert references.word_count(first, "is") == 1
    assert references.gram_count(second, grams(first.text)[0]) == 1
    assert references.holds(first)
    assert not references.holds(template("[X]?"))
    assert "en" in references
    assert "de" not in references
    assert references.relations("en") == ["P36", "P37"]
    assert references.vocabulary("en")["is"] == 2
