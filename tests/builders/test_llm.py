"""What an endpoint can do wrong becomes one of three errors, and the API key is in none of them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

import pytest

from rml_lama.builders.llm import (
    EndpointError,
    NoAnswerError,
    OpenAITransport,
    RefusedError,
    api_key,
    body_of,
    open_client,
    read_completion,
)
from rml_lama.builders.request import Answer, Message, Request
from rml_lama.builders.translate import BackTranslation
from rml_lama.errors import ConfigError
from tests.builders.conftest import Running
from tests.builders.loopback import error

KEY = "sk-marked-key-0123456789"
QUESTION = Request("p", "m", (Message("system", "a"), Message("user", "Hello")), BackTranslation, "v", {"max_tokens": 9, "seed": 0})


def ask(running: Running, *, retries: int = 0, timeout: float = 5.0) -> Answer:
    async def run() -> Answer:
        transport = OpenAITransport(open_client(running.base_url, key=KEY, timeout=timeout, retries=retries), KEY)
        try:
            return await transport.complete(QUESTION)
        finally:
            await transport.close()

    return asyncio.run(run())


def test_a_completion_comes_back_with_the_model_as_returned_and_its_tokens(endpoint: Callable[..., Running]) -> None:
    running = endpoint()
    answer = ask(running)
    assert json.loads(answer.text) == {"translation": "Hello"}
    assert (answer.model, answer.finish) == ("m-2026", "stop")
    assert answer.prompt_tokens > 0
    assert running.server.authorization == {f"Bearer {KEY}"}


@pytest.mark.parametrize(
    ("status", "code", "kind", "said"),
    [
        (401, "invalid_api_key", EndpointError, "refuses the API key"),
        (403, "forbidden", EndpointError, "refuses the API key"),
        (404, "model_not_found", EndpointError, "does not know the address or the model"),
        (429, "insufficient_quota", EndpointError, "no quota left"),
        (429, "rate_limit", NoAnswerError, "no answer after all retries"),
        (500, "server_error", NoAnswerError, "no answer after all retries"),
        (503, "overloaded", NoAnswerError, "no answer after all retries"),
        (400, "bad_request", RefusedError, "refuses the request"),
        (422, "unprocessable", RefusedError, "refuses the request"),
    ],
)
def test_statuses_become_errors_without_the_key(
    status: int, code: str, kind: type[Exception], said: str, endpoint: Callable[..., Running]
) -> None:
    running = endpoint(script=[(status, error(code, f"you sent {KEY}, which we repeat"))])
    with pytest.raises(kind, match=said) as caught:
        ask(running)
    assert KEY not in str(caught.value)
    assert caught.value.__cause__ is None, "the client's own error holds the request and its headers"


def test_the_client_retries_what_passes(endpoint: Callable[..., Running]) -> None:
    running = endpoint(script=[(500, b"{}"), (429, b"{}"), (503, b"oops")])
    assert ask(running, retries=3).model == "m-2026"


@pytest.mark.parametrize("body", [b"<html>gateway</html>", b"{}", b'{"choices": []}', b'{"choices": [{"message": null}]}', b"[]", b"null"])
def test_a_body_that_is_no_completion_is_no_answer(body: bytes, endpoint: Callable[..., Running]) -> None:
    with pytest.raises(NoAnswerError, match="is not"):
        ask(endpoint(script=[(200, body)]))


def test_a_stall_ends_at_the_timeout(endpoint: Callable[..., Running]) -> None:
    with pytest.raises(NoAnswerError, match="no answer in time"):
        ask(endpoint(latency=30.0), timeout=0.5)


def test_nobody_listening_is_no_answer() -> None:
    with pytest.raises(NoAnswerError, match="no connection"):
        ask(Running(None, "http://127.0.0.1:9/v1"))  # type: ignore[arg-type]


def test_a_key_that_an_answer_repeats_is_hidden() -> None:
    completion = {"choices": [{"message": {"content": f"my key is {KEY}"}}], "model": f"m-{KEY}"}
    answer = read_completion(completion, KEY)
    assert (answer.text, answer.model) == ("my key is [key]", "m-[key]")


@pytest.mark.parametrize(("structured", "kind"), [("json_schema", "json_schema"), ("json_object", "json_object"), ("none", None)])
def test_the_schema_is_sent_in_the_way_that_the_config_says(structured: str, kind: str | None) -> None:
    body = body_of(QUESTION, structured)  # type: ignore[arg-type]
    assert body["max_tokens"] == 9
    assert (body["response_format"]["type"] if kind else body.get("response_format")) == kind
    if kind == "json_schema":
        schema = body["response_format"]["json_schema"]
        assert (schema["name"], schema["strict"], schema["schema"]["required"]) == ("backtranslation", True, ["translation"])


def test_keys_come_from_the_environment_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", f" {KEY}\n")
    assert api_key("SOME_KEY") == KEY
    assert api_key("") == "unused"
    monkeypatch.delenv("SOME_KEY")
    with pytest.raises(ConfigError, match="SOME_KEY holds no API key"):
        api_key("SOME_KEY")
