"""Labels from Wikidata: a real server on loopback that lags, limits, fails, redirects, and remembers what it was asked."""

from __future__ import annotations

import email.utils
import gzip
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlparse

import pytest

from rml_lama.builders import command
from rml_lama.builders.labels import read_overlays
from rml_lama.builders.overlays import REJECTED, FetchedLabels, choose_label, fetch_labels, read_items
from rml_lama.builders.wikidata import BATCH, Wikibase
from rml_lama.errors import ConfigError, DataError, FetchError, OutputError, UsageError
from rml_lama.ledger import Ledger

NO_SUCH = {"error": {"code": "no-such-entity", "info": "Could not find it."}}
ERRORS = {
    "maxlag": {"code": "maxlag", "info": "Waiting for a host: 9 seconds lagged", "lag": 9},
    "ratelimited": {"code": "ratelimited", "info": "Slow down"},
    "internal": {"code": "internal_api_error_DBQueryError", "info": "Oops"},
    "badvalue": {"code": "badvalue", "info": "No such action"},
}
SPOILT = {
    "junk": b"<html>busy</html>",
    "list": b"[]",
    "empty": b"{}",
    "surrogate": b'{"entities": {"Q1": {"labels": {"sw": {"value": "\\ud800"}}}}}',
}


class Server(ThreadingHTTPServer):
    """Answers as Wikibase does, from `items`: labels by code, None for a deleted item, or the id it redirects to."""

    items: dict[str, dict[str, str] | str | None]
    plan: list[str]  # what to do with each request in turn: "" (or no entry) to answer it
    requests: list[tuple[list[str], list[str]]]  # ids and languages of each request
    headers: list[dict[str, str]]
    answered: Counter[tuple[str, str]]  # ids and languages of requests that were answered in full
    at_once = most_at_once = 0
    stalled: threading.Event
    go_on: threading.Event


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        server = self.server
        server.at_once += 1
        server.most_at_once = max(server.most_at_once, server.at_once)
        query = {name: values[0] for name, values in parse_qs(urlparse(self.path).query).items()}
        ids, languages = query["ids"].split("|"), query["languages"].split("|")
        assert (query["action"], query["props"], query["format"], query["maxlag"]) == ("wbgetentities", "labels", "json", "5")
        server.requests.append((ids, languages))
        server.headers.append(dict(self.headers.items()))
        step = server.plan.pop(0) if server.plan else ""
        name, _, retry_after = step.partition(" ")
        if name == "stall":
            server.stalled.set()
            server.go_on.wait(30)
        server.at_once -= 1
        if name.isdecimal():
            self.send(int(name), b"an error page", retry_after)
        elif name in SPOILT:
            self.send(200, SPOILT[name], retry_after)
        elif name in ERRORS:
            self.send(200, json.dumps({"error": ERRORS[name]}).encode(), retry_after)
        elif name in ("cut", "stall"):
            self.send_response(200)
            self.send_header("Content-Length", "5000")
            self.end_headers()
            self.wfile.write(b'{"entities"')
        else:
            body = self.entities(ids, languages)
            if "error" not in body:
                server.answered.update((item, code) for item in ids for code in languages)
            self.send(200, json.dumps(body).encode(), squeeze="gzip" in self.headers.get("Accept-Encoding", ""))

    def entities(self, ids: list[str], languages: list[str]) -> dict[str, object]:
        found: dict[str, object] = {}
        for item in ids:
            entry = self.server.items.get(item)
            if entry == "no id":
                return {"error": {**NO_SUCH["error"], "id": item}}
            to = entry if isinstance(entry, str) else item
            labels = self.server.items[to] if isinstance(entry, str) else entry
            if labels is None:
                found[item] = {"id": item, "missing": ""}
                continue
            assert isinstance(labels, dict)
            shown: object = {code: {"language": code, "value": labels[code]} for code in languages if code in labels} or []
            redirect = {"redirects": {"from": item, "to": to}} if to != item else {}
            found[item] = {"type": "item", "id": to, **redirect, "labels": shown}
        return {"entities": found, "success": 1}

    def send(self, status: int, body: bytes, retry_after: str = "", *, squeeze: bool = False) -> None:
        self.send_response(status)
        if retry_after:
            self.send_header("Retry-After", retry_after)
        if squeeze:
            body = gzip.compress(body)
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server(("127.0.0.1", 0), Handler)
    server.items = {f"Q{number}": {"sw": f"kitu {number}", "bn": f"বস্তু {number}"} for number in range(1, 121)}
    server.plan, server.requests, server.headers, server.answered = [], [], [], Counter()
    server.stalled, server.go_on = threading.Event(), threading.Event()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.go_on.set()
    server.shutdown()
    thread.join()
    server.server_close()


