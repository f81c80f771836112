"""Rows of phrasings to judge, from any source: `{"language", "relation", "template"}` a line, or a bank's `<lang>.jsonl`.

A row of the first kind may be a fragment, as translation systems give them: it is read as a sentence, with a capital and the
language's final mark. Whether it can be asked of left-to-right models is told from its slots when the row does not say.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rml_lama.builders.bank import json_rows, read_templates
from rml_lama.errors import DataError
from rml_lama.languages import LANGUAGES
from rml_lama.records import OBJECT, SUBJECT, Template
from rml_lama.validation.forms import presented
from rml_lama.validation.structure import MAX_CAUSAL_SUFFIX

__all__ = ["as_template", "read_rows"]

_ALIASES = {"zh-hans": "zh", "zh-cn": "zh"}
_NEEDED = ("language", "relation", "template")


def read_rows(file: Path) -> list[Template]:
    """The phrasings of a file, in its order. Raises `DataError` with the line for a row that is neither kind."""
    rows = list(json_rows(file))
    if rows and "template" not in rows[0][1]:
        if file.stem not in LANGUAGES:
            raise DataError("rows without 'language' and 'template' need a file named <lang>.jsonl", file, rows[0][0])
        return read_templates(file, file.stem)
    templates = []
    for number, row in rows:
        for name in _NEEDED:
            if not isinstance(row.get(name), str) or not row[name].strip():
                raise DataError(f"the field {name!r} is missing or no text", file, number)
        templates.append(as_template(row))
    return templates


def as_template(row: Mapping[str, Any]) -> Template:
    """A row as a template; languages and relations that are not ours stay as they are.

    >>> as_template({"language": "en", "relation": "P36", "template": "the capital of [X] is [Y]"}).text
    'The capital of [X] is [Y].'
    """
    code = _ALIASES.get(row["language"].lower(), row["language"])
    text = presented(row["template"], code)
    before, _, after = text.partition(OBJECT)
    causal = row.get("causal", SUBJECT in before and len(after) <= MAX_CAUSAL_SUFFIX and any(map(str.isalpha, before.replace(SUBJECT, ""))))
    return Template(code, row["relation"], text, bool(causal), scores=row.get("scores", {}))
