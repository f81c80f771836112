"""The committed facts: complete, labelled, sourced, and the same as the generator's."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from rml_lama.builders.open_decisions import SAME_CITY, same_city
from rml_lama.builders.open_facts import FACTS_FILE, OpenSource
from rml_lama.errors import DataError
from rml_lama.languages import ALL_CODES
from rml_lama.records import Fact


@pytest.fixture(scope="module")
def facts() -> dict[tuple[str, str, str], Fact]:
    return {(fact.relation, fact.subject_id, fact.object_id): fact for fact in OpenSource().facts()}


def test_seven_relations_and_about_1500_facts(facts: dict[tuple[str, str, str], Fact]) -> None:
    counts = Counter(relation for relation, _, _ in facts)
    assert set(counts) == {"P17", "P30", "P36", "P37", "P38", "P47", "P1376"}
    assert 1400 <= sum(counts.values()) <= 2000
    assert sum(fact.parallel for fact in facts.values()) / len(facts) > 0.99


@pytest.mark.parametrize(
    ("relation", "subject", "obj", "labels"),
    [
        ("P36", "iso3166:JP", "tz:Asia/Tokyo", {"en": ("Japan", "Tokyo"), "ja": ("日本", "東京"), "sw": ("Japani", "Tokyo")}),
        ("P36", "iso3166:UA", "tz:Europe/Kyiv", {"uk": ("Україна", "Київ"), "en": ("Ukraine", "Kyiv"), "zh": ("乌克兰", "基辅")}),
        ("P1376", "tz:Africa/Cairo", "iso3166:EG", {"ar": ("القاهرة", "مصر")}),
        ("P36", "iso3166:LY", "tz:Africa/Tripoli", {"fr": ("Libye", "Tripoli")}),
        ("P38", "iso3166:HR", "iso4217:EUR", {"en": ("Croatia", "Euro")}),
        ("P37", "iso3166:CH", "bcp47:de", {"de": ("Schweiz", "Deutsch"), "fr": ("Suisse", "allemand")}),
        ("P30", "iso3166:KE", "m49:002", {"th": ("เคนยา", "แอฟริกา")}),
        ("P47", "iso3166:FR", "iso3166:ES", {"pt": ("França", "Espanha")}),
        ("P17", "tz:America/Bogota", "iso3166:CO", {"es": ("Bogotá", "Colombia")}),
    ],
)
def test_known_facts(
    facts: dict[tuple[str, str, str], Fact], relation: str, subject: str, obj: str, labels: dict[str, tuple[str, str]]
) -> None:
    fact = facts[relation, subject, obj]
    assert {code: fact.labels[code] for code in labels} == labels
    assert fact.license in ("CC-BY-4.0", "Unicode-3.0")


@pytest.mark.parametrize("subject", ["iso3166:BO", "iso3166:ZA", "iso3166:IL", "iso3166:SG"])
def test_contested_capitals_are_left_out(facts: dict[tuple[str, str, str], Fact], subject: str) -> None:
    assert not [key for key in facts if key[0] == "P36" and key[1] == subject]


def test_borders_and_capitals_are_symmetric(facts: dict[tuple[str, str, str], Fact]) -> None:
    for relation, subject, obj in facts:
        if relation == "P47":
            assert ("P47", obj, subject) in facts
        if relation == "P36":
            assert ("P1376", obj, subject) in facts


def test_single_answers_have_one_answer(facts: dict[tuple[str, str, str], Fact]) -> None:
    for fact in facts.values():
        for code in fact.labels:
            assert fact.labels[code][1] in fact.answers[code]
            assert not fact.single_answer or len(fact.answers[code]) == 1


def test_no_label_is_a_code_or_stray(facts: dict[tuple[str, str, str], Fact]) -> None:
    for fact in facts.values():
        for code in ALL_CODES:
            for label, item in zip(fact.labels.get(code, ()), (fact.subject_id, fact.object_id), strict=False):
                assert label == label.strip()
                assert label != item.partition(":")[2] or item.startswith("tz:")


def test_qids_where_known(facts: dict[tuple[str, str, str], Fact]) -> None:
    assert (facts["P36", "iso3166:FR", "tz:Europe/Paris"].subject_qid, facts["P36", "iso3166:FR", "tz:Europe/Paris"].object_qid) == (
        "Q142",
        "Q90",
    )
    assert facts["P30", "iso3166:KE", "m49:002"].object_qid == "Q15"
    assert facts["P37", "iso3166:CH", "bcp47:de"].object_qid == "Q188"
    assert facts["P36", "iso3166:GE", "tz:Asia/Tbilisi"].subject_qid == "Q230", "the country, not the state"
    by_item: dict[str, set[str]] = {}
    for fact in facts.values():
        by_item.setdefault(fact.subject_id, set()).add(fact.subject_qid)
        by_item.setdefault(fact.object_id, set()).add(fact.object_qid)
    assert all(len(qids) == 1 for qids in by_item.values())
    known = sorted(qid for qids in by_item.values() for qid in qids if qid)
    assert len(known) == len(set(known)) > 300


def test_bad_files(tmp_path: Path) -> None:
    file = tmp_path / "open.tsv"
    file.write_text("a\tb\n")
    with pytest.raises(DataError, match="must name the columns"):
        OpenSource(file=file)
    file.write_text(FACTS_FILE.read_text().splitlines()[0] + "\nP36\tx\n")
    with pytest.raises(DataError, match=r"2 columns, not 7.*:2"):
        OpenSource(file=file)
    with pytest.raises(DataError, match="no facts of P19"):
        OpenSource(relations=("P19",))


def test_cities_are_compared_up_to_spelling() -> None:
    assert same_city("Brasília") == same_city("Brasilia")
    assert same_city("St. John's") == same_city("Saint John’s")
    assert same_city("Kiev") == same_city("Kyiv")
    assert all(key == same_city(key) or same_city(key) == value for key, value in SAME_CITY.items())
