"""Evaluate a model on a build: rank the candidates of every query, shard by shard, and sum up with intervals.

With an output folder each finished shard is kept (`runs.py`); a run that is called again with the same options goes on
from there, and its result has the same bytes as an undisturbed one's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from rml_lama import __version__
from rml_lama.config import EvaluateConfig
from rml_lama.errors import ConfigError
from rml_lama.eval.candidates import read_candidates
from rml_lama.eval.formulas import FORMULAS
from rml_lama.eval.frame import PREDICTIONS, SCORES
from rml_lama.eval.results import Result, summarize
from rml_lama.eval.runs import RunFolder
from rml_lama.eval.selection import Shard, read_templates, select
from rml_lama.eval.shards import ShardScorer
from rml_lama.hub.folder import content_hash, read_manifest
from rml_lama.signature import Signature

if TYPE_CHECKING:
    from rml_lama.eval.base import Scorer
    from rml_lama.eval.models import LoadedModel

__all__ = ["estimate", "evaluate", "plan", "scorer_for"]

_TRIED = 8  # shards, and queries of each, that an estimate scores
Progress = Callable[[int, int, str], None]


def evaluate(
    model: str | LoadedModel,
    data: Path | str,
    config: EvaluateConfig | None = None,
    *,
    out: Path | str | None = None,
    load: dict[str, Any] | None = None,
    progress: Progress = lambda done, total, what: None,
    **options: Any,
) -> Result:
    """Score a model on a build folder.

    `model` is a Hub id, a local folder, a GGUF file, `demo`, or a loaded model; `load` holds further options of
    `load_model`, such as `{"device": "cuda"}`; `options` are fields of `EvaluateConfig`, such as
    `languages=["en", "ja"]`. With `out`, the result is saved there and an interrupted run goes on.
    Raises `ConfigError`, `DataError`, `ModelError`, `OutputError` or `ScoreError`.
    """
    data = Path(data)
    config = _configured(config, options)
    manifest = read_manifest(data)
    shards = select(data, manifest, config)
    run = None if out is None else RunFolder.open(Path(out), _identity(model, manifest, config, load or {}))
    missing = [shard for shard in shards if run is None or not run.has(shard.name)]
    loaded = _load(model, config, load or {})
    scorer = scorer_for(loaded, config)
    tables: dict[str, pa.Table] = {}
    if missing:
        candidates = read_candidates(data, limit=config.max_candidates, seed=config.seed)
        templates = read_templates(data) if config.prior != "none" else {}
        one = ShardScorer(scorer, candidates, config, templates)
        total = sum(len(shard.queries) for shard in shards)
        done = total - sum(len(shard.queries) for shard in missing)
        for shard in missing:
            progress(done, total, f"{shard.language} {shard.relation}")
            started = time.perf_counter()
            table = one.score(shard)
            done += len(shard.queries)
            if run is None:
                tables[shard.name] = table
            else:
                run.write(shard.name, table)
                run.note_cost(time.perf_counter() - started, len(table), sum(table["candidates"].to_pylist()))
        progress(done, total, "done")
    if run is not None:
        tables = {shard.name: run.read(shard.name) for shard in shards}
    whole = pa.concat_tables([tables[shard.name] for shard in shards]).combine_chunks()
    signature = _signature(loaded, scorer.mode, manifest, config, shards)
    predictions, scores = (whole.select(schema.names).cast(schema) for schema in (PREDICTIONS, SCORES))
    result = summarize(predictions, scores, signature, resamples=config.resamples, seed=config.seed)
    if out is not None:
        result.save(out)
    return result


def plan(data: Path, config: EvaluateConfig) -> str:
    """What a run would do, without a model: queries, and candidates to score."""
    shards = select(data, read_manifest(data), config)
    counted = _candidate_counts(data, config, shards)
    languages = len({shard.language for shard in shards})
    relations = len({shard.relation for shard in shards})
    queries = sum(len(shard.queries) for shard in shards)
    return f"{queries:,} queries in {languages} languages and {relations} relations; {sum(counted):,} candidates to score"


def estimate(model: str | LoadedModel, data: Path, config: EvaluateConfig, *, load: dict[str, Any] | None = None) -> str:
    """How long a run would take here: a few queries of shards all over the run are scored and timed."""
    shards = select(data, read_manifest(data), config)
    counted = _candidate_counts(data, config, shards)
    candidates = read_candidates(data, limit=config.max_candidates, seed=config.seed)
    scorer = scorer_for(_load(model, config, load or {}), config)
    one = ShardScorer(scorer, candidates, config, read_templates(data) if config.prior != "none" else {})
    tried = [Shard(shard.language, shard.relation, shard.queries[:_TRIED]) for shard in shards[:: max(1, len(shards) // _TRIED)][:_TRIED]]
    one.score(Shard(tried[0].language, tried[0].relation, tried[0].queries[:1]))
    started = time.perf_counter()
    scored = sum(sum(one.score(shard)["candidates"].to_pylist()) for shard in tried)
    seconds = (time.perf_counter() - started) / scored * sum(counted)
    return f"about {seconds / 60:,.0f} minutes on this machine ({scored:,} candidates were scored to find out)"


def _candidate_counts(data: Path, config: EvaluateConfig, shards: Sequence[Shard]) -> list[int]:
    candidates = read_candidates(data, limit=config.max_candidates, seed=config.seed)
    queries = [query for shard in shards for query in shard.queries]
    return [len(candidates.of(q.relation, q.language, q.fact_id, q.answer, q.answers).labels) for q in queries]


def scorer_for(loaded: LoadedModel, config: EvaluateConfig) -> Scorer:
    """The scorer of a model's kind. Raises `ConfigError` for options that its kind cannot follow."""
    if loaded.kind == "causal":
        if config.templates != "causal" and config.score == "answer":
            raise ConfigError("a causal model reads from left to right: use --templates causal, or --score sentence")
        from rml_lama.eval.causal_lm import CausalScorer

        return CausalScorer(loaded, scope=config.score)
    if config.score == "answer+suffix":
        raise ConfigError(f"a model of the kind {loaded.kind} reads the suffix anyway: use --score answer")
    if loaded.kind == "masked":
        from rml_lama.eval.masked_lm import MaskedScorer

        return MaskedScorer(loaded, masking=config.masking, sentence=config.score == "sentence")
    if config.score == "sentence":
        raise ConfigError("an encoder-decoder model is asked for the answer: use --score answer")
    from rml_lama.eval.encoder_decoder import EncoderDecoderScorer

    return EncoderDecoderScorer(loaded)


