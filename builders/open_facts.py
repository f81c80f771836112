"""Source `open`: the committed facts of `facts/open.tsv`, with labels from CLDR through `babel` at build time.

Subjects and objects are named by code (`iso3166:FR`, `iso4217:EUR`, `bcp47:fr`, `m49:150`, `tz:Europe/Paris`). A city's
label is the exemplar city of its time zone; where a Latin-script locale lists none, CLDR means the English name.
"""

from __future__ import annotations

import functools
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rml_lama.builders.archive import file_sha256
from rml_lama.builders.labels import clean_label
from rml_lama.errors import DataError
from rml_lama.languages import ALL_CODES, LANGUAGES
from rml_lama.records import Fact, Reject

__all__ = ["FACTS_FILE", "CldrLabels", "OpenSource", "exemplar_city"]

FACTS_FILE = Path(__file__).parent / "facts" / "open.tsv"
_COLUMNS = ["relation", "subject", "object", "subject_qid", "object_qid", "source", "license"]


@dataclass(frozen=True, slots=True)
class _Row:
    """A line of the facts file; QIDs are empty where none is known."""

    relation: str
    subject: str
    object: str
    subject_qid: str
    object_qid: str
    source: str
    license: str


class OpenSource:
    """Facts by code, with CLDR labels in all 27 languages."""

    name = "open"
    license = "CC-BY-4.0"

    def __init__(self, *, relations: Sequence[str] = (), file: Path = FACTS_FILE) -> None:
        rows = _read(file)
        there = {row.relation for row in rows}
        if missing := sorted(set(relations) - there):
            raise DataError(f"the open track has no facts of {', '.join(missing)}; it has {' '.join(sorted(there))}", file)
        self._rows = [row for row in rows if not relations or row.relation in relations]
        self._checksum = file_sha256(file)
        self._labels = CldrLabels()
        self._rejects: dict[tuple[str, str, str], Reject] = {}
        self._counts: Counter[str] = Counter()

    @property
    def rejects(self) -> Sequence[Reject]:
        return tuple(self._rejects[key] for key in sorted(self._rejects))

    @property
    def report(self) -> Mapping[str, object]:
        from babel import __version__ as babel_version
        from babel.core import get_global

        labels = f"Unicode CLDR {get_global('cldr').get('version', '')} via babel {babel_version}, Unicode-3.0"
        return {
            "checksums": {"open.tsv": self._checksum},
            "labels": labels,
            "parallel_languages": list(ALL_CODES),
            "counts": dict(sorted(self._counts.items())),
        }

    def facts(self) -> Iterator[Fact]:
        for _, group in itertools.groupby(self._rows, key=lambda row: row.relation):
            rows = list(group)
            self._counts["relations"] += 1
            objects: dict[str, list[str]] = {}
            for row in rows:
                objects.setdefault(row.subject, []).append(row.object)
            for row in rows:
                self._counts["triples"] += 1
                yield self._fact(row, objects[row.subject])

    def _fact(self, row: _Row, objects: Sequence[str]) -> Fact:
        labels: dict[str, tuple[str, str]] = {}
        answers: dict[str, tuple[str, ...]] = {}
        for code in ALL_CODES:
            subject_label, object_label = self._label(row.subject, code, row.relation), self._label(row.object, code, row.relation)
            if subject_label and object_label:
                labels[code] = (subject_label, object_label)
                answers[code] = tuple(sorted({label for other in objects if (label := self._labels.get(other, code))}))
        self._counts["labelled_facts"] += len(labels)
        parallel = len(labels) == len(ALL_CODES)
        self._counts["parallel_facts"] += parallel
        return Fact(
            row.relation,
            row.subject,
            row.object,
            labels,
            answers,
            parallel,
            len(objects) == 1,
            row.source,
            row.license,
            row.subject_qid,
            row.object_qid,
        )

    def _label(self, item: str, code: str, relation: str) -> str | None:
        label = self._labels.get(item, code)
        if label is None:
            self._rejects[code, relation, item] = Reject("source", "no-label", code, relation, item, "CLDR has no name in this language")
        return label


class CldrLabels:
    """Names by code and language, from the locale data of babel."""

    def __init__(self) -> None:
        from babel import Locale

        self._locales = {code: Locale.parse(row.babel) for code, row in LANGUAGES.items()}
        self._cache: dict[tuple[str, str], str | None] = {}

    def get(self, item: str, code: str) -> str | None:
        """The label of `item` in a language, None where CLDR has none."""
        key = (item, code)
        if key not in self._cache:
            found = self._find(item, code)
            self._cache[key] = clean_label(found) if found else None
        return self._cache[key]

    def _find(self, item: str, code: str) -> str | None:
        scheme, _, name = item.partition(":")
        locale = self._locales[code]
        if scheme == "tz":
            return self._city(name, code)
        tables = {"iso3166": locale.territories, "m49": locale.territories, "iso4217": locale.currencies, "bcp47": locale.languages}
        if scheme not in tables:
            raise DataError(f"unknown scheme {scheme!r} in {item!r}; known: tz, {', '.join(tables)}", FACTS_FILE)
        label = tables[scheme].get(name)
        return None if label == name else label  # CLDR repeats the code where it has no name

    def _city(self, zone: str, code: str) -> str | None:
        city = exemplar_city(self._locales[code], zone)
        if city is None and LANGUAGES[code].scripts == ("LATIN",):
            return exemplar_city(self._locales["en"], zone) or zone.rsplit("/", 1)[1].replace("_", " ")
        return city


def exemplar_city(locale: Any, zone: str) -> str | None:
    """The zone's city; locale data keep some zones under an older name (Europe/Kiev), and some names with a country behind them."""
    for name in (zone, *_older_names().get(zone, ())):
        if city := locale.time_zones.get(name, {}).get("city"):
            return str(city).partition(" (")[0]
    return None


@functools.cache
def _older_names() -> Mapping[str, Sequence[str]]:
    from babel.core import get_global

    older: dict[str, list[str]] = {}
    for old, new in sorted(get_global("zone_aliases").items()):
        older.setdefault(new, []).append(old)
    return older


def _read(file: Path) -> list[_Row]:
    """The rows of the facts file, sorted as they are there. Raises `DataError` with the line."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise DataError(f"cannot read: {error.strerror}", file) from error
    if not lines or lines[0].split("\t") != _COLUMNS:
        raise DataError(f"the first line must name the columns {' '.join(_COLUMNS)}", file, 1)
    return list(_rows(lines[1:], file))


def _rows(lines: Iterable[str], file: Path) -> Iterator[_Row]:
    for number, line in enumerate(lines, 2):
        columns = line.split("\t")
        if len(columns) != len(_COLUMNS):
            raise DataError(f"{len(columns)} columns, not {len(_COLUMNS)}", file, number)
        yield _Row(*columns)
