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
from typing import TYPE_CHECKING, Any

from rml_lama import __version__
from rml_lama.builders.archive import file_sha256
from rml_lama.builders.assemble import NO_REWRITES, queries
from rml_lama.builders.bank import BANK, in_bank_order, read_bank, write_bank
from rml_lama.builders.base import Source
from rml_lama.builders.reviews import read_reviews
from rml_lama.config import BuildConfig, config_hash
from rml_lama.errors import ConfigError, DataError
from rml_lama.hub.card import render_card
from rml_lama.hub.folder import MANIFEST, BuildFolder, content_hash, new_folder
from rml_lama.hub.schema import fact_rows, query_batch, reject_rows, template_rows
from rml_lama.languages import ALL_CODES
from rml_lama.records import RELATIONS, Fact, Reject, Template, by_relation, relation_order
from rml_lama.validation.base import Filter
from rml_lama.validation.presets import REGISTRY
from rml_lama.validation.runner import validate

if TYPE_CHECKING:
    from rml_lama.builders.generate import Generation

__all__ = ["BuildSummary", "build", "default_filters", "make_source"]

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
    generated: dict[str, int]  # outcomes of a generation, by stage and name


def make_source(config: BuildConfig, *, mlama: Path | None = None, lama: Path | None = None, labels: Path | None = None) -> Source:
    """The source of a track. Raises `ConfigError` where the track and the options do not fit together."""
    if config.track != "lama":
        if mlama is not None or lama is not None or labels is not None:
            raise ConfigError("--mlama, --lama and --labels belong to the track 'lama'; add --track lama")
        from rml_lama.builders.open_facts import OpenSource

        return OpenSource(relations=config.relations)
    if mlama is not None and lama is not None:
        raise ConfigError("choose --mlama or --lama: the facts of a build come from one archive")
    if lama is not None:
        from rml_lama.builders.lama import LamaSource

        return LamaSource(lama, labels=labels, relations=config.relations)
    if mlama is None:
        raise ConfigError("the track 'lama' needs --mlama ZIP_OR_DIR (get it with `rml-lama fetch mlama`) or --lama ZIP_OR_DIR")
    from rml_lama.builders.mlama import MLamaSource

    return MLamaSource(mlama, labels=labels, relations=config.relations)


def default_filters() -> list[Filter]:
    """The filters that every phrasing of a build must pass."""
    return [REGISTRY[name]() for name in DEFAULT_FILTERS]


def build(
    out: Path,
    config: BuildConfig | None = None,
    *,
    mlama: Path | None = None,
    lama: Path | None = None,
    labels: Path | None = None,
    bank: Path = BANK,
    generation: Generation | None = None,
    save_bank: Path | None = None,
    progress: Progress = lambda relation, rows: None,
) -> BuildSummary:
    """Build the benchmark into the folder `out`, which is replaced when it holds an earlier build.

    With an open `generation` (`rml_lama.builders.generate`) a language model adds phrasings and mends queries;
    `save_bank` keeps the phrasings, old and new, as a bank for people to read.
    `progress` is called with each finished relation and the number of queries so far.
    Raises `ConfigError`, `DataError` or `OutputError`; in every case `out` is left as it was.
    """
    config = config or BuildConfig()
    source = make_source(config, mlama=mlama, lama=lama, labels=labels)
    phrasings, generated_rejects = _phrasings(config, bank, generation)
    if save_bank is not None:
        write_bank(phrasings, save_bank)
    templates, rejects = validate(phrasings, default_filters())
    reviews = read_reviews(config.languages, bank / "review")
    with new_folder(out) as folder:
        counts, assembled_rejects, used = _assemble(source, templates, config, folder, generation, progress)
        folder.append("templates", template_rows(used, {r.id: r.name for r in RELATIONS.values()}, reviews, TEMPLATE_LICENSE))
        folder.append("rejected", reject_rows([*source.rejects, *generated_rejects, *rejects, *assembled_rejects]))
        folder.close()
        manifest = _manifest(folder, config, source, used, generation)
        (folder.path / "README.md").write_text(render_card(manifest, used, reviews, counts), encoding="utf-8")
        (folder.path / MANIFEST).write_text(json.dumps(manifest, indent=2, ensure_ascii=False, sort_keys=True) + "\n", encoding="utf-8")
    outcomes = {} if generation is None else generation.report["outcomes"]
    return BuildSummary(out, manifest["data"], dict(folder.rows), manifest["source"], outcomes)


def _phrasings(config: BuildConfig, bank: Path, generation: Generation | None) -> tuple[list[Template], list[Reject]]:
    """The phrasings of the bank and of the generation, and what the latter refused."""
    if generation is None:
        return read_bank(config.languages, bank), []
    wanted = generation.config
    if foreign := sorted({*wanted.rephrase, *wanted.translate_to, *wanted.rewrite} - set(config.languages)):
        raise ConfigError(f"[generate] names languages that the build does not have: {', '.join(foreign)}; add them to --languages")
    there = read_bank(tuple(code for code in ALL_CODES if code in {*config.languages, wanted.translate_from}), bank)
    generated = generation.templates(there, config.relations or tuple(RELATIONS))
    phrasings = [template for template in (*there, *generated.templates) if template.language in config.languages]
    return in_bank_order(phrasings), generated.rejects


def _assemble(
    source: Source,
    templates: Sequence[Template],
    config: BuildConfig,
    folder: BuildFolder,
    generation: Generation | None,
    progress: Progress,
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
        rewrites = NO_REWRITES
        if generation is not None and generation.config.rewrite:
            mended = generation.rewrites(facts, bank)
            rewrites, rejects = mended.found, [*rejects, *mended.rejects]
        for code in config.languages:
            rejects += _unlabelled(facts, code, relation)
            if (code, relation) not in bank:
                rejects.append(Reject("assemble", "no-phrasing", code, relation, relation, "the bank has no phrasing of this relation"))
                continue
            table = query_batch(queries(facts, code, bank, rewrites))
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


def _manifest(
    folder: BuildFolder, config: BuildConfig, source: Source, templates: Sequence[Template], generation: Generation | None
) -> dict[str, Any]:
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
        "config_hash": config_hash(config) if generation is None else config_hash(config, generation.config),
        **({} if generation is None else {"generate": asdict(generation.config), "generated": generation.report}),
        "languages": languages,
        "relations": sorted({template.relation for template in templates}, key=relation_order),
        "rows": dict(sorted(folder.rows.items())),
        "configs": configs,
        "files": checksums,
        "source": {"name": source.name, "license": source.license, **source.report},
        "canary": f"rml-lama:{uuid.uuid5(uuid.NAMESPACE_URL, 'https://arxiv.org/abs/2411.17401')}",
    }
