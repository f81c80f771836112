"""Write a build as a folder of plain Parquet files, whole or not at all, and describe it in MANIFEST.json.

The folder is made beside its final place and renamed when it is complete; an earlier build is replaced, anything else
is refused. Nothing in it depends on the time or the machine, so equal inputs give equal bytes.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from rml_lama.errors import DataError, OutputError

__all__ = ["MANIFEST", "BuildFolder", "content_hash", "new_folder", "read_manifest"]

MANIFEST = "MANIFEST.json"
_COMPRESSION = "zstd"
_ROW_GROUP = 8_192


@dataclass(slots=True)
class BuildFolder:
    """An open build: Parquet files grow by tables; `close` completes them."""

    path: Path
    _writers: dict[str, pq.ParquetWriter] = field(default_factory=dict)
    _pending: dict[str, list[pa.Table]] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)

    def append(self, config: str, table: pa.Table) -> None:
        """Add rows to `data/<config>.parquet`; row groups are filled to an equal size whatever the calls were.

        A config without a row gets no file: `datasets` cannot load an empty split.
        """
        if not table.num_rows:
            return
        if config not in self._writers:
            target = self.path / "data" / f"{config}.parquet"
            target.parent.mkdir(exist_ok=True)
            self._writers[config] = pq.ParquetWriter(target, table.schema, compression=_COMPRESSION)
            self._pending[config], self.rows[config] = [], 0
        self.rows[config] += table.num_rows
        pending = self._pending[config]
        pending.append(table)
        if sum(part.num_rows for part in pending) >= _ROW_GROUP:
            whole = pa.concat_tables(pending)
            full = whole.num_rows - whole.num_rows % _ROW_GROUP
            self._write(config, whole.slice(0, full))
            self._pending[config] = [whole.slice(full)]

    def close(self) -> None:
        """Write what is pending and the footers."""
        for config, writer in self._writers.items():
            pending = pa.concat_tables(self._pending[config])
            if pending.num_rows:
                self._write(config, pending)
            writer.close()
        self._writers.clear()

    def abandon(self) -> None:
        """Close the files without completing them."""
        for writer in self._writers.values():
            with contextlib.suppress(OSError, pa.ArrowException):
                writer.close()

    def _write(self, config: str, table: pa.Table) -> None:
        self._writers[config].write_table(table, row_group_size=_ROW_GROUP)


@contextlib.contextmanager
def new_folder(out: Path) -> Iterator[BuildFolder]:
    """A build folder that becomes `out` when the block ends well, and leaves nothing behind when it does not.

    Raises `OutputError` when `out` is a file or a folder that is not an earlier build, or when writing fails.
    """
    _refuse_foreign(out)
    work: Path | None = None
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
        work.chmod(0o755)
        folder = BuildFolder(work)
        try:
            yield folder
            folder.close()
        except BaseException:
            folder.abandon()
            raise
        _replace(work, out)
    except OSError as error:
        raise OutputError(f"cannot write the build to {out}: {error.strerror or error}; nothing was changed") from error
    finally:
        if work is not None:
            shutil.rmtree(work, ignore_errors=True)


def _refuse_foreign(out: Path) -> None:
    try:
        foreign = out.exists() and not (out.is_dir() and ((out / MANIFEST).is_file() or not any(out.iterdir())))
    except OSError as error:
        raise OutputError(f"cannot look into {out}: {error.strerror}") from error
    if foreign:
        raise OutputError(f"{out} exists and is not an earlier build (it has no {MANIFEST}); choose another folder")


def _replace(work: Path, out: Path) -> None:
    if out.exists():
        old = Path(tempfile.mkdtemp(prefix=f".{out.name}.old.", dir=out.parent))
        out.rename(old / "old")
        work.rename(out)
        shutil.rmtree(old, ignore_errors=True)
    else:
        work.rename(out)


def content_hash(checksums: Mapping[str, str]) -> str:
    """One SHA-256 over the named files' SHA-256 sums."""
    lines = "".join(f"{name}\0{checksums[name]}\n" for name in sorted(checksums))
    return hashlib.sha256(lines.encode()).hexdigest()


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a build folder. Raises `DataError` where there is none or it is not whole."""
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{folder} is not a build folder ({error.strerror}); make one with `rml-lama build`", path) from error
    except ValueError as error:
        raise DataError(f"not JSON: {error}", path) from error
    if not isinstance(manifest, dict) or not {"data", "files", "configs", "track"} <= set(manifest):
        raise DataError("not the manifest of a build", path)
    return manifest
