"""A Wikibase on loopback, for tests: it lags, limits and fails by plan, redirects, and remembers what it was asked."""

from __future__ import annotations

import contextlib
import gzip
import json
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlparse

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

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of a client that was killed while it waited."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/w/api.php"


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


@contextlib.contextmanager
def wikibase() -> Iterator[Server]:
    """A running server that holds 120 items with labels in Swahili and Bengali."""
    server = Server(("127.0.0.1", 0), Handler)
    server.items = {f"Q{number}": {"sw": f"kitu {number}", "bn": f"বস্তু {number}"} for number in range(1, 121)}
    server.plan, server.requests, server.headers, server.answered = [], [], [], Counter()
    server.stalled, server.go_on = threading.Event(), threading.Event()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.go_on.set()
        server.shutdown()
        thread.join()
        server.server_close()
