"""Is a phrasing as likely a sentence as the other phrasings of its relation, filled with the same facts?

The log-likelihood of the filled phrasing under a causal language model, in nats, minus the median of the reference phrasings of
the same set filled alike: what the language, the relation and the names cost falls out. A longer phrasing costs more; so each
reference is charged its language's nats a character for the difference in length.
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from rml_lama.records import Template, Verdict
from rml_lama.validation.base import Context, not_judged
from rml_lama.validation.forms import filled, plain, presented
from rml_lama.validation.memo import Memo
from rml_lama.validation.references import References

__all__ = ["FACTS", "Facts", "Fluency", "Likelihoods", "Scorer", "draw_facts"]

FACTS = 2  # fills of a phrasing, drawn by seed
SHORT = 40  # characters of both names of a fill, where a relation has such facts
DIGITS = 2

Facts = Mapping[tuple[str, str], Sequence[tuple[str, str]]]  # labels of subjects and answers, by language and relation


def draw_facts(facts: Facts) -> dict[tuple[str, str], Sequence[tuple[str, str]]]:
    """`FACTS` of each language and relation, short ones where there are any; the same whatever else is given."""
    drawn: dict[tuple[str, str], Sequence[tuple[str, str]]] = {}
    for (code, relation), known in facts.items():
        short = [fact for fact in known if sum(map(len, fact)) <= SHORT] or known
        drawn[code, relation] = random.Random(f"{code} {relation}").sample(short, min(FACTS, len(short)))
    return drawn


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
    """Pass when the phrasing is not much less likely than the reference phrasings of its set.

    `slopes` are nats a character of text around the slots, by language, with a `default`; `facts` are all filled in
    (see `draw_facts`). A relation without facts is not judged.
    """

    references: References
    likelihoods: Likelihoods
    threshold: float
    slopes: Mapping[str, float]
    facts: Facts
    name: str = "fluency"

    def prepare(self, templates: Sequence[Template], context: Context) -> None:
        known = (one for one in templates if self.facts.get((one.language, one.relation)))
        texts = {self._fill(one, text) for one in known for text in (plain(one.text), *self._peers(one, context))}
        self.likelihoods.of(sorted(texts))

    def check(self, template: Template, context: Context) -> Verdict:
        if not self.facts.get((template.language, template.relation)):
            return not_judged(self.name, self.threshold, f"no facts of {template.language} {template.relation} to fill in")
        peers = self._peers(template, context)
        if not peers:
            return not_judged(self.name, self.threshold, "no other phrasing of the relation to compare with")
        slope = self.slopes.get(template.language, self.slopes["default"])
        nats, length = self.measure(template, plain(template.text))
        expected = [other + slope * (length - characters) for other, characters in (self.measure(template, peer) for peer in peers)]
        middle = statistics.median(expected)
        reason = f"{nats:.1f} nats, {middle:.1f} expected from the median of {len(peers)} others"
        return Verdict.at_least(self.name, score=round(nats - middle, 4), threshold=self.threshold, reason=reason)

    def measure(self, template: Template, text: str) -> tuple[float, int]:
        """Mean nats over the fills of a plain phrasing of the template's set, and its characters around the slots."""
        found = self.likelihoods.of([self._fill(template, text)])[0]
        return statistics.fmean(found), len(presented(text, template.language)) - len("[X][Y]")

    def _peers(self, template: Template, context: Context) -> list[str]:
        own = plain(template.text)
        return self.references.others(template) or sorted({plain(other.text) for other in context.siblings_of(template)} - {own})

    def _fill(self, template: Template, text: str) -> tuple[str, ...]:
        facts = self.facts[template.language, template.relation]
        return tuple(filled(presented(text, template.language), *fact) for fact in facts)
