"""What machines do to `[X]` and `[Y]` is undone where it is certain which is which, and refused with a reason elsewhere.

The sentences are invented; they show what is done to slots, not what a system wrote.
"""

from __future__ import annotations

import importlib.util
import re
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rml_lama.builders.placeholders import Repaired, repair
from rml_lama.languages import LANGUAGES
from rml_lama.records import OBJECT, SUBJECT

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "placeholders.py"

KEPT = [
    "The anthem of [X] was written by [Y].",
    "[Y], [X]",
    "[X] [Y]",
    "[X]のお気に入りは[Y]です。",
    "[X]s älteste Brücke heißt [Y].",
    "[X]'in en eski köprüsü [Y]'dir.",
    "L'hymne d'[X] est [Y].",
    "אוהבים ב[X] את [Y].",
    "[X] y su vecino [Y] comparten el río.",
    "Y afon hiraf yn [X] yw [Y].",
    "[X] (the river) flows past [Y].",
    '"[X]" rhymes with "[Y]".',
    "[X]  flows   past [Y] .",
]

REPAIRED = [
    # brackets and case
    ("[x] flows past [y].", "[X] flows past [Y]."),
    ("[ X ] flows past [Y ].", "[X] flows past [Y]."),
    ("【X】は【 Y 】を流れる。", "[X]は[Y]を流れる。"),
    ("〔x〕は［ｙ］を流れる。", "[X]は[Y]を流れる。"),
    ("(X) flows past {Y}.", "[X] flows past [Y]."),
    ("[[X]] flows past [(Y)].", "[X] flows past [Y]."),
    ("<X> flows past «Y».", "[X] flows past [Y]."),
    ("„X“ teka pro “Y”.", "[X] teka pro [Y]."),
    ('"" X "" teka pro "Y".', "[X] teka pro [Y]."),
    ("「X」は『Y』を流れる。", "[X]は[Y]を流れる。"),
    ("以“X”为名,以“Y”为邻", "以[X]为名,以[Y]为邻"),
    ("\u200f[\u200bX\u200b]\u200f של [Y]", "\u200f[X]\u200f של [Y]"),
    # brackets that were lost, doubled, mixed up or moved
    ("X] flows past [Y.", "[X] flows past [Y]."),
    ("[X) flows past (Y].", "[X] flows past [Y]."),
    ("X) fließt an [Y] vorbei", "[X] fließt an [Y] vorbei"),
    ("([X] flows past Y]).", "([X] flows past [Y])."),
    ("[X]]да [ [Y] бар.", "[X]да [Y] бар."),
    ("Ilog [x] 'y].", "Ilog [X] [Y]."),
    ("[X:n] joki on [Y: ssä].", "[X]:n joki on [Y]:ssä."),
    ("[X:s] flod rinner i [Y].", "[X]:s flod rinner i [Y]."),
    ("[la riva di X] bagna [Y].", "la riva di [X] bagna [Y]."),
    ("[X] tecze obok [Y rzeki].", "[X] tecze obok [Y] rzeki."),
    ("[X and Y] share a river.", "[X] and [Y] share a river."),
    ("]X[ قرب ]Y[.", "[X] قرب [Y]."),
    # escapes
    ("&#91;X&#93; flows past &lsqb;Y&rsqb;.", "[X] flows past [Y]."),
    ("& # 91; X & # 93; flows past &quot;Y&quot;.", "[X] flows past [Y]."),
    (r"\[X\] flows past \[Y\].", "[X] flows past [Y]."),
    ("&lt;X&gt; flows past [Y].", "[X] flows past [Y]."),
    # white space and words that a slot is glued to
    ("River of[X] flows past[ Y].", "River of [X] flows past [Y]."),
    ("강이【 X】를 지나[ Y]", "강이 [X]를 지나 [Y]"),
    ("נהר ב[ Y] של [X]", "נהר ב[Y] של [X]"),
    ("[x ]rekin doan ibaia [Y] da.", "[X]rekin doan ibaia [Y] da."),
    # doubled slots in one place, doubled letters
    ("[X] [X] flows past [y][y].", "[X] flows past [Y]."),
    ("[XX] قرب [YY]", "[X] قرب [Y]"),
    # no brackets at all
    ("X fluisce accanto a Y.", "[X] fluisce accanto a [Y]."),
    ("X-in çayı Y'dən keçir.", "[X]-in çayı [Y]'dən keçir."),
    ("X:n joki on Y:ssä.", "[X]:n joki on [Y]:ssä."),
    ("Xs Fluss ist Y", "[X]s Fluss ist [Y]"),
    ("XはYを流れる。", "[X]は[Y]を流れる。"),
    ("Y의 강은 X입니다.", "[Y]의 강은 [X]입니다."),
    ("הנהר של X עובר ב-Y.", "הנהר של [X] עובר ב-[Y]."),
    ("Х тече повз [Y].", "[X] тече повз [Y]."),
    ("Το ποτάμι της Χ είναι [Y].", "Το ποτάμι της [X] είναι [Y]."),
]

