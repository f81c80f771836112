"""What is asked of a model and what comes back: Request, Answer, and the reading of an answer as a JSON object.

A request's key is the hash of everything that decides its answer: provider, model, messages, parameters, schema and
prompt version. Addresses, keys and limits are not in it. Some servers ignore schemas, so the shape is always checked here.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from rml_lama.config import GenerateConfig
from rml_lama.ledger import content_key

__all__ = ["Answer", "AnswerShape", "Message", "Request", "ShapeError", "make_request", "read_answer", "schema_of"]

_FENCE = re.compile(r"```(?:json)?\s*(.*?)(?:```|\Z)", re.DOTALL)


class AnswerShape(BaseModel):
    """Base of the shapes an answer may be asked to have; unknown fields are refused, as strict schemas demand."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Shape = TypeVar("Shape", bound=AnswerShape)


@functools.cache
def schema_of(shape: type[AnswerShape]) -> dict[str, Any]:
    """The JSON schema of a shape."""
    return shape.model_json_schema()


class ShapeError(ValueError):
    """An answer is not what was asked for; the message is fit to be sent back to the model."""


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation; `role` is system, user or assistant."""

    role: str
    content: str


@dataclass(frozen=True)
class Request:
    """One question to one model."""

    provider: str
    model: str
    messages: tuple[Message, ...]
    shape: type[AnswerShape]
    prompt: str  # name and version of the prompt, as `rephrase@1-3f2a`
    parameters: Mapping[str, Any] = field(default_factory=dict)
    about: str = ""  # for people: "rephrase en P36, round 2"

    @functools.cached_property
    def key(self) -> str:
        """The address of the answer in the ledger."""
        decided_by = {
            "provider": self.provider,
            "model": self.model,
            "messages": [asdict(message) for message in self.messages],
            "schema": schema_of(self.shape),
            "prompt": self.prompt,
            "parameters": dict(self.parameters),
        }
        return content_key(decided_by)

    def after(self, answer: str, complaint: str) -> Request:
        """The conversation carried on: what the model said, and what was wrong with it."""
        turns = (Message("assistant", answer), Message("user", complaint))
        return replace(self, messages=self.messages + turns)

    def wire_messages(self) -> list[dict[str, str]]:
        """The messages as endpoints take them."""
        return [{"role": message.role, "content": message.content} for message in self.messages]


def make_request(
    config: GenerateConfig, messages: tuple[Message, ...], shape: type[AnswerShape], prompt: str, about: str, *, variant: int = 0
) -> Request:
    """A request with the config's model and parameters; `variant` keeps equal questions of later rounds apart."""
    parameters = {"temperature": config.temperature, "max_tokens": config.max_tokens, "seed": config.seed + variant}
    return Request(config.provider, config.model, messages, shape, prompt, parameters, about)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model said, as it is kept in the ledger; token counts are the provider's own."""

    text: str
    model: str  # as returned
    finish: str = "stop"
    refusal: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Answer:
        return cls(**record)

    def record(self) -> dict[str, Any]:
        return asdict(self)


def read_answer(answer: Answer, shape: type[Shape]) -> Shape:
    """The answer as an object of the shape; a code fence or words around the object are passed over.

    Raises `ShapeError`, which says what is wrong and where.
    """
    text = answer.text.strip()
    if fenced := _FENCE.search(text):
        text = fenced[1].strip()
    start = text.find("{")
    if start < 0:
        raise ShapeError("there is no JSON object in the answer")
    try:
        value, _ = json.JSONDecoder().raw_decode(text, start)
    except ValueError as error:
        cut = " (it was cut off: be shorter)" if answer.finish == "length" else ""
        raise ShapeError(f"the JSON cannot be read: {error}{cut}") from error
    except RecursionError as error:
        raise ShapeError("the JSON is nested too deeply") from error
    try:
        return shape.model_validate(value, strict=True)
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, fault['loc'])) or 'the object'}: {fault['msg']}" for fault in error.errors()[:3]]
        raise ShapeError("the JSON has the wrong shape: " + "; ".join(faults)) from error
