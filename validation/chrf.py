"""chrF++ (Popović 2017) between short texts, with each text's n-grams counted once: many pairs at a fraction of the cost.

Equal to `sacrebleu.metrics.CHRF(word_order=2).sentence_score` (tests), whose n-gram extraction it uses.
"""

from __future__ import annotations

import functools
from collections import Counter

from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.helpers import extract_all_char_ngrams, extract_word_ngrams

__all__ = ["chrf"]

CHAR_ORDER, WORD_ORDER, BETA = 6, 2, 2
_PUNCTUATION = CHRF._PUNCTS


@functools.lru_cache(maxsize=1 << 17)
def chrf(text: str, reference: str) -> float:
    """chrF++ of a text against one reference, 0 to 100.

    >>> round(chrf("the capital of [X] is [Y]", "the capital of [X] is [Y]"))
    100
    """
    precision = recall = 0.0
    orders = 0
    for (ours, count), (theirs, total) in zip(_counts(text), _counts(reference), strict=True):
        if count and total:
            small, large = (ours, theirs) if len(ours) <= len(theirs) else (theirs, ours)
            matched = sum(min(number, large[gram]) for gram, number in small.items() if gram in large)
            precision += matched / count
            recall += matched / total
            orders += 1
    if not precision:
        return 0.0
    precision, recall = precision / orders, recall / orders
    return 100 * (1 + BETA**2) * precision * recall / (BETA**2 * precision + recall)


@functools.lru_cache(maxsize=1 << 14)
def _counts(text: str) -> tuple[tuple[Counter[str], int], ...]:
    """The n-grams of each order with their number: characters without spaces, then words without outer punctuation."""
    words = _words(text)
    counters = [*extract_all_char_ngrams(text, CHAR_ORDER), *(extract_word_ngrams(words, size) for size in range(1, WORD_ORDER + 1))]
    return tuple((counter, counter.total()) for counter in counters)


def _words(text: str) -> list[str]:
    """Words with one punctuation mark at their end or start split off."""
    found: list[str] = []
    for word in text.split():
        if len(word) > 1 and word[-1] in _PUNCTUATION:
            found += [word[:-1], word[-1]]
        elif len(word) > 1 and word[0] in _PUNCTUATION:
            found += [word[0], word[1:]]
        else:
            found.append(word)
    return found