REJECTED = [
    ("", "no [X] and no [Y]"),
    ("The river flows.", "no [X] and no [Y]"),
    ("The river of [X] flows.", "no [Y]"),
    ("[Y] is a river.", "no [X]"),
    ("[X] flows past [X].", "no [Y]"),
    ("[X] flows past [x] and [Y].", "[X] more than once"),
    ("[X] flows past [Y], past [Y].", "[Y] more than once"),
    ("[x] flows past X and [Y].", "[X] more than once"),
    ("[X] flows past [Y]. [X] flows past [Y].", "[X] more than once"),
    ("X flows past X, X, [Y].", "[X] more than once"),
    ("[X] тече y y] повз.", "[Y] more than once"),
    ("Y הוא הנהר של X, ב-[Y].", "[Y] more than once"),
    ("[X] flows past [the town].", "no [Y]: [the town] stands in brackets"),
    ("[X] flows past [1].", "no [Y]: [1] stands in brackets"),
    ("[Xaver] flows past [Y].", "no [X]: [Xaver] stands in brackets"),
    ("[niX] flows past [Y].", "no [X]: [niX] stands in brackets"),
    ("[X] flows past [Y] [citation].", "other brackets"),
    ("[X] flows past [Y], a town].", "other brackets"),
    ("[a river X]er [Y].", "a bracket between two words without a space"),
    ("This is X (Y).", "one slot explains the other"),
    ('<font color="red">(X) flows past [Y].', "markup"),
    ("[X] %s flows past [y].", "markup"),
    ("[X] flows past ([y].", "a round bracket without its partner"),
]


@pytest.mark.parametrize("text", KEPT)
def test_a_text_with_each_slot_once_is_kept_to_the_letter(text: str) -> None:
    assert repair(text) == Repaired(text, "kept")


@pytest.mark.parametrize(("text", "expected"), REPAIRED)
def test_damaged_slots_are_mended(text: str, expected: str) -> None:
    repaired = repair(text)
    assert repaired.text == expected
    assert repaired.status == "repaired"


@pytest.mark.parametrize(("text", "reason"), REJECTED)
def test_what_cannot_be_told_is_rejected_with_its_reason(text: str, reason: str) -> None:
    repaired = repair(text, source="[X] flows past [Y].")
    assert repaired.text is None
    assert repaired.status == "rejected"
    assert repaired.reason.startswith(reason)


def test_the_reason_of_a_repaired_text_tells_what_was_taken() -> None:
    assert repair("[x] flows past 【Y】.").reason == "[x] for [X], 【Y】 for [Y]"


words = st.text(alphabet="abcdefgöäßжшщλδあ漢ア한ไ, ", max_size=12)
forms = st.sampled_from(["[{}]", "[ {} ]", "【{}】", "［{}］", "{{{}}}", "[[{}]]", "&#91;{}&#93;", "\\[{}\\]"])
pieces = st.sampled_from(
    ["[X]", "[Y]", "[x", "y]", "(X)", "(y)", "«Y»", "[Y:n]", "【X】", "]X[", "X", "Y", "x", "y", "[Х]", "[У]", "\\[Y\\]"]
)
signs = st.text(alphabet="aбあ .,:'‘’-\"“”«»()（）[]【】{}xXyYХУ\\&;", max_size=3)
messy = st.lists(pieces | signs | st.sampled_from([" ", " and ", " и ", "は"]), max_size=8).map("".join)
settings = st.tuples(st.none() | st.just("[Y] of [X]."), st.none() | st.sampled_from(["de", "es", "ru", "ja"]))


