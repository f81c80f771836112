"""A mended sentence is taken only while it is a query of the same fact."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from rml_lama.builders.assemble import queries
from rml_lama.builders.dispatch import Dispatcher
from rml_lama.builders.rewrite import Rewriter, Rewrites, blanked, filled_sentences
from rml_lama.config import GenerateConfig
from rml_lama.ledger import Ledger
from rml_lama.records import Fact, Reject, Template, by_relation
from tests.builders.scripted import Scripted

SWISS = Fact("P36", "Q39", "Q70", {"de": ("Schweiz", "Bern")}, {"de": ("Bern",)}, True, True, "open", "CC0")
TEMPLATES = [
    Template("de", "P36", "Die Hauptstadt von [X] ist [Y].", True, "ist"),
    Template("de", "P36", "[Y] ist die Hauptstadt von [X].", False, "ist"),
]


@pytest.mark.parametrize(
    ("text", "before", "subject", "answer", "language", "cloze"),
    [
        (
            "Die Hauptstadt der Schweiz ist Bern.",
            "Die Hauptstadt von Schweiz ist Bern.",
            "Schweiz",
            "Bern",
            "de",
            "Die Hauptstadt der Schweiz ist [Y].",
        ),
        ("Столицей Франции является Париж.", "Столица Франция — Париж.", "Франция", "Париж", "ru", "Столицей Франции является [Y]."),
        ("フランスの首都はパリです。", "フランスの首都はパリです。", "フランス", "パリ", "ja", "フランスの首都は[Y]です。"),
        ("Mexico City is in Mexico.", "Mexico City is in Mexico.", "Mexico City", "Mexico", "en", "Mexico City is in [Y]."),
        ("เมืองหลวงของฝรั่งเศสคือปารีส", "เมืองหลวงของฝรั่งเศสคือปารีส", "ฝรั่งเศส", "ปารีส", "th", "เมืองหลวงของฝรั่งเศสคือ[Y]"),
    ],
)
def test_the_blank_is_put_where_the_answer_stands(text: str, before: str, subject: str, answer: str, language: str, cloze: str) -> None:
    assert blanked(text, before, subject, answer, language) == cloze


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("Die Hauptstadt der Schweiz ist Zürich.", "answer-lost"),
        ("Die Hauptstadt der Schweiz ist Berne.", "answer-lost"),
        ("Bern, die Hauptstadt der Schweiz, ist Bern.", "answer-doubled"),
        ("Die Hauptstadt [der] Schweiz ist Bern.", "placeholders"),
        ("Die Hauptstadt von Frankreich ist Bern.", "subject-lost"),
        ("Die Hauptstadt der Schweiz ist Bern, eine schöne alte Stadt an der Aare mit vielen Brunnen.", "length"),
        ("Schweiz: Bern.", "length"),
    ],
)
def test_a_sentence_of_another_fact_is_refused(text: str, fault: str) -> None:
    result = blanked(text, "Die Hauptstadt von Schweiz ist Bern.", "Schweiz", "Bern", "de")
    assert isinstance(result, Reject)
    assert result.filter == fault


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "ledger.jsonl") as opened:
        yield opened


def rewrite(ledger: Ledger, *texts: str) -> Rewrites:
    rows = [{"number": number, "text": text} for number, text in enumerate(texts, 1)]
    transport = Scripted([json.dumps({"sentences": rows})])
    rewriter = Rewriter(Dispatcher(ledger, transport, repairs=0), GenerateConfig(model="m", rewrite=("de",)))
    return asyncio.run(rewriter.rewrite(SWISS, "de", TEMPLATES))


def test_mended_and_unchanged_sentences_are_told_apart(ledger: Ledger) -> None:
    made = rewrite(ledger, "Die Hauptstadt der Schweiz ist Bern.", "Bern ist die Hauptstadt von Schweiz.")
    assert made.unchanged == 1
    assert made.rejects == []
    ((key, mended),) = made.found.items()
    assert key == (SWISS.fact_id, TEMPLATES[0].template_id)
    assert (mended.cloze, mended.provenance) == ("Die Hauptstadt der Schweiz ist [Y].", "llm:m-1")
    assert mended.ledger_key in ledger


def test_a_mended_query_takes_the_place_of_the_plain_one(ledger: Ledger) -> None:
    made = rewrite(ledger, "Die Hauptstadt der Schweiz ist Bern.", "Bern ist die Hauptstadt von Schweiz.")
    first, second = queries([SWISS], "de", by_relation(TEMPLATES), made.found)
    assert (first.prompt, first.suffix, first.answer) == ("Die Hauptstadt der Schweiz ist ", ".", "Bern")
    assert (first.provenance, second.provenance) == ("llm:m-1", "authored")
    assert first.query_id == f"{TEMPLATES[0].template_id}-{SWISS.fact_id}", "the query keeps its id"


def test_a_causal_sentence_must_keep_its_answer_at_the_end(ledger: Ledger) -> None:
    made = rewrite(ledger, "Bern heißt die Hauptstadt der schönen Schweiz.", "Bern ist die Hauptstadt von Schweiz.")
    assert [reject.filter for reject in made.rejects] == ["not-causal"]


def test_every_number_must_be_there_once(ledger: Ledger) -> None:
    made = rewrite(ledger, "Die Hauptstadt der Schweiz ist Bern.")
    (reject,) = made.rejects
    assert (reject.filter, reject.item) == ("content", f"rewrite de P36 {SWISS.fact_id}")
    assert "the numbers must be [1, 2], each once; they are [1]" in reject.reason


def test_sentences_are_filled_in_order() -> None:
    assert filled_sentences(SWISS, "de", TEMPLATES) == {
        1: "Die Hauptstadt von Schweiz ist Bern.",
        2: "Bern ist die Hauptstadt von Schweiz.",
    }
