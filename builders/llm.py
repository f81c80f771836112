"""Talk to an OpenAI-compatible endpoint. The only file that imports `openai`.

The client's own retries (with back-off and retry-after) deal with what passes; what does not pass becomes one of three
errors: the endpoint cannot be used at all, this request is refused, or no answer came.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from rml_lama.builders.request import Answer, Request, schema_of
from rml_lama.errors import ConfigError, MissingExtraError, UsageError, WorkError

if TYPE_CHECKING:
    from openai import AsyncOpenAI

__all__ = [
    "EndpointError",
    "NoAnswerError",
    "OpenAITransport",
    "RefusedError",
    "Transport",
    "body_of",
    "mapped_error",
    "open_client",
    "read_completion",
]

_HIDDEN = "[key]"


class EndpointError(UsageError):
    """The endpoint cannot be used: wrong key, unknown model, wrong address."""


class RefusedError(WorkError):
    """The endpoint refuses this one request, and would again."""


class NoAnswerError(WorkError):
    """No answer came after all retries; asking again later may help."""


class Transport(Protocol):
    """Something that answers requests."""

    async def complete(self, request: Request) -> Answer:
        """The answer to one request. Raises `EndpointError`, `RefusedError` or `NoAnswerError`."""
        ...

    async def abandon(self) -> None:
        """Stop waiting for what can be collected in a later run."""
        ...

    async def close(self) -> None: ...


Structured = Literal["json_schema", "json_object", "none"]


def api_key(variable: str) -> str:
    """The key in the environment variable; a stand-in where the endpoint needs none. Raises `ConfigError`."""
    if not variable:
        return "unused"
    key = os.environ.get(variable, "").strip()
    if not key:
        raise ConfigError(
            f"the environment variable {variable} holds no API key; set it, or set api_key_env = '' for a server without keys"
        )
    return key


def open_client(base_url: str, *, key: str, timeout: float, retries: int) -> AsyncOpenAI:
    """A client of the endpoint; nothing is taken from the environment. Raises `MissingExtraError` where `openai` is not installed."""
    try:
        from openai import AsyncOpenAI, DefaultAioHttpClient

        # Half of the default transport's processor time a call, so that many calls in flight do not wait for each other.
        http = DefaultAioHttpClient(base_url=base_url, timeout=timeout)
    except (ImportError, RuntimeError) as error:
        raise MissingExtraError("openai[aiohttp]", "build") from error
    return AsyncOpenAI(base_url=base_url, api_key=key, timeout=timeout, max_retries=retries, organization="", project="", http_client=http)


def body_of(request: Request, structured: Structured) -> dict[str, Any]:
    """The body of a chat completion."""
    body: dict[str, Any] = {"model": request.model, "messages": request.wire_messages(), **request.parameters}
    if structured == "json_schema":
        schema = {"name": request.shape.__name__.lower(), "schema": schema_of(request.shape), "strict": True}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    elif structured == "json_object":
        body["response_format"] = {"type": "json_object"}
    return body


def read_completion(completion: Any, key: str) -> Answer:
    """A chat completion's body as an `Answer`, with the API key hidden wherever it is repeated.

    Raises `NoAnswerError` for a body that is not a completion.
    """
    try:
        choice = completion["choices"][0]
        message = choice["message"]
        usage = completion.get("usage") or {}
        return Answer(
            text=hide(message.get("content") or "", key),
            model=hide(str(completion.get("model") or ""), key),
            finish=str(choice.get("finish_reason") or "stop"),
            refusal=hide(str(message.get("refusal") or ""), key),
            prompt_tokens=int(usage.get("prompt_tokens") or 0),
            completion_tokens=int(usage.get("completion_tokens") or 0),
        )
    except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
        raise NoAnswerError(f"the endpoint's answer is not a chat completion: {type(error).__name__} {error}") from None


def hide(text: str, key: str) -> str:
    """The text without the key."""
    return text.replace(key, _HIDDEN) if len(key) >= 8 else text


@dataclass(slots=True)
class OpenAITransport:
    """One chat completion a request."""

    client: AsyncOpenAI
    key: str
    structured: Structured = "json_schema"

    async def complete(self, request: Request) -> Answer:
        import openai

        body = body_of(request, self.structured)
        try:
            # The plain call: `chat.completions.create` walks every message against its types, a third of a call's time.
            completion = await self.client.post("/chat/completions", body=body, cast_to=object)
        except (openai.OpenAIError, ValueError) as error:
            raise mapped_error(error, self.key) from None
        return read_completion(completion, self.key)

    async def abandon(self) -> None:
        """Nothing: what is in flight is waited for."""

    async def close(self) -> None:
        await self.client.close()


def _root(error: BaseException) -> BaseException:
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def mapped_error(error: Exception, key: str) -> Exception:
    """The client's error as one of ours, without the key and without the trace that may hold it."""
    import openai

    said = hide(" ".join(str(error).split())[:300], key)
    match error:
        case openai.AuthenticationError() | openai.PermissionDeniedError():
            return EndpointError(f"the endpoint refuses the API key: {said}")
        case openai.NotFoundError():
            return EndpointError(f"the endpoint does not know the address or the model: {said}")
        case openai.RateLimitError() if getattr(error, "code", None) == "insufficient_quota":
            return EndpointError(f"the account has no quota left: {said}")
        case openai.RateLimitError() | openai.InternalServerError() | openai.ConflictError():
            return NoAnswerError(f"no answer after all retries: {said}")
        case openai.APIStatusError():
            return RefusedError(f"the endpoint refuses the request: {said}")
        case openai.APITimeoutError():
            root = _root(error)  # the transport calls a refused connection a timeout, too
            if isinstance(root, OSError) and not isinstance(root, TimeoutError):
                return NoAnswerError(f"no connection after all retries: {hide(str(root), key)}")
            return NoAnswerError("no answer in time, after all retries")
        case openai.OpenAIError():
            return NoAnswerError(f"no answer after all retries: {said}")
        case ValueError():
            return NoAnswerError(f"the endpoint's answer is not JSON: {said}")
        case _:
            return error
