"""Does a translated phrasing, read back, still say what its source said? chrF++ first, BLEU with the language's tokenizer second.

The score is the chrF++ that the translator stored (`scores["back_translation"]`, docs/generation). BLEU of one short sentence
measures word order more than meaning, so that it is told and never decides.
"""

from __future__ import annotations

from dataclasses import dataclass

from sacrebleu.metrics.bleu import BLEU

from rml_lama.records import Template, Verdict
from rml_lama.validation.base import Context, not_judged
from rml_lama.validation.chrf import chrf

__all__ = ["BackTranslation", "RoundTrip", "round_trip"]

SCORE = "back_translation"
_TOKENIZERS = {"zh": "zh", "ja": "char", "ko": "char", "th": "char"}  # those of sacrebleu that work without a download


@dataclass(frozen=True, slots=True)
class RoundTrip:
    """How near a text that was read back is to its source, both 0 to 100."""

    chrf: float
    bleu: float


@dataclass(frozen=True, slots=True)
class BackTranslation:
    """Pass when the stored score is high enough; what was not translated back is not judged."""

    threshold: float
    name: str = "back-translation"

    def check(self, template: Template, context: Context) -> Verdict:
        if SCORE not in template.scores:
            return not_judged(self.name, self.threshold, "it was not translated back")
        reason = f"chrF++ of its back-translation with {template.parent or 'its source'}"
        return Verdict.at_least(self.name, score=float(template.scores[SCORE]), threshold=self.threshold, reason=reason)


def round_trip(source: str, back: str, language: str) -> RoundTrip:
    """Compare a text with its source in the source's language.

    >>> round_trip("[X] is the capital of [Y].", "[X] is the capital of [Y].", "en").bleu
    100.0
    """
    bleu = BLEU(tokenize=_TOKENIZERS.get(language, "13a"), effective_order=True)
    return RoundTrip(round(chrf(back, source), 2), round(bleu.sentence_score(back, [source]).score, 2))
