"""Batches: answers in any order, partial failures, expiry, a refused file, a stop between submitting and noting it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from rml_lama.builders import batch as batches
from rml_lama.builders.batch import BatchTransport
from rml_lama.builders.dispatch import Dispatcher, Outcome
from rml_lama.builders.llm import OpenAITransport, open_client
from rml_lama.builders.request import Message, Request
from rml_lama.builders.translate import BackTranslation
from rml_lama.ledger import Ledger
from tests.builders.conftest import Running
from tests.builders.loopback import Server

KEY = "sk-marked-key-0123456789"


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "ledger.jsonl") as opened:
        yield opened


def question(number: int) -> Request:
    return Request("p", "m", (Message("system", ""), Message("user", f"number {number}")), BackTranslation, "v", {"max_tokens": 20})


def ask(running: Running, ledger: Ledger, requests: Sequence[Request], *, stop: bool = False) -> list[Outcome[str]]:
    """Ask all at once through batches; with `stop`, give up when a batch is submitted, as an interrupted run does."""

    async def submitted() -> None:
        while not any(key.startswith("batch-id/") for key in ledger):
            await asyncio.sleep(0.01)

    async def run() -> list[Outcome[str]]:
        client = open_client(running.base_url, key=KEY, timeout=30, retries=2)
        transport = BatchTransport(OpenAITransport(client, KEY), ledger, poll_seconds=0.01)
        dispatcher = Dispatcher(ledger, transport, concurrency=1000)
        asked = asyncio.gather(*(dispatcher.ask(each, BackTranslation, lambda answer: answer.translation) for each in requests))
        try:
            if stop:
                await submitted()
                asked.cancel()
            return await asked
        finally:
            await dispatcher.drain()
            await transport.close()

    return asyncio.run(run())


def answered(server: Server) -> Counter[int]:
    """How often so many questions were answered: {1: 20} when each of twenty was answered once."""
    return Counter(server.asked.values())


def test_answers_in_any_order_find_their_questions(endpoint: Callable[..., Running], ledger: Ledger) -> None:
    running = endpoint()
    outcomes = ask(running, ledger, [question(number) for number in range(20)])
    assert [outcome.value for outcome in outcomes] == [f"number {number}" for number in range(20)]
    assert len(running.server.batches) == 1
    assert answered(running.server) == {1: 20}


@pytest.mark.parametrize("trouble", ["expire", "partial", "fail"])
def test_only_what_is_missing_is_submitted_again(trouble: str, endpoint: Callable[..., Running], ledger: Ledger) -> None:
    running = endpoint(batch_plan=[trouble])
    outcomes = ask(running, ledger, [question(number) for number in range(20)])
    assert all(outcome.value for outcome in outcomes)
    assert len(running.server.batches) == 2
    assert answered(running.server) == {1: 20}, "no question is answered in two batches"


def test_what_no_batch_answers_is_given_up_with_a_reason(endpoint: Callable[..., Running], ledger: Ledger) -> None:
    running = endpoint(batch_plan=["fail"] * 10)
    (outcome,) = ask(running, ledger, [question(0)])
    assert outcome.fault == "no-answer"
    assert "not answered in 3 batches" in outcome.reason
    assert "the file is not welcome" in outcome.reason


def test_a_complaint_about_a_bad_answer_goes_into_the_next_batch(endpoint: Callable[..., Running], ledger: Ledger) -> None:
    running = endpoint(faults=("invalid-json",), every=1)
    outcomes = ask(running, ledger, [question(number) for number in range(5)])
    assert all(outcome.value for outcome in outcomes)
    assert len(running.server.batches) == 2
    assert answered(running.server) == {1: 10}


def test_a_stopped_run_collects_its_batches_later(endpoint: Callable[..., Running], ledger: Ledger) -> None:
    running = endpoint(batch_looks=10**9)  # the batch is not over while the first run looks
    requests = [question(number) for number in range(10)]
    with pytest.raises(asyncio.CancelledError):
        ask(running, ledger, requests, stop=True)
    assert len(running.server.batches) == 1
    running.server.batch_looks = 2
    assert all(outcome.value for outcome in ask(running, ledger, requests))
    assert len(running.server.batches) == 1, "what was submitted is collected, not submitted again"
    assert answered(running.server) == {1: 10}


def test_a_run_killed_before_it_noted_its_batch_finds_it_by_its_mark(
    endpoint: Callable[..., Running], ledger: Ledger, tmp_path: Path
) -> None:
    running = endpoint(batch_looks=10**9)
    requests = [question(number) for number in range(10)]
    with pytest.raises(asyncio.CancelledError):
        ask(running, ledger, requests, stop=True)
    ledger.close()
    path = tmp_path / "ledger.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(line for line in lines if "batch-id/" not in line), encoding="utf-8")
    running.server.batch_looks = 2
    with Ledger(path) as again:
        assert all(outcome.value for outcome in ask(running, again, requests))
    assert len(running.server.batches) == 1


def test_a_run_killed_before_it_submitted_submits_anew(endpoint: Callable[..., Running], ledger: Ledger) -> None:
    requests = [question(number) for number in range(3)]
    ledger.put("batch/0123", {"keys": [request.key for request in requests]})
    running = endpoint()
    assert all(outcome.value for outcome in ask(running, ledger, requests))
    assert ledger.get("batch-over/0123") == "never submitted"


def test_large_sets_are_split_into_several_files(endpoint: Callable[..., Running], ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "MAX_BYTES", 2000)
    running = endpoint()
    outcomes = ask(running, ledger, [question(number) for number in range(20)])
    assert all(outcome.value for outcome in outcomes)
    assert len(running.server.batches) > 2
    assert all(len(content) <= 2000 for name, content in running.server.files.items() if name.startswith("file-"))


def test_a_wrong_key_fails_everyone_who_waits(endpoint: Callable[..., Running], ledger: Ledger) -> None:
    running = endpoint(batch_status=401)
    with pytest.raises(Exception, match="refuses the API key") as caught:
        ask(running, ledger, [question(number) for number in range(3)])
    assert KEY not in str(caught.value)
