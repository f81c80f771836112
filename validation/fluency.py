"""Is a phrasing as likely a sentence as the other phrasings of its relation, filled with the same names?

The log-likelihood of the filled phrasing under a causal language model, in nats a character, minus the median of the reference
phrasings of the same set filled alike: what the language, the relation and the names cost falls out.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from rml_lama.records import Template, Verdict
from rml_lama.validation.base import Context, not_judged
from rml_lama.validation.forms import filled, plain, presented
from rml_lama.validation.memo import Memo
from rml_lama.validation.references import References

__all__ = ["NEUTRAL", "Fluency", "Likelihoods", "Scorer"]

NEUTRAL = (("X", "Y"),)
DIGITS = 2


class Scorer(Protocol):
    """A language model that says how likely texts are."""

    name: str

    def log_likelihoods(self, groups: Sequence[Sequence[str]]) -> list[list[float]]:
        """Log-probability of each text of each group from its start, in nats; the same in any company but for rounding."""
        ...


class Likelihoods:
    """Log-likelihoods of filled phrasings, kept in a memo; rounded to 0.01 nats, far above what company changes in float32."""

    def __init__(self, scorer: Scorer, memo: Memo) -> None:
        self._scorer = scorer
        self._memo = memo

    def of(self, phrasings: Sequence[tuple[str, ...]]) -> list[list[float]]:
        """For each tuple of texts (the fills of one phrasing), their log-likelihoods."""

        def compute(chunk: list[Any]) -> list[list[float]]:
            return [[round(value, DIGITS) for value in values] for values in self._scorer.log_likelihoods(chunk)]

        return self._memo.answers(f"log-likelihood {self._scorer.name}", [list(texts) for texts in phrasings], compute)


@dataclass(frozen=True, slots=True)
class Fluency:
    """Pass when the phrasing is not much less likely than the reference phrasings of its set."""

    references: References
    likelihoods: Likelihoods
    threshold: float
    fills: Mapping[tuple[str, str], Sequence[tuple[str, str]]]
    name: str = "fluency"

    def prepare(self, templates: Sequence[Template], context: Context) -> None:
        texts = {text for template in templates for text in (self._texts(template, plain(template.text)), *self._peers(template, context))}
        self.likelihoods.of(sorted(texts))

    def check(self, template: Template, context: Context) -> Verdict:
        peers = self._peers(template, context)
        if not peers:
            return not_judged(self.name, self.threshold, "no other phrasing of the relation to compare with")
        own, *others = (self._rate(texts) for texts in (self._texts(template, plain(template.text)), *peers))
        score = round(own - statistics.median(others), 4)
        reason = f"{own:.2f} nats a character, the median of {len(others)} others {statistics.median(others):.2f}"
        return Verdict.at_least(self.name, score=score, threshold=self.threshold, reason=reason)

    def _peers(self, template: Template, context: Context) -> list[tuple[str, ...]]:
        own = plain(template.text)
        texts = self.references.others(template) or sorted({plain(other.text) for other in context.siblings_of(template)} - {own})
        return [self._texts(template, text) for text in texts]

    def _texts(self, template: Template, text: str) -> tuple[str, ...]:
        sentence = presented(text, template.language)
        return tuple(filled(sentence, *fill) for fill in (*NEUTRAL, *self.fills.get((template.language, template.relation), ())))

    def _rate(self, texts: tuple[str, ...]) -> float:
        """Nats a character over all fills."""
        return sum(self.likelihoods.of([texts])[0]) / sum(map(len, texts))