def url_of(server: Server) -> str:
    return f"http://127.0.0.1:{server.server_port}/w/api.php"


@pytest.fixture
def fetch(server: Server, tmp_path: Path) -> Callable[..., FetchedLabels]:
    """Fetch from the server into `tmp_path/labels`; the waits go into `fetch.waits`, not into the test's time."""

    def run(
        items: list[str], languages: tuple[str, ...] = ("sw",), *, dest: str = "labels", ledger: str = "ledger", attempts: int = 4
    ) -> FetchedLabels:
        service = Wikibase(url_of(server), "bot@example.org", attempts=attempts, wait=waits.append)
        with Ledger(tmp_path / f"{ledger}.jsonl") as answers:
            return fetch_labels(items, languages, tmp_path / dest, answers, service=service)

    waits: list[float] = []
    run.waits = waits  # type: ignore[attr-defined]
    return run


def rejected(folder: Path) -> list[tuple[str, str, str]]:
    rows = [json.loads(line) for line in (folder / REJECTED).read_text(encoding="utf-8").splitlines()]
    assert all(row["reason"] for row in rows)
    return [(row["filter"], row["language"], row["item"]) for row in rows]


def test_overlays_hold_the_label_that_counts(server: Server, fetch: Callable[..., FetchedLabels], tmp_path: Path) -> None:
    server.items = {
        "Q1": {"sw": " Ulimwengu\t wote ", "zh-hans": "宇宙", "zh": "別"},
        "Q2": {"mul": "Terra", "zh-cn": "地球", "zh": "大地"},
        "Q10": {"mul": "Земля", "zh": "臺灣"},
        "Q11": "Q2",
        "Q12": None,
        "Q13": {"en": "only English"},
    }
    result = fetch(["Q13", "Q12", "Q11", "Q10", "Q2", "Q1", "q7", "Q2"], ("sw", "zh"))
    labels = tmp_path / "labels"
    assert (labels / "sw.tsv").read_text(encoding="utf-8") == "Q1\tUlimwengu wote\nQ2\tTerra\nQ11\tTerra\n"
    assert (labels / "zh.tsv").read_text(encoding="utf-8") == "Q1\t宇宙\nQ2\t地球\nQ10\t台湾\nQ11\t地球\n"
    assert read_overlays(labels)[0]["zh"]["Q10"] == "台湾"
    assert rejected(labels) == [
        ("bad-id", "", "q7"),
        ("missing-entity", "", "Q12"),
        ("no-label", "sw", "Q10"),
        ("no-label", "sw", "Q13"),
        ("no-label", "zh", "Q13"),
    ]
    assert (result.asked, result.added, result.redirects, dict(result.labels)) == (6, 7, 1, {"sw": 3, "zh": 4})
    assert "rejected, no-label sw: 2" in str(result)


