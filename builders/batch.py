"""The Batch API as a transport: questions are gathered until all who ask are waiting, then sent as one file.

What was submitted is written to the ledger before and after, so that a killed run finds its batches again: answers
of an earlier batch are collected first, and only what is missing is submitted anew.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from rml_lama.builders.llm import NoAnswerError, OpenAITransport, RefusedError, body_of, mapped_error, read_completion
from rml_lama.builders.request import Answer, Request
from rml_lama.errors import WorkError
from rml_lama.ledger import Ledger, content_key

__all__ = ["BatchTransport"]

logger = logging.getLogger(__name__)

ENDPOINT: Literal["/v1/chat/completions"] = "/v1/chat/completions"
MAX_BYTES = 150 << 20  # of one input file; the providers take 200 MB
MAX_TRIES = 3  # batches a question may be in before it counts as unanswered
QUIET = 0.05  # seconds without a new question after which all who ask are taken to be waiting
_OVER = {"completed", "failed", "expired", "cancelled"}
_MARK = "rml_lama"


@dataclass(slots=True)
class _Waiting:
    """A question, and who waits for it."""

    request: Request
    future: asyncio.Future[Answer]
    tries: int = 0


@dataclass(slots=True)
class BatchTransport:
    """Answers requests by batches; `direct` gives the client and the bodies."""

    direct: OpenAITransport
    ledger: Ledger
    poll_seconds: float
    _waiting: dict[str, _Waiting] = field(default_factory=dict)
    _worker: asyncio.Task[None] | None = None

    async def complete(self, request: Request) -> Answer:
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting[request.key] = _Waiting(request, future)
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work())
        return await future

    async def abandon(self) -> None:
        """Leave submitted batches to the provider; a later run collects them."""
        if self._worker is not None and not self._worker.done():
            self._worker.cancel()
            await asyncio.gather(self._worker, return_exceptions=True)
        self._fail(WorkError("stopped; batches that were submitted go on, and the next run collects them"))

    async def close(self) -> None:
        await self.abandon()
        await self.direct.close()

    async def _work(self) -> None:
        """Collect what earlier runs submitted, then submit and collect until nobody waits."""
        try:
            await self._quiet()
            for digest in list(self._unfinished()):
                await self._collect(digest)
            while self._waiting:
                await self._quiet()
                for part in self._parts():
                    await self._collect(await self._submit(part))
                await asyncio.sleep(0)
        except Exception as error:  # noqa: BLE001 - whoever waits must hear of it, whatever it is
            self._fail(mapped_error(error, self.direct.key))

    async def _quiet(self) -> None:
        """Return when no question has come in for a moment."""
        count = -1
        while count != len(self._waiting):
            count = len(self._waiting)
            await asyncio.sleep(QUIET)

    def _parts(self) -> Iterator[list[_Waiting]]:
        """What waits, in the order of the keys, split so that no file is too large."""
        part: list[_Waiting] = []
        size = 0
        for key in sorted(self._waiting):
            length = len(self._line(self._waiting[key].request))
            if part and size + length > MAX_BYTES:
                yield part
                part, size = [], 0
            part.append(self._waiting[key])
            size += length
        if part:
            yield part

    def _line(self, request: Request) -> bytes:
        row = {"custom_id": request.key, "method": "POST", "url": ENDPOINT, "body": body_of(request, self.direct.structured)}
        return json.dumps(row, ensure_ascii=False).encode() + b"\n"

    async def _submit(self, part: Sequence[_Waiting]) -> str:
        """Submit one batch; its digest. The ledger knows of it before the provider does."""
        keys = [each.request.key for each in part]
        digest = content_key({"keys": keys, "number": sum(key.startswith("batch/") for key in self.ledger)})[:32]
        self.ledger.put(f"batch/{digest}", {"keys": keys})
        for each in part:
            each.tries += 1
        content = b"".join(self._line(each.request) for each in part)
        client = self.direct.client
        file = await client.files.create(file=(f"{digest}.jsonl", content), purpose="batch")
        batch = await client.batches.create(input_file_id=file.id, endpoint=ENDPOINT, completion_window="24h", metadata={_MARK: digest})
        self.ledger.put(f"batch-id/{digest}", batch.id)
        logger.info("submitted the batch %s with %d questions", batch.id, len(part))
        return digest

    def _unfinished(self) -> Iterator[str]:
        for key in self.ledger:
            digest = key.removeprefix("batch/")
            if digest != key and f"batch-over/{digest}" not in self.ledger:
                yield digest

    async def _collect(self, digest: str) -> None:
        """Wait until the batch is over and take in its answers; what it did not answer stays waiting, or is given up."""
        client, batch_id = self.direct.client, await self._batch_id(digest)
        if batch_id is None:
            self.ledger.put(f"batch-over/{digest}", "never submitted")
            return
        while (batch := await client.batches.retrieve(batch_id)).status not in _OVER:
            await asyncio.sleep(self.poll_seconds)
        for file in (batch.output_file_id, batch.error_file_id):
            if file:
                content = await client.files.content(file)
                for line in content.text.splitlines():
                    if line.strip():
                        self._take(json.loads(line))
        self.ledger.put(f"batch-over/{digest}", batch.status)
        faults = "; ".join(str(fault.message) for fault in (batch.errors.data or [])[:3]) if batch.errors else ""
        logger.info("the batch %s is %s%s", batch_id, batch.status, f": {faults}" if faults else "")
        for key in self.ledger.get(f"batch/{digest}")["keys"]:
            if key in self._waiting and self._waiting[key].tries >= MAX_TRIES:
                self._resolve(key, NoAnswerError(f"not answered in {MAX_TRIES} batches; the last is {batch.status} {faults}".strip()))

    async def _batch_id(self, digest: str) -> str | None:
        """The provider's id; a run that was killed between submitting and noting it finds it by its mark."""
        if f"batch-id/{digest}" in self.ledger:
            return str(self.ledger.get(f"batch-id/{digest}"))
        async for batch in self.direct.client.batches.list(limit=100):
            if (batch.metadata or {}).get(_MARK) == digest:
                return str(self.ledger.put(f"batch-id/{digest}", batch.id))
        return None

    def _take(self, row: Mapping[str, Any]) -> None:
        """One line of an output or error file; lines come in any order."""
        key, response = row["custom_id"], row.get("response") or {}
        status = response.get("status_code")
        if status == 200:
            answer = read_completion(response["body"], self.direct.key)
            self.ledger.put(key, answer.record())
            self._resolve(key, answer)
        elif status is not None and 400 <= status < 500 and status not in (408, 409, 429):
            self._resolve(key, RefusedError(f"the endpoint refuses the request: {str(response.get('body'))[:300]}"))

    def _resolve(self, key: str, result: Answer | Exception) -> None:
        waiting = self._waiting.pop(key, None)
        if waiting is None or waiting.future.done():
            return
        if isinstance(result, Answer):
            waiting.future.set_result(result)
        else:
            waiting.future.set_exception(result)

    def _fail(self, error: Exception) -> None:
        for key in list(self._waiting):
            self._resolve(key, error)
