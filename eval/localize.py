"""Localize facts of a build, fact by fact, and sum up. A run that is called again goes on, and ends with the same bytes."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rml_lama import __version__
from rml_lama.config import EvaluateConfig, LocalizeConfig, load_config
from rml_lama.errors import ConfigError, DataError, OutputError
from rml_lama.eval.candidates import draw_key, read_candidates
from rml_lama.eval.localization import Localization
from rml_lama.eval.selection import select
from rml_lama.hub.folder import content_hash, read_manifest
from rml_lama.records import Query
from rml_lama.signature import Signature

if TYPE_CHECKING:
    from rml_lama.eval.engine import Engine
    from rml_lama.eval.locate import Background
    from rml_lama.eval.models import LoadedModel

__all__ = ["localize", "plan_localization"]

Progress = Callable[[int, int, str], None]


def localize(
    model: str | LoadedModel,
    data: Path | str,
    config: LocalizeConfig | None = None,
    *,
    out: Path | None = None,
    device: str = "cpu",
    revision: str | None = None,
    progress: Progress = lambda done, total, what: None,
    **options: Any,
) -> Localization:
    """Find the neurons of each fact in a build folder.

    `model` is a Hub id, a local folder, `demo`, or a loaded model; `options` are fields of `LocalizeConfig`. With `out`,
    finished facts are kept in `<out>/parts` and the result is saved. Raises `ConfigError`, `DataError`, `ModelError`,
    `OutputError` or `ScoreError`.
    """
    from rml_lama.eval.locate import locate_fact, recipe_of
    from rml_lama.eval.summary import summarize_localization

    data = Path(data)
    config = _configured(config, options)
    recipe_of(config)  # an unknown method is an error before any work
    manifest = read_manifest(data)
    facts = _facts(data, manifest, config)
    parts = None if out is None else _open_run(out, _fingerprint(model, manifest, config, revision))
    loaded = _load(model, config, device, revision)
    if loaded.kind == "causal" and config.templates != "causal":
        raise ConfigError("a causal model reads from left to right: use --templates causal")
    done = {fact: _read_part(parts / f"{fact}.json") for fact in facts if parts is not None and (parts / f"{fact}.json").exists()}
    if missing := [fact for fact in facts if fact not in done]:
        from rml_lama.eval.engine import Engine
        from rml_lama.eval.gate import known_queries

        engine = Engine(loaded)
        candidates = read_candidates(data, limit=config.max_candidates, seed=config.seed)
        backgrounds = _backgrounds(engine, loaded, data, manifest, config, parts, progress)
        for number, fact in enumerate(missing):
            progress(len(facts) - len(missing) + number, len(facts), f"{facts[fact][0].relation} {facts[fact][0].subject}")
            known = known_queries(loaded, candidates, facts[fact], _selection(config))
            done[fact] = locate_fact(engine, loaded, facts[fact], known, backgrounds, config=config)
            if parts is not None:
                _write_part(done[fact], parts / f"{fact}.json")
        progress(len(facts), len(facts), "done")
    signature = _signature(loaded, manifest, config, facts)
    result = summarize_localization([done[fact] for fact in facts], signature, config)
    if out is not None:
        result.save(out)
    return result


def plan_localization(
    model: str | LoadedModel, data: Path, config: LocalizeConfig, *, device: str = "cpu", revision: str | None = None
) -> str:
    """What a run would cost: queries, gradients, and hours by timing one query on the loaded model."""
    from rml_lama.eval.attribute import attribute
    from rml_lama.eval.engine import Engine
    from rml_lama.eval.locate import recipe_of
    from rml_lama.eval.quadrature import quadrature
    from rml_lama.eval.steps import units_of

    manifest = read_manifest(data)
    facts = _facts(data, manifest, config)
    queries = [query for group in facts.values() for query in group]
    languages = len({query.language for query in queries})
    loaded = _load(model, config, device, revision)
    engine = Engine(loaded)
    sample = queries[:: max(1, len(queries) // 8)][:8]
    steps = float(np.mean([len(units_of(loaded, query, steps=config.steps)) for query in sample]))
    start = time.perf_counter()
    attribute(engine, loaded, sample[:2], source=recipe_of(config).source, steps=config.steps, rule=config.quadrature)
    seconds = (time.perf_counter() - start) / 2
    total = len(queries) + config.background * languages
    rows = total * steps * len(engine.sites) * (1 + len(quadrature(config.quadrature)))
    return (
        f"{len(facts):,} facts in {languages} languages: {len(queries):,} queries and {total - len(queries):,} of background; "
        f"about {rows:,.0f} gradients of one {'token' if engine.causal else 'sequence'}, {total * seconds / 3600:.1f} hours "
        f"({seconds:.1f} s a query, of two tried here)"
    )


def _configured(config: LocalizeConfig | None, options: dict[str, Any]) -> LocalizeConfig:
    if not options:
        return config or LocalizeConfig()
    return load_config(LocalizeConfig, None, **{**(asdict(config) if config else {}), **options})


def _facts(data: Path, manifest: dict[str, Any], config: LocalizeConfig) -> dict[str, list[Query]]:
    """The queries of each fact, in all languages; relations in order, facts in the order of the draw."""
    shards = select(data, manifest, _selection(config))
    facts: dict[str, list[Query]] = {}
    for shard in shards:
        for query in shard.queries:
            facts.setdefault(query.fact_id, []).append(query)
    relations = list(dict.fromkeys(shard.relation for shard in shards))
    ordered = sorted(facts, key=lambda fact: (relations.index(facts[fact][0].relation), draw_key(config.seed, fact)))
    return {fact: facts[fact] for fact in ordered}


def _selection(config: LocalizeConfig, **changes: Any) -> EvaluateConfig:
    """The evaluator's config that selects the same queries."""
    names = ("languages", "relations", "limit_facts", "limit_templates", "templates", "seed")
    return EvaluateConfig(**{**{name: getattr(config, name) for name in names}, **changes})