def test_requests_are_polite(server: Server, fetch: Callable[..., FetchedLabels]) -> None:
    fetch(sorted(server.items), ("sw", "bn"))
    assert [len(ids) for ids, _ in server.requests] == [BATCH, BATCH, 20]
    assert server.requests[0][1] == ["sw", "mul", "bn"]
    assert server.most_at_once == 1
    for headers in server.headers:
        assert headers["User-Agent"].startswith("rml-lama/")
        assert "(bot@example.org)" in headers["User-Agent"]
        assert headers["Accept-Encoding"] == "gzip"
    assert "https://" in Wikibase().user_agent


@pytest.mark.parametrize(
    ("plan", "waits"),
    [
        (["maxlag 7"], [7]),
        (["maxlag"], [5]),
        (["maxlag 1", "maxlag 1"], [5, 5]),
        (["429 3"], [3]),
        (["429 0", "429 nonsense", "429"], [1, 2, 4]),
        (["500"], [1]),
        (["503 20", "502"], [20, 2]),
        (["cut", "cut"], [1, 2]),
        (["junk"], [1]),
        (["list", "empty", "surrogate"], [1, 2, 4]),
        (["ratelimited 8", "internal"], [8, 2]),
        (["429 5", "cut", "maxlag"], [5, 2, 5]),
    ],
)
def test_what_passes_is_waited_for(server: Server, fetch: Callable[..., FetchedLabels], plan: list[str], waits: list[int]) -> None:
    server.plan = list(plan)
    assert fetch(["Q1", "Q2"]).added == 2
    assert fetch.waits == waits  # type: ignore[attr-defined]
    assert len(server.requests) == len(plan) + 1
    assert set(server.answered.values()) == {1}


def test_a_date_says_how_long_to_wait(server: Server, fetch: Callable[..., FetchedLabels]) -> None:
    server.plan = ["503 " + email.utils.formatdate(time.time() + 100, usegmt=True)]
    fetch(["Q1"])
    (wait,) = fetch.waits  # type: ignore[attr-defined]
    assert 80 < wait <= 100


def test_too_many_failures_end_the_run_and_the_next_one_goes_on(
    server: Server, fetch: Callable[..., FetchedLabels], tmp_path: Path
) -> None:
    server.plan = ["", "500", "500", "500", "500"]
    with pytest.raises(FetchError, match=r"HTTP 500 .*failure 4\); call again to go on"):
        fetch(sorted(server.items))
    assert not (tmp_path / "labels").exists()
    before = len(server.requests)
    assert fetch(sorted(server.items)).asked == 70
    assert len(server.requests) == before + 2
    assert set(server.answered.values()) == {1}


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ("429 3600", "wants to be left alone for 3600 seconds"),
        ("maxlag 99999999999999999999", "wants to be left alone"),
        ("403", "refuses: HTTP 403"),
        ("404", "refuses: HTTP 404"),
        ("badvalue", "refuses: badvalue: No such action"),
    ],
)
def test_refusals_end_at_once(server: Server, fetch: Callable[..., FetchedLabels], step: str, message: str) -> None:
    server.plan = [step]
    with pytest.raises(FetchError, match=message):
        fetch(["Q1"])
    assert (len(server.requests), fetch.waits) == (1, [])  # type: ignore[attr-defined]


