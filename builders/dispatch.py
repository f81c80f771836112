"""Ask many questions at once and never pay twice: ledger, then limits, budget, endpoint, check of the shape, repair.

Every answer goes into the ledger under its request's key before anybody sees it, bad ones too: a run that is killed
asks again only what was in flight. What comes of a question depends on the ledger's answers alone, so that a stopped
and continued run ends like an undisturbed one.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from rml_lama.builders.budget import Budget, Limits
from rml_lama.builders.llm import NoAnswerError, RefusedError, Transport
from rml_lama.builders.request import Answer, AnswerShape, Request, ShapeError, read_answer
from rml_lama.errors import LedgerError, WorkError
from rml_lama.ledger import Ledger

__all__ = ["Dispatcher", "Outcome"]

Shape = TypeVar("Shape", bound=AnswerShape)
Value = TypeVar("Value")
HOPELESS = 20  # requests without an answer, one after the other, after which the endpoint counts as gone


@dataclass(frozen=True, slots=True)
class Outcome(Generic[Value]):
    """What came of a question: a value, or the filter-like name and the reason why there is none."""

    value: Value | None
    answer: Answer | None
    key: str  # of the ledger record that decided
    fault: str = ""  # refusal, shape, content, refused, no-answer
    reason: str = ""


@dataclass(slots=True)
class Dispatcher:
    """Asks through a transport; without one it only replays the ledger."""

    ledger: Ledger
    transport: Transport | None
    limits: Limits = field(default_factory=Limits)
    budget: Budget = field(default_factory=Budget)
    concurrency: int = 8
    repairs: int = 2
    progress: Callable[[int], None] = lambda calls: None
    counts: Counter[str] = field(default_factory=Counter)
    _slots: asyncio.Semaphore = field(init=False)
    _turns: dict[str, asyncio.Lock] = field(default_factory=dict)
    _in_flight: set[asyncio.Task[Answer]] = field(default_factory=set)
    _unwritten: dict[str, Answer] = field(default_factory=dict)
    _written: asyncio.Lock = field(default_factory=asyncio.Lock)
    _misses: int = 0

    def __post_init__(self) -> None:
        self._slots = asyncio.Semaphore(self.concurrency)

    async def ask(self, request: Request, shape: type[Shape], check: Callable[[Shape], Value]) -> Outcome[Value]:
        """Ask, read the answer as `shape`, and make a value of it with `check`; what either raises goes back to the model.

        `check` raises `ShapeError` for an answer that it cannot use. After `repairs` further tries the question ends
        rejected, with the last fault. Raises `BudgetError`, `LedgerError` (replaying, a miss), `EndpointError` or
        `WorkError`; none of them loses an answer.
        """
        for attempt in range(self.repairs + 1):
            try:
                answer = await self._answer(request)
            except RefusedError as error:
                return Outcome(None, None, request.key, "refused", str(error))
            except NoAnswerError as error:
                return Outcome(None, None, request.key, "no-answer", str(error))
            if answer.refusal or answer.finish == "content_filter":
                reason = answer.refusal or "the provider's content filter cut the answer"
                return Outcome(None, answer, request.key, "refusal", " ".join(reason.split())[:200])
            fault = "shape"
            try:
                read = read_answer(answer, shape)
                fault = "content"
                return Outcome(check(read), answer, request.key)
            except ShapeError as error:
                self.counts["repairs"] += attempt < self.repairs
                outcome: Outcome[Value] = Outcome(None, answer, request.key, fault, str(error))
                request = request.after(answer.text, f"This cannot be used: {error}. Answer again, with the JSON object only.")
        return outcome

    async def _answer(self, request: Request) -> Answer:
        """From the ledger, or from the endpoint; a question that is being asked already is waited for."""
        async with self._turns.setdefault(request.key, asyncio.Lock()):
            if request.key in self.ledger:
                self.counts["from the ledger"] += 1
                return Answer.from_record(self.ledger.get(request.key))
            if self.transport is None:
                raise LedgerError(
                    f"the ledger {self.ledger.path} has no answer to {request.about} (key {request.key}); run without --replay"
                )
            await self._slots.acquire()
            try:
                taken = await self.limits.admit(request)
                reserved = await self.budget.reserve(request)
            except BaseException:
                self._slots.release()
                raise
            call = asyncio.ensure_future(self._call(request, self.transport, taken, reserved))
            self._in_flight.add(call)
            call.add_done_callback(self._in_flight.discard)
            # Giving up a question must not take down its call, which may be paid for already.
            return await asyncio.shield(call)

    async def _call(self, request: Request, transport: Transport, taken: int, reserved: float) -> Answer:
        """Ask, and keep what is answered; the slot is free for the next call while the ledger is being written."""
        answer: Answer | None = None
        self.counts["calls"] += 1
        try:
            answer = await transport.complete(request)
        except NoAnswerError as error:
            self._count_miss(error)
            raise
        finally:
            self._slots.release()
            await self.budget.settle(reserved, answer)
        self._misses = 0
        self.limits.correct(taken, answer)
        await self._keep(request.key, answer)
        self.progress(self.counts["calls"])
        return answer

    async def _keep(self, key: str, answer: Answer) -> None:
        """Return when the answer is on the disk; answers that came in meanwhile are written together."""
        self._unwritten[key] = answer
        async with self._written:
            if key in self._unwritten:
                batch, self._unwritten = self._unwritten, {}
                await asyncio.to_thread(self.ledger.put_many, {each: value.record() for each, value in batch.items()})

    def _count_miss(self, error: NoAnswerError) -> None:
        self._misses += 1
        self.counts["no answer"] += 1
        if self._misses >= HOPELESS:
            raise WorkError(f"{HOPELESS} requests in a row got no answer; the last: {error}") from error

    async def drain(self) -> None:
        """Let the calls in flight finish and their answers reach the ledger; what can be collected later is left."""
        if self.transport is not None:
            await self.transport.abandon()
        if self._in_flight:
            await asyncio.gather(*self._in_flight, return_exceptions=True)
