"""The filters that ask models, with small models made here: what they compare, and that nothing but the content counts."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rml_lama.builders.bank import read_bank
from rml_lama.errors import DataError
from rml_lama.ledger import Ledger
from rml_lama.records import Template
from rml_lama.validation.base import Context, Filter
from rml_lama.validation.embedding import Vectors, readable
from rml_lama.validation.fluency import Fluency, Likelihoods, draw_facts
from rml_lama.validation.memo import Memo
from rml_lama.validation.paraphrase import Diversity, Paraphrase, same_meaning
from rml_lama.validation.presets import Resources, make_filters
from rml_lama.validation.prototypes import Prototypes, fit_prototypes, load_prototypes, save_prototypes
from rml_lama.validation.references import References
from rml_lama.validation.relation import CausalPrefix, RelationMargin, prefix
from rml_lama.validation.runner import judge_all

BANK = read_bank(("en", "de"))
NOTHING = Context()
FACTS = {(one.language, one.relation): [("France", "Paris")] for one in BANK}


class Grams:
    """Counts character trigrams into a few buckets: texts with the same words are near each other."""

    name = "grams"

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        self.asked += texts
        rows = np.zeros((len(texts), 256), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            for start in range(len(text) - 2):
                row[sum(map(ord, text[start : start + 3])) * 31 % 256] += 1
            row /= max(float(np.linalg.norm(row)), 1e-9)
        return rows


class Lengths:
    """A language model to which every character costs one nat, and a q ten."""

    name = "lengths"

    def __init__(self) -> None:
        self.calls = 0

    def log_likelihoods(self, groups: Sequence[Sequence[str]]) -> list[list[float]]:
        self.calls += 1
        return [[-float(len(text) + 9 * text.count("q")) for text in texts] for texts in groups]


def vectors() -> Vectors:
    return Vectors("grams", Memo(), Grams())


def prototypes(found: Vectors) -> Prototypes:
    return fit_prototypes("grams", [(one.language, one.relation) for one in BANK], found.of([one.text for one in BANK]))


def template(text: str, relation: str = "P36", language: str = "en", causal: bool = True) -> Template:
    return Template(language, relation, text, causal)


def test_the_margin_by_hand() -> None:
    found = Prototypes("m", ("P1", "P2"), np.array([[2.0, 0.0], [0.0, 2.0]]), np.array([2, 2]), np.eye(2), {"en": np.zeros(2)})
    margin = found.margin(np.array([0.6, 0.8]), "en", "P1")
    assert margin is not None
    assert (margin.own, margin.score, margin.rival) == (0.6, -0.2, "P2")
    member = found.margin(np.array([1.0, 0.0]), "en", "P1", member_of=["P1"])
    assert member is not None
    assert member.own == 1.0  # what is left of the sum is the other half
    assert found.margin(np.array([1.0, 0.0]), "en", "P9") is None
    assert found.margin(np.array([1.0, 0.0]), "xx", "P1") is not None


def test_the_language_is_taken_off_first() -> None:
    """Two languages, each with a large part of its own: only without it do the relations show."""
    draw = np.random.default_rng(0)
    relation, language = (
        {"P1": draw.normal(size=16), "P2": draw.normal(size=16)},
        {"en": 9 * draw.normal(size=16), "de": 9 * draw.normal(size=16)},
    )
    rows = [(code, name) for code in language for name in relation for _ in range(20)]
    raw = np.stack([language[code] + relation[name] + 0.1 * draw.normal(size=16) for code, name in rows])
    unit = raw / np.linalg.norm(raw, axis=1, keepdims=True)
    found = fit_prototypes("m", rows, unit)
    margins = [found.margin(vector, code, name) for (code, name), vector in zip(rows, unit, strict=True)]
    assert all(margin is not None and margin.score > 0.5 for margin in margins)


def test_prototypes_are_kept_as_text(tmp_path: Path) -> None:
    fitted = prototypes(vectors())
    save_prototypes(fitted, tmp_path / "p.json", bank="0")
    read = load_prototypes(tmp_path / "p.json")
    assert read.relations == fitted.relations
    assert np.allclose(read.sums, fitted.sums, rtol=1e-3, atol=1e-3)
    (tmp_path / "bad.json").write_text("{}")
    with pytest.raises(DataError, match="not prototypes"):
        load_prototypes(tmp_path / "bad.json")


def test_a_phrasing_of_another_relation_is_refused() -> None:
    found = vectors()
    check = RelationMargin(found, prototypes(found), References(BANK), 0.0)
    right = [check.check(one, NOTHING) for one in BANK if one.relation in ("P36", "P103", "P1303")]
    wrong = [check.check(template(one.text, "P36", one.language), NOTHING) for one in BANK if one.relation in ("P103", "P1303")]
    assert np.mean([verdict.score for verdict in right]) > np.mean([verdict.score for verdict in wrong]) + 0.2
    assert np.mean([verdict.passed for verdict in right]) > 0.4  # trigrams are a poor embedder
    assert np.mean([verdict.passed for verdict in wrong]) < 0.1
    assert wrong[0].reason.startswith("nearest other relation: P")
    assert math.isnan(check.check(template("[X] [Y]", "P9999"), NOTHING).score)


def test_a_causal_phrasing_is_judged_by_its_beginning() -> None:
    found = vectors()
    check = CausalPrefix(found, prototypes(found), 0.0)
    assert prefix(template("The capital of [X] is [Y], a city.")) == "The capital of [X] is"
    assert check.check(template("The capital city of [X] is [Y]."), NOTHING).passed
    assert math.isnan(check.check(template("[Y] is the capital of [X].", causal=False), NOTHING).score)


def test_paraphrases_are_near_their_references() -> None:
    check = Paraphrase(References(BANK), vectors(), 0.0)
    near, far = template("The capital city of [X] is [Y]."), template("[X] plays the [Y].")
    assert check.check(near, NOTHING).score > check.check(far, NOTHING).score
    assert math.isnan(check.check(template("[X] [Y]", language="fr"), NOTHING).score)
    same, other = same_meaning([("he was born", "he was born"), ("he was born", "xyz")], vectors())
    assert same == pytest.approx(1.0, abs=1e-3)
    assert other < 0.5


def test_of_two_near_duplicates_the_longer_is_refused_in_any_order() -> None:
    first, second = template("The capital of [X] is [Y]."), template("The capital of [X] is: [Y].")
    for order in ([first, second], [second, first]):
        judged = judge_all(order, [Diversity(80.0)])
        assert {one.template.text: one.passed for one in judged} == {first.text: True, second.text: False}


def test_fluency_is_measured_against_the_other_phrasings_filled_alike() -> None:
    references = References([template("The capital of [X] is [Y]."), template("[X] is ruled from [Y].")])
    facts = {("en", "P36"): [("France", "Paris"), ("Italy", "Rome"), ("Kyrgyzstan" * 5, "Bishkek")]}
    check = Fluency(references, Likelihoods(Lengths(), Memo()), -20.0, {"default": -1.0}, draw_facts(facts))
    usual, odd = check.check(template("The city of [X] is [Y]."), NOTHING), check.check(template("Qqqq of [X] qq [Y]."), NOTHING)
    assert usual.score == 0.0, "as long as it is, at a nat a character"
    assert usual.passed
    assert odd.score == -45.0, "nine nats more for each of five letters"
    assert not odd.passed
    assert odd.reason == "-68.0 nats, -23.0 expected from the median of 2 others"


def test_a_longer_phrasing_is_not_less_fluent_for_its_length() -> None:
    references = References([template("[X]: [Y]."), template("The capital of [X] is [Y].")])
    for slope, score in ((-1.0, 0.0), (-0.5, -15.25)):
        check = Fluency(references, Likelihoods(Lengths(), Memo()), -1.0, {"default": 0.0, "en": slope}, {("en", "P36"): [("a", "b")]})
        long = template("It is well known that the capital of [X] is [Y].")
        assert check.check(long, NOTHING).score == score


def test_fluency_needs_facts_and_another_phrasing() -> None:
    facts = {("en", "P36"): [("France", "Paris")]}
    for references, known, why in ((References(()), facts, "no other phrasing"), (References(BANK), {}, "no facts of en P36")):
        verdict = Fluency(references, Likelihoods(Lengths(), Memo()), -0.5, {"default": -1.0}, known).check(template("[X] [Y]"), NOTHING)
        assert math.isnan(verdict.score)
        assert verdict.passed
        assert why in verdict.reason


def test_what_was_asked_is_never_asked_again(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.jsonl") as ledger:
        model = Grams()
        first = Vectors("grams", Memo(ledger), model).of(["[X] is [Y].", "[X] was [Y].", "[x] IS [Y]"])
        assert sorted(model.asked) == sorted({readable("[X] is [Y]."), readable("[X] was [Y]."), readable("[x] IS [Y]")})
    with Ledger(tmp_path / "ledger.jsonl") as ledger:
        again = Grams()
        assert np.array_equal(Vectors("grams", Memo(ledger), again).of(["[X] is [Y].", "[X] was [Y].", "[x] IS [Y]"]), first)
        assert again.asked == []


def filters() -> list[Filter]:
    found, references = vectors(), References(BANK)
    proto = prototypes(found)
    return [
        *make_filters("light", Resources(references)),
        RelationMargin(found, proto, references, 0.0),
        CausalPrefix(found, proto, 0.0),
        Paraphrase(references, found, 0.0),
        Fluency(references, Likelihoods(Lengths(), Memo()), -1.0, {"default": -1.0}, FACTS),
    ]


FILTERS = filters()
ROWS = [template(one.text, one.relation, one.language, one.causal) for one in BANK[::11]]
EXPECTED = {one.template.template_id: repr(one.verdicts) for one in judge_all(ROWS, FILTERS)}


@settings(max_examples=15, deadline=None)
@given(st.permutations(range(len(ROWS))), st.integers(1, 7))
def test_neither_order_nor_batch_changes_a_verdict(order: list[int], size: int) -> None:
    """Whole sets stay together, since `structure` and `diversity` compare the members of a set."""
    rows = sorted((ROWS[place] for place in order), key=lambda one: one.relation)
    relations = list(dict.fromkeys(one.relation for one in rows))
    for start in range(0, len(relations), size):
        part = [one for one in rows if one.relation in relations[start : start + size]]
        for judged in judge_all(part, FILTERS):
            mine = [verdict for verdict in judged.verdicts if verdict.filter != "structure"]
            assert all(repr(verdict) in EXPECTED[judged.template.template_id] for verdict in mine)


def test_another_process_says_the_same(tmp_path: Path) -> None:
    rows = [{"language": one.language, "relation": one.relation, "template": one.text} for one in ROWS[:12]]
    file = tmp_path / "rows.jsonl"
    for name, order in (("a", rows), ("b", rows[::-1])):
        file.write_text("".join(json.dumps(row) + "\n" for row in order))
        command = [sys.executable, "-m", "rml_lama.cli", "validate", "--templates", str(file), "--out", str(tmp_path / name)]
        subprocess.run(command, check=True, capture_output=True)
    first, second = ((tmp_path / name / "scores.jsonl").read_text().splitlines() for name in ("a", "b"))
    assert first == second[::-1]