def _configured(config: EvaluateConfig | None, options: dict[str, Any]) -> EvaluateConfig:
    from rml_lama.config import load_config

    if not options:
        return config or EvaluateConfig()
    return load_config(EvaluateConfig, None, **{**(asdict(config) if config else {}), **options})


def _load(model: str | LoadedModel, config: EvaluateConfig, load: dict[str, Any]) -> LoadedModel:
    if not isinstance(model, str):
        return model
    from rml_lama.eval.models import load_model

    return load_model(model, **{"dtype": config.dtype, **load})


def _identity(model: str | LoadedModel, manifest: dict[str, Any], config: EvaluateConfig, load: dict[str, Any]) -> dict[str, Any]:
    """What must be the same for a run to go on."""
    name = model if isinstance(model, str) else model.name
    kept = {key: load.get(key) for key in ("revision", "quantization")}
    return {"model": name, **kept, "data": manifest["sha256"], "config": asdict(config), "library": __version__}


def _signature(loaded: LoadedModel, mode: str, manifest: dict[str, Any], config: EvaluateConfig, shards: Sequence[Shard]) -> Signature:
    languages = list(dict.fromkeys(shard.language for shard in shards))
    relations = sorted({shard.relation for shard in shards})
    queries = [query.query_id for shard in shards for query in shard.queries]
    drawn = f"typed-{config.max_candidates}-seed{config.seed}" if config.max_candidates else "typed"
    pairs = {
        "v": manifest["version"],
        "data": manifest["data"],
        "cfg": "all" if languages == manifest["languages"] else ",".join(languages),
        "rel": "all" if len(relations) == len(manifest["relations"]) else str(len(relations)),
        "n": str(len(queries)),
        "q": content_hash(dict.fromkeys(queries, ""))[:6],
        "score": mode,
        "cand": drawn,
        "norm": config.norm,
        "prior": config.prior,
        "tmpl": config.templates,
        "agg": "macro-rel",
        "ci": f"cluster-{config.resamples}-seed{config.seed}",
        "formulas": content_hash({name: formula.id for name, formula in FORMULAS.items()})[:6],
        "model": f"{loaded.name}@{loaded.revision}",
        "dtype": loaded.dtype,
        "lib": __version__,
    }
    return Signature(tuple(pairs.items()))
