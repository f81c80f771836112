"""Do `[X]` and `[Y]` stand where they belong? What stands around a slot tells subject from answer.

Each gram beside a slot ("the capital of ‸", "‸ is the") votes with the log-odds of standing beside this slot rather than the
other one in the reference phrasings: those of the relation count fully (and those of its inverse, slots swapped), those of the
language's other relations a little. Longer grams weigh more. The score is the mean vote; it is below zero where the phrasing
would fit better with its slots swapped.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from rml_lama.records import OBJECT, RELATIONS, SUBJECT, Template, Verdict
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
        own = Counter({(gram, slot) for gram, slot, _ in clues} if self.references.holds(template) else ())
        if mirror in self.references.of(template.language, template.relation):
            own.update({(gram, _other(slot)) for gram, slot, _ in clues})
        mine, everybody = self._counts(template)

        def weight(clue: Clue) -> float:
            """Phrasings that bear the clue out, the template and its mirror image left out."""
            return mine[clue] + LANGUAGE_WEIGHT * everybody[clue] - (1 + LANGUAGE_WEIGHT) * own[clue] + SMOOTHING

        votes = [size * math.log(weight((gram, slot)) / weight((gram, _other(slot)))) for gram, slot, size in clues]
        score = round(sum(votes) / max(len(votes), 1), 4)
        passed = score >= self.threshold
        return Verdict(passed, self.name, score, self.threshold, "" if passed else "the slots fit better the other way round")

    def _counts(self, template: Template) -> tuple[Counter[Clue], Counter[Clue]]:
        """In how many references of the set, and of the language, each clue stands."""
        code, key = template.language, (template.language, template.relation)
        if code not in self._languages:
            self._languages[code] = Counter()
            for relation in self.references.relations(code):
                found = _document_counts(self.references.of(code, relation))
                self._languages[code] += found
                inverse = RELATIONS[relation].inverse if relation in RELATIONS else None
                turned = [swapped(text) for text in self.references.of(code, inverse)] if inverse not in (None, relation) else []
                self._sets[code, relation] = found + _document_counts(turned)
        return self._sets[key], self._languages[code]


def swapped(text: str) -> str:
    """The phrasing with its slots exchanged.

    >>> swapped("The capital of [X] is [Y].")
    'The capital of [Y] is [X].'
    """
    return text.replace(SUBJECT, "\0").replace(OBJECT, SUBJECT).replace("\0", OBJECT)


def _other(slot: str) -> str:
    return OBJECT if slot == SUBJECT else SUBJECT


def _document_counts(texts: Iterable[str]) -> Counter[Clue]:
    return Counter(clue for text in texts for clue in {(gram, slot) for gram, slot, _ in _clues(text)})


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
