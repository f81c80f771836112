"""What `rml-lama validate` does: check phrasings with the filters and say what failed, or exchange a sheet with people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pyarrow.parquet as pq

from rml_lama.builders.bank import read_bank, read_templates
from rml_lama.errors import ConfigError, DataError
from rml_lama.hub.folder import read_manifest
from rml_lama.languages import language
from rml_lama.records import Reject, Template
from rml_lama.validation.runner import REGISTRY, validate
from rml_lama.validation.sheet import append_readings, read_sheet, write_sheet

__all__ = ["check_phrasings", "exchange_sheet"]


def check_phrasings(data: Path | None, file: Path | None) -> tuple[str, int]:
    """Run every registered filter; the report, and the number of phrasings that failed.

    Raises `ConfigError` when both a build and a file are named, `DataError` for what cannot be read.
    """
    if data is not None and file is not None:
        raise ConfigError("name a build folder or --templates, not both")
    if file is not None:
        templates = read_templates(file, language(file.stem).code)
    else:
        templates = read_bank() if data is None else _build_templates(data)
    accepted, rejects = validate(templates, [kind() for kind in REGISTRY.values()])
    return _report(templates, accepted, rejects), len(templates) - len(accepted)


def exchange_sheet(sheet: Path, data: Path | None, *, reader: str, out: Path | None) -> str:
    """Write the sheet of the language that the file is named after, or read it back when it is there; says what was done.

    Raises `ConfigError` for an unknown language or when no build is named to take examples from, `DataError` for a bad sheet.
    """
    code = language(sheet.stem).code
    templates = read_bank((code,)) if data is None else [t for t in _build_templates(data) if t.language == code]
    if sheet.exists():
        readings = read_sheet(sheet, templates, reader)
        target = out or sheet.with_suffix(".jsonl")
        append_readings(target, readings)
        counts = Counter(reading["verdict"] for reading in readings)
        said = ", ".join(f"{count} {verdict}" for verdict, count in sorted(counts.items())) or "nothing filled in"
        return f"{len(readings)} of {len(templates)} phrasings read ({said}); added to {target}"
    if data is None:
        raise ConfigError("a new sheet takes its examples from a build: rml-lama validate BUILD --sheet " + sheet.name)
    count = write_sheet(sheet, templates, _facts(data, code))
    return f"{count} phrasings written to {sheet}; fill in the column verdict, then call this again"


def _build_templates(data: Path) -> list[Template]:
    """The phrasings of a build's `templates` config."""
    read_manifest(data)
    rows = pq.read_table(data / "data" / "templates.parquet").to_pylist()
    names = ("language", "relation", "text", "causal", "frame", "provenance", "parent")
    return [Template(**{name: row[name] for name in names}) for row in rows]


def _facts(data: Path, code: str) -> dict[str, list[tuple[str, str]]]:
    """Subject and object labels by relation, in the order of the build."""
    path = data / "data" / f"{code}.parquet"
    if not path.exists():
        raise DataError(f"the build has no queries in {code!r}", path)
    facts: dict[str, dict[str, tuple[str, str]]] = {}
    for row in pq.read_table(path, columns=["relation", "fact_id", "subject", "answer"]).to_pylist():
        facts.setdefault(row["relation"], {})[row["fact_id"]] = (row["subject"], row["answer"])
    return {relation: list(labels.values()) for relation, labels in facts.items()}


def _report(templates: Iterable[Template], accepted: Iterable[Template], rejects: Iterable[Reject]) -> str:
    """A line a language, then a line a failure."""
    total, good = Counter(t.language for t in templates), Counter(t.language for t in accepted)
    causal = Counter(t.language for t in accepted if t.causal)
    lines = [f"{code}: {good[code]} of {total[code]} phrasings pass, {causal[code]} of them causal" for code in total]
    lines += [f"{r.language} {r.relation} {r.item!r}: {r.filter}: {r.reason}" for r in rejects]
    return "\n".join([*lines, f"{good.total()} of {total.total()} phrasings pass"])
