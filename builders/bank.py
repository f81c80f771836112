"""The template bank: one JSONL file a language, `{"relation", "text", "causal", "frame"}` a line, in relation order.

Ids are not stored: they are hashes of the text, so that they change exactly when the phrasing does. Phrasings and
review verdicts were written by language models; the card and the docs say so.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rml_lama.errors import DataError
from rml_lama.languages import ALL_CODES
from rml_lama.records import RELATIONS, Template, relation_order

__all__ = ["BANK", "in_bank_order", "json_rows", "read_bank", "read_templates", "write_bank"]

BANK = Path(__file__).parent / "templates"
_FIELDS = {"relation": str, "text": str, "causal": bool}
_FIELDS |= dict.fromkeys(("frame", "provenance", "parent", "prompt_version", "ledger_key"), str)
_REQUIRED = ("relation", "text", "causal")


def read_bank(languages: Sequence[str] = ALL_CODES, folder: Path = BANK) -> list[Template]:
    """All phrasings of the languages, in table and file order. A language without a file has no phrasing.

    Raises `DataError` with file and line for what is not the format; the form of a phrasing is judged by
    `rml_lama.validation.structure`.
    """
    templates: list[Template] = []
    if not folder.is_dir():
        raise DataError("no such template folder", folder)
    for code in languages:
        file = folder / f"{code}.jsonl"
        if file.exists():
            templates += read_templates(file, code)
    if not templates:
        raise DataError(f"no phrasing of {' '.join(languages)}; expected files such as {languages[0]}.jsonl", folder)
    return templates


def in_bank_order(templates: Sequence[Template]) -> list[Template]:
    """Sorted by language and relation, as a bank is read; within a set the order stays."""
    return sorted(templates, key=lambda template: (ALL_CODES.index(template.language), relation_order(template.relation)))


def read_templates(file: Path, language: str) -> list[Template]:
    """The phrasings of one file. Raises `DataError` with the line."""
    return [_template(row, language, file, number) for number, row in json_rows(file)]


def write_bank(templates: Sequence[Template], folder: Path) -> None:
    """Write phrasings as a bank that `read_bank` reads; fields with their default value are left out."""
    folder.mkdir(parents=True, exist_ok=True)
    for code in dict.fromkeys(template.language for template in templates):
        rows = [template for template in templates if template.language == code]
        lines = [json.dumps(_row(template), ensure_ascii=False) + "\n" for template in rows]
        (folder / f"{code}.jsonl").write_text("".join(lines), encoding="utf-8")


def _row(template: Template) -> dict[str, Any]:
    default = Template(template.language, template.relation, template.text, template.causal)
    return {name: getattr(template, name) for name in _FIELDS if name in _REQUIRED or getattr(template, name) != getattr(default, name)}


def json_rows(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of a JSONL file with their line numbers; empty lines are passed over. Raises `DataError` with the line."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read: {error.strerror}", file) from error
    for number, raw in enumerate(content.split(b"\n"), 1):
        if not raw.strip():
            continue
        try:
            row = json.loads(raw.decode("utf-8"))
        except UnicodeDecodeError as error:
            raise DataError("invalid UTF-8", file, number) from error
        except ValueError as error:
            raise DataError(f"not JSON: {error}", file, number) from error
        if not isinstance(row, dict):
            raise DataError("not a JSON object", file, number)
        yield number, row


def _template(row: dict[str, Any], language: str, file: Path, number: int) -> Template:
    if unknown := sorted(set(row) - set(_FIELDS)):
        raise DataError(f"unknown field {unknown[0]!r}; known: {', '.join(_FIELDS)}", file, number)
    for name in _REQUIRED:
        if name not in row:
            raise DataError(f"the field {name!r} is missing", file, number)
    for name, value in row.items():
        if not isinstance(value, _FIELDS[name]):
            raise DataError(f"the field {name!r} is {value!r}, not {_FIELDS[name].__name__}", file, number)
    if row["relation"] not in RELATIONS:
        raise DataError(f"unknown relation {row['relation']!r}; known: {' '.join(RELATIONS)}", file, number)
    return Template(language=language, **row)
