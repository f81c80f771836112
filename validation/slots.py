"""Do `[X]` and `[Y]` stand where they belong? What stands around a slot tells subject from answer.

Each gram beside a slot ("the capital of ‸", "‸ is the") votes with the log-odds of standing beside this slot rather than the
other one in the reference phrasings: those of the relation count fully, those of the language's other relations a little. Longer
grams weigh more. The score is the mean vote; it is below zero where the phrasing would fit better with its slots swapped.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from rml_lama.records import OBJECT, SUBJECT, Template, Verdict
from rml_lama.validation.base import Context, not_judged
from rml_lama.validation.forms import plain
from rml_lama.validation.references import References

__all__ = ["Slots", "swapped"]

SIZES = (2, 3, 4, 6, 8)  # characters
ORDER_SIZE = 3  # which slot comes first votes like a gram of so many characters
SMOOTHING = 0.4  # phrasings
LANGUAGE_WEIGHT = 0.2  # of a phrasing of another relation
Clue = tuple[str, str]  # a gram with the side on which it stands, and the slot beside it


@dataclass(slots=True)
class Slots:
    """Pass unless the phrasing fits the references better with `[X]` and `[Y]` swapped."""

    references: References
    threshold: float
    name: str = "slots"
    _sets: dict[tuple[str, str], Counter[Clue]] = field(default_factory=dict)
    _languages: dict[str, Counter[Clue]] = field(default_factory=dict)

    def check(self, template: Template, context: Context) -> Verdict:
        mirror = plain(swapped(template.text))
        if not [other for other in self.references.others(template) if other != mirror]:
            return not_judged(self.name, self.threshold, f"no references for {template.language} {template.relation}")
        clues = list(_clues(template.text))
        votes = [size * self._log_odds(template, gram, slot) for gram, slot, size in clues]
        score = round(sum(votes) / max(len(votes), 1), 4)
        passed = score >= self.threshold
        return Verdict(passed, self.name, score, self.threshold, "" if passed else "the slots fit better the other way round")

    def _log_odds(self, template: Template, gram: str, slot: str) -> float:
        """Of standing beside this slot, in the references without the template and its mirror image."""
        other = OBJECT if slot == SUBJECT else SUBJECT
        mine, everybody = self._counts(template)
        own_for = mine[gram, slot] - self.references.holds(template)
        own_against = mine[gram, other] - self._holds_mirror(template)
        rest_for, rest_against = everybody[gram, slot] - mine[gram, slot], everybody[gram, other] - mine[gram, other]
        return math.log((own_for + LANGUAGE_WEIGHT * rest_for + SMOOTHING) / (own_against + LANGUAGE_WEIGHT * rest_against + SMOOTHING))

    def _holds_mirror(self, template: Template) -> bool:
        return plain(swapped(template.text)) in self.references.of(template.language, template.relation)

    def _counts(self, template: Template) -> tuple[Counter[Clue], Counter[Clue]]:
        """In how many references of the set, and of the language, each clue stands."""
        code, key = template.language, (template.language, template.relation)
        if code not in self._languages:
            self._languages[code] = Counter()
            for relation in self.references.relations(code):
                texts = self.references.of(code, relation)
                self._sets[code, relation] = Counter(clue for text in texts for clue in {(gram, slot) for gram, slot, _ in _clues(text)})
                self._languages[code] += self._sets[code, relation]
        return self._sets[key], self._languages[code]


def swapped(text: str) -> str:
    """The phrasing with its slots exchanged.

    >>> swapped("The capital of [X] is [Y].")
    'The capital of [Y] is [X].'
    """
    return text.replace(SUBJECT, "\0").replace(OBJECT, SUBJECT).replace("\0", OBJECT)


def _clues(text: str) -> Iterator[tuple[str, str, int]]:
    """What stands around each slot: the gram with its side, the slot, and the size of its vote."""
    marked = "^^" + plain(text) + "$$"
    for slot, other in ((SUBJECT, OBJECT), (OBJECT, SUBJECT)):
        before, found, after = marked.partition(slot)
        if not found:
            continue
        before, after = before.replace(other, "‸"), after.replace(other, "‸")
        for size in SIZES:
            if len(before) >= size:
                yield "<" + before[-size:], slot, size
            if len(after) >= size:
                yield ">" + after[:size], slot, size
        yield "first" if "‸" in after else "second", slot, ORDER_SIZE
