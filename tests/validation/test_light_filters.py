"""The filters without a model: each on what it must refuse and on what it must let pass, in several languages."""

from __future__ import annotations

import math
from collections.abc import Mapping

import langdetect
import pytest
from langdetect import DetectorFactory

from rml_lama.builders.bank import read_bank
from rml_lama.records import Template
from rml_lama.validation.base import Context
from rml_lama.validation.detectors import DETECTORS, LangDetect, Lingua, Py3LangId, margin
from rml_lama.validation.forms import bare
from rml_lama.validation.language import ExpectedLanguage
from rml_lama.validation.leakage import Leakage, answer_given, answer_labels
from rml_lama.validation.negation import Negation, negators
from rml_lama.validation.order import Order
from rml_lama.validation.references import References
from rml_lama.validation.script import ALPHABETS, Script, foreign_letters
from rml_lama.validation.slots import Slots, swapped
from rml_lama.validation.structure import faults
from rml_lama.validation.wording import Leftover, Reference, Wording

NOTHING = Context()


def template(text: str, language: str = "en", relation: str = "P36") -> Template:
    return Template(language, relation, text, True)


@pytest.fixture(scope="module")
def references() -> References:
    return References(read_bank(("en", "de")))


@pytest.mark.parametrize(
    ("language", "text", "foreign"),
    [
        ("uk", "Столица [X] — это [Y].", "э"),
        ("ru", "Столицею [X] є місто [Y].", "єії"),
        ("fa", "عاصمة [X] هي [Y].", "ةيىك"),
        ("ar", "پایتخت [X] شهر [Y] است.", "پیچگ"),
        ("zh", "[X]的首都稱為[Y]。", "稱為"),
        ("de", "Die Hаuptstadt von [X] ist [Y].", "а"),
        ("ko", "[X]の首都は[Y]です.", "の首都は"),
        ("es", "La capital de [X] é [Y].", ""),
    ],
)
def test_letters_of_another_alphabet(language: str, text: str, foreign: str) -> None:
    verdict = Script().check(template(text, language), NOTHING)
    found = foreign_letters(text.replace("[X]", "").replace("[Y]", ""), language)
    if foreign:
        assert set(found) & set(foreign)
        assert not verdict.passed
        assert 0 <= verdict.score < 1
    else:
        assert verdict.passed or (set(found) == {"é"} and "é" in ALPHABETS["es"])


def test_chinese_is_not_japanese() -> None:
    verdict = Script().check(template("[X]的首都是[Y]。", "ja"), NOTHING)
    assert not verdict.passed
    assert verdict.score == 0.0
    assert Script().check(template("[X]の首都は[Y]です。", "ja"), NOTHING).passed


def test_every_phrasing_of_the_bank_is_in_its_script() -> None:
    assert not [one.text for one in read_bank() if not Script().check(one, NOTHING).passed]


def test_what_is_not_known_is_said_and_not_failed() -> None:
    unknown = template("la kapitalo de [X] estas [Y].", "xx")
    for check in (
        Script(),
        Negation(),
        ExpectedLanguage({"langdetect": LangDetect()}, {"langdetect": 1.0}, {"default": 0.0}, References([])),
    ):
        verdict = check.check(unknown, NOTHING)
        assert verdict.passed
        assert math.isnan(verdict.score)
        assert verdict.reason.startswith("not judged: ")
    assert not list(faults(unknown))


@pytest.mark.parametrize("name", DETECTORS)
def test_a_detector_prefers_the_right_language(name: str) -> None:
    detector = DETECTORS[name]()
    assert (margin(detector, "die Hauptstadt dieses Landes ist", "de") or 0) > 0
    assert (margin(detector, "die Hauptstadt dieses Landes ist", "nl") or 0) < 0
    assert margin(detector, "die Hauptstadt dieses Landes ist", "xx") is None


