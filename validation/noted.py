"""False alarms that somebody has looked at: refusals of the package's own phrasings that are right as they are.

`noted.jsonl` holds `{"template_id", "filter", "note"}` a line. A phrasing that changes has another id, and is looked at again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from rml_lama.builders.bank import json_rows
from rml_lama.errors import DataError
from rml_lama.records import Verdict
from rml_lama.validation.runner import Judged

__all__ = ["NOTED", "read_noted", "with_notes"]

NOTED = Path(__file__).parent / "noted.jsonl"


def read_noted(path: Path = NOTED) -> dict[tuple[str, str], str]:
    """The note by template id and filter. Raises `DataError` with the line."""
    notes = {}
    for number, row in json_rows(path):
        if set(row) != {"template_id", "filter", "note"} or not all(isinstance(value, str) and value for value in row.values()):
            raise DataError("not a note: template_id, filter and note are needed, each a text", path, number)
        notes[row["template_id"], row["filter"]] = row["note"]
    return notes


def with_notes(judged: Iterable[Judged], notes: Mapping[tuple[str, str], str]) -> list[Judged]:
    """The same with each noted refusal turned into a pass, whose reason says so."""

    def noted(template_id: str, verdict: Verdict) -> Verdict:
        note = notes.get((template_id, verdict.filter))
        return verdict if verdict.passed or note is None else replace(verdict, passed=True, reason=f"noted: {note} ({verdict.reason})")

    return [replace(one, verdicts=tuple(noted(one.template.template_id, verdict) for verdict in one.verdicts)) for one in judged]
