"""A review sheet for people: the phrasings of a language with filled examples, as CSV, written and read back.

The reader fills the columns `verdict` (natural, acceptable, wrong), `reason` and `better`; the rest tells the lines apart.
Rows that were left empty are no readings. The file opens in every spreadsheet program (UTF-8 with a byte-order mark).
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from rml_lama.errors import DataError, OutputError
from rml_lama.records import OBJECT, SUBJECT, VERDICTS, Template

__all__ = ["EXAMPLES", "append_readings", "read_sheet", "write_sheet"]

EXAMPLES = 3
_COLUMNS = ["template_id", "relation", "causal", "text", *(f"example_{n}" for n in range(1, EXAMPLES + 1)), "verdict", "reason", "better"]
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet would run a cell that starts so


def write_sheet(path: Path, templates: Sequence[Template], facts: Mapping[str, Sequence[tuple[str, str]]]) -> int:
    """Write the sheet and return the number of phrasings; `facts` holds (subject, object) labels by relation.

    Raises `OutputError` when the file cannot be written.
    """
    try:
        with path.open("w", encoding="utf-8-sig", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(_COLUMNS)
            for number, template in enumerate(templates):
                writer.writerow(
                    [
                        template.template_id,
                        template.relation,
                        "yes" if template.causal else "no",
                        _safe(template.text),
                        *(_safe(example) for example in _examples(template, facts.get(template.relation, ()), number)),
                        *("", "", ""),
                    ]
                )
    except OSError as error:
        raise OutputError(f"cannot write the sheet {path}: {error.strerror}") from error
    return len(templates)


def _examples(template: Template, facts: Sequence[tuple[str, str]], number: int) -> list[str]:
    """The phrasing filled with other facts than its neighbours', the answer between guillemets."""
    chosen = [facts[(number * EXAMPLES + place) % len(facts)] for place in range(min(EXAMPLES, len(facts)))]
    filled = [template.text.replace(OBJECT, f"‹{obj}›").replace(SUBJECT, subject) for subject, obj in chosen]
    return filled + [""] * (EXAMPLES - len(filled))


def _safe(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text


def read_sheet(path: Path, templates: Sequence[Template], reader: str) -> list[dict[str, str]]:
    """The readings of a filled sheet, in its order.

    Raises `DataError` with the line for a missing column, an unknown verdict, a phrasing that is not in the bank any more,
    or a verdict `wrong` without a reason.
    """
    known = {template.template_id: template for template in templates}
    readings = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            rows = csv.DictReader(stream)
            if missing := [name for name in ("template_id", "verdict", "reason", "better") if name not in (rows.fieldnames or [])]:
                raise DataError(f"the column {missing[0]!r} is missing", path, 1)
            for row in rows:
                verdict = (row["verdict"] or "").strip().lower()
                if verdict:
                    readings.append(_reading(row, verdict, known, reader, path, rows.line_num))
    except OSError as error:
        raise DataError(f"cannot read the sheet: {error.strerror}", path) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"not a CSV file in UTF-8: {error}", path) from error
    return readings


def _reading(row: Mapping[str, str], verdict: str, known: Mapping[str, Template], reader: str, path: Path, line: int) -> dict[str, str]:
    if verdict not in VERDICTS:
        raise DataError(f"the verdict is {verdict!r}, not one of {', '.join(VERDICTS)}", path, line)
    template = known.get(row["template_id"])
    if template is None:
        raise DataError(f"the bank has no phrasing {row['template_id']!r} (any more); write the sheet anew", path, line)
    reason = (row["reason"] or "").strip()
    if verdict == "wrong" and not reason:
        raise DataError("a phrasing is called wrong without a reason", path, line)
    reading = {"relation": template.relation, "text": template.text, "verdict": verdict, "reason": reason, "reader": reader}
    if better := (row["better"] or "").strip():
        reading["better"] = better
    return reading


def append_readings(path: Path, readings: Sequence[Mapping[str, str]]) -> None:
    """Add readings to a review file; the last one of a phrasing stands. Raises `OutputError`."""
    try:
        with path.open("a", encoding="utf-8") as stream:
            stream.writelines(json.dumps(reading, ensure_ascii=False) + "\n" for reading in readings)
    except OSError as error:
        raise OutputError(f"cannot write the readings to {path}: {error.strerror}") from error
