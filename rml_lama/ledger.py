"""An append-only, content-addressed store of paid or slow answers: one JSON line each, for resuming and replaying.

A record is written whole, flushed and synced before `put` returns. A torn last line (the process was killed while
writing) is dropped with a warning at the next opening; a damaged line anywhere else is an error. An exclusive file
lock is held during each write, so several processes of one machine may share a ledger.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from rml_lama.errors import LedgerError

__all__ = ["Ledger", "content_key"]

logger = logging.getLogger(__name__)


def content_key(request: Mapping[str, Any]) -> str:
    """The address of an answer: the SHA-256 of its request's canonical JSON.

    >>> content_key({"a": 1, "b": 2}) == content_key({"b": 2, "a": 1})
    True
    """
    canonical = json.dumps(request, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


class Ledger:
    """Answers by content key, kept in the JSONL file at `path`. The first answer of a key stands for good."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._answers: dict[str, Any] = {}
        self._position = 0  # up to here the file is known
        self._file = path.open("ab+")
        try:
            with self._locked():
                self._read_new()
        except LedgerError:
            self._file.close()
            raise

    def __len__(self) -> int:
        return len(self._answers)

    def __contains__(self, key: object) -> bool:
        return key in self._answers

    def __iter__(self) -> Iterator[str]:
        return iter(self._answers)

    def get(self, key: str) -> Any:
        """The answer stored under `key`. Raises `LedgerError`, which names the key, when there is none."""
        if key not in self._answers:
            raise LedgerError(f"the ledger {self.path} has no answer for {key}; run without --replay to ask for it")
        return self._answers[key]

    def put(self, key: str, answer: Any) -> Any:
        """Store an answer and return the one that stands: the earlier one, if another process was first."""
        self.put_many({key: answer})
        return self._answers[key]

    def put_many(self, answers: Mapping[str, Any]) -> None:
        """Store several answers with one write and one sync; those whose key is there already are passed over."""
        with self._locked():
            self._read_new()
            new = {key: answer for key, answer in answers.items() if key not in self._answers}
            if new:
                self._file.seek(0, os.SEEK_END)
                self._file.write("".join(_line(key, answer) for key, answer in new.items()).encode())
                self._file.flush()
                os.fsync(self._file.fileno())
                self._position = self._file.tell()
                self._answers |= new

    def compact(self) -> int:
        """Rewrite the file sorted by key and without repeats; returns the number of bytes saved.

        The file is rewritten in place, under the lock, after a synced copy stands beside it, so that other
        processes that hold it open stay valid.
        """
        with self._locked():
            self._read_new()
            before = self.path.stat().st_size
            lines = "".join(_line(key, self._answers[key]) for key in sorted(self._answers)).encode()
            backup = self.path.with_suffix(self.path.suffix + ".bak")
            backup.write_bytes(self.path.read_bytes())
            self._file.truncate(0)
            self._file.write(lines)
            self._file.flush()
            os.fsync(self._file.fileno())
            backup.unlink()
            self._position = len(lines)
        return before - len(lines)

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _locked(self) -> _Lock:
        return _Lock(self._file.fileno())

    def _read_new(self) -> None:
        """Take in what other processes have appended; the caller holds the lock."""
        size = os.fstat(self._file.fileno()).st_size
        if size < self._position:  # another process compacted the file
            self._position = 0
        if size == self._position:
            return
        self._file.seek(self._position)
        start = self._position
        for number, line in enumerate(self._file.read().splitlines(keepends=True), 1):
            if not line.endswith(b"\n"):
                logger.warning("dropped a torn last line of %d bytes from %s", len(line), self.path)
                self._file.truncate(start)
                break
            try:
                record = json.loads(line)
                self._answers.setdefault(record["key"], record["answer"])
            except (ValueError, KeyError, TypeError) as error:
                raise LedgerError(f"damaged line {number} after byte {self._position} of the ledger {self.path}: {error}") from error
            start += len(line)
        self._position = start


def _line(key: str, answer: Any) -> str:
    return json.dumps({"key": key, "answer": answer}, ensure_ascii=False, sort_keys=True) + "\n"


class _Lock:
    """An exclusive advisory lock on an open file, as a context manager."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def __enter__(self) -> None:
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        fcntl.flock(self._descriptor, fcntl.LOCK_UN)
