"""Fetch the mLAMA archive: resume a broken download, check the SHA-256, unpack whole or not at all.

The first download of a URL pins its checksum beside the archive (`<name>.sha256`); a later one must match it, unless
another is given.
"""

from __future__ import annotations

import logging
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from http.client import HTTPException, HTTPMessage
from pathlib import Path

from rml_lama.builders.archive import file_sha256, unpack
from rml_lama.errors import ConfigError, FetchError, OutputError

__all__ = ["MLAMA_URL", "download", "fetch_mlama"]

MLAMA_URL = "http://cistern.cis.lmu.de/mlama/mlama1.1.zip"
_CHUNK = 1 << 18
_TIMEOUT = 30.0  # seconds without a byte
_USER_AGENT = "rml-lama (benchmark builder)"

logger = logging.getLogger(__name__)
Progress = Callable[[int, int | None], None]


def fetch_mlama(
    dest: Path, *, url: str = MLAMA_URL, sha256: str | None = None, attempts: int = 5, progress: Progress = lambda done, total: None
) -> Path:
    """Download and unpack the archive below `dest`; returns the unpacked folder, which is reused when it is there.

    Raises `FetchError` when the download cannot be finished or has another checksum, `UnsafeArchiveError` or
    `DataError` when the archive is not to be trusted, `OutputError` when `dest` cannot be written.
    """
    scheme, _, _, _, _, _ = urllib.parse.urlparse(url)
    if scheme not in ("http", "https"):
        raise ConfigError(f"the URL {url!r} is not http or https")
    archive = dest / (Path(urllib.parse.urlparse(url).path).name or "mlama.zip")
    folder = dest / archive.stem
    try:
        dest.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make {dest}: {error.strerror}") from error
    pin = archive.with_name(archive.name + ".sha256")
    expected = sha256 or (pin.read_text().split()[0] if pin.exists() else None)
    if not archive.exists():
        download(url, archive, attempts=attempts, progress=progress)
    actual = file_sha256(archive)
    if expected is not None and actual != expected:
        archive.unlink()
        raise FetchError(f"{url} has SHA-256 {actual}, expected {expected}; the file was removed: fetch again or check --sha256")
    pin.write_text(f"{actual}  {archive.name}\n")
    if not folder.exists():
        unpack(archive, folder)
    return folder


def download(url: str, target: Path, *, attempts: int = 5, pause: float = 1.0, progress: Progress = lambda done, total: None) -> None:
    """Download `url` to `target`, going on from `<target>.part` after each break, also one of an earlier run.

    `progress` is called with bytes so far and in all (None if the server does not say).
    Raises `FetchError` after `attempts` breaks in a row without a new byte, `OutputError` when the disk refuses.
    """
    part = target.with_name(target.name + ".part")
    failures = 0
    while True:
        before = part.stat().st_size if part.exists() else 0
        problem = _attempt(url, part, progress)
        if problem is None:
            part.rename(target)
            return
        grown = part.exists() and part.stat().st_size > before
        failures = 0 if grown else failures + 1
        if failures >= attempts:
            raise FetchError(f"cannot download {url}: {problem}; call again to go on from {part}")
        logger.warning("download broke off (%s); going on", problem)
        time.sleep(0 if grown else pause * 2 ** (failures - 1))


def _attempt(url: str, part: Path, progress: Progress) -> str | None:
    """One request for what is missing; None when the file is whole, else what went wrong."""
    start = part.stat().st_size if part.exists() else 0
    tag_file = part.with_name(part.name + ".etag")
    headers = {"User-Agent": _USER_AGENT}
    if start:
        headers["Range"] = f"bytes={start}-"
        if tag_file.exists():  # without If-Range a changed file would be glued to the old half
            headers["If-Range"] = tag_file.read_text()
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=_TIMEOUT) as response:
            resumed = response.status == 206
            total = _total(response.headers, start if resumed else 0)
            if tag := response.headers.get("ETag"):
                tag_file.write_text(tag)
            done = _copy(response, part, start if resumed else 0, total, progress)
    except urllib.error.HTTPError as error:
        if error.code == 416 and start:
            part.unlink()
            return "the server has less than was already here; starting over"
        if error.code < 500 and error.code not in (408, 429):
            raise FetchError(f"cannot download {url}: HTTP {error.code} {error.reason}") from error
        return f"HTTP {error.code} {error.reason}"
    except (urllib.error.URLError, HTTPException, TimeoutError, ConnectionError) as error:
        return str(error) or type(error).__name__
    if total is not None and done < total:
        return f"{done} of {total} bytes came"
    tag_file.unlink(missing_ok=True)
    return None


def _total(headers: HTTPMessage, start: int) -> int | None:
    length = headers.get("Content-Length")
    return None if length is None else start + int(length)


def _copy(response: object, part: Path, start: int, total: int | None, progress: Progress) -> int:
    done = start
    try:
        stream = part.open("ab" if start else "wb")
    except OSError as error:
        raise OutputError(f"cannot write {part}: {error.strerror}") from error
    with stream:
        while chunk := response.read(_CHUNK):  # type: ignore[attr-defined]
            try:
                stream.write(chunk)
            except OSError as error:
                raise OutputError(f"cannot write {part}: {error.strerror}") from error
            done += len(chunk)
            progress(done, total)
    return done
