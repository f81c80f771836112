"""Refuse a phrasing that is not in its language, by the mean margin of several detectors (`rml_lama.validation.detectors`).

The score is the mean of the detectors' margins, each divided by its scale (its standard deviation over the bank), so that
none outvotes the others; the threshold is the language's own. A language that no detector knows is not judged. A text of
a few letters is too short for detectors: it is refused, with the score -1, when it has a word that stands in no other
reference phrasing of its language and all of its words stand in those of one other language; else it is not judged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rml_lama.languages import LANGUAGES
from rml_lama.records import Template, Verdict
from rml_lama.validation.base import Context, not_judged
from rml_lama.validation.detectors import Detector, margin
from rml_lama.validation.forms import bare, plain, words
from rml_lama.validation.references import References

__all__ = ["ExpectedLanguage"]

MIN_LETTERS = 9
MIN_SIGNS = 5  # in scripts without spaces, whose signs say more


@dataclass(frozen=True, slots=True)
class ExpectedLanguage:
    """Pass when the phrasing looks enough like its language."""

    detectors: Mapping[str, Detector]
    scales: Mapping[str, float]  # nats, by detector
    thresholds: Mapping[str, float]  # by language; "default" for the others
    references: References
    name: str = "language"

    def check(self, template: Template, context: Context) -> Verdict:
        text = bare(template.text)
        threshold = self.thresholds.get(template.language, self.thresholds["default"])
        spaced = template.language not in LANGUAGES or LANGUAGES[template.language].joiner
        if sum(map(str.isalpha, text)) < (MIN_LETTERS if spaced else MIN_SIGNS):
            return self._by_words(template, threshold)
        margins = {name: margin(detector, text, template.language) for name, detector in self.detectors.items()}
        known = {name: value / self.scales[name] for name, value in margins.items() if value is not None}
        if not known:
            return not_judged(self.name, threshold, f"no detector knows {template.language!r}, or there is no text")
        score = round(sum(known.values()) / len(known), 4)
        passed = score >= threshold
        told = ", ".join(f"{name} {value:+.2f}" for name, value in known.items())
        return Verdict(passed, self.name, score, threshold, "" if passed else f"does not look like {template.language!r} ({told})")

    def _by_words(self, template: Template, threshold: float) -> Verdict:
        used = words(plain(template.text))
        strange = [word for word in used if not self.references.word_count(template, word)]
        others = [code for code in self.references.languages if code != template.language]
        home = next((code for code in others if all(self.references.vocabulary(code)[word] for word in used)), "") if strange else ""
        if not home or template.language not in self.references:
            return not_judged(self.name, threshold, "too short to tell a language")
        reason = f"{strange[0]!r} stands in no other phrasing of {template.language!r}, and all of its words in phrasings of {home!r}"
        return Verdict(False, self.name, -1.0, threshold, reason)
