"""The contract of a filter: a template and its context in, a verdict out. Filters are pure; the runner counts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from rml_lama.records import Template, Verdict

__all__ = ["Context", "Filter", "Prepared", "not_judged"]


@dataclass(frozen=True, slots=True)
class Context:
    """What a filter may look at beside the template itself: the other phrasings of the same relation and language."""

    siblings: Mapping[tuple[str, str], Sequence[Template]] = field(default_factory=dict)

    def siblings_of(self, template: Template) -> Sequence[Template]:
        """The set that the template belongs to, itself included, in file order."""
        return self.siblings.get((template.language, template.relation), ())


class Filter(Protocol):
    """One reason for which a template may be refused."""

    @property
    def name(self) -> str:
        """The filter's name in presets, scores and rejects."""
        ...

    def check(self, template: Template, context: Context) -> Verdict:
        """Judge one template. Same input, same verdict, in any order and process."""
        ...


@runtime_checkable
class Prepared(Protocol):
    """A filter that asks a model: it may be told beforehand of all templates, so that it can ask in batches.

    What it learns is kept by content (`rml_lama.validation.memo`); `check` gives the same verdict without `prepare`.
    """

    def prepare(self, templates: Sequence[Template], context: Context) -> None:
        """Ask for everything that `check` will need."""
        ...


def not_judged(name: str, threshold: float, why: str) -> Verdict:
    """A pass without a score (NaN): the filter has nothing to go by, and says so."""
    return Verdict(True, name, math.nan, threshold, f"not judged: {why}")
