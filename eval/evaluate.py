"""Evaluate a model on a build: rank the candidates of every query, shard by shard, and sum up with intervals.

Each finished shard is kept in `<out>/parts`; a run that is called again with the same options goes on from there, and
its result has the same bytes as an undisturbed one's.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from rml_lama import __version__
from rml_lama.config import EvaluateConfig
from rml_lama.errors import ConfigError, DataError, OutputError
from rml_lama.eval.candidates import Candidates, read_candidates
from rml_lama.eval.metrics import rank
from rml_lama.eval.results import PREDICTIONS, Result, summarize
from rml_lama.eval.selection import Shard, select
from rml_lama.hub.folder import content_hash, read_manifest
from rml_lama.signature import Signature

if TYPE_CHECKING:
    from rml_lama.eval.causal_lm import CausalScorer
    from rml_lama.eval.masked_lm import MaskedScorer
    from rml_lama.eval.models import LoadedModel

    Scorer = CausalScorer | MaskedScorer

__all__ = ["evaluate", "plan"]

Progress = Callable[[int, int, str], None]
_BATCH = 64  # queries handed to the scorer at once; it makes its own batches


def evaluate(
    model: str | LoadedModel,
    data: Path | str,
    config: EvaluateConfig | None = None,
    *,
    out: Path | None = None,
    device: str = "cpu",
    revision: str | None = None,
    progress: Progress = lambda done, total, what: None,
    **options: Any,
) -> Result:
    """Score a model on a build folder.

    `model` is a Hub id, a local folder, `demo`, or a loaded model; `options` are fields of `EvaluateConfig`, such as
    `languages=("en", "ja")`. With `out`, the result is saved there and an interrupted run goes on.
    Raises `ConfigError`, `DataError`, `ModelError`, `OutputError` or `ScoreError`.
    """
    data = Path(data)
    config = _configured(config, options)
    manifest = read_manifest(data)
    shards = select(data, manifest, config)
    parts = None if out is None else _open_run(out, _fingerprint(model, manifest, config, revision))
    total = sum(len(shard.queries) for shard in shards)
    missing = [shard for shard in shards if parts is None or not (parts / f"{shard.name}.parquet").exists()]
    loaded = _load(model, config, device, revision)
    tables: dict[str, pa.Table] = {}
    if missing:
        if loaded.kind == "causal" and config.templates != "causal":
            raise ConfigError("a causal model reads from left to right: use --templates causal")
        candidates = read_candidates(data, limit=config.max_candidates, seed=config.seed)
        scorer = _scorer(loaded, config)
        done = total - sum(len(shard.queries) for shard in missing)
        for shard in missing:
            progress(done, total, f"{shard.language} {shard.relation}")
            table = _score_shard(scorer, shard, candidates, config)
            done += len(shard.queries)
            if parts is None:
                tables[shard.name] = table
            else:
                _write_whole(table, parts / f"{shard.name}.parquet")
        progress(done, total, "done")
    if parts is not None:
        tables = {shard.name: _read_part(parts / f"{shard.name}.parquet") for shard in shards}
    predictions = pa.concat_tables([tables[shard.name] for shard in shards]).combine_chunks()
    signature = _signature(loaded, manifest, config, shards, len(predictions))
    result = summarize(predictions, signature, resamples=config.resamples, seed=config.seed)
    if out is not None:
        result.save(out)
    return result


def plan(data: Path, config: EvaluateConfig) -> str:
    """What a run would do, without a model: queries, and candidates to score."""
    shards = select(data, read_manifest(data), config)
    candidates = read_candidates(data, limit=config.max_candidates, seed=config.seed)
    queries = sum(len(shard.queries) for shard in shards)
    scored = sum(len(candidates.of(q.relation, q.language, q.answer, q.answers)) for shard in shards for q in shard.queries)
    languages = len({shard.language for shard in shards})
    relations = len({shard.relation for shard in shards})
    return f"{queries:,} queries in {languages} languages and {relations} relations; {scored:,} candidates to score"


def _configured(config: EvaluateConfig | None, options: dict[str, Any]) -> EvaluateConfig:
    from rml_lama.config import load_config

    if not options:
        return config or EvaluateConfig()
    return load_config(EvaluateConfig, None, **{**(asdict(config) if config else {}), **options})


def _load(model: str | LoadedModel, config: EvaluateConfig, device: str, revision: str | None) -> LoadedModel:
    if not isinstance(model, str):
        return model
    from rml_lama.eval.models import load_model

    return load_model(model, dtype=config.dtype, device=device, revision=revision)


def _scorer(loaded: LoadedModel, config: EvaluateConfig) -> Scorer:
    if loaded.kind == "masked":
        if config.score != "answer":
            raise ConfigError("a masked model reads the suffix anyway: use --score answer")
        from rml_lama.eval.masked_lm import MaskedScorer

        return MaskedScorer(loaded)
    from rml_lama.eval.causal_lm import CausalScorer

    return CausalScorer(loaded, with_suffix=config.score == "answer+suffix")


def _score_shard(scorer: Scorer, shard: Shard, candidates: Candidates, config: EvaluateConfig) -> pa.Table:
    from rml_lama.eval.causal_lm import Ask

    rows: list[dict[str, Any]] = []
    for start in range(0, len(shard.queries), _BATCH):
        batch = shard.queries[start : start + _BATCH]
        asks = [Ask(q.prompt, q.suffix, candidates.of(q.relation, q.language, q.answer, q.answers)) for q in batch]
        for query, ask, (scores, lengths) in zip(batch, asks, scorer.score(asks), strict=True):
            ranking = rank(scores / lengths if config.norm == "mean" else scores, ask.candidates)
            rows.append(
                {
                    **{name: getattr(query, name) for name in ("query_id", "fact_id", "relation", "language", "template_id", "answer")},
                    "greater": ranking.greater,
                    "ties": ranking.ties,
                    "candidates": ranking.candidates,
                    "answer_tokens": int(lengths[0]),
                    "rank": ranking.rank,
                    "gold_log_probability": float(scores[0]),
                    "normalized_log_probability": ranking.normalized,
                    "entropy": ranking.entropy,
                    "top": list(ranking.top),
                    "top_scores": list(np.round(ranking.top_scores, 6)),
                }
            )
    return pa.Table.from_pylist(rows, schema=PREDICTIONS)


def _fingerprint(model: str | LoadedModel, manifest: dict[str, Any], config: EvaluateConfig, revision: str | None) -> dict[str, Any]:
    """What must be the same for a run to go on."""
    name = model if isinstance(model, str) else model.name
    identity = {"model": name, "revision": revision, "data": manifest["sha256"], "config": asdict(config), "library": __version__}
    return json.loads(json.dumps(identity))  # type: ignore[no-any-return]


def _open_run(out: Path, fingerprint: dict[str, Any]) -> Path:
    """The folder of finished shards. Raises `OutputError` when another run is in `out`."""
    note = out / "run.json"
    parts = out / "parts"
    try:
        if note.exists():
            found = json.loads(note.read_text(encoding="utf-8"))
            if found != fingerprint:
                keys = ", ".join(sorted(key for key in fingerprint if found.get(key) != fingerprint[key]))
                raise OutputError(f"{out} holds a run with another {keys}; choose another --out or remove it")
        elif out.exists() and any(out.iterdir()):
            raise OutputError(f"{out} is not empty and holds no run; choose another --out")
        parts.mkdir(parents=True, exist_ok=True)
        note.write_text(json.dumps(fingerprint, indent=2) + "\n", encoding="utf-8")
    except ValueError as error:
        raise OutputError(f"{note} is damaged: {error}; remove it to start over") from error
    except OSError as error:
        raise OutputError(f"cannot write to {out}: {error.strerror}") from error
    return parts


def _write_whole(table: pa.Table, path: Path) -> None:
    """A part appears under its name only when it is complete."""
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".tmp", delete=False) as stream:
            pq.write_table(table, stream)
        os.replace(stream.name, path)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error


def _read_part(path: Path) -> pa.Table:
    try:
        return pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"a damaged part: {error}; remove it to score it again", path) from error


def _signature(loaded: LoadedModel, manifest: dict[str, Any], config: EvaluateConfig, shards: Sequence[Shard], queries: int) -> Signature:
    languages = list(dict.fromkeys(shard.language for shard in shards))
    relations = sorted({shard.relation for shard in shards})
    subset = content_hash({query.query_id: "" for shard in shards for query in shard.queries})[:6]
    drawn = f"typed-{config.max_candidates}-seed{config.seed}" if config.max_candidates else "typed"
    pairs = {
        "v": manifest["version"],
        "data": manifest["data"],
        "cfg": "all" if languages == manifest["languages"] else ",".join(languages),
        "rel": "all" if len(relations) == len(manifest["relations"]) else str(len(relations)),
        "n": str(queries),
        "q": subset,
        "score": config.score if loaded.kind == "causal" else "mask-joint",
        "cand": drawn,
        "norm": config.norm,
        "tmpl": config.templates,
        "agg": "macro-rel",
        "ci": f"cluster-{config.resamples}-seed{config.seed}",
        "metric": "P@1,P@5,MRR",
        "model": f"{loaded.name}@{loaded.revision}",
        "dtype": loaded.dtype,
        "lib": __version__,
    }
    return Signature(tuple(pairs.items()))
