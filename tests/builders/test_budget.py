"""The ceiling is never passed, whatever is in flight; limits hold requests and tokens back, and no longer than needed."""

from __future__ import annotations

import asyncio
import random

import pytest

from rml_lama.builders.budget import Budget, BudgetError, Limits, Price, TokenBucket, estimated_tokens, most_tokens
from rml_lama.builders.request import Answer, Message, Request
from rml_lama.builders.translate import BackTranslation


def question(text: str = "x" * 84, max_tokens: int = 100) -> Request:
    return Request("p", "m", (Message("user", text),), BackTranslation, "v", {"max_tokens": max_tokens})


def test_most_tokens_is_a_bound_in_bytes() -> None:
    assert most_tokens(question("ab")) == (2 + 16, 100)
    assert most_tokens(question("日本")) == (6 + 16, 100)
    assert estimated_tokens(question("x" * 84)) == 100 // 3 + 50


def test_the_ceiling_holds_with_many_calls_in_flight() -> None:
    price = Price(prompt=1_000_000, completion=1_000_000)  # a dollar a token
    budget = Budget(price, ceiling=1000.0)
    generator = random.Random(0)
    seen: list[float] = []

    async def call() -> bool:
        try:
            reserved = await budget.reserve(question())  # at most 200 dollars
        except BudgetError:
            return False
        await asyncio.sleep(generator.random() / 100)
        await budget.settle(reserved, Answer("", "m", prompt_tokens=20, completion_tokens=generator.randrange(30)))
        seen.append(budget.spent)
        return True

    async def run() -> list[bool]:
        return await asyncio.gather(*(call() for _ in range(60)))

    made = asyncio.run(run())
    assert max(seen) <= 1000
    assert 0 < sum(made) < 60
    assert budget.spent > 1000 - 200, "it stops only when the next call could pass the ceiling"


def test_a_call_without_an_answer_frees_what_was_set_aside() -> None:
    budget = Budget(Price(1_000_000, 1_000_000), ceiling=200.0)

    async def run() -> None:
        for _ in range(5):
            await budget.settle(await budget.reserve(question()), None)

    asyncio.run(run())
    assert budget.spent == 0


def test_a_question_dearer_than_the_ceiling_is_refused_at_once() -> None:
    budget = Budget(Price(1_000_000, 1_000_000), ceiling=199.0)
    with pytest.raises(BudgetError, match=r"the next call may cost \$200.0000; \$0.0000 of \$199.00"):
        asyncio.run(budget.reserve(question()))


def test_without_a_ceiling_nothing_waits_and_tokens_are_counted() -> None:
    budget = Budget(Price(prompt=2.0, completion=8.0))

    async def run() -> None:
        await budget.settle(await budget.reserve(question()), Answer("", "m", prompt_tokens=500_000, completion_tokens=250_000))

    asyncio.run(run())
    assert (budget.prompt_tokens, budget.completion_tokens, budget.spent) == (500_000, 250_000, 3.0)


class Clock:
    """Time that passes only in `sleep`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        real = asyncio.sleep

        async def sleep(seconds: float) -> None:
            self.now += max(seconds, 0)
            await real(0)

        monkeypatch.setattr(asyncio, "sleep", sleep)

    def __call__(self) -> float:
        return self.now


def test_tokens_a_minute_are_kept_to(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    bucket = TokenBucket(6000, clock)

    async def run() -> None:
        for _ in range(100):
            await bucket.take(300)

    asyncio.run(run())
    # 30,000 tokens at 6,000 a minute take five minutes, less the burst of 600 with which the bucket begins.
    assert clock.now == pytest.approx((30_000 - 600) / 100, rel=1e-6)


def test_a_request_larger_than_the_burst_goes_into_debt_and_is_paid_for(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    bucket = TokenBucket(6000, clock)

    async def run() -> None:
        await bucket.take(5000)
        await bucket.take(1)

    asyncio.run(run())
    assert clock.now == pytest.approx((5000 - 600 + 1) / 100, rel=1e-6)


def test_estimates_are_corrected_by_what_was_used(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    bucket = TokenBucket(6000, clock)

    async def run() -> None:
        for _ in range(10):
            await bucket.take(600)
            bucket.correct(600, 60)

    asyncio.run(run())
    assert clock.now == pytest.approx(9 * 60 / 100, rel=1e-6), "only what was really used is waited for"


def test_requests_a_minute_are_kept_to() -> None:
    limits = Limits(requests_per_minute=1200)  # 20 a second

    async def run() -> float:
        loop = asyncio.get_running_loop()
        start = loop.time()
        for _ in range(50):
            await limits.admit(question())
        return loop.time() - start

    assert asyncio.run(run()) >= (50 - 20) / 20 * 0.95, "after one second's burst, 20 a second"
