"""Fetching: a real server on loopback that cuts the connection, changes its file, or refuses."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from rml_lama.builders.fetch import download, fetch_mlama
from rml_lama.errors import ConfigError, FetchError, UnsafeArchiveError


class Server(ThreadingHTTPServer):
    """Serves `content` at any path; `plan` says for each request after how many bytes to cut, or which status to send."""

    content = b""
    tag = '"one"'
    plan: list[int | str]
    seen: list[str | None]
    ranges = True


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        server = self.server
        step = server.plan.pop(0) if server.plan else len(server.content)
        wanted = self.headers.get("Range")
        server.seen.append(wanted)
        if isinstance(step, str):
            self.send_error(int(step))
            return
        start = 0
        if wanted and server.ranges and self.headers.get("If-Range") in (None, server.tag):
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
        body = server.content[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", server.tag)
        self.end_headers()
        self.wfile.write(body[:step])
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server(("127.0.0.1", 0), Handler)
    server.plan, server.seen = [], []
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def url_of(server: Server) -> str:
    return f"http://127.0.0.1:{server.server_port}/mlama1.1.zip"


def test_a_cut_connection_is_resumed(server: Server, make_zip: Callable[..., Path], mlama_files: dict[str, str], tmp_path: Path) -> None:
    server.content = make_zip(mlama_files, "source.zip").read_bytes()
    server.plan = [1000, 0, 500]
    folder = fetch_mlama(tmp_path / "data", url=url_of(server))
    assert (folder / "mlama1.1" / "en" / "P36.jsonl").is_file()
    assert (tmp_path / "data" / "mlama1.1.zip").read_bytes() == server.content
    assert server.seen == [None, "bytes=1000-", "bytes=1000-", "bytes=1500-"]
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == ["mlama1.1", "mlama1.1.zip", "mlama1.1.zip.sha256"]
    fetch_mlama(tmp_path / "data", url=url_of(server))
    assert len(server.seen) == 4, "what is there is not fetched again"


def test_a_later_call_goes_on_from_an_earlier_one(server: Server, tmp_path: Path) -> None:
    server.content = bytes(range(256)) * 40
    server.plan = [3000, "503"]
    with pytest.raises(FetchError, match=r"call again to go on from .*file.part"):
        download(url_of(server), tmp_path / "file", attempts=1, pause=0)
    download(url_of(server), tmp_path / "file", pause=0)
    assert (tmp_path / "file").read_bytes() == server.content
    assert server.seen[-1] == "bytes=3000-"


def test_a_changed_file_is_not_glued_to_the_old_half(server: Server, tmp_path: Path) -> None:
    server.content, server.plan = b"a" * 9000, [3000, "500"]
    with pytest.raises(FetchError):
        download(url_of(server), tmp_path / "file", attempts=1, pause=0)
    server.content, server.tag = b"b" * 9000, '"two"'
    download(url_of(server), tmp_path / "file", pause=0)
    assert (tmp_path / "file").read_bytes() == b"b" * 9000


def test_a_server_without_ranges(server: Server, tmp_path: Path) -> None:
    server.content, server.plan, server.ranges = b"c" * 9000, [3000], False
    download(url_of(server), tmp_path / "file", pause=0)
    assert (tmp_path / "file").read_bytes() == b"c" * 9000


def test_refusals_end_at_once(server: Server, tmp_path: Path) -> None:
    server.plan = ["404"]
    with pytest.raises(FetchError, match="HTTP 404"):
        download(url_of(server), tmp_path / "file")
    assert len(server.seen) == 1
    with pytest.raises(ConfigError, match="not http"):
        fetch_mlama(tmp_path, url="file:///etc/passwd")


def test_checksums_are_pinned_and_checked(
    server: Server, make_zip: Callable[..., Path], mlama_files: dict[str, str], tmp_path: Path
) -> None:
    server.content = make_zip(mlama_files, "source.zip").read_bytes()
    with pytest.raises(FetchError, match="expected 00"):
        fetch_mlama(tmp_path / "data", url=url_of(server), sha256="00")
    assert not (tmp_path / "data" / "mlama1.1.zip").exists()
    fetch_mlama(tmp_path / "data", url=url_of(server))
    (tmp_path / "data" / "mlama1.1.zip").write_bytes(b"changed")
    with pytest.raises(FetchError, match="expected"):
        fetch_mlama(tmp_path / "data", url=url_of(server))


def test_an_unsafe_archive_is_not_unpacked(server: Server, make_zip: Callable[..., Path], tmp_path: Path) -> None:
    server.content = make_zip({"../evil": "x"}, "source.zip").read_bytes()
    with pytest.raises(UnsafeArchiveError):
        fetch_mlama(tmp_path / "data", url=url_of(server))
    assert not (tmp_path / "data" / "mlama1.1").exists()
    assert not (tmp_path / "evil").exists()
