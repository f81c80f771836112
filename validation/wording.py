"""How much the wording of a phrasing is like good phrasings: three filters that compare with references, without a model.

- `wording`: the share of its character 4-grams that stand in other reference phrasings of the language. Low where words are
  misspelt, shuffled, cut off or not of this language.
- `reference`: chrF++ with the nearest reference phrasing of the same relation. Low where something else is said.
- `leftover`: English words in a row that references of the language do not use.

All are functions of the phrasing and the references alone. Without references in the language they pass, and say so.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from rml_lama.records import Template, Verdict
from rml_lama.validation.base import Context, not_judged
from rml_lama.validation.chrf import chrf
from rml_lama.validation.forms import GRAM, grams, plain, split, words
from rml_lama.validation.references import References

__all__ = ["Leftover", "Reference", "Wording"]


@dataclass(frozen=True, slots=True)
class Wording:
    """Pass when enough of the phrasing's grams are known in its language."""

    references: References
    threshold: float
    name: str = "wording"

    def check(self, template: Template, context: Context) -> Verdict:
        if template.language not in self.references:
            return _not_judged(self.name, template, self.threshold)
        own = grams(template.text, GRAM)
        known = sum(self.references.gram_count(template, gram) > 0 for gram in own)
        score = round(known / max(len(own), 1), 4)
        return Verdict.at_least(self.name, score=score, threshold=self.threshold, reason=f"{known} of its {len(own)} 4-grams are known")


@dataclass(frozen=True, slots=True)
class Reference:
    """Pass when some reference phrasing of the relation is near enough."""

    references: References
    threshold: float
    name: str = "reference"

    def check(self, template: Template, context: Context) -> Verdict:
        others = self.references.others(template)
        if not others:
            return _not_judged(self.name, template, self.threshold)
        score, nearest = max((chrf(plain(template.text), other), other) for other in others)
        return Verdict.at_least(self.name, score=round(score, 2), threshold=self.threshold, reason=f"nearest: {nearest!r}")


@dataclass(frozen=True, slots=True)
class Leftover:
    """Pass when no run of English words is left in a phrasing of another language.

    The score is the length of the longest run of words that all stand in English references and not all in the language's own:
    one such word may be a cognate, two in a row are English.
    """

    references: References
    threshold: float  # words, at most
    name: str = "leftover"

    def check(self, template: Template, context: Context) -> Verdict:
        if template.language == "en" or template.language not in self.references or "en" not in self.references:
            return _not_judged(self.name, template, self.threshold)
        run = max(self._runs(template), key=len, default=[])
        passed = len(run) <= self.threshold
        return Verdict(passed, self.name, float(len(run)), self.threshold, f"English words: {' '.join(run)}" if run else "")

    def _runs(self, template: Template) -> Iterator[list[str]]:
        english = self.references.vocabulary("en")
        for part in split(template.text):
            for shared, group in itertools.groupby(words(part), key=lambda word: word in english):
                run = list(group)
                if shared and not all(self.references.word_count(template, word) for word in run):
                    yield run


def _not_judged(name: str, template: Template, threshold: float) -> Verdict:
    return not_judged(name, threshold, f"no references for {template.language} {template.relation}")
