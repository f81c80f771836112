"""Asking a Wikibase: a real server on loopback that lags, limits, fails and redirects."""

from __future__ import annotations

import email.utils
import time
from collections.abc import Iterator

import pytest

from rml_lama.builders.wikidata import Answer, Wikibase, ask_labels
from rml_lama.errors import ConfigError, FetchError
from tests.builders.wikibase import Server, wikibase


@pytest.fixture
def server() -> Iterator[Server]:
    with wikibase() as server:
        yield server


def ask(server: Server, items: list[str], waits: list[float], *, attempts: int = 4) -> dict[str, Answer]:
    return ask_labels(Wikibase(server.url, "bot@example.org", attempts=attempts, wait=waits.append), items, ("sw", "mul"))


def test_answers_say_labels_redirects_and_what_is_missing(server: Server) -> None:
    server.items = {"Q1": {"sw": "moja", "mul": "I", "bn": "x"}, "Q2": "Q1", "Q3": None, "Q4": {"bn": "x"}, "Q5": "no id", "Q6": "no id"}
    assert ask(server, ["Q1", "Q2", "Q3", "Q4", "Q5", "Q6"], []) == {
        "Q1": {"labels": {"sw": "moja", "mul": "I"}},
        "Q2": {"labels": {"sw": "moja", "mul": "I"}, "to": "Q1"},
        "Q3": {"missing": True},
        "Q4": {"labels": {}},
        "Q5": {"refused": True},
        "Q6": {"refused": True},
    }
    assert [len(ids) for ids, _ in server.requests] == [6, 5, 4], "an id that the server refuses does not spoil its batch"


def test_requests_say_who_asks_and_what_they_can_read(server: Server) -> None:
    ask(server, ["Q1"], [])
    (headers,) = server.headers
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
def test_what_passes_is_waited_for(server: Server, plan: list[str], waits: list[int]) -> None:
    server.plan = list(plan)
    waited: list[float] = []
    assert ask(server, ["Q1", "Q2"], waited) == {"Q1": {"labels": {"sw": "kitu 1"}}, "Q2": {"labels": {"sw": "kitu 2"}}}
    assert waited == waits
    assert len(server.requests) == len(plan) + 1
    assert set(server.answered.values()) == {1}


def test_a_date_says_how_long_to_wait(server: Server) -> None:
    waited: list[float] = []
    server.plan = ["503 " + email.utils.formatdate(time.time() + 100, usegmt=True)]
    ask(server, ["Q1"], waited)
    assert 80 < waited[0] <= 100


def test_pauses_double_up_to_a_limit_and_then_it_ends(server: Server) -> None:
    server.plan = ["500"] * 20
    waited: list[float] = []
    with pytest.raises(FetchError, match=r"HTTP 500 .*failure 10\); call again to go on"):
        ask(server, ["Q1"], waited, attempts=10)
    assert waited == [1, 2, 4, 8, 16, 32, 64, 120, 120]


def test_a_server_that_is_not_there() -> None:
    waited: list[float] = []
    with wikibase() as server:
        gone = server.url
    with pytest.raises(FetchError, match=r"refused.*failure 2"):
        ask_labels(Wikibase(gone, attempts=2, wait=waited.append), ["Q1"], ("sw",))


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
def test_refusals_end_at_once(server: Server, step: str, message: str) -> None:
    waited: list[float] = []
    server.plan = [step]
    with pytest.raises(FetchError, match=message):
        ask(server, ["Q1"], waited)
    assert (len(server.requests), waited) == (1, [])


def test_without_a_contact_a_refusal_says_so(server: Server) -> None:
    server.plan = ["403"]
    with pytest.raises(FetchError, match="--contact"):
        ask_labels(Wikibase(server.url), ["Q1"], ("sw",))


@pytest.mark.parametrize("options", [{"url": "ftp://example.org"}, {"contact": "a\nb: c"}, {"contact": "bücher@example.org"}])
def test_what_cannot_be_sent_is_refused(options: dict[str, str]) -> None:
    with pytest.raises(ConfigError):
        Wikibase(**options)  # type: ignore[arg-type]