def test_without_a_contact_a_refusal_says_so(server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    server.plan = ["403"]
    with Ledger(tmp_path / "ledger") as ledger, pytest.raises(FetchError, match="--contact"):
        fetch_labels(["Q1"], ("sw",), tmp_path / "labels", ledger, service=Wikibase(url_of(server)))
    assert "nobody is named" in caplog.text


def test_an_id_that_the_server_refuses_does_not_spoil_its_batch(
    server: Server, fetch: Callable[..., FetchedLabels], tmp_path: Path
) -> None:
    server.items |= {"Q5": "no id", "Q7": "no id"}
    result = fetch([f"Q{number}" for number in range(1, 11)] + ["Q0", "Q2147483648", "P17"])
    assert result.added == 8
    assert rejected(tmp_path / "labels") == [("bad-id", "", item) for item in ("P17", "Q0", "Q2147483648", "Q5", "Q7")]
    assert all("Q0" not in ids and "Q2147483648" not in ids for ids, _ in server.requests)
    asked = len(server.requests)
    fetch(["Q5", "Q7"])
    assert len(server.requests) == asked


def test_nothing_is_asked_twice(server: Server, fetch: Callable[..., FetchedLabels], tmp_path: Path) -> None:
    server.items["Q3"] = None
    fetch(["Q1", "Q2", "Q3"], ("sw",))
    fetch(["Q1", "Q2", "Q3"], ("sw",), dest="elsewhere")
    assert len(server.requests) == 1
    fetch(["Q1", "Q2", "Q3", "Q4"], ("sw", "bn"), dest="elsewhere")
    assert server.requests[1:] == [(["Q1", "Q2", "Q3"], ["bn"]), (["Q4"], ["sw", "mul", "bn"])]
    assert set(server.answered.values()) == {1}
    fetch(["Q1", "Q2", "Q3", "Q4"], ("sw", "bn"), dest="third")
    assert len(server.requests) == 3
    for name in ("sw.tsv", "bn.tsv", REJECTED):
        assert (tmp_path / "elsewhere" / name).read_bytes() == (tmp_path / "third" / name).read_bytes()


def test_a_torn_ledger_asks_for_the_torn_line_alone(server: Server, fetch: Callable[..., FetchedLabels], tmp_path: Path) -> None:
    fetch([f"Q{number}" for number in range(1, 31)])
    ledger = tmp_path / "ledger.jsonl"
    ledger.write_bytes(ledger.read_bytes()[:-20])
    fetch([f"Q{number}" for number in range(1, 31)], dest="again")
    assert server.requests[1:] == [(["Q30"], ["sw", "mul"])]
    assert (tmp_path / "again" / "sw.tsv").read_bytes() == (tmp_path / "labels" / "sw.tsv").read_bytes()


def test_overlays_that_are_there_are_added_to(server: Server, fetch: Callable[..., FetchedLabels], tmp_path: Path) -> None:
    labels = tmp_path / "labels"
    labels.mkdir()
    (labels / "zh-hans.tsv").write_text("Q9\t九\nQ2\t二\n", encoding="utf-8")
    (labels / "th.tsv").write_text("Q1\tหนึ่ง\n", encoding="utf-8")
    server.items |= {"Q1": {"zh-hans": "一"}, "Q2": {"zh-hans": "not this"}}
    result = fetch(["Q1", "Q2"], ("zh", "sw"))
    assert (labels / "zh-hans.tsv").read_text(encoding="utf-8") == "Q1\t一\nQ2\t二\nQ9\t九\n"
    assert (labels / "th.tsv").read_text(encoding="utf-8") == "Q1\tหนึ่ง\n"
    assert not (labels / "sw.tsv").exists(), "a language without a label gets no file"
    assert sorted(path.name for path in labels.iterdir()) == [REJECTED, "th.tsv", "zh-hans.tsv"]
    assert [ids for ids, codes in server.requests if "zh" in codes] == [["Q1"]]
    assert dict(result.labels) == {"zh": 3}


def test_labels_that_cannot_be_written(server: Server, fetch: Callable[..., FetchedLabels], tmp_path: Path) -> None:
    (tmp_path / "labels").write_text("a file")
    with pytest.raises(OutputError, match="cannot write labels"):
        fetch(["Q1"])
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "sw.tsv").write_text("Q1\n")
    with pytest.raises(DataError, match="1 columns"):
        fetch(["Q1"], dest="damaged")


