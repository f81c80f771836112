"""Choose the queries of a run from a build folder, by the run's config: languages, relations, facts, phrasings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from rml_lama.config import EvaluateConfig
from rml_lama.errors import ConfigError, DataError
from rml_lama.eval.candidates import draw_key
from rml_lama.records import Query, Template

__all__ = ["Shard", "read_templates", "select"]


@dataclass(frozen=True, slots=True)
class Shard:
    """The queries of one relation in one language: the unit in which a run works and goes on after a stop."""

    language: str
    relation: str
    queries: tuple[Query, ...]

    @property
    def name(self) -> str:
        return f"{self.language}-{self.relation}"


def select(data: Path, manifest: dict[str, Any], config: EvaluateConfig) -> list[Shard]:
    """All shards of a run, in language and relation order.

    Raises `ConfigError` when the build lacks a language or relation, `DataError` when nothing is left or a file is damaged.
    """
    languages = config.languages or tuple(manifest["languages"])
    relations = config.relations or tuple(manifest["relations"])
    for wanted, there, what in ((languages, manifest["languages"], "language"), (relations, manifest["relations"], "relation")):
        if missing := sorted(set(wanted) - set(there)):
            raise ConfigError(f"the build has no {what} {', '.join(missing)}; it has {' '.join(there)}")
    shards = [shard for code in languages for shard in _language_shards(data, code, relations, config)]
    if not shards:
        raise DataError(f"no query is left: languages {' '.join(languages)}, templates {config.templates}", data)
    return shards


def _language_shards(data: Path, code: str, relations: tuple[str, ...], config: EvaluateConfig) -> Iterator[Shard]:
    path = data / "data" / f"{code}.parquet"
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"cannot read: {error}", path) from error
    if config.templates == "causal":
        table = table.filter(pc.field("causal"))
    for relation in relations:
        rows = table.filter(pc.field("relation") == relation).to_pylist()
        facts = _first(sorted({row["fact_id"] for row in rows}, key=lambda fact: draw_key(config.seed, fact)), config.limit_facts)
        phrasings = _first(list(dict.fromkeys(row["template_id"] for row in rows)), config.limit_templates)
        chosen = [
            Query(**{**row, "answers": tuple(row["answers"])})
            for row in rows
            if row["fact_id"] in facts and row["template_id"] in phrasings
        ]
        if chosen:
            yield Shard(code, relation, tuple(chosen))


def _first(items: list[str], limit: int) -> set[str]:
    return set(items[:limit] if limit else items)


def read_templates(data: Path) -> dict[str, Template]:
    """The phrasings of a build folder by their ids. Raises `DataError` when they cannot be read."""
    path = data / "data" / "templates.parquet"
    try:
        rows = pq.read_table(path, columns=["template_id", "language", "relation", "text", "causal"]).to_pylist()
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"cannot read: {error}", path) from error
    return {row["template_id"]: Template(row["language"], row["relation"], row["text"], row["causal"]) for row in rows}
