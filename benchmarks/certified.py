"""Certified: real queries in eight languages, and what the 20-step sums would have passed. Kill and resume: the same bytes."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from rml_lama.config import EvaluateConfig, LocalizeConfig
from rml_lama.eval.attribute import attribute
from rml_lama.eval.engine import Engine
from rml_lama.eval.localize import localize
from rml_lama.eval.models import load_model
from rml_lama.eval.selection import select
from rml_lama.hub.folder import read_manifest
from rml_lama.records import Query

RULES = ("gauss-kronrod-sinh", "linspace-20")


def certified(arguments: argparse.Namespace) -> dict[str, Any]:
    """Certified share at 1%, and the share of queries whose every layer `linspace-20` (and others) would have passed.

    Resumable by query: `<out>/certified.jsonl`.
    """
    queries = _spread(arguments)
    path = arguments.out / "certified.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    done = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []
    seen = {row["query_id"] for row in done}
    loaded = load_model("demo")
    engine = Engine(loaded)
    begin = time.perf_counter()
    todo = [query for query in queries if query.query_id not in seen]
    with path.open("a", encoding="utf-8") as stream:
        for place in range(0, len(todo), 8):
            if arguments.minutes and time.perf_counter() - begin > 60 * arguments.minutes:
                break
            group = todo[place : place + 8]
            rows: list[dict[str, Any]] = [{"query_id": q.query_id, "language": q.language, "answer": q.answer} for q in group]
            for rule in RULES:
                for row, one in zip(rows, attribute(engine, loaded, group, rule=rule), strict=True):
                    row[rule] = {"certified": one.certified, "residual": one.residual, "nodes": one.nodes}
                    row["probability"] = one.probability
            stream.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            stream.flush()
            done += rows
            print(len(done), {rule: sum(row[rule]["certified"] for row in done) for rule in RULES}, flush=True)
    return {
        "queries": len(done),
        "asked": len(queries),
        "languages": len({row["language"] for row in done}),
        "certified": {rule: float(np.mean([row[rule]["certified"] for row in done])) for rule in RULES},
        "median_residual_of_limit": {rule: float(np.median([row[rule]["residual"] for row in done])) for rule in RULES},
    }


def _spread(arguments: argparse.Namespace) -> list[Query]:
    """As many queries of each language, spread over its relations."""
    languages = tuple(arguments.languages.split(","))
    config = EvaluateConfig(languages=languages, limit_facts=max(1, arguments.queries // (4 * len(languages))), limit_templates=2)
    shards = select(arguments.data, read_manifest(arguments.data), config)
    by_language = {code: [query for shard in shards if shard.language == code for query in shard.queries] for code in languages}
    each = -(-arguments.queries // len(languages))
    return [query for code in languages for query in by_language[code][:: max(1, len(by_language[code]) // each)][:each]]


def rules(arguments: argparse.Namespace) -> dict[str, Any]:
    """Each quadrature, not doubled: layers within 1%, the largest error of any attribution as a share of the query's largest, seconds."""
    queries = _spread(arguments)
    loaded = load_model("demo")
    engine = Engine(loaded)
    exact = [one.values for one in attribute(engine, loaded, queries, steps="first", rule="gauss-kronrod-sinh-127")]
    rows = []
    for rule in ("gauss-kronrod-sinh-15", "gauss-kronrod-cubic-15", "gauss-kronrod-cubic-21", "gauss-kronrod-cubic-43", "linspace-20"):
        start = time.perf_counter()
        found = attribute(engine, loaded, queries, steps="first", rule=rule, doublings=0)
        seconds = (time.perf_counter() - start) / len(queries)
        errors = [float(np.abs(one.values - true).max() / np.abs(true).max()) for one, true in zip(found, exact, strict=True)]
        row = {"rule": rule, "certified_at_once": float(np.mean([one.certified for one in found])), "seconds_a_query": seconds}
        rows.append({**row, "median_error": float(np.median(errors)), "largest_error": max(errors)})
        print(json.dumps(rows[-1]), flush=True)
    return {"queries": len(queries), "rows": rows}


class Stop(Exception):
    """The kill of the kill-and-resume check."""


def resume(arguments: argparse.Namespace) -> dict[str, Any]:
    """A whole run, and one that is stopped after its first fact and called again: the bytes of all files."""
    config = LocalizeConfig(languages=("en", "ja"), relations=("P36",), limit_facts=2, limit_templates=2, background=4, draws=50)
    loaded = load_model("demo")

    def stop(done: int, total: int, what: str) -> None:
        if what.startswith("P36") and done == 1:
            raise Stop

    folders = [arguments.out / name for name in ("whole", "halves")]
    localize(loaded, arguments.data, config, out=folders[0])
    try:
        localize(loaded, arguments.data, config, out=folders[1], progress=stop)
    except Stop:
        print("stopped after one fact", flush=True)
    localize(loaded, arguments.data, config, out=folders[1])
    same = {
        name: _bytes(folders[0] / name) == _bytes(folders[1] / name)
        for name in ("localization.parquet", "facts.parquet", "localization.json", "SHA256SUMS")
    }
    print(same)
    return {"same": same}


def _bytes(path: Path) -> bytes:
    return path.read_bytes()