def test_langdetect_without_draws_agrees_with_seeded_langdetect() -> None:
    """On the bank's phrasings they name the same language but for texts on which langdetect is in doubt itself."""
    DetectorFactory.seed = 0
    texts = [bare(one.text) for one in read_bank()[::151]]
    same = sure = 0
    for text in texts:
        (first, *_) = langdetect.detect_langs(text)
        if first.prob > 0.99:
            sure += 1
            found = LangDetect().log_likelihoods(text)
            same += max(found, key=lambda code: found[code]) == first.lang
    assert sure > 30
    assert same >= 0.95 * sure


def test_the_ensemble_divides_margins_by_their_scales() -> None:
    class Fixed:
        def __init__(self, value: float) -> None:
            self.value = value

        def log_likelihoods(self, text: str) -> Mapping[str, float]:
            return {"en": self.value, "de": 0.0}

        def code_of(self, language: str) -> str:
            return language

    check = ExpectedLanguage({"a": Fixed(6.0), "b": Fixed(-1.0)}, {"a": 2.0, "b": 1.0}, {"default": 0.0, "en": 1.5}, References([]))
    verdict = check.check(template("The capital of [X] is [Y]."), NOTHING)
    assert verdict.score == 1.0  # (6/2 - 1/1) / 2
    assert not verdict.passed
    assert "a +3.00, b -1.00" in verdict.reason
    assert check.check(template("Die Hauptstadt von [X] ist [Y].", "de"), NOTHING).score == -1.0


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "The capital of [X] isn't [Y]."),
        ("de", "Die Hauptstadt von [X] ist nicht [Y]."),
        ("fr", "La capitale de [X] n'est pas [Y]."),
        ("ja", "[X]の首都は[Y]ではない。"),
        ("tr", "[X] başkenti [Y] değildir."),
        ("fa", "پایتخت [X] شهر [Y] نیست."),
        ("bn", "[X]-এর রাজধানী [Y] নয়।"),
        ("zh", "[X]的首都不是[Y]。"),
        ("sw", "Mji mkuu wa [X] si [Y]."),
    ],
)
def test_negations(language: str, text: str) -> None:
    assert not Negation().check(template(text, language), NOTHING).passed


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "The capital of [X] is none other than [Y]."),
        ("de", "[X] wird nicht nur aus [Y] regiert."),
        ("ja", "[X]の首都は[Y]にほかならない。"),
        ("bn", "[X] তৈরি করেছে যে কোম্পানি, তার নাম [Y]।"),
        ("zh", "不少人知道[X]的首都是[Y]。"),
    ],
)
def test_no_negations(language: str, text: str) -> None:
    assert negators(text, language) == []


def test_leaked_answers() -> None:
    answers = {
        ("en", "P36"): answer_labels([("", "Paris"), ("", "New York"), ("", "Ur")], "en"),
        ("ja", "P36"): answer_labels([("", "東京")], "ja"),
        ("th", "P37"): answer_labels([("", "กา"), ("", "ภาษาไทย")], "th"),
    }
    check = Leakage(answers)
    assert check.check(template("The capital of [X] is Paris, [Y]."), NOTHING).reason == "names an answer: Paris"
    assert not check.check(template("[X], New York, [Y]."), NOTHING).passed
    assert check.check(template("Parisians live in [X], [Y]."), NOTHING).passed
    assert not check.check(template("[X]の首都東京は[Y]です。", "ja"), NOTHING).passed
    assert check.check(template("[Y]เป็นภาษาราชการของ[X]", "th", "P37"), NOTHING).passed, "a short word of an alphabet stands inside others"
    assert not check.check(template("[X]ใช้ภาษาไทยและ[Y]", "th", "P37"), NOTHING).passed
    assert math.isnan(check.check(template("[X] [Y]", "de"), NOTHING).score)


