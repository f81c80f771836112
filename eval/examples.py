"""Examples for a report: right answers drawn by hash, and the wrong answers that the model was surest of, one a language."""

from __future__ import annotations

import hashlib
import html
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from rml_lama.errors import DataError
from rml_lama.eval.page_charts import percent
from rml_lama.eval.tables import language_name, relation_name
from rml_lama.hub.folder import read_manifest

if TYPE_CHECKING:
    from rml_lama.eval.results import Result

__all__ = ["example_lists"]

_MOST = 8  # examples of each kind

Row = dict[str, Any]


def example_lists(result: Result, data: Path | None) -> str:
    """Two lists as HTML; whole sentences with the build folder `data`, else answers only.

    Raises `DataError` when `data` is not the build that was scored.
    """
    names = ["query_id", "relation", "language", "answer", "greater", "ties", "confidence", "normalized", "top"]
    rows = result.predictions.select(names).to_pylist()
    right = [row for row in rows if row["greater"] == 0 and row["ties"] == 0]
    wrong = [row for row in rows if row["greater"] > 0]
    drawn = _one_a_language(right, lambda row: hashlib.sha256(row["query_id"].encode()).hexdigest())
    surest = _one_a_language(wrong, lambda row: (-row["confidence"], row["query_id"]))
    sentences = {} if data is None else _sentences(result, data, [*drawn, *surest])
    blocks = [
        _block("Right, drawn at random", "right", drawn, sentences),
        _block("Wrong, and surest of it", "wrong", surest, sentences),
    ]
    hint = "" if data is not None else '<p class="note">With <code>--data BUILD</code> the sentences are shown.</p>'
    return f'{hint}<div class="examples">{"".join(blocks)}</div>'


def _one_a_language(rows: list[Row], key: Callable[[Row], Any]) -> list[Row]:
    """The first by `key` in each language and of a relation that was not taken yet, where there is one."""
    chosen: list[Row] = []
    for row in sorted(rows, key=key):
        if row["language"] not in {other["language"] for other in chosen} and row["relation"] not in {
            other["relation"] for other in chosen
        }:
            chosen.append(row)
        if len(chosen) == _MOST:
            break
    return chosen


def _sentences(result: Result, data: Path, rows: list[Row]) -> dict[str, str]:
    """The cloze of each query, with `[Y]` in the blank."""
    if read_manifest(data)["data"] != result.signature.get("data"):
        raise DataError(f"the run was scored on {result.signature.get('data')}, this is another build", data)
    found: dict[str, str] = {}
    for code in {row["language"] for row in rows}:
        wanted = [row["query_id"] for row in rows if row["language"] == code]
        path = data / "data" / f"{code}.parquet"
        try:
            table = pq.read_table(path, columns=["query_id", "cloze"], filters=pc.field("query_id").isin(wanted))
        except (OSError, pa.ArrowException) as error:
            raise DataError(f"cannot read: {error}", path) from error
        found.update(zip(table["query_id"].to_pylist(), table["cloze"].to_pylist(), strict=True))
    return found


def _block(title: str, kind: str, rows: list[Row], sentences: dict[str, str]) -> str:
    items = "".join(_item(row, kind, sentences.get(row["query_id"])) for row in rows) or "<li>None.</li>"
    return f"<div><h3>{title}</h3><ul>{items}</ul></div>"


def _item(row: Row, kind: str, sentence: str | None) -> str:
    said = f'<mark class="{kind}">{html.escape(row["top"][0])}</mark>'
    text = said if sentence is None else html.escape(sentence).replace("[Y]", said)
    where = f"{language_name(row['language'])} · {html.escape(relation_name(row['relation']))} · {percent(row['confidence'], 0)}% sure"
    answer = "" if kind == "right" else f' · right: <bdi lang="{row["language"]}">{html.escape(row["answer"])}</bdi>'
    return f'<li><bdi lang="{row["language"]}" dir="auto">{text}</bdi><span class="where">{where}{answer}</span></li>'