def squeezed(text: str) -> str:
    return re.sub(r"\s", "", text)


def outside(text: str) -> str:
    """What is left without white space, brackets, quotation marks, backslashes and the letters that may be slots."""
    return re.sub(r"[\s\[\]【】{}()（）'\"‘’“”«»\\xXyYХУ]", "", text)


@given(messy, settings)
def test_a_result_has_each_slot_once_or_there_is_none(text: str, setting: tuple[str | None, str | None]) -> None:
    repaired = repair(text, source=setting[0], language=setting[1])
    if repaired.text is None:
        assert repaired.status == "rejected"
        assert repaired.reason
    else:
        assert repaired.text.count(SUBJECT) == repaired.text.count(OBJECT) == 1


@given(messy, settings)
def test_repairing_again_changes_nothing(text: str, setting: tuple[str | None, str | None]) -> None:
    repaired = repair(text, source=setting[0], language=setting[1])
    if repaired.text is not None:
        assert repair(repaired.text, source=setting[0], language=setting[1]) == Repaired(repaired.text, "kept")
        assert (repaired.status == "kept") == (repaired.text == text)


@given(messy, settings)
def test_nothing_outside_the_slots_is_lost_or_added(text: str, setting: tuple[str | None, str | None]) -> None:
    repaired = repair(text, source=setting[0], language=setting[1])
    if repaired.text is not None:
        assert outside(repaired.text) == outside(text)


@given(words, words, words, forms, forms, st.booleans(), st.booleans())
def test_slots_are_found_where_they_stand(before: str, between: str, after: str, one: str, two: str, small: bool, swap: bool) -> None:
    first, second = ("Y", "X") if swap else ("X", "Y")
    shown = [letter.lower() if small else letter for letter in (first, second)]
    repaired = repair(f"{before} {one.format(shown[0])} {between} {two.format(shown[1])} {after}")
    assert repaired.text is not None
    assert squeezed(repaired.text) == squeezed(f"{before}[{first}]{between}[{second}]{after}")


@given(words, words, words)
def test_spelled_slots_are_kept(before: str, between: str, after: str) -> None:
    text = f"{before} [X] {between} [Y]{after}"
    assert repair(text) == Repaired(text, "kept")


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    """The benchmark's module: its reader of outputs and its tables."""
    spec = importlib.util.spec_from_file_location("placeholders_benchmark", BENCHMARK)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.shared
def test_real_outputs_are_kept_repaired_or_rejected_in_sane_shares(shared: Path, benchmark: ModuleType) -> None:
    cases = list(benchmark.read_cases(shared / "review" / "mt_outputs.tsv.gz", shared / "review" / "patterns.tsv"))
    counts = Counter(case.repaired.status for case in cases)
    exact = sum(case.output.count(SUBJECT) == case.output.count(OBJECT) == 1 for case in cases)
    assert len(cases) == 101_650
    assert exact - 100 < counts["kept"] <= exact == 58_803
    assert 24_000 < counts["repaired"] < 26_000
    for case in cases:
        if case.repaired.text is None:
            assert case.repaired.reason
        else:
            assert case.repaired.text.count(SUBJECT) == case.repaired.text.count(OBJECT) == 1, case
            assert case.repaired.status != "kept" or case.repaired.text == case.output
    ours = Counter(case.repaired.status for case in cases if case.language in LANGUAGES and case.system != "m2m100_big")
    assert ours["rejected"] < 0.06 * ours.total()


def test_the_benchmark_prints_its_tables(benchmark: ModuleType) -> None:
    made = [benchmark.Case("de", "a", "", text, repair(text)) for text in ("[X] [Y]", "[x] [Y]", "[X]", "[Y]")]
    table = benchmark.table("system", ((case.system, case.repaired.status) for case in made))
    assert "| a | 4 | 1 (25.0%) | 1 (25.0%) | 2 (50.0%) |" in table
    assert "| no [Y] | 1 | [X] |" in benchmark.reasons(made)
    assert benchmark.sample(made, "repaired", 1, 0).splitlines()[-1].strip() == "[X] [Y]"
