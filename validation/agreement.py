"""Do independent translations of the same source say the same? Outputs of several systems, compared by chrF++.

The score of a phrasing is the mean chrF++ between it and what the systems made of the source sentence that it renders: the
source for which some system gave exactly this phrasing, else the nearest. 100: all systems agree, word for word.
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from rml_lama.builders.placeholders import repair
from rml_lama.errors import DataError
from rml_lama.records import Template, Verdict
from rml_lama.validation.base import Context, not_judged
from rml_lama.validation.chrf import chrf
from rml_lama.validation.forms import plain

__all__ = ["Agreement", "Translations", "read_translations"]

COLUMNS = ("lang", "relation", "pararel_idx", "system", "output")
ALIASES = {"zh-hans": "zh"}

Translations = Mapping[tuple[str, str], Mapping[str, Mapping[str, str]]]  # (language, relation) -> source -> system -> plain text


@dataclass(frozen=True, slots=True)
class Agreement:
    """Pass when the phrasing is near enough to what the systems say; without their outputs it is not judged."""

    translations: Translations
    threshold: float
    name: str = "agreement"

    def check(self, template: Template, context: Context) -> Verdict:
        sources = self.translations.get((template.language, template.relation))
        if not sources:
            return not_judged(self.name, self.threshold, f"no translations into {template.language} of {template.relation}")
        text = plain(template.text)
        same = {source: outputs for source, outputs in sources.items() if text in outputs.values()} or sources
        score, outputs = max(((_mean(text, outputs), sorted(outputs.items())) for outputs in same.values()), key=lambda found: found[0])
        agreeing = [system for system, output in outputs if output == text]
        reason = f"{len(agreeing)} of {len(outputs)} systems say exactly this"
        return Verdict.at_least(self.name, score=round(score, 2), threshold=self.threshold, reason=reason)


def _mean(text: str, outputs: Mapping[str, str]) -> float:
    return sum(chrf(text, output) for output in outputs.values()) / len(outputs)


def read_translations(file: Path) -> Translations:
    """Outputs of systems from a table (TSV, may be gzipped) with the columns lang, relation, pararel_idx, system, output.

    Slots are mended where they can be; outputs that have lost one are left out.
    Raises `DataError` for a file that cannot be read or lacks a column.
    """
    found: dict[tuple[str, str], dict[str, dict[str, str]]] = {}
    for row in _rows(file):
        language = ALIASES.get(row["lang"], row["lang"])
        text = repair(row["output"], language=language).text
        if text is not None:
            found.setdefault((language, row["relation"]), {}).setdefault(row["pararel_idx"], {})[row["system"]] = plain(text)
    return found


def _rows(file: Path) -> Iterable[Mapping[str, str]]:
    opened = gzip.open if file.suffix == ".gz" else open
    try:
        with opened(file, "rt", encoding="utf-8", newline="") as stream:
            rows = csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE)
            if missing := [name for name in COLUMNS if name not in (rows.fieldnames or [])]:
                raise DataError(f"the column {missing[0]!r} is missing", file, 1)
            yield from rows
    except OSError as error:
        raise DataError(f"cannot read the translations: {error}", file) from error
    except (UnicodeDecodeError, csv.Error, EOFError) as error:
        raise DataError(f"not a table in UTF-8: {error}", file) from error
