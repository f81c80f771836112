"""Planted faults are what they say, drawn by seed; and the filters without a model find what they must, on real phrasings."""

from __future__ import annotations

import pytest

from rml_lama.builders.bank import read_bank
from rml_lama.languages import ALL_CODES
from rml_lama.records import Template
from rml_lama.validation.labels import default_answers
from rml_lama.validation.planted import KINDS, SIBLINGS, SYMMETRIC, plant
from rml_lama.validation.presets import Resources, make_filters
from rml_lama.validation.references import References
from rml_lama.validation.runner import judge_all
from rml_lama.validation.slots import swapped

BANK = read_bank()
SAMPLE = BANK[::53]
LABELS = {key: [("", answer) for answer in sorted(answers)] for key, answers in default_answers().items()}


def test_siblings_are_ours_and_no_language_is_its_own() -> None:
    assert set(SIBLINGS) == set(ALL_CODES)
    assert all(code != sibling and sibling in ALL_CODES for code, sibling in SIBLINGS.items())


@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_is_planted_by_seed_and_changes_the_phrasing(kind: str) -> None:
    first = plant(kind, SAMPLE, LABELS, seed=0, bank=BANK)
    assert first == plant(kind, SAMPLE, LABELS, seed=0, bank=BANK)
    assert len(first) > len(SAMPLE) / 4
    own = {(template.language, template.text) for template in BANK}
    if kind not in ("other relation", "slots swapped"):  # P36 with its slots swapped is a phrasing of P1376
        assert not [one for one in first if (one.language, one.text) in own]
    own_relation = {(template.language, template.relation, template.text) for template in BANK}
    assert not [one for one in first if (one.language, one.relation, one.text) in own_relation]


def test_swaps_leave_out_what_is_symmetric() -> None:
    assert not [one for one in plant("slots swapped", SAMPLE, {}, seed=0) if one.relation in SYMMETRIC]
    for one in plant("slots swapped", SAMPLE[:20], {}, seed=0):
        assert swapped(one.text) in {old.text for old in SAMPLE}


@pytest.mark.parametrize(
    ("kind", "least"),
    [
        ("other language", 0.97),
        ("sibling language", 0.93),
        ("English left", 0.97),
        ("slots swapped", 0.4),
        ("slot missing or doubled", 1.0),
        ("answer leaked", 0.9),
        ("negated", 0.97),
        ("question", 1.0),
        ("truncated", 0.97),
        ("mixed script", 1.0),
    ],
)
def test_light_filters_find_it(kind: str, least: float) -> None:
    """A sample; the whole bank is in docs/validation.md (`benchmarks/validation.py faults`)."""
    filters = make_filters("light", Resources(References(BANK), default_answers()))
    planted = plant(kind, SAMPLE, LABELS, seed=1, bank=BANK)
    judged = [one for template in planted for one in judge_all([template], filters)]
    assert sum(not one.passed for one in judged) >= least * len(judged)


def test_a_language_in_which_nothing_can_be_planted_is_left_out() -> None:
    assert plant("English left", [Template("en", "P36", "The capital of [X] is [Y].", True)], {}, seed=0) == []
    assert plant("answer leaked", SAMPLE, {}, seed=0) == []
