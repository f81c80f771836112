"""Archives that are not honest are refused before anything is written."""

from __future__ import annotations

import stat
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from rml_lama.builders.archive import lines, open_archive, unpack
from rml_lama.errors import DataError, OutputError, UnsafeArchiveError


@pytest.mark.parametrize("name", ["../evil.txt", "a/../../evil.txt", "/etc/evil", "..\\evil.txt", "C:/evil.txt"])
def test_members_that_leave_the_folder(make_zip: Callable[..., Path], tmp_path: Path, name: str) -> None:
    path = make_zip({name: "x"})
    with pytest.raises(UnsafeArchiveError, match="would leave the folder"):
        open_archive(path)
    with pytest.raises(UnsafeArchiveError):
        unpack(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_links_and_bombs(make_zip: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(UnsafeArchiveError, match="unpacks to"):
        open_archive(make_zip({"a.jsonl": b"\0" * 50_000_000}))
    linked = tmp_path / "link.zip"
    with zipfile.ZipFile(linked, "w") as archive:
        member = zipfile.ZipInfo("a")
        member.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(member, "/etc/passwd")
    with pytest.raises(UnsafeArchiveError, match="is a link"):
        open_archive(linked)


def test_truncated_and_foreign_files(make_zip: Callable[..., Path], tmp_path: Path) -> None:
    whole = make_zip({"a.jsonl": "x" * 1000})
    whole.write_bytes(whole.read_bytes()[:-30])
    with pytest.raises(DataError, match="not a whole zip file"):
        open_archive(whole)
    with pytest.raises(DataError, match="no such file"):
        open_archive(tmp_path / "none.zip")


def test_a_damaged_member_is_named(make_zip: Callable[..., Path]) -> None:
    path = make_zip({"en/P36.jsonl": "".join(f"line {number} of many\n" for number in range(3000))})
    content = bytearray(path.read_bytes())
    content[200:220] = b"\xff" * 20
    path.write_bytes(content)
    archive = open_archive(path)
    with pytest.raises(DataError, match=r"mlama1.1.zip!en/P36.jsonl:\d+"):
        list(lines(archive, "en/P36.jsonl"))


def test_links_that_lead_out_of_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (tmp_path / "secret").write_text("x")
    (folder / "a.jsonl").symlink_to(tmp_path / "secret")
    with pytest.raises(UnsafeArchiveError, match="leads out of the folder"):
        open_archive(folder)


def test_a_folder_and_its_zip_read_alike(make_zip: Callable[..., Path], tmp_path: Path) -> None:
    path = make_zip({"x/en/P36.jsonl": "a\r\n\n b \n", "x/LICENSE": "l"})
    unpack(path, tmp_path / "out")
    for archive in (open_archive(path), open_archive(tmp_path / "out")):
        assert archive.names() == ("x/LICENSE", "x/en/P36.jsonl")
        assert list(lines(archive, "x/en/P36.jsonl")) == [(1, "a"), (3, " b ")]
        assert len(archive.checksum()) == 64
    with pytest.raises(OutputError, match="already exists"):
        unpack(path, tmp_path / "out")
