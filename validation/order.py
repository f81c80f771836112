"""Are the words in an order in which the language puts them? The phrasing against random orders of its own words.

Each pair of neighbours, the ends of the sentence and the slots included, counts by how many reference phrasings of the language have
the same pair, or one like it (the first word's last letters, the second word's first ones). The score is the mean over pairs minus the
same mean over shuffled orders, so that rare words cost nothing. Languages written without spaces are not judged.
"""

from __future__ import annotations

import itertools
import math
import random
import re
import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from rml_lama.languages import LANGUAGES
from rml_lama.records import Template, Verdict
from rml_lama.validation.base import Context, not_judged
from rml_lama.validation.forms import plain
from rml_lama.validation.references import References

__all__ = ["Order"]

SHUFFLES = 6  # drawn by the words themselves, so that a phrasing's score is always the same
MIN_WORDS = 3
Pair = tuple[str, str, str]
_MARKS = re.compile(r"[,;:«»\"“”()]")


@dataclass(slots=True)
class Order:
    """Pass unless shuffled words would do about as well."""

    references: References
    threshold: float
    name: str = "order"
    _languages: dict[str, Counter[Pair]] = field(default_factory=dict)

    def check(self, template: Template, context: Context) -> Verdict:
        code = template.language
        if code not in self.references or code not in LANGUAGES or not LANGUAGES[code].joiner:
            return not_judged(self.name, self.threshold, f"no references, or no spaces, in {code!r}")
        tokens = _tokens(template.text)
        if len(tokens) < MIN_WORDS:
            return not_judged(self.name, self.threshold, "too few words")
        own = set(_pairs(tokens)) if self.references.holders(template) else set()
        draw = random.Random(" ".join(sorted(tokens)))
        shuffled = [draw.sample(tokens, len(tokens)) for _ in range(SHUFFLES)]
        as_is = self._familiarity(tokens, code, own)
        at_random = statistics.mean(self._familiarity(order, code, set()) for order in shuffled)
        reason = f"neighbours are known {as_is:.2f} as they stand, {at_random:.2f} in random order"
        return Verdict.at_least(self.name, score=round(as_is - at_random, 4), threshold=self.threshold, reason=reason)

    def _familiarity(self, tokens: Sequence[str], code: str, own: set[Pair]) -> float:
        """The mean over neighbours of the weighted log-counts of pairs like theirs."""
        known = self._counts(code)
        total = sum(_WEIGHTS[pair[0]] * math.log1p(max(known[pair] - (pair in own), 0)) for pair in _pairs(tokens))
        return total / (len(tokens) + 1)

    def _counts(self, code: str) -> Counter[Pair]:
        if code not in self._languages:
            texts = {text for relation in self.references.relations(code) for text in self.references.of(code, relation)}
            self._languages[code] = Counter(pair for text in texts for pair in set(_pairs(_tokens(text))))
        return self._languages[code]


_WEIGHTS = {"words": 3.0, "end": 2.0, "start": 2.0, "both": 1.0, "short": 0.7}


def _tokens(text: str) -> list[str]:
    return [token for token in (_MARKS.sub("", word) for word in plain(text).split()) if token]


def _pairs(tokens: Sequence[str]) -> Iterator[Pair]:
    """Each pair of neighbours and its likenesses, from exact to faint."""
    marked = ["^", *tokens, "$"]
    for first, second in itertools.pairwise(marked):
        yield "words", first, second
        yield "end", first[-3:], second
        yield "start", first, second[:3]
        yield "both", first[-3:], second[:3]
        yield "short", first[-2:], second[:2]
