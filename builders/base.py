"""The contracts of the builders: a source yields facts; a rephraser and a translator yield templates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from rml_lama.records import Fact, Reject, Relation, Template

__all__ = ["Rephraser", "Source", "Translator"]


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


class Rephraser(Protocol):
    """Writes new phrasings of a relation from seed phrasings."""

    def rephrase(self, relation: Relation, seeds: Sequence[Template], n: int) -> Iterator[Template]: ...


class Translator(Protocol):
    """Carries one phrasing into another language, slots kept."""

    def translate(self, template: Template, target: str) -> Template: ...
