"""Ask a Wikibase for the labels of its items (`wbgetentities`), the way its operators ask to be asked.

One request after the other, 50 items each, compressed, with `maxlag=5`, under a name and a contact. A server that lags,
limits or fails is left alone as long as it says (`Retry-After`) and at least for a pause that doubles each time.
Sources: mediawiki.org API:Etiquette and Manual:Maxlag_parameter, the Wikimedia User-Agent policy, and the code of
Wikibase's GetEntities (answers stand under the id that was asked for, also of a redirect).
"""

from __future__ import annotations

import email.utils
import json
import logging
import platform
import time
import urllib.error
import urllib.parse
import urllib.request
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPException
from typing import Any

from rml_lama import __version__
from rml_lama.errors import ConfigError, FetchError

__all__ = ["BATCH", "MAX_ITEM", "WIKIDATA_URL", "Answer", "Wikibase", "ask_labels"]

WIKIDATA_URL = "https://www.wikidata.org/w/api.php"
BATCH = 50  # items a request may name
MAX_ITEM = 2**31 - 1  # with a higher number, the server refuses the whole request
_HOME = "https://arxiv.org/abs/2411.17401"
_MAX_LAG = 5.0  # seconds behind that the server's copies may be, and the shortest wait when they are
_LONGEST_PAUSE = 120.0
_TIMEOUT = 30.0  # seconds without a byte
_MAX_BYTES = 16 * 2**20
_PASSING = ("ratelimited", "readonly")

logger = logging.getLogger(__name__)
Answer = dict[str, Any]  # {"labels": {code: text}} and, for a redirect, "to"; or {"missing": True}; or {"refused": True}


@dataclass(frozen=True, slots=True)
class Wikibase:
    """A Wikibase's address, who asks, and how patiently. Raises `ConfigError` for what cannot be sent."""

    url: str = WIKIDATA_URL
    contact: str = ""  # an e-mail address or a URL at which its operators reach whoever runs this
    attempts: int = 10  # failures in a row after which to stop
    pause: float = 1.0  # seconds after a first failure
    patience: float = 600.0  # the longest wait that the server may ask for
    wait: Callable[[float], None] = time.sleep

    def __post_init__(self) -> None:
        if urllib.parse.urlparse(self.url).scheme not in ("http", "https"):
            raise ConfigError(f"the URL {self.url!r} is not http or https")
        if not self.contact.isascii() or not self.contact.isprintable():
            raise ConfigError(f"the contact {self.contact!r} is not plain ASCII text")

    @property
    def user_agent(self) -> str:
        return f"rml-lama/{__version__} ({self.contact or _HOME}) Python-urllib/{platform.python_version()}"


@dataclass(frozen=True, slots=True)
class _Problem:
    """A failure that may pass: what it was, and for how many seconds the server wants to be left alone."""

    what: str
    wait: float = 0.0


def ask_labels(service: Wikibase, items: Sequence[str], codes: Sequence[str]) -> dict[str, Answer]:
    """What the Wikibase holds of at most 50 items, for each of them: labels by code, or that there is none.

    Raises `FetchError` when it refuses, fails too often, or wants to be left alone for too long.
    """
    answers: dict[str, Answer] = {}
    while pending := [item for item in items if item not in answers]:
        parameters = {
            "action": "wbgetentities",
            "ids": "|".join(pending),
            "props": "labels",
            "languages": "|".join(codes),
            "format": "json",
            "maxlag": f"{_MAX_LAG:.0f}",
        }
        answers |= _insist(service, f"{service.url}?{urllib.parse.urlencode(parameters)}", pending)
    return answers


def _insist(service: Wikibase, url: str, items: Sequence[str]) -> dict[str, Answer]:
    """Ask until there is an answer; `service.attempts` times at most."""
    failures = 0
    while isinstance(outcome := _attempt(service, url, items), _Problem):
        failures += 1
        if outcome.wait > service.patience:
            wish = f"{service.url} wants to be left alone for {outcome.wait:.0f} seconds ({outcome.what})"
            raise FetchError(f"{wish}; call again later: what came is kept")
        if failures >= service.attempts:
            raise FetchError(f"cannot ask {service.url}: {outcome.what} (failure {failures}); call again to go on: what came is kept")
        pause = max(outcome.wait, min(service.pause * 2 ** (failures - 1), _LONGEST_PAUSE))
        logger.warning("%s; asking again in %.0f seconds", outcome.what, pause)
        service.wait(pause)
    return outcome


def _attempt(service: Wikibase, url: str, items: Sequence[str]) -> dict[str, Answer] | _Problem:
    headers = {"User-Agent": service.user_agent, "Accept-Encoding": "gzip"}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=_TIMEOUT) as response:
            data, answered = response.read(_MAX_BYTES), response.headers
    except urllib.error.HTTPError as error:
        with error:
            if error.code >= 500 or error.code in (408, 429):
                return _Problem(f"HTTP {error.code} {error.reason}", _retry_after(error.headers))
            hint = "; say who asks with --contact" if error.code == 403 and not service.contact else ""
            raise FetchError(f"{service.url} refuses: HTTP {error.code} {error.reason}{hint}") from error
    except (urllib.error.URLError, HTTPException, TimeoutError, ConnectionError) as error:
        return _Problem(str(error) or type(error).__name__)
    try:
        if answered.get("Content-Encoding") == "gzip":
            data = zlib.decompressobj(wbits=31).decompress(data, _MAX_BYTES)
        body = json.loads(data)
        if "error" in body:
            return _refusal(service, body["error"], items, _retry_after(answered))
        return _answers(body["entities"], items)
    except (zlib.error, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        return _Problem(f"an answer of another form ({type(error).__name__}: {error})", _retry_after(answered))


def _answers(entities: Mapping[str, Any], items: Sequence[str]) -> dict[str, Answer]:
    """The answer for each item. Raises one of the errors of a wrong form where there is none."""
    answers: dict[str, Answer] = {}
    for item in items:
        entity = entities[item]
        if "missing" in entity:
            answers[item] = {"missing": True}
            continue
        labels = {code: label["value"] for code, label in dict(entity.get("labels") or {}).items()}
        for text in labels.values():
            text.encode()  # half of a surrogate pair, or no text at all, is of a wrong form too
        answers[item] = {"labels": labels} if entity["id"] == item else {"labels": labels, "to": entity["id"]}
    return answers


def _refusal(service: Wikibase, error: Mapping[str, Any], items: Sequence[str], wait: float) -> dict[str, Answer] | _Problem:
    """An error in the body: one item that the server takes for no id, a failure that passes, or the end."""
    code, info = str(error["code"]), str(error.get("info", ""))
    if code == "no-such-entity" and error.get("id") in items:
        return {error["id"]: {"refused": True}}
    if code == "maxlag":
        return _Problem(info or code, max(wait, _MAX_LAG))
    if code in _PASSING or code.startswith("internal_api_error"):
        return _Problem(f"{code}: {info}", wait)
    raise FetchError(f"{service.url} refuses: {code}: {info}")


def _retry_after(headers: Message) -> float:
    """Seconds to wait, from a number or a date; 0 where the header is absent or makes no sense."""
    value = headers.get("Retry-After", "").strip()
    if value.isdecimal():
        return float(value)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return 0.0
