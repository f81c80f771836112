"""A transport that plays answers and errors in turn, for tests that need no server."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field

from rml_lama.builders.request import Answer, Request

GOOD = '{"translation": "yes"}'


@dataclass
class Scripted:
    """Plays the script, then goes on with good answers; remembers what was asked."""

    script: list[str | Answer | Exception] = field(default_factory=list)
    pause: float = 0.0
    asked: Counter[str] = field(default_factory=Counter)
    requests: list[Request] = field(default_factory=list)
    open: int = 0
    most_open: int = 0
    abandoned: bool = False

    async def complete(self, request: Request) -> Answer:
        self.asked[request.key] += 1
        self.requests.append(request)
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        await asyncio.sleep(self.pause)
        self.open -= 1
        turn = self.script.pop(0) if self.script else GOOD
        if isinstance(turn, Exception):
            raise turn
        return turn if isinstance(turn, Answer) else Answer(turn, "m-1", prompt_tokens=10, completion_tokens=10)

    async def abandon(self) -> None:
        self.abandoned = True

    async def close(self) -> None: ...
