"""Labels of facts for the filters that need names: from a build, else those that Unicode CLDR has for a relation's answers."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from babel import Locale

from rml_lama.errors import DataError
from rml_lama.hub.folder import read_manifest
from rml_lama.languages import ALL_CODES, LANGUAGES
from rml_lama.records import Fact
from rml_lama.validation.leakage import answer_labels

__all__ = ["build_facts", "build_labels", "default_answers"]

_COUNTRIES = ("P17", "P27", "P495", "P1001", "P47", "P530", "P1376")
_LANGUAGES = ("P37", "P103", "P364", "P407", "P1412")
_CURRENCIES = ("P38",)
_NO_CURRENCY = {"XAG", "XAU", "XBA", "XBB", "XBC", "XBD", "XDR", "XPD", "XPT", "XSU", "XTS", "XUA", "XXX"}  # metals, units, test codes


def build_labels(data: Path, languages: Sequence[str] = ALL_CODES) -> dict[tuple[str, str], list[tuple[str, str]]]:
    """Subject and object labels by language and relation, in the order of the build. Raises `DataError`."""
    labels: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for fact in build_facts(data):
        for code in languages:
            if code in fact.labels:
                labels.setdefault((code, fact.relation), []).append(fact.labels[code])
    return labels


def build_facts(data: Path) -> list[Fact]:
    """The facts of a build. Raises `DataError` when the folder holds none."""
    read_manifest(data)
    try:
        rows = pq.read_table(data / "data" / "facts.parquet").to_pylist()
    except OSError as error:
        raise DataError(f"the build has no facts: {error}", data) from error
    return [_fact(row) for row in rows]


def _fact(row: Mapping[str, Any]) -> Fact:
    labels = dict(zip(row["languages"], zip(row["subjects"], row["objects"], strict=True), strict=True))
    names = ("relation", "subject_id", "object_id", "parallel", "single_answer", "source", "license", "subject_qid", "object_qid")
    return Fact(labels=labels, answers={}, **{name: row[name] for name in names})


@functools.cache
def default_answers() -> dict[tuple[str, str], frozenset[str]]:
    """Answers that CLDR names in every language: countries, languages and currencies, by language and relation."""
    answers: dict[tuple[str, str], frozenset[str]] = {}
    for code, row in LANGUAGES.items():
        locale = Locale.parse(row.babel)
        names = {
            _COUNTRIES: [name for territory, name in locale.territories.items() if len(territory) == 2],
            _LANGUAGES: list(locale.languages.values()),
            _CURRENCIES: [name for currency, name in locale.currencies.items() if currency not in _NO_CURRENCY],
        }
        for relations, labels in names.items():
            forms = answer_labels([("", str(label)) for label in labels], code)
            answers |= {(code, relation): forms for relation in relations}
    return answers
