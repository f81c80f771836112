"""The folder of a run: finished shards are kept, so that the same command goes on where it stopped, with the same bytes.

parts/<language>-<relation>.parquet   the finished shards
run.json                              what must be the same for the run to go on
cost.jsonl                            a line for each time that it worked: seconds and queries
"""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from rml_lama.errors import DataError, OutputError

__all__ = ["RunFolder"]


@dataclass(frozen=True, slots=True)
class RunFolder:
    """An open run."""

    path: Path

    @classmethod
    def open(cls, out: Path, identity: dict[str, Any]) -> RunFolder:
        """Begin a run in `out`, or go on with it. Raises `OutputError` when another run, or something else, is there."""
        note = out / "run.json"
        wanted = json.loads(json.dumps(identity))
        try:
            if note.exists():
                found = json.loads(note.read_text(encoding="utf-8"))
                if found != wanted:
                    keys = ", ".join(sorted(key for key in wanted if found.get(key) != wanted[key]))
                    raise OutputError(f"{out} holds a run with another {keys}; choose another --out or remove it")
            elif out.exists() and any(out.iterdir()):
                raise OutputError(f"{out} is not empty and holds no run; choose another --out")
            (out / "parts").mkdir(parents=True, exist_ok=True)
            for torn in (out / "parts").glob("*.tmp"):  # of a run that was killed while it wrote
                torn.unlink()
            note.write_text(json.dumps(wanted, indent=2) + "\n", encoding="utf-8")
        except ValueError as error:
            raise OutputError(f"{note} is damaged: {error}; remove it to start over") from error
        except OSError as error:
            raise OutputError(f"cannot write to {out}: {error.strerror}") from error
        return cls(out)

    def has(self, shard: str) -> bool:
        return self._part(shard).exists()

    def write(self, shard: str, table: pa.Table) -> None:
        """Keep a finished shard; it appears under its name only when it is complete."""
        path = self._part(shard)
        try:
            with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".tmp", delete=False) as stream:
                pq.write_table(table, stream, compression="zstd")
            os.replace(stream.name, path)
        except OSError as error:
            raise OutputError(f"cannot write {path}: {error.strerror or error}") from error

    def read(self, shard: str) -> pa.Table:
        """A finished shard. Raises `DataError` when it is damaged."""
        path = self._part(shard)
        try:
            return pq.read_table(path)
        except (OSError, pa.ArrowException) as error:
            raise DataError(f"a damaged part: {error}; remove it to score it again", path) from error

    def note_cost(self, seconds: float, queries: int, candidates: int) -> None:
        """Add what one stretch of work took."""
        line = {"seconds": round(seconds, 1), "queries": queries, "candidates": candidates}
        try:
            with (self.path / "cost.jsonl").open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(line) + "\n")
        except OSError as error:
            raise OutputError(f"cannot write to {self.path}: {error.strerror}") from error

    def _part(self, shard: str) -> Path:
        return self.path / "parts" / f"{shard}.parquet"
