"""Verdicts of the second readers: `templates/review/<lang>.jsonl`, a line for each reading of a phrasing.

`{"relation", "text", "verdict", "reason", "reader"}`; the last verdict on a text stands.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from rml_lama.builders.bank import BANK

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
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
            try:
                row = json.loads(line)
                relation, text, verdict = row["relation"], row["text"], row["verdict"]
            except (ValueError, KeyError, TypeError) as error:
                raise DataError(f"not a reading: {error}", file, number) from error
            if verdict not in VERDICTS:
                raise DataError(f"the verdict is {verdict!r}, not one of {', '.join(VERDICTS)}", file, number)
            verdicts[template_id_of(code, relation, text)] = verdict
    return verdicts
