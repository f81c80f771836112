"""Verdicts of the second readers: `templates/review/<lang>.jsonl`, a line for each reading of a phrasing.

`{"relation", "text", "verdict", "reason"}`, with the `round` of a language model's reading or the `reader` of a person's; the last
verdict on a text stands.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rml_lama.builders.bank import BANK, json_rows
from rml_lama.errors import DataError
from rml_lama.languages import ALL_CODES
from rml_lama.records import VERDICTS, template_id_of

__all__ = ["read_reviews"]


def read_reviews(languages: Sequence[str] = ALL_CODES, folder: Path = BANK / "review") -> dict[str, str]:
    """The standing verdict by template id. Raises `DataError` with file and line for a malformed reading."""
    verdicts: dict[str, str] = {}
    for code in languages:
        file = folder / f"{code}.jsonl"
        if not file.exists():
            continue
        for number, row in json_rows(file):
            try:
                relation, text, verdict = row["relation"], row["text"], row["verdict"]
            except KeyError as error:
                raise DataError(f"not a reading: the field {error} is missing", file, number) from error
            if verdict not in VERDICTS:
                raise DataError(f"the verdict is {verdict!r}, not one of {', '.join(VERDICTS)}", file, number)
            verdicts[template_id_of(code, relation, text)] = verdict
    return verdicts