@pytest.mark.parametrize(
    ("code", "labels", "label"),
    [
        ("sw", {"sw": "Kenya", "mul": "Republic"}, "Kenya"),
        ("sw", {"mul": "Erwin Schrödinger"}, "Erwin Schrödinger"),
        ("sw", {"mul": "東京"}, ""),
        ("sw", {"sw": " \u200e "}, ""),
        ("bn", {"mul": "Kenya"}, ""),
        ("zh", {"zh-cn": "意大利", "zh": "義大利"}, "意大利"),
        ("zh", {"zh": "義大利"}, "义大利"),
        ("zh", {"zh-tw": "義大利"}, ""),
    ],
)
def test_which_label_counts(code: str, labels: dict[str, str], label: str) -> None:
    assert choose_label(code, labels) == label


def test_items_from_text_and_from_a_build(tmp_path: Path, open_build: Path) -> None:
    text = tmp_path / "ids.txt"
    text.write_text("\ufeffQ90\nQ5\tfive\n\n Q90 \nnonsense\n", encoding="utf-8")
    assert read_items(text) == ["nonsense", "Q5", "Q90"]
    items = read_items(open_build)
    assert {"Q142", "Q90"} <= set(items)
    assert items == sorted(items, key=lambda item: int(item[1:]))


@pytest.mark.parametrize(
    ("content", "message"), [(b"", "no item id"), (b"hello\n", "no item id"), (b"\xff\xfe", "UTF-8 text"), (None, "cannot read")]
)
def test_what_holds_no_items(tmp_path: Path, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / "ids").write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_items(tmp_path / "ids")
    with pytest.raises(DataError, match="not a build folder"):
        read_items(tmp_path)


def test_a_build_without_its_facts(tmp_path: Path, open_build: Path) -> None:
    (tmp_path / "MANIFEST.json").write_bytes((open_build / "MANIFEST.json").read_bytes())
    with pytest.raises(DataError, match="has lost its facts"):
        read_items(tmp_path)


@pytest.mark.parametrize("options", [{"url": "ftp://example.org"}, {"contact": "a\nb: c"}, {"contact": "bücher@example.org"}])
def test_what_cannot_be_sent_is_refused(options: dict[str, str]) -> None:
    with pytest.raises(ConfigError):
        Wikibase(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("what", "options", "message"),
    [
        ("labels", {}, "needs --ids"),
        ("labels", {"ids": Path("none")}, "cannot read the item ids"),
        ("labels", {"ids": Path("none"), "sha256": "0"}, "no --sha256"),
        ("labels", {"ids": Path("none"), "languages": "xx"}, "unknown language 'xx'"),
        ("mlama", {"contact": "me"}, "belong to `rml-lama fetch labels`"),
    ],
)
def test_options_that_do_not_fit(what: str, options: dict[str, Any], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=message):
        command.fetch(what, **options, progress=lambda done, total: None)
    assert list(tmp_path.iterdir()) == []


def test_a_killed_run_goes_on_and_ends_in_the_same_bytes(server: Server, tmp_path: Path) -> None:
    (tmp_path / "ids").write_text("\n".join(server.items))

    def call(dest: str) -> list[str]:
        options = ["--ids", "ids", "--languages", "sw,bn", "--dest", dest, "--url", url_of(server), "--contact", "bot@example.org"]
        return [sys.executable, "-m", "rml_lama.cli", "fetch", "labels", *options]

    subprocess.run(call("whole"), cwd=tmp_path, check=True, capture_output=True)
    undisturbed = server.answered.copy()
    server.answered.clear()
    server.plan = ["", "stall"]
    with subprocess.Popen(call("killed"), cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert server.stalled.wait(30)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    assert sum(server.answered.values()) == BATCH * 3  # items of the first request, under sw, mul and bn
    assert not (tmp_path / "killed").exists()
    server.go_on.set()
    done = subprocess.run(call("killed"), cwd=tmp_path, check=True, capture_output=True, text=True)
    assert "killed/sw.tsv: 120 labels" in done.stdout
    assert server.answered == undisturbed, "every item was answered once, before or after the kill"
    for name in ("sw.tsv", "bn.tsv", REJECTED):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