@pytest.mark.parametrize(
    ("code", "text", "answer", "given"),
    [
        ("en", "The Berlin Wall stood in ", "Berlin", ["berlin"]),
        ("de", "Die Berliner Mauer stand in ", "Berlin", ["berliner"]),
        ("en", "The New Yorker is printed in ", "New York", ["new", "yorker"]),
        ("en", "The capital of France is ", "Paris", []),
        ("en", "The new york is in ", "Yorkshire", []),
        ("fi", "Helsingin yliopisto", "Helsinki", ["helsingin"]),
        ("ja", "東京大学", "東京", ["東京"]),
        ("ja", "京都大学", "東京", []),
        ("en", "Anything", "!", []),
    ],
)
def test_texts_that_give_the_answer(code: str, text: str, answer: str, given: list[str]) -> None:
    assert answer_given(text, answer, code) == given


def test_texts_too_short_for_detectors_are_told_by_their_words(references: References) -> None:
    check = ExpectedLanguage({}, {}, {"default": 0.0}, references)
    assert not check.check(template("[X] starb in [Y].", "en", "P20"), NOTHING).passed
    assert not check.check(template("[X] died in [Y].", "de", "P20"), NOTHING).passed
    for text, language in (("[X] starb in [Y].", "de"), ("[X] qqqq in [Y].", "en"), ("[X] died in [Y].", "xx")):
        assert check.check(template(text, language, "P20"), NOTHING).passed


def test_wording_and_reference(references: References) -> None:
    good, odd = template("The capital city of [X] is [Y]."), template("Zxq of [X] vrmp [Y] wgk.")
    for check in (Wording(references, 0.0), Reference(references, 0.0)):
        assert check.check(good, NOTHING).score > check.check(odd, NOTHING).score
        assert math.isnan(check.check(template("[X] [Y].", "fr"), NOTHING).score)
    assert "nearest: 'the capital" in Reference(references, 0.0).check(good, NOTHING).reason


def test_swapped_slots_fit_worse(references: References) -> None:
    check = Slots(references, 0.0)
    right = [one for one in read_bank(("en",)) if one.relation == "P36"]
    worse = [template(swapped(one.text)) for one in right]
    for one, other in zip(right, worse, strict=True):
        assert check.check(one, NOTHING).score == -check.check(other, NOTHING).score  # the references are the same for both
    assert sum(check.check(one, NOTHING).passed for one in right) >= 0.8 * len(right)


def test_english_left_over(references: References) -> None:
    check = Leftover(references, 1)
    verdict = check.check(template("Die Hauptstadt of the country [X] ist [Y].", "de"), NOTHING)
    assert not verdict.passed
    assert verdict.reason == "English words: of the country"
    assert check.check(template("Die Hauptstadt von [X] ist [Y].", "de"), NOTHING).passed
    assert check.check(template("Die Premiere von [X] lief bei [Y].", "de"), NOTHING).passed  # a cognate
    assert math.isnan(check.check(template("The capital of [X] is [Y]."), NOTHING).score)


def test_lingua_and_py3langid_name_all_of_our_languages() -> None:
    py3langid, lingua = Py3LangId().log_likelihoods("hello"), Lingua().log_likelihoods("hello")
    for one in read_bank()[::290]:
        assert Py3LangId().code_of(one.language) in py3langid
        assert Lingua().code_of(one.language) in lingua


def test_an_unknown_language_is_no_fault_of_form() -> None:
    assert list(faults(template("la kapitalo de [X] estas [Y]", "xx"))) == []
    assert list(faults(template("la kapitalo de [X] estas", "xx"))) == ["[Y] occurs 0 times, not once"]


def test_shuffled_words_do_no_better_than_chance(references: References) -> None:
    check = Order(references, 0.0)
    right = check.check(template("The capital city of [X] is [Y]."), NOTHING)
    wrong = check.check(template("Of is [Y] city [X] the capital."), NOTHING)
    assert right.score > wrong.score
    assert right == check.check(template("The capital city of [X] is [Y]."), NOTHING)
    assert not Order(references, right.score + 0.01).check(template("The capital city of [X] is [Y]."), NOTHING).passed
    for odd in (template("[X]の首都は[Y]です。", "ja"), template("[X] [Y] xx yy.", "fr"), template("[X] [Y].")):
        assert math.isnan(check.check(odd, NOTHING).score)
