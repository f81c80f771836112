"""Phrasings are asked for until enough are accepted; everything that was offered and not taken is a reject with its reason."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from rml_lama.builders.build import default_filters
from rml_lama.builders.dispatch import Dispatcher
from rml_lama.builders.rephrase import Generated, Rephraser
from rml_lama.builders.request import Answer
from rml_lama.config import GenerateConfig
from rml_lama.ledger import Ledger
from rml_lama.records import Template
from tests.builders.scripted import Scripted

SEEDS = [Template("en", "P36", "The capital of [X] is [Y].", True, "capital is")]
CONFIG = GenerateConfig(model="m", rephrase=("en",), max_rounds=3)


def offer(*phrasings: tuple[str, str, bool]) -> str:
    rows = [{"text": text, "frame": frame, "relation_before_blank": causal} for text, frame, causal in phrasings]
    return json.dumps({"phrasings": rows}, ensure_ascii=False)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "ledger.jsonl") as opened:
        yield opened


def rephrase(ledger: Ledger, transport: Scripted, n: int, *, config: GenerateConfig = CONFIG) -> Generated:
    dispatcher = Dispatcher(ledger, transport, repairs=0)
    return asyncio.run(Rephraser(dispatcher, config, default_filters()).rephrase("P36", "en", SEEDS, n))


SEAT = ("The seat of government of [X] is in [Y].", "seat of government", True)
RULED = ("[X] is governed from the city of [Y].", "governed from", True)
SERVES = ("[Y] serves as the capital of [X].", "serves as", False)


def test_it_stops_when_enough_are_accepted_not_when_enough_were_asked_for(ledger: Ledger) -> None:
    transport = Scripted([offer(SEAT, ("No slots at all.", "none", True)), offer(RULED), offer(SERVES)])
    made = rephrase(ledger, transport, 2)
    assert [template.text for template in made.templates] == [SEAT[0], RULED[0]]
    assert [template.causal for template in made.templates] == [True, True]
    assert len(transport.requests) == 2
    assert [(reject.filter, reject.item) for reject in made.rejects] == [("placeholders", "No slots at all.")]


def test_slots_are_mended_and_provenance_is_kept(ledger: Ledger) -> None:
    made = rephrase(ledger, Scripted([offer(("The  seat of government of 【X】 is in [ y ].", " seat  of government", True))]), 1)
    (template,) = made.templates
    assert (template.text, template.frame) == (SEAT[0], SEAT[1])
    assert template.provenance == "llm:m-1"
    assert template.prompt_version.startswith("rephrase@")
    assert template.ledger_key in ledger


def test_later_rounds_show_what_is_there_and_what_was_refused(ledger: Ledger) -> None:
    question = ("Is the capital of [X] really [Y]?", "capital is", True)
    transport = Scripted([offer(SEAT, question), offer(RULED)])
    rephrase(ledger, transport, 2)
    first, second = (request.messages[1].content for request in transport.requests)
    assert "- The capital of [X] is [Y]." in first
    assert "Write 4 new phrasings" in first
    assert "These were refused" not in first
    assert f"- {SEAT[0]}" in second
    assert "Write 3 new phrasings" in second
    assert f"These were refused (wrong, or too close to another):\n- {question[0]}" in second


@pytest.mark.parametrize(
    ("phrasing", "filter", "reason"),
    [
        (("The capital of [X] is [Y].", "capital is", True), "repeated", "word for word"),
        (("the capital of [X], is: [Y].", "capital is", True), "structure", "the same as en-P36-"),
        (("Is [Y] the capital of [X]?", "capital", False), "structure", "not a statement"),
        (("[X] and [X] have the capital [Y].", "have", True), "placeholders", "[X]"),
        (("The capital of [X] is [Y]", "capital is", True), "structure", "does not end with '.'"),
    ],
)
def test_a_phrasing_that_is_not_taken_says_why(phrasing: tuple[str, str, bool], filter: str, reason: str, ledger: Ledger) -> None:
    made = rephrase(ledger, Scripted([offer(phrasing), offer(SEAT)]), 1)
    assert [template.text for template in made.templates] == [SEAT[0]]
    assert [reject.filter for reject in made.rejects] == [filter]
    assert reason in made.rejects[0].reason


def test_what_comes_after_enough_is_a_reject_too(ledger: Ledger) -> None:
    made = rephrase(ledger, Scripted([offer(SEAT, RULED, SERVES)]), 1)
    assert Counter(reject.filter for reject in made.rejects) == {"enough": 2}


def test_a_phrasing_offered_twice_is_taken_once(ledger: Ledger) -> None:
    made = rephrase(ledger, Scripted([offer(SEAT, SEAT, RULED)]), 2)
    assert [template.text for template in made.templates] == [SEAT[0], RULED[0]]
    assert [reject.filter for reject in made.rejects] == ["repeated"]


def test_what_the_model_calls_causal_must_be_so(ledger: Ledger) -> None:
    boast = ("[Y] is the seat of government of [X].", "seat of government", True)
    (template,) = rephrase(ledger, Scripted([offer(boast)]), 1).templates
    assert not template.causal, "[X] stands after [Y]"


def test_rounds_that_bring_nothing_end_with_rejects(ledger: Ledger) -> None:
    transport = Scripted(["no JSON", Answer("", "m", refusal="No."), '{"phrasings": []}'])
    made = rephrase(ledger, transport, 2)
    assert made.templates == []
    assert [reject.filter for reject in made.rejects] == ["shape", "refusal", "content"]
    assert [reject.item for reject in made.rejects] == [f"rephrase en P36, round {number}" for number in (1, 2, 3)]
    assert len({request.key for request in transport.requests}) == 3, "each round is a question of its own"
