"""Requests have addresses that hold everything that decides an answer; answers are read strictly and complained about clearly."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rml_lama.builders.rephrase import Phrasings
from rml_lama.builders.request import Answer, Message, Request, ShapeError, read_answer, schema_of
from rml_lama.builders.translate import BackTranslation

GOOD = '{"phrasings": [{"text": "The capital of [X] is [Y].", "frame": "capital is", "relation_before_blank": true}]}'


@pytest.fixture
def request_() -> Request:
    parameters = {"temperature": 0.7, "max_tokens": 100, "seed": 1}
    return Request("openai", "m", (Message("user", "Hello"),), Phrasings, "rephrase@1-abcdef", parameters, "a question")


def test_the_key_follows_everything_that_decides_the_answer(request_: Request) -> None:
    changed = [
        replace(request_, provider="other"),
        replace(request_, model="n"),
        replace(request_, messages=(Message("system", "Hello"),)),
        replace(request_, shape=BackTranslation),
        replace(request_, prompt="rephrase@2-abcdef"),
        replace(request_, parameters={**request_.parameters, "seed": 2}),
        request_.after("bad", "Again."),
    ]
    assert len({request_.key, *(each.key for each in changed)}) == 1 + len(changed)
    assert replace(request_, about="other words for people").key == request_.key


def test_a_complaint_carries_the_conversation_on(request_: Request) -> None:
    after = request_.after("{}", "The list is missing.")
    assert [message.role for message in after.messages] == ["user", "assistant", "user"]
    assert after.messages[:1] == request_.messages
    assert after.wire_messages()[-1] == {"role": "user", "content": "The list is missing."}


def test_schemas_forbid_what_they_do_not_name() -> None:
    schema = schema_of(Phrasings)
    assert schema["additionalProperties"] is False
    assert schema["$defs"]["Phrasing"]["additionalProperties"] is False
    assert schema["$defs"]["Phrasing"]["required"] == ["text", "frame", "relation_before_blank"]


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        f"```json\n{GOOD}\n```",
        f"```\n{GOOD}",
        f"Here you are:\n\n{GOOD}\n\nAnything else?",
        "\n " + GOOD,
    ],
)
def test_an_answer_is_found_among_what_models_put_around_it(text: str) -> None:
    read = read_answer(Answer(text, "m"), Phrasings)
    assert read.phrasings[0].frame == "capital is"


@pytest.mark.parametrize(
    ("text", "finish", "message"),
    [
        ("", "stop", "no JSON object"),
        ("I cannot.", "stop", "no JSON object"),
        (GOOD[:-2], "length", "cut off"),
        (GOOD[:-2], "stop", "cannot be read"),
        ('{"translation": "x"}', "stop", "phrasings: Field required"),
        (GOOD.replace("true", '"yes"'), "stop", "phrasings.0.relation_before_blank"),
        (GOOD.replace("true", "1"), "stop", "valid boolean"),
        (GOOD[:-1] + ', "more": 1}', "stop", "more: Extra inputs"),
        ('{"a":' * 5000, "stop", "nested too deeply"),
        ("[1, 2]", "stop", "no JSON object"),
    ],
)
def test_what_is_not_the_shape_is_said_in_words_for_the_model(text: str, finish: str, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        read_answer(Answer(text, "m", finish), Phrasings)


def test_an_answer_survives_the_ledger() -> None:
    answer = Answer("text", "model-2026", "length", "no", 12, 3)
    assert Answer.from_record(answer.record()) == answer
