"""What everything passes around: Relation, Fact, Template, Query, Verdict, Reject. Immutable, without behaviour that costs."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from rml_lama.errors import DataError

__all__ = [
    "OBJECT",
    "RELATIONS",
    "SUBJECT",
    "VERDICTS",
    "Fact",
    "Query",
    "Reject",
    "Relation",
    "Template",
    "Verdict",
    "by_relation",
    "fact_id_of",
    "relation_order",
    "template_id_of",
]

SUBJECT, OBJECT = "[X]", "[Y]"
VERDICTS = ("natural", "acceptable", "wrong")  # what a second reader may call a phrasing
Kind = Literal["1-1", "N-1", "N-M"]


@dataclass(frozen=True, slots=True)
class Relation:
    """A Wikidata property: `kind` tells how many objects a subject has; `inverse` names the inverse relation, if any."""

    id: str
    name: str
    kind: Kind
    inverse: str | None = None


RELATIONS: dict[str, Relation] = {
    relation.id: relation
    for relation in (
        Relation("P17", "country", "N-1"),
        Relation("P19", "place of birth", "N-1"),
        Relation("P20", "place of death", "N-1"),
        Relation("P27", "country of citizenship", "N-M"),
        Relation("P30", "continent", "N-1"),
        Relation("P31", "instance of", "N-M"),
        Relation("P36", "capital", "1-1", "P1376"),
        Relation("P37", "official language", "N-M"),
        Relation("P38", "currency", "N-M"),
        Relation("P39", "position held", "N-M"),
        Relation("P47", "shares border with", "N-M", "P47"),
        Relation("P101", "field of work", "N-M"),
        Relation("P103", "native language", "N-1"),
        Relation("P106", "occupation", "N-M"),
        Relation("P108", "employer", "N-M"),
        Relation("P127", "owned by", "N-M"),
        Relation("P131", "located in the administrative territorial entity", "N-1"),
        Relation("P136", "genre", "N-M"),
        Relation("P138", "named after", "N-1"),
        Relation("P140", "religion", "N-M"),
        Relation("P159", "headquarters location", "N-1"),
        Relation("P176", "manufacturer", "N-1"),
        Relation("P178", "developer", "N-M"),
        Relation("P190", "twinned administrative body", "N-M", "P190"),
        Relation("P264", "record label", "N-M"),
        Relation("P276", "location", "N-1"),
        Relation("P279", "subclass of", "N-M"),
        Relation("P361", "part of", "N-M", "P527"),
        Relation("P364", "original language of film or TV show", "N-M"),
        Relation("P407", "language of work or name", "N-M"),
        Relation("P413", "position played on team", "N-M"),
        Relation("P449", "original broadcaster", "N-1"),
        Relation("P463", "member of", "N-M"),
        Relation("P495", "country of origin", "N-1"),
        Relation("P527", "has part", "N-M", "P361"),
        Relation("P530", "diplomatic relation", "N-M", "P530"),
        Relation("P740", "location of formation", "N-1"),
        Relation("P937", "work location", "N-M"),
        Relation("P1001", "applies to jurisdiction", "N-M"),
        Relation("P1303", "instrument", "N-M"),
        Relation("P1376", "capital of", "1-1", "P36"),
        Relation("P1412", "languages spoken, written or signed", "N-M"),
    )
}


def relation_order(relation: str) -> int:
    """The number in a property id, by which relations are sorted: P17 before P101."""
    return int(relation.removeprefix("P"))


def _short_hash(*parts: str, length: int) -> str:
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:length]


def fact_id_of(relation: str, subject_id: str, object_id: str) -> str:
    """The stable id of a fact: 12 hexadecimal digits (48 bits) of a hash of relation, subject and object.

    >>> fact_id_of("P36", "Q142", "Q90")
    'd2e2af3cac45'
    """
    return _short_hash(relation, subject_id, object_id, length=12)


@functools.lru_cache(maxsize=1 << 16)
def template_id_of(language: str, relation: str, text: str) -> str:
    """The stable id of a phrasing: it changes when, and only when, the phrasing does.

    >>> template_id_of("en", "P36", "The capital of [X] is [Y].")
    'en-P36-107b70'
    """
    return f"{language}-{relation}-{_short_hash(text, length=6)}"


@dataclass(frozen=True, slots=True)
class Fact:
    """One triple with its labels.

    `labels` maps a language code to the pair (subject label, object label); a language in which either label is
    missing is absent. `answers` maps a language code to the labels of all valid objects of this subject, sorted.
    `parallel`: labelled in every language that the source promises (mLAMA: the 24 first-tier languages).
    """

    relation: str
    subject_id: str
    object_id: str
    labels: Mapping[str, tuple[str, str]]
    answers: Mapping[str, tuple[str, ...]]
    parallel: bool
    single_answer: bool
    source: str
    license: str
    subject_qid: str = ""  # Wikidata's ids, where known
    object_qid: str = ""

    @property
    def fact_id(self) -> str:
        return fact_id_of(self.relation, self.subject_id, self.object_id)


@dataclass(frozen=True, slots=True)
class Template:
    """One phrasing of a relation in a language, with exactly one `[X]` and one `[Y]`.

    `causal`: everything needed to predict `[Y]` (subject and relation) stands before it. `frame` tags its main predicate.
    `provenance` is `authored`, `mlama`, `llm:<model as returned>` or `mt:<model>`; `parent` is the id of the template it was
    translated from. `prompt_version` and `ledger_key` name the prompt and the ledger record that a generated one comes from.
    """

    language: str
    relation: str
    text: str
    causal: bool
    frame: str = ""
    provenance: str = "authored"
    parent: str = ""
    prompt_version: str = ""
    ledger_key: str = ""
    scores: Mapping[str, float] = field(default_factory=dict)
    status: str = "accepted"

    @property
    def template_id(self) -> str:
        return template_id_of(self.language, self.relation, self.text)

    @property
    def bare_text(self) -> str:
        """The phrasing without its slots, for language identification and similarity."""
        return " ".join(self.text.replace(SUBJECT, " ").replace(OBJECT, " ").split())

    def split(self, subject: str) -> tuple[str, str]:
        """The text before and after the blank, with the subject filled in.

        >>> Template("en", "P36", "The capital of [X] is [Y].", True).split("France")
        ('The capital of France is ', '.')
        """
        before, blank, after = self.text.partition(OBJECT)
        if not blank:
            raise DataError(f"template {self.template_id} has no {OBJECT}")
        return before.replace(SUBJECT, subject), after.replace(SUBJECT, subject)


def by_relation(templates: Iterable[Template]) -> dict[tuple[str, str], list[Template]]:
    """The sets of phrasings: templates by (language, relation), in input order."""
    groups: dict[tuple[str, str], list[Template]] = {}
    for template in templates:
        groups.setdefault((template.language, template.relation), []).append(template)
    return groups


@dataclass(frozen=True, slots=True)
class Query:
    """One row of the benchmark: `prompt + answer + suffix` is the whole sentence, `cloze` the same with `[Y]` in the blank.

    Where it comes from is its template's `provenance`, `prompt_version` and `ledger_key`, or its own where a model has
    mended the filled sentence.
    """

    query_id: str
    fact_id: str
    relation: str
    language: str
    template_id: str
    subject: str
    prompt: str
    suffix: str
    cloze: str
    answer: str
    answers: tuple[str, ...]
    causal: bool
    single_answer: bool
    answer_in_subject: bool
    parallel: bool
    source: str
    license: str
    provenance: str = "authored"
    prompt_version: str = ""
    ledger_key: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a filter says of one template or query; `score` and `threshold` are in the filter's own unit."""

    passed: bool
    filter: str
    score: float
    threshold: float
    reason: str

    @classmethod
    def at_least(cls, filter: str, *, score: float, threshold: float, reason: str = "") -> Verdict:
        """Pass when `score >= threshold`."""
        return cls(score >= threshold, filter, score, threshold, reason)


@dataclass(frozen=True, slots=True)
class Reject:
    """Something that did not make it into the benchmark, with the reason; a row of the `rejected` config."""

    stage: str
    filter: str
    language: str
    relation: str
    item: str
    reason: str
    score: float = 0.0
    threshold: float = 0.0
    count: int = 1
