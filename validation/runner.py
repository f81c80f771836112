"""Run filters over templates; the runner alone counts and keeps the rejects."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rml_lama.records import Reject, Template, Verdict, by_relation
from rml_lama.validation.base import Context, Filter
from rml_lama.validation.structure import Structure

__all__ = ["REGISTRY", "validate"]

REGISTRY: dict[str, type[Filter]] = {"structure": Structure}


def validate(templates: Iterable[Template], filters: Sequence[Filter]) -> tuple[list[Template], list[Reject]]:
    """Split templates into the accepted ones and one reject for each failed filter, both in input order."""
    everything = list(templates)
    context = Context(by_relation(everything))
    accepted: list[Template] = []
    rejects: list[Reject] = []
    for template in everything:
        verdicts = [check.check(template, context) for check in filters]
        failed = [verdict for verdict in verdicts if not verdict.passed]
        rejects += [_reject(template, verdict) for verdict in failed]
        if not failed:
            accepted.append(template)
    return accepted, rejects


def _reject(template: Template, verdict: Verdict) -> Reject:
    return Reject(
        "validate", verdict.filter, template.language, template.relation, template.text, verdict.reason, verdict.score, verdict.threshold
    )
