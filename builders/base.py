"""The contracts of the builders: a source yields facts; a translator carries phrasings into another language."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from rml_lama.records import Fact, Reject, Template

__all__ = ["Rewrite", "Source", "Translation", "Translator"]


class Source(Protocol):
    """Facts of one track, grouped by relation in relation order and sorted within it; nothing is dropped silently."""

    name: str
    license: str

    def facts(self) -> Iterator[Fact]:
        """All facts, one relation after the other. Complete only when the iterator is exhausted."""
        ...

    @property
    def rejects(self) -> Sequence[Reject]:
        """What was read and not passed on, with reasons; grows while `facts` runs."""
        ...

    @property
    def report(self) -> Mapping[str, object]:
        """Counts and checksums of what was read, for the manifest."""
        ...


@dataclass(frozen=True, slots=True)
class Translation:
    """A translated phrasing, or the reject that says why there is none."""

    template: Template | None
    reject: Reject | None


@dataclass(frozen=True, slots=True)
class Rewrite:
    """A mended query: the text with `[Y]` in the blank, and where it comes from."""

    cloze: str
    provenance: str
    prompt_version: str
    ledger_key: str


class Translator(Protocol):
    """Carries one phrasing into another language, slots kept; asynchronous, since most of it is waiting."""

    async def translate(self, template: Template, target: str) -> Translation: ...

    async def back(self, template: Template, source: str) -> str | None:
        """The phrasing's text in the language `source`, for the back-translation filter; None where there is no answer."""
        ...