def _backgrounds(
    engine: Engine,
    loaded: LoadedModel,
    data: Path,
    manifest: dict[str, Any],
    config: LocalizeConfig,
    parts: Path | None,
    progress: Progress,
) -> dict[str, Background]:
    """Unrelated facts of each language, attributed once for the run; relations in turn, one phrasing each."""
    from rml_lama.eval.attribute import attribute
    from rml_lama.eval.locate import background_from, recipe_of

    recipe = recipe_of(config)
    if not (config.background and recipe.contrast):
        return {}
    found: dict[str, Background] = {}
    each = -(-config.background // max(1, len(manifest["relations"]))) + 1
    chosen: dict[str, list[list[Query]]] = {}
    for shard in select(data, manifest, _selection(config, relations=(), limit_facts=each, limit_templates=1, seed=config.seed + 1)):
        chosen.setdefault(shard.language, []).append(list(shard.queries))
    for number, (code, lists) in enumerate(chosen.items()):
        progress(number, len(chosen), f"background {code}")
        path = None if parts is None else parts / f"background-{code}.npz"
        if path is not None and path.exists():
            found[code] = _read_background(path)
            continue
        turns = [query for turn in range(each) for queries in lists for query in queries[turn : turn + 1]][: config.background]
        attributed = attribute(
            engine, loaded, turns, source=recipe.source, steps=config.steps, rule=config.quadrature, objective=config.objective
        )
        found[code] = background_from(attributed, recipe)
        if path is not None:
            _write_background(found[code], path)
    return found


def _load(model: str | LoadedModel, config: LocalizeConfig, device: str, revision: str | None) -> LoadedModel:
    if not isinstance(model, str):
        return model
    from rml_lama.eval.models import load_model

    return load_model(model, dtype=config.dtype, device=device, revision=revision)


def _fingerprint(model: str | LoadedModel, manifest: dict[str, Any], config: LocalizeConfig, revision: str | None) -> dict[str, Any]:
    name = model if isinstance(model, str) else model.name
    identity = {"model": name, "revision": revision, "data": manifest["sha256"], "config": asdict(config), "library": __version__}
    return json.loads(json.dumps(identity))  # type: ignore[no-any-return]


def _open_run(out: Path, fingerprint: dict[str, Any]) -> Path:
    """The folder of finished facts. Raises `OutputError` when another run is in `out`."""
    from rml_lama.eval.runs import RunFolder

    return RunFolder.open(out, fingerprint).path / "parts"


def _write_part(content: dict[str, Any], path: Path) -> None:
    _whole(path, json.dumps(content, ensure_ascii=False, sort_keys=True).encode())


def _read_part(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))  # type: ignore[no-any-return]
    except ValueError as error:
        raise DataError(f"a damaged part: {error}; remove it to localize the fact again", path) from error


def _write_background(background: Background, path: Path) -> None:
    import io

    stream = io.BytesIO()
    np.savez(stream, values=background.values, relations=np.array(background.relations), answers=np.array(background.answers))
    _whole(path, stream.getvalue())


def _read_background(path: Path) -> Background:
    from rml_lama.eval.locate import Background

    try:
        with np.load(path, allow_pickle=False) as found:
            return Background(found["values"], tuple(found["relations"].tolist()), tuple(found["answers"].tolist()))
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"a damaged part: {error}; remove it to make it again", path) from error


def _whole(path: Path, content: bytes) -> None:
    """A part appears under its name only when it is complete."""
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".tmp", delete=False) as stream:
            stream.write(content)
        os.replace(stream.name, path)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error


def _signature(loaded: LoadedModel, manifest: dict[str, Any], config: LocalizeConfig, facts: dict[str, list[Query]]) -> Signature:
    from rml_lama.eval.locate import changed_choices

    queries = [query for group in facts.values() for query in group]
    languages = list(dict.fromkeys(query.language for query in queries))
    pairs = {
        "v": manifest["version"],
        "data": manifest["data"],
        "cfg": ",".join(code for code in manifest["languages"] if code in languages),
        "rel": str(len({query.relation for query in queries})),
        "n": str(len(queries)),
        "q": content_hash({query.query_id: "" for query in queries})[:6],
        "loc": "+".join([config.method, *(f"{name}={value}" for name, value in changed_choices(config).items())]),
        "quad": config.quadrature,
        "obj": config.objective,
        "steps": config.steps,
        "tol": f"{config.tolerance:g}",
        "bg": str(config.background),
        "gate": f"typed-{config.max_candidates or 'all'}",
        "top": str(config.top),
        "sel": config.select,
        "rho": f"{config.support_share:g}",
        "ci": f"two-stage-{config.draws}-seed{config.seed}",
        "tmpl": config.templates,
        "transfer": str(config.transfer).lower(),
        "model": f"{loaded.name}@{loaded.revision}",
        "dtype": loaded.dtype,
        "lib": __version__,
    }
    return Signature(tuple(pairs.items()))
