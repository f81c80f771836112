"""Run filters over templates; the runner alone counts and keeps the rejects."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rml_lama.records import Reject, Template, Verdict, by_relation
from rml_lama.validation.base import Context, Filter, Prepared

__all__ = ["Judged", "faults_of", "judge_all", "rejects_of", "validate"]

STAGE = "validate"


@dataclass(frozen=True, slots=True)
class Judged:
    """A template and what every filter said of it, in the order of the filters."""

    template: Template
    verdicts: tuple[Verdict, ...]

    @property
    def passed(self) -> bool:
        return all(verdict.passed for verdict in self.verdicts)

    @property
    def failed(self) -> list[Verdict]:
        return [verdict for verdict in self.verdicts if not verdict.passed]


def faults_of(template: Template, siblings: Sequence[Template], filters: Sequence[Filter]) -> list[Reject]:
    """One reject for each filter that the template fails beside its siblings, which are not judged."""
    context = Context(by_relation([*siblings, template]))
    verdicts = tuple(check.check(template, context) for check in filters)
    return rejects_of([Judged(template, verdicts)])


def judge_all(templates: Sequence[Template], filters: Sequence[Filter]) -> list[Judged]:
    """Every verdict on every template, in input order."""
    context = Context(by_relation(templates))
    for check in filters:
        if isinstance(check, Prepared):
            check.prepare(templates, context)
    return [Judged(template, tuple(check.check(template, context) for check in filters)) for template in templates]


def validate(templates: Iterable[Template], filters: Sequence[Filter]) -> tuple[list[Template], list[Reject]]:
    """Split templates into the accepted ones and one reject for each failed filter, both in input order."""
    judged = judge_all(list(templates), filters)
    return [one.template for one in judged if one.passed], rejects_of(judged)


def rejects_of(judged: Iterable[Judged]) -> list[Reject]:
    """One row of the `rejected` config for each failed filter of each template."""
    return [_reject(one.template, verdict) for one in judged for verdict in one.failed]


def _reject(template: Template, verdict: Verdict) -> Reject:
    return Reject(
        STAGE, verdict.filter, template.language, template.relation, template.text, verdict.reason, verdict.score, verdict.threshold
    )
