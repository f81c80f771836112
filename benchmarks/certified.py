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


def certified(arguments: argparse.Namespace) -> dict[str, Any]:
    """Certified share at 1%, and the share of queries whose every layer `linspace-20` (and others) would have passed.

    Resumable by query: `<out>/certified.jsonl`.
    """
    languages = tuple(arguments.languages.split(","))
    config = EvaluateConfig(languages=languages, limit_facts=max(1, arguments.queries // (4 * len(languages))), limit_templates=2)
    shards = select(arguments.data, read_manifest(arguments.data), config)
    by_language = {code: [query for shard in shards if shard.language == code for query in shard.queries] for code in languages}
    each = -(-arguments.queries // len(languages))
    queries = [query for code in languages for query in by_language[code][:: max(1, len(by_language[code]) // each)][:each]]
    path = arguments.out / "certified.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    done = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []
    seen = {row["query_id"] for row in done}
    loaded = load_model("demo")
    engine = Engine(loaded)
    begin = time.perf_counter()
    with path.open("a", encoding="utf-8") as stream:
        for query in queries:
            if query.query_id in seen:
                continue
            if arguments.minutes and time.perf_counter() - begin > 60 * arguments.minutes:
                break
            row: dict[str, Any] = {"query_id": query.query_id, "language": query.language, "answer": query.answer}
            for rule in ("gauss-kronrod-cubic", "linspace-20"):
                start = time.process_time()
                (found,) = attribute(engine, loaded, [query], rule=rule)
                row[rule] = {
                    "certified": found.certified,
                    "residual": found.residual,
                    "nodes": found.nodes,
                    "cpu_s": time.process_time() - start,
                }
                row["probability"] = found.probability
            stream.write(json.dumps(row, ensure_ascii=False) + "\n")
            stream.flush()
            done.append(row)
            print(len(done), row["language"], {k: v["certified"] for k, v in row.items() if isinstance(v, dict)}, flush=True)
    rules = [name for name, value in done[0].items() if isinstance(value, dict)]
    return {
        "queries": len(done),
        "asked": len(queries),
        "languages": len({row["language"] for row in done}),
        "certified": {rule: float(np.mean([row[rule]["certified"] for row in done])) for rule in rules},
        "cpu_seconds": {rule: float(np.mean([row[rule]["cpu_s"] for row in done])) for rule in rules},
        "median_residual_of_limit": {rule: float(np.median([row[rule]["residual"] for row in done])) for rule in rules},
    }


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
