"""Every answer reaches the ledger before it is used, no question is paid for twice, and every one ends with a value or a reason."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rml_lama.builders.budget import Budget, BudgetError, Price
from rml_lama.builders.dispatch import HOPELESS, Dispatcher, Outcome
from rml_lama.builders.llm import EndpointError, NoAnswerError, RefusedError
from rml_lama.builders.request import Answer, Message, Request, ShapeError
from rml_lama.builders.translate import BackTranslation
from rml_lama.errors import LedgerError, WorkError
from rml_lama.ledger import Ledger
from tests.builders.scripted import GOOD, Scripted


def question(number: int = 0) -> Request:
    return Request("p", "m", (Message("user", f"number {number}"),), BackTranslation, "v", {"max_tokens": 20}, f"question {number}")


def value_of(answer: BackTranslation) -> str:
    if answer.translation == "bad":
        raise ShapeError("it is bad")
    return answer.translation


def ask(dispatcher: Dispatcher, *requests: Request) -> list[Outcome[str]]:
    async def run() -> list[Outcome[str]]:
        try:
            return await asyncio.gather(*(dispatcher.ask(request, BackTranslation, value_of) for request in requests))
        finally:
            await dispatcher.drain()

    return asyncio.run(run())


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "ledger.jsonl") as opened:
        yield opened


def test_an_answer_is_in_the_ledger_and_is_not_asked_for_again(ledger: Ledger) -> None:
    transport = Scripted()
    first = ask(Dispatcher(ledger, transport), question())
    again = ask(Dispatcher(ledger, transport), question())
    assert first == again
    assert first[0].value == "yes"
    assert first[0].key == question().key
    assert transport.asked == {question().key: 1}


def test_equal_questions_at_once_are_one_call(ledger: Ledger) -> None:
    transport = Scripted(pause=0.01)
    outcomes = ask(Dispatcher(ledger, transport), *[question()] * 10)
    assert [outcome.value for outcome in outcomes] == ["yes"] * 10
    assert transport.asked.total() == 1


def test_a_bad_answer_goes_back_with_the_complaint_and_both_are_kept(ledger: Ledger) -> None:
    transport = Scripted(["not JSON", '{"translation": "bad"}', GOOD])
    dispatcher = Dispatcher(ledger, transport, repairs=2)
    (outcome,) = ask(dispatcher, question())
    assert outcome.value == "yes"
    assert len(ledger) == 3
    assert dispatcher.counts["repairs"] == 2
    assert outcome.key != question().key, "the record that decided is the last one"


def test_the_complaint_names_what_was_wrong(ledger: Ledger) -> None:
    transport = Scripted(['{"translation": "bad"}'])
    ask(Dispatcher(ledger, transport), question())
    messages = transport.requests[1].messages
    assert [message.role for message in messages] == ["user", "assistant", "user"]
    assert messages[2].content == "This cannot be used: it is bad. Answer again, with the JSON object only."


@pytest.mark.parametrize(
    ("script", "fault", "reason"),
    [
        (["no"] * 3, "shape", "no JSON object"),
        (['{"translation": "bad"}'] * 3, "content", "it is bad"),
        ([Answer("", "m", refusal="I   will not.")], "refusal", "I will not."),
        ([Answer("{", "m", finish="content_filter")], "refusal", "content filter"),
        ([RefusedError("bad request")], "refused", "bad request"),
        ([NoAnswerError("gone")], "no-answer", "gone"),
    ],
)
def test_a_question_that_fails_ends_with_a_fault_and_a_reason(
    script: list[str | Answer | Exception], fault: str, reason: str, ledger: Ledger
) -> None:
    (outcome,) = ask(Dispatcher(ledger, Scripted(script), repairs=2), question())
    assert outcome.value is None
    assert outcome.fault == fault
    assert reason in outcome.reason


def test_what_got_no_answer_is_asked_again_by_the_next_run(ledger: Ledger) -> None:
    transport = Scripted([NoAnswerError("gone")])
    assert ask(Dispatcher(ledger, transport), question())[0].value is None
    assert ask(Dispatcher(ledger, transport), question())[0].value == "yes"


def test_an_endpoint_that_is_gone_stops_the_run(ledger: Ledger) -> None:
    transport = Scripted([NoAnswerError("down")] * 1000)
    with pytest.raises(WorkError, match=f"{HOPELESS} requests in a row got no answer; the last: down"):
        ask(Dispatcher(ledger, transport, concurrency=4), *map(question, range(100)))


def test_a_wrong_key_stops_the_run_at_once(ledger: Ledger) -> None:
    transport = Scripted([EndpointError("wrong key")])
    with pytest.raises(EndpointError, match="wrong key"):
        ask(Dispatcher(ledger, transport, concurrency=1), question())


def test_no_more_calls_in_flight_than_asked_for(ledger: Ledger) -> None:
    transport = Scripted(pause=0.005)
    ask(Dispatcher(ledger, transport, concurrency=7), *map(question, range(60)))
    assert transport.most_open == 7
    assert transport.asked.total() == 60


def test_the_ceiling_stops_the_run_and_keeps_every_answer(ledger: Ledger) -> None:
    budget = Budget(Price(1_000_000, 1_000_000), ceiling=500.0)  # a call costs 20 and at most 45
    transport = Scripted(pause=0.001)
    with pytest.raises(BudgetError, match=r"of \$500.00 are spent"):
        ask(Dispatcher(ledger, transport, budget=budget, concurrency=5), *map(question, range(100)))
    assert budget.spent <= 500
    assert budget.spent == 20 * len(ledger), "what is paid for is kept"
    assert len(ledger) >= 20


def test_a_replay_asks_nothing_and_names_what_is_missing(ledger: Ledger) -> None:
    ask(Dispatcher(ledger, Scripted()), question(1))
    replay = Dispatcher(ledger, None)
    assert ask(replay, question(1))[0].value == "yes"
    with pytest.raises(LedgerError, match=f"no answer to question 2 \\(key {question(2).key}\\)"):
        ask(replay, question(2))


def test_giving_up_a_question_does_not_lose_its_answer(ledger: Ledger) -> None:
    transport = Scripted(pause=0.05)
    dispatcher = Dispatcher(ledger, transport)

    async def run() -> None:
        task = asyncio.create_task(dispatcher.ask(question(), BackTranslation, value_of))
        await asyncio.sleep(0.01)
        task.cancel()
        await dispatcher.drain()

    asyncio.run(run())
    assert question().key in ledger
    assert transport.abandoned


def test_answers_that_come_together_are_written_together(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    writes: list[int] = []
    put_many: Callable[..., None] = Ledger.put_many

    def counted(self: Ledger, answers: dict[str, object]) -> None:
        writes.append(len(answers))
        put_many(self, answers)

    monkeypatch.setattr(Ledger, "put_many", counted)
    ask(Dispatcher(ledger, Scripted(pause=0.01), concurrency=50), *map(question, range(50)))
    assert sum(writes) == 50
    assert len(writes) < 50
