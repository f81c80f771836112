"""What may be spent: prices, a ceiling that is never passed, and requests and tokens a minute.

Before a call its highest possible cost is set aside; after it, what it really cost is booked. A call is let out only
while everything booked and set aside stays under the ceiling.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from aiolimiter import AsyncLimiter

from rml_lama.builders.request import Answer, Request
from rml_lama.errors import WorkError

__all__ = ["Budget", "BudgetError", "Limits", "Price", "TokenBucket", "estimated_tokens", "most_tokens"]

_MESSAGE_OVERHEAD = 16  # tokens that chat formats put around a message, at most
_MILLION = 1_000_000


class BudgetError(WorkError):
    """The next call could pass the ceiling."""


@dataclass(frozen=True, slots=True)
class Price:
    """Dollars per million tokens."""

    prompt: float = 0.0
    completion: float = 0.0

    def of(self, prompt_tokens: int, completion_tokens: int) -> float:
        """Dollars for so many tokens.

        >>> Price(prompt=2.0, completion=8.0).of(500_000, 250_000)
        3.0
        """
        return (self.prompt * prompt_tokens + self.completion * completion_tokens) / _MILLION


def most_tokens(request: Request) -> tuple[int, int]:
    """Prompt and completion tokens that the request cannot exceed: a token holds at least one byte of UTF-8."""
    prompt = sum(len(message.content.encode()) + _MESSAGE_OVERHEAD for message in request.messages)
    return prompt, int(request.parameters.get("max_tokens", 4096))


@dataclass(slots=True)
class Budget:
    """Dollars spent and set aside, under an optional ceiling."""

    price: Price = field(default_factory=Price)
    ceiling: float | None = None
    spent: float = 0.0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    _aside: float = 0.0
    _in_flight: int = 0
    _settled: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def reserve(self, request: Request) -> float:
        """Set aside the most that the call can cost, waiting for calls in flight where they may free enough.

        Raises `BudgetError` when the ceiling would be passed even if every call in flight cost nothing.
        """
        most = self.price.of(*most_tokens(request))
        if self.ceiling is None:
            return most
        async with self._settled:
            while self.spent + self._aside + most > self.ceiling:
                if self.spent + most > self.ceiling or not self._in_flight:
                    raise BudgetError(f"the next call may cost ${most:.4f}; ${self.spent:.4f} of ${self.ceiling:.2f} are spent")
                await self._settled.wait()
            self._aside += most
            self._in_flight += 1
        return most

    async def settle(self, reserved: float, answer: Answer | None) -> None:
        """Book what the call cost (nothing known, when there was no answer) and free what was set aside for it."""
        if answer is not None:
            self.prompt_tokens += answer.prompt_tokens
            self.completion_tokens += answer.completion_tokens
            self.spent += self.price.of(answer.prompt_tokens, answer.completion_tokens)
        if self.ceiling is not None:
            async with self._settled:
                self._in_flight -= 1
                self._aside = self._aside - reserved if self._in_flight else 0.0
                self._settled.notify_all()


@dataclass(slots=True)
class TokenBucket:
    """At most `rate` tokens a minute, with a burst of one tenth of it; tokens are taken by estimate and corrected after."""

    rate: float
    clock: Callable[[], float] = time.monotonic
    _level: float = field(init=False)
    _last: float = field(init=False)
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    def __post_init__(self) -> None:
        self._level, self._last = self.rate / 10, self.clock()

    async def take(self, tokens: int) -> None:
        """Wait until so many tokens may be sent. A request larger than the burst waits for a full bucket, then goes into debt."""
        async with self._turn:
            wanted = min(float(tokens), self.rate / 10)
            while self._refilled() < wanted:
                await asyncio.sleep((wanted - self._level) * 60 / self.rate)
            self._level -= tokens

    def correct(self, taken: int, used: int) -> None:
        """Give back what was taken too much, or take what was missing."""
        self._level += taken - used

    def _refilled(self) -> float:
        now = self.clock()
        self._level = min(self.rate / 10, self._level + (now - self._last) * self.rate / 60)
        self._last = now
        return self._level


class Limits:
    """Requests and tokens a minute; 0 is no limit."""

    def __init__(self, *, requests_per_minute: int = 0, tokens_per_minute: int = 0) -> None:
        # One second's share at a time, so that no minute holds more than the limit and one second's burst.
        share = max(1.0, requests_per_minute / 60)
        self._requests = AsyncLimiter(share, share * 60 / requests_per_minute) if requests_per_minute else None
        self._tokens = TokenBucket(tokens_per_minute) if tokens_per_minute else None

    async def admit(self, request: Request) -> int:
        """Wait for the request's turn; the number of tokens taken for it."""
        estimate = estimated_tokens(request)
        if self._tokens is not None:
            await self._tokens.take(estimate)
        if self._requests is not None:
            await self._requests.acquire()
        return estimate

    def correct(self, taken: int, answer: Answer) -> None:
        """Replace the estimate by what the provider counted."""
        if self._tokens is not None and answer.prompt_tokens:
            self._tokens.correct(taken, answer.prompt_tokens + answer.completion_tokens)


def estimated_tokens(request: Request) -> int:
    """A fair guess: a token for three bytes of the prompt, and half of the completion allowed."""
    prompt, completion = most_tokens(request)
    return prompt // 3 + completion // 2
