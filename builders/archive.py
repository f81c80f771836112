"""Read a zip file or a folder as one flat set of named members, and refuse archives that are not honest.

Members are read as streams; nothing is written to disk here except by `unpack`, which checks first.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Protocol

from rml_lama.errors import DataError, OutputError, UnsafeArchiveError

__all__ = ["Archive", "FolderArchive", "ZipArchive", "file_sha256", "lines", "open_archive", "unpack"]

MAX_TOTAL_BYTES = 4 * 2**30
MAX_MEMBER_BYTES = 512 * 2**20
MAX_RATIO = 200
MAX_MEMBERS = 200_000


class Archive(Protocol):
    """A flat set of named members that can be read as streams."""

    path: Path

    def names(self) -> tuple[str, ...]:
        """Names of all regular members, with `/`, sorted."""
        ...

    def open(self, name: str) -> IO[bytes]:
        """A binary stream of one member."""
        ...

    def place(self, name: str) -> str:
        """How to name the member in a message."""
        ...

    def checksum(self) -> str:
        """SHA-256 of the file, or of the sorted member names and contents of a folder."""
        ...


def open_archive(path: Path) -> ZipArchive | FolderArchive:
    """A reader for `path`, which is a folder or a zip file.

    Raises `DataError` if it is neither or cannot be read, `UnsafeArchiveError` if its members are not to be trusted.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError as error:
        raise DataError("no such file or folder", path) from error
    except OSError as error:
        raise DataError(f"not readable: {error.strerror}", path) from error
    return FolderArchive(path) if stat.S_ISDIR(mode) else ZipArchive(path)


def lines(archive: Archive, name: str) -> Iterator[tuple[int, str]]:
    """The non-empty lines of a UTF-8 member with their numbers. Raises `DataError` with the line that is not UTF-8."""
    number = 0
    try:
        with archive.open(name) as stream:
            for number, raw in enumerate(stream, 1):
                line = raw.decode("utf-8-sig" if number == 1 else "utf-8").strip("\r\n")
                if line.strip():
                    yield number, line
    except UnicodeDecodeError as error:
        raise DataError(f"invalid UTF-8 at byte {error.start} of the line", archive.place(name), number) from error
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
        raise DataError(f"cannot read on: {error}", archive.place(name), number + 1) from error


class FolderArchive:
    """The files below a folder; links that lead out of it are refused."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if not os.access(path, os.R_OK | os.X_OK):
            raise DataError("the folder is not readable", path)
        root = path.resolve()
        found: list[str] = []
        for folder, folders, files in os.walk(path, onerror=_raise_unreadable):
            folders.sort()
            for file in files:
                member = Path(folder, file)
                if member.is_symlink() and not member.resolve().is_relative_to(root):
                    raise UnsafeArchiveError("a link leads out of the folder", member)
                found.append(member.relative_to(path).as_posix())
        self._names = tuple(sorted(found))

    def names(self) -> tuple[str, ...]:
        return self._names

    def open(self, name: str) -> IO[bytes]:
        return (self.path / name).open("rb")

    def place(self, name: str) -> str:
        return str(self.path / name)

    def checksum(self) -> str:
        digest = hashlib.sha256()
        for name in self._names:
            digest.update(f"{name}\0{file_sha256(self.path / name)}\n".encode())
        return digest.hexdigest()


class ZipArchive:
    """The members of a zip file, checked once for escapes, links, encryption and bombs."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, EOFError) as error:
            raise DataError(f"not a whole zip file ({error}); fetch it again", path) from error
        except OSError as error:
            raise DataError(f"cannot open: {error.strerror}", path) from error
        members = [member for member in self._zip.infolist() if not member.is_dir()]
        if len(members) > MAX_MEMBERS:
            raise UnsafeArchiveError(f"{len(members)} members; at most {MAX_MEMBERS} are read", path)
        total = 0
        for member in members:
            _refuse_unsafe(member, path)
            total += member.file_size
        if total > MAX_TOTAL_BYTES:
            raise UnsafeArchiveError(f"unpacks to {total / 2**30:.1f} GiB; at most {MAX_TOTAL_BYTES / 2**30:.0f} are read", path)
        self._names = tuple(sorted(member.filename for member in members))

    def names(self) -> tuple[str, ...]:
        return self._names

    def open(self, name: str) -> IO[bytes]:
        return self._zip.open(name)

    def place(self, name: str) -> str:
        return f"{self.path}!{name}"

    def checksum(self) -> str:
        return file_sha256(self.path)


def _raise_unreadable(error: OSError) -> None:
    raise DataError(f"cannot read the folder: {error.strerror}", error.filename)


def _refuse_unsafe(member: zipfile.ZipInfo, path: Path) -> None:
    name = member.filename
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if name.startswith(("/", "\\")) or ".." in parts or (parts and parts[0].endswith(":")) or "\0" in name:
        raise UnsafeArchiveError(f"the member {name!r} would leave the folder", path)
    if stat.S_ISLNK(member.external_attr >> 16):
        raise UnsafeArchiveError(f"the member {name!r} is a link", path)
    if member.flag_bits & 0x1:
        raise UnsafeArchiveError(f"the member {name!r} is encrypted", path)
    if member.file_size > MAX_MEMBER_BYTES or member.file_size > MAX_RATIO * max(member.compress_size, 1024):
        raise UnsafeArchiveError(f"the member {name!r} unpacks to {member.file_size} bytes from {member.compress_size}", path)


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, as 64 hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def unpack(path: Path, folder: Path) -> None:
    """Unpack a zip file into a new folder, whole or not at all.

    Raises what `open_archive` and `lines` raise, and `OutputError` when `folder` exists or cannot be written.
    """
    archive = ZipArchive(path)
    if folder.exists():
        raise OutputError(f"{folder} already exists; remove it or choose another --dest")
    work = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        for name in archive.names():
            target = work / name
            target.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(name) as stream, target.open("wb") as out:
                shutil.copyfileobj(stream, out, 1 << 20)
        work.chmod(0o755)
        work.rename(folder)
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise DataError(f"a damaged member: {error}", path) from error
    except OSError as error:
        raise OutputError(f"cannot unpack into {folder}: {error.strerror}") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
