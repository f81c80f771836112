"""Do two phrasings say the same, and not with the same words? Similarity to the set, and distance from its nearest member.

`paraphrase` asks for a cosine with the nearest references of the set that is high enough (else the phrasing drifts), `diversity`
that no other phrasing of the set is too close in wording (chrF++: a duplicate).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rml_lama.records import Template, Verdict
from rml_lama.validation.base import Context, not_judged
from rml_lama.validation.chrf import chrf
from rml_lama.validation.embedding import Vectors
from rml_lama.validation.forms import plain
from rml_lama.validation.references import References

NEAREST = 3  # references whose mean cosine counts

__all__ = ["Diversity", "Paraphrase", "same_meaning"]


@dataclass(frozen=True, slots=True)
class Paraphrase:
    """Pass when the phrasing is near enough in meaning to the references of its set."""

    references: References
    vectors: Vectors
    threshold: float
    name: str = "paraphrase"

    def prepare(self, templates: Sequence[Template], context: Context) -> None:
        others = {other for template in templates for other in self.references.others(template)}
        self.vectors.of([*(template.text for template in templates), *sorted(others)])

    def check(self, template: Template, context: Context) -> Verdict:
        others = self.references.others(template)
        if not others:
            return not_judged(self.name, self.threshold, f"no references for {template.language} {template.relation}")
        own, *theirs = self.vectors.of([template.text, *others])
        similarity = np.stack(theirs) @ own  # (references,)
        best = int(similarity.argmax())
        reason = f"nearest: {others[best]!r} {similarity[best]:.3f}"
        return Verdict.at_least(
            self.name, score=round(float(np.sort(similarity)[-NEAREST:].mean()), 4), threshold=self.threshold, reason=reason
        )


@dataclass(frozen=True, slots=True)
class Diversity:
    """Pass unless an earlier phrasing of the same set has nearly the same wording; of two, only the later is at fault.

    The score is the highest symmetric chrF++ with an earlier one. "Earlier" is by length, then text, so that the order of the
    file does not matter.
    """

    threshold: float  # at most
    name: str = "diversity"

    def check(self, template: Template, context: Context) -> Verdict:
        own = plain(template.text)
        earlier = [text for other in context.siblings_of(template) if _rank(text := plain(other.text)) < _rank(own)]
        if not earlier:
            return Verdict(True, self.name, 0.0, self.threshold, "")
        score, nearest = max(((chrf(own, text) + chrf(text, own)) / 2, text) for text in earlier)
        return Verdict(score <= self.threshold, self.name, round(score, 2), self.threshold, f"nearest: {nearest!r}")


def same_meaning(pairs: Sequence[tuple[str, str]], vectors: Vectors) -> list[float]:
    """The cosine of each pair of sentences."""
    found = vectors.of([text for pair in pairs for text in pair])
    return [float(found[2 * number] @ found[2 * number + 1]) for number in range(len(pairs))]


def _rank(text: str) -> tuple[int, str]:
    return len(text), text
