"""The stages of a build: source -> validate -> assemble -> export. Only this runner counts, logs and keeps rejects.

Facts stream through one relation at a time, so that memory does not grow with the number of facts. Equal inputs give
equal bytes.
"""

from __future__ import annotations

import itertools
import json
import logging
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rml_lama import __version__
from rml_lama.builders.archive import file_sha256
from rml_lama.builders.assemble import queries
from rml_lama.builders.bank import BANK, read_bank
from rml_lama.builders.base import Source
from rml_lama.builders.reviews import read_reviews
from rml_lama.config import BuildConfig, config_hash
from rml_lama.errors import ConfigError, DataError
from rml_lama.hub.card import render_card
from rml_lama.hub.folder import MANIFEST, BuildFolder, content_hash, new_folder
from rml_lama.hub.schema import fact_rows, query_batch, reject_rows, template_rows
from rml_lama.records import RELATIONS, Fact, Reject, Template, by_relation, relation_order
from rml_lama.validation.runner import REGISTRY, validate

__all__ = ["BuildSummary", "build", "make_source"]

logger = logging.getLogger(__name__)

TEMPLATE_LICENSE = "CC-BY-4.0"
DEFAULT_FILTERS = ("structure",)
Progress = Callable[[str, int], None]


@dataclass(frozen=True, slots=True)
class BuildSummary:
    """What a build holds: where, its data id, and rows by config."""

    path: Path
    data: str
    rows: dict[str, int]
    source: dict[str, Any]


def make_source(config: BuildConfig, *, mlama: Path | None = None, labels: Path | None = None) -> Source:
    """The source of a track. Raises `ConfigError` where the track and the options do not fit together."""
    if config.track == "lama":
        if mlama is None:
            raise ConfigError("the track 'lama' needs --mlama ZIP_OR_DIR; get it with `rml-lama fetch mlama`")
        from rml_lama.builders.mlama import MLamaSource

        return MLamaSource(mlama, labels=labels, relations=config.relations)
    if mlama is not None or labels is not None:
        raise ConfigError("--mlama and --labels belong to the track 'lama'; add --track lama")
    from rml_lama.builders.open_facts import OpenSource

    return OpenSource(relations=config.relations)


def build(
    out: Path,
    config: BuildConfig | None = None,
    *,
    mlama: Path | None = None,
    labels: Path | None = None,
    bank: Path = BANK,
    progress: Progress = lambda relation, rows: None,
) -> BuildSummary:
    """Build the benchmark into the folder `out`, which is replaced when it holds an earlier build.

    `progress` is called with each finished relation and the number of queries so far.
    Raises `ConfigError`, `DataError` or `OutputError`; in every case `out` is left as it was.
    """
    config = config or BuildConfig()
    source = make_source(config, mlama=mlama, labels=labels)
    templates, rejects = validate(read_bank(config.languages, bank), [REGISTRY[name]() for name in DEFAULT_FILTERS])
    reviews = read_reviews(config.languages, bank / "review")
    with new_folder(out) as folder:
        counts, assembled_rejects, used = _assemble(source, templates, config, folder, progress)
        folder.append("templates", template_rows(used, {r.id: r.name for r in RELATIONS.values()}, reviews, TEMPLATE_LICENSE))
        folder.append("rejected", reject_rows([*source.rejects, *rejects, *assembled_rejects]))
        folder.close()
        manifest = _manifest(folder, config, source, used)
        (folder.path / "README.md").write_text(render_card(manifest, used, reviews, counts), encoding="utf-8")
        (folder.path / MANIFEST).write_text(json.dumps(manifest, indent=2, ensure_ascii=False, sort_keys=True) + "\n", encoding="utf-8")
    return BuildSummary(out, manifest["data"], dict(folder.rows), manifest["source"])


def _assemble(
    source: Source, templates: Sequence[Template], config: BuildConfig, folder: BuildFolder, progress: Progress
) -> tuple[Counter[tuple[str, str]], list[Reject], list[Template]]:
    """Write facts and queries; return query counts by (language, relation), rejects, and the templates that were used."""
    bank = by_relation(templates)
    counts: Counter[tuple[str, str]] = Counter()
    rejects: list[Reject] = []
    for relation, group in itertools.groupby(source.facts(), key=lambda fact: fact.relation):
        everything = list(group)
        facts = everything if config.all_facts else [fact for fact in everything if fact.parallel]
        if len(facts) < len(everything):
            rejects.append(_not_parallel(relation, len(everything) - len(facts)))
        folder.append("facts", fact_rows(facts, config.languages))
        for code in config.languages:
            rejects += _unlabelled(facts, code, relation)
            if (code, relation) not in bank:
                rejects.append(Reject("assemble", "no-phrasing", code, relation, relation, "the bank has no phrasing of this relation"))
                continue
            table = query_batch(queries(facts, code, bank))
            counts[code, relation] += table.num_rows
            folder.append(code, table)
        progress(relation, counts.total())
    for code in config.languages:
        if code not in folder.rows:
            logger.warning("no query in %s: the source has no labels for it, or the bank no phrasing", code)
    if not counts.total():
        raise DataError(f"no query at all: no fact of {source.name} is labelled in {' '.join(config.languages)} and has a phrasing")
    return +counts, rejects, [template for template in templates if counts[template.language, template.relation]]


def _not_parallel(relation: str, count: int) -> Reject:
    reason = f"{count} facts are not labelled in every language that the track promises; --all-facts takes them"
    return Reject("assemble", "not-parallel", "", relation, relation, reason, count=count)


def _unlabelled(facts: Sequence[Fact], code: str, relation: str) -> Iterator[Reject]:
    missing = sum(code not in fact.labels for fact in facts)
    if missing:
        reason = f"{missing} of the {len(facts)} chosen facts have no label of subject or object in this language"
        yield Reject("assemble", "no-label", code, relation, relation, reason, count=missing)


def _manifest(folder: BuildFolder, config: BuildConfig, source: Source, templates: Sequence[Template]) -> dict[str, Any]:
    """Counts, checksums and the hash of everything that decided the bytes."""
    checksums = {f"data/{name}.parquet": file_sha256(folder.path / "data" / f"{name}.parquet") for name in sorted(folder.rows)}
    languages = [code for code in config.languages if code in folder.rows]
    parts = {"all": [f"data/{code}.parquet" for code in languages]}
    parts |= {name: [f"data/{name}.parquet"] for name in (*languages, "facts", "templates", "rejected") if name in folder.rows}
    configs = {
        name: {
            "files": paths,
            "rows": sum(folder.rows[Path(path).stem] for path in paths),
            "sha256": content_hash({path: checksums[path] for path in paths}),
        }
        for name, paths in parts.items()
    }
    whole = content_hash(checksums)
    return {
        "format": 1,
        "track": config.track,
        "data": f"{config.track}-{whole[:6]}",
        "sha256": whole,
        "version": config.version,
        "library": __version__,
        "config": asdict(config),
        "config_hash": config_hash(config),
        "languages": languages,
        "relations": sorted({template.relation for template in templates}, key=relation_order),
        "rows": dict(sorted(folder.rows.items())),
        "configs": configs,
        "files": checksums,
        "source": {"name": source.name, "license": source.license, **source.report},
        "canary": f"rml-lama:{uuid.uuid5(uuid.NAMESPACE_URL, 'https://arxiv.org/abs/2411.17401')}",
    }
