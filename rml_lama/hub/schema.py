"""The columns of every published config, as plain Arrow schemas: scalars and lists of text only.

Files are written by pyarrow itself, without the metadata of the `datasets` library, so that every version since 2.21
reads them alike.
"""

from __future__ import annotations

from collections.abc import Iterable
from operator import attrgetter

import pyarrow as pa

from rml_lama.records import Fact, Query, Reject, Template

__all__ = ["FACTS", "QUERIES", "REJECTED", "TEMPLATES", "fact_rows", "query_batch", "reject_rows", "template_rows"]

_texts = pa.list_(pa.field("element", pa.string()))


def _schema(*columns: tuple[str, pa.DataType]) -> pa.Schema:
    """A schema from groups of names, separated by spaces, that share a type."""
    return pa.schema([(name, kind) for names, kind in columns for name in names.split()])


QUERIES = _schema(
    ("query_id fact_id relation language template_id subject prompt suffix cloze answer", pa.string()),
    ("answers", _texts),
    ("causal single_answer answer_in_subject parallel", pa.bool_()),
    ("source license provenance prompt_version ledger_key", pa.string()),
)
FACTS = _schema(
    ("fact_id relation subject_id object_id subject_qid object_qid", pa.string()),
    ("languages subjects objects", _texts),
    ("parallel single_answer", pa.bool_()),
    ("source license", pa.string()),
)
TEMPLATES = _schema(
    ("template_id language relation relation_name text", pa.string()),
    ("causal", pa.bool_()),
    ("frame provenance parent prompt_version ledger_key review license", pa.string()),
)
REJECTED = _schema(
    ("stage filter language relation item reason", pa.string()),
    ("score threshold", pa.float64()),
    ("count", pa.int64()),
)

_query_columns = [(field, attrgetter(field.name)) for field in QUERIES]


def query_batch(queries: Iterable[Query]) -> pa.Table:
    """Queries as a table with the `QUERIES` schema."""
    rows = list(queries)
    arrays = [pa.array(list(map(get, rows)), field.type) for field, get in _query_columns]
    return pa.Table.from_arrays(arrays, schema=QUERIES)


def fact_rows(facts: Iterable[Fact], languages: tuple[str, ...]) -> pa.Table:
    """Facts with their labels in `languages`, in three aligned lists."""
    rows = []
    for fact in facts:
        codes = [code for code in languages if code in fact.labels]
        rows.append(
            {
                "fact_id": fact.fact_id,
                "relation": fact.relation,
                "subject_id": fact.subject_id,
                "object_id": fact.object_id,
                "subject_qid": fact.subject_qid,
                "object_qid": fact.object_qid,
                "languages": codes,
                "subjects": [fact.labels[code][0] for code in codes],
                "objects": [fact.labels[code][1] for code in codes],
                "parallel": fact.parallel,
                "single_answer": fact.single_answer,
                "source": fact.source,
                "license": fact.license,
            }
        )
    return pa.Table.from_pylist(rows, schema=FACTS)


def template_rows(templates: Iterable[Template], names: dict[str, str], reviews: dict[str, str], license: str) -> pa.Table:
    """Phrasings with the relation's name and the second reader's verdict (empty where none was given)."""
    rows = [
        {
            "template_id": template.template_id,
            "language": template.language,
            "relation": template.relation,
            "relation_name": names[template.relation],
            "text": template.text,
            "causal": template.causal,
            "frame": template.frame,
            "provenance": template.provenance,
            "parent": template.parent,
            "prompt_version": template.prompt_version,
            "ledger_key": template.ledger_key,
            "review": reviews.get(template.template_id, ""),
            "license": license,
        }
        for template in templates
    ]
    return pa.Table.from_pylist(rows, schema=TEMPLATES)


def reject_rows(rejects: Iterable[Reject]) -> pa.Table:
    """Rejects as a table with the `REJECTED` schema."""
    columns: dict[str, list[object]] = {field.name: [] for field in REJECTED}
    for reject in rejects:
        for name, values in columns.items():
            values.append(getattr(reject, name))
    return pa.Table.from_pydict(columns, schema=REJECTED)
