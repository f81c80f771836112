"""Cross-language parity: which sets of phrasings are thin or missing where other languages have plenty.

A set is short when it has fewer than half as many phrasings as the median language has for that relation, and cannot be
asked of left-to-right models when it has no causal phrasing although most languages have one.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable

from rml_lama.records import Reject, Template, relation_order

__all__ = ["unequal_sets"]

STAGE = "parity"


def unequal_sets(templates: Iterable[Template]) -> list[Reject]:
    """One row for each (language, relation) that falls short of the others; `score` is what it has, `threshold` what it should."""
    templates = list(templates)
    counts = Counter((template.language, template.relation) for template in templates)
    causal = Counter((template.language, template.relation) for template in templates if template.causal)
    languages = list(dict.fromkeys(template.language for template in templates))
    relations = sorted({template.relation for template in templates}, key=_order)
    found = []
    for relation in relations:
        median = statistics.median(counts[code, relation] for code in languages)
        asked = sum(bool(causal[code, relation]) for code in languages)
        for code in languages:
            if counts[code, relation] < median / 2:
                reason = f"{counts[code, relation]} phrasings; the median language has {median:g}"
                found.append(Reject(STAGE, "phrasings", code, relation, relation, reason, counts[code, relation], median / 2))
            elif not causal[code, relation] and asked > len(languages) / 2:
                reason = f"no causal phrasing; {asked} of {len(languages)} languages have one"
                found.append(Reject(STAGE, "causal", code, relation, relation, reason, 0.0, 1.0))
    return found


def _order(relation: str) -> tuple[int, str]:
    return (relation_order(relation), "") if relation[1:].isdigit() else (1 << 30, relation)
