"""Keep a phrasing only if it still says its own relation, and a causal one only if it says so before the blank.

The score is the margin: cosine with the own relation's prototype minus that with the best other one's. Fixed cosine thresholds
accept nearly every wrong relation; margins do not (docs/validation).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rml_lama.records import OBJECT, Template, Verdict
from rml_lama.validation.base import Context, not_judged
from rml_lama.validation.embedding import Vectors
from rml_lama.validation.prototypes import Margin, Prototypes
from rml_lama.validation.references import References

__all__ = ["CausalPrefix", "RelationMargin", "prefix"]


@dataclass(frozen=True, slots=True)
class RelationMargin:
    """Pass when the own relation beats every other one by `threshold` in cosine similarity."""

    vectors: Vectors
    prototypes: Prototypes
    references: References
    threshold: float
    name: str = "relation-margin"

    def prepare(self, templates: Sequence[Template], context: Context) -> None:
        self.vectors.of([template.text for template in templates])

    def check(self, template: Template, context: Context) -> Verdict:
        vector = self.vectors.of([template.text])[0]
        holders = self.references.holders(template)
        margin = self.prototypes.margin(vector, template.language, template.relation, member_of=holders)
        return _verdict(self.name, margin, self.threshold, template)


@dataclass(frozen=True, slots=True)
class CausalPrefix:
    """Pass when what a left-to-right model reads before the blank is still nearest to the own relation."""

    vectors: Vectors
    prototypes: Prototypes
    threshold: float
    name: str = "causal"

    def prepare(self, templates: Sequence[Template], context: Context) -> None:
        self.vectors.of([prefix(template) for template in templates if template.causal])

    def check(self, template: Template, context: Context) -> Verdict:
        if not template.causal:
            return not_judged(self.name, self.threshold, "not called causal")
        vector = self.vectors.of([prefix(template)])[0]
        margin = self.prototypes.margin(vector, template.language, template.relation)
        return _verdict(self.name, margin, self.threshold, template)


def prefix(template: Template) -> str:
    """What stands before the blank.

    >>> prefix(Template("en", "P36", "The capital of [X] is [Y].", True))
    'The capital of [X] is'
    """
    return template.text.partition(OBJECT)[0].strip()


def _verdict(name: str, margin: Margin | None, threshold: float, template: Template) -> Verdict:
    if margin is None:
        return not_judged(name, threshold, f"no prototype of {template.relation}")
    return Verdict.at_least(name, score=margin.score, threshold=threshold, reason=f"nearest other relation: {margin.rival}")
