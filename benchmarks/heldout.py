"""Held-out effect on Gemma: every method, 8 relations, 8 languages with 2 held out, at least 60 facts. Resumable by fact.

    python benchmarks/localization.py heldout --data LAMA_BUILD --out RUN [--threads 1 --part 0/2] [--minutes 14]

Facts are drawn by seed among those that Gemma ranks first (of 30 candidates) in at least three locating languages, and located
from the queries that it ranks first, at the answer's first token, by every method alike; AMIG's path has 20 equal steps, as
published. Suppression is measured on whole answers, in known queries: of the fact's other phrasings, of held-out languages, and
of other facts (the controls), as what is not known has little to lose. Sanity: `wrong-labels` locates with another fact's answers
of the same relation (one fact of each), `shuffled-languages` mixes the language names of the queries, `shuffled-weights` shuffles
each attribution vector within its layers.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from heldout_summary import DEFAULT, summary

from rml_lama.config import EvaluateConfig
from rml_lama.eval.attribute import Attributed, attribute, layer_offsets
from rml_lama.eval.candidates import draw_key, read_candidates
from rml_lama.eval.engine import Engine
from rml_lama.eval.gate import known_queries
from rml_lama.eval.heldout import Split, selectivity, split_queries
from rml_lama.eval.locate import Background, background_from, evidence_of
from rml_lama.eval.models import LoadedModel, load_model
from rml_lama.eval.rivals import PRESETS, Recipe, matched_random
from rml_lama.eval.selection import select
from rml_lama.hub.folder import read_manifest
from rml_lama.records import Query

RELATIONS = ("P17", "P30", "P36", "P37", "P103", "P407", "P495", "P1376")
HELD_OUT = ("tr", "id")
COUNTS = (1, 5, 10, 20, 50, 100)
SOURCES = ("integrated", "replaced", "gradient")
CONTRASTED = tuple(dict.fromkeys(recipe.source for recipe in PRESETS.values() if recipe.contrast))
RULES = {"replaced": "linspace-20"}  # others: the default
MAIN = ("matrice", "mean-contrast", "dai2022", "amig", "neurgrad", "random-matched")  # measured at every k, others at one
ONE_COUNT = 20
VARIANTS = {  # of MATRICE, between which and itself a default is chosen (see `heldout_summary.py`)
    **{
        f"exponent {exponent:.2g} penalty {penalty:g}": Recipe("variant", "matrice", exponent=exponent, query_penalty=penalty)
        for exponent, penalty in ((0.25, 0.0), (0.5, 1.0), (0.75, 1.0), (1.0, 1.0))
    },
    "no contrast": Recipe("variant", "matrice", contrast=0.0),
    "positive contrast": Recipe("variant", "matrice", contrast_part="positive"),
    "gradient": Recipe("variant", "matrice", source="gradient", contrast=0.0),
}


@dataclass(frozen=True)
class Study:
    """What every step needs: where parts are kept, the model, all facts' queries, and the facts that are tested."""

    folder: Path
    data: Path
    engine: Engine
    loaded: LoadedModel
    groups: dict[str, list[Query]]
    chosen: list[str]


def heldout(arguments: argparse.Namespace) -> dict[str, Any]:
    folder = arguments.out / "heldout"
    folder.mkdir(parents=True, exist_ok=True)
    languages = tuple(arguments.languages.split(","))
    begin = time.perf_counter()

    def late() -> bool:
        return bool(arguments.minutes) and time.perf_counter() - begin > 60 * arguments.minutes

    loaded = load_model("demo")
    groups = _queries(arguments.data, languages)
    chosen = _chosen(folder / "facts.json", loaded, arguments.data, groups, arguments.facts)[: arguments.facts]
    study = Study(folder, arguments.data, Engine(loaded), loaded, groups, chosen)
    backgrounds = {source: _backgrounds(study, languages, source, late) for source in CONTRASTED}
    part, parts = map(int, arguments.part.split("/"))
    mine = [fact for fact in chosen if not (folder / f"{fact}-gradient.npz").exists()][part::parts]
    for number, fact in enumerate(mine):
        if not late():
            start = time.perf_counter()
            _attributions(study, fact)
            print(f"attributed {number + 1}/{len(mine)} {fact} {time.perf_counter() - start:.0f} s", flush=True)
    ready = {source: found for source, found in backgrounds.items() if found is not None}
    known = {} if late() else {name: _known(study, name) for name in chosen}
    mine = chosen[part::parts]
    for number, fact in enumerate(mine):
        path = folder / f"{fact}.json"
        if not path.exists() and not late() and len(ready) == len(backgrounds):
            start = time.perf_counter()
            path.write_text(json.dumps(_fact(study, fact, known, ready)), encoding="utf-8")
            print(f"measured {number + 1}/{len(mine)} {fact} {time.perf_counter() - start:.0f} s", flush=True)
    done = [json.loads((folder / f"{fact}.json").read_text(encoding="utf-8")) for fact in chosen if (folder / f"{fact}.json").exists()]
    return {"facts": len(done), "asked": len(chosen), **summary(done, ONE_COUNT, [DEFAULT, *VARIANTS])}


def _queries(data: Path, languages: Sequence[str]) -> dict[str, list[Query]]:
    config = EvaluateConfig(languages=tuple(languages), relations=RELATIONS, limit_facts=40, limit_templates=4)
    groups: dict[str, list[Query]] = {}
    for shard in select(data, read_manifest(data), config):
        for query in shard.queries:
            groups.setdefault(query.fact_id, []).append(query)
    return {fact: queries for fact, queries in groups.items() if len({query.language for query in queries}) == len(languages)}


def _chosen(path: Path, loaded: LoadedModel, data: Path, groups: dict[str, list[Query]], wanted: int) -> list[str]:
    """Facts that the model knows in at least three locating languages, as many of each relation as there are, in turn."""
    if path.exists():
        return list(json.loads(path.read_text(encoding="utf-8")))
    candidates = read_candidates(data, limit=30)
    known: dict[str, list[str]] = {relation: [] for relation in RELATIONS}
    for fact in sorted(groups, key=lambda name: draw_key(0, name)):
        queries = groups[fact]
        relation = queries[0].relation
        if len(known[relation]) >= 2 + -(-wanted // len(RELATIONS)):
            continue
        first = [
            next(q for q in queries if q.language == code) for code in dict.fromkeys(q.language for q in queries) if code not in HELD_OUT
        ]
        if sum(known_queries(loaded, candidates, first, EvaluateConfig()).values()) >= 3:
            known[relation].append(fact)
    turns = [facts[turn] for turn in range(wanted) for facts in known.values() if turn < len(facts)]
    path.write_text(json.dumps(turns[:wanted]), encoding="utf-8")
    print({relation: len(facts) for relation, facts in known.items()}, flush=True)
    return turns[:wanted]


def _backgrounds(study: Study, languages: Sequence[str], source: Any, late: Callable[[], bool]) -> dict[str, Background] | None:
    """Sixteen facts of each locating language that are not tested, one phrasing each; None when the time is over."""
    found = {}
    others = sorted(set(study.groups) - set(study.chosen), key=lambda name: draw_key(1, name))
    for code in languages:
        if code in HELD_OUT:
            continue
        path = study.folder / f"background-{source}-{code}.npz"
        if not path.exists():
            if late():
                return None
            queries = [next(q for q in study.groups[fact] if q.language == code) for fact in others[:16]]
            one = background_from(attribute(study.engine, study.loaded, queries, source=source, steps="first"), PRESETS["matrice"])
            np.savez(path, values=one.values, relations=np.array(one.relations), answers=np.array(one.answers))
            print("background", source, code, flush=True)
        with np.load(path) as stored:
            found[code] = Background(stored["values"], tuple(stored["relations"].tolist()), tuple(stored["answers"].tolist()))
    return found


def _known(study: Study, fact: str) -> set[str]:
    """The ids of the fact's queries that the model ranks first of 30 candidates."""
    path = study.folder / f"{fact}-known.json"
    if not path.exists():
        found = known_queries(study.loaded, read_candidates(study.data, limit=30), study.groups[fact], EvaluateConfig())
        path.write_text(json.dumps([name for name, first in found.items() if first]), encoding="utf-8")
    return set(json.loads(path.read_text(encoding="utf-8")))


def _attributed(study: Study, name: str, queries: Sequence[Query], source: Any = "integrated") -> list[Attributed]:
    """Attributions, kept beside the results: another method or penalty costs no gradient."""
    path = study.folder / f"{name}.npz"
    names = ("values", "activations", "probability", "certified", "residual", "effect", "nodes")
    if not path.exists():
        rule = RULES.get(source, "gauss-kronrod-sinh")
        found = attribute(study.engine, study.loaded, queries, source=source, steps="first", rule=rule)
        if source in RULES:
            found = [replace(one, certified=True) for one in found]
        np.savez(path, **{name: np.array([getattr(one, name) for one in found]) for name in names})
    with np.load(path) as stored:
        columns = [stored[name] for name in names]
    return [
        Attributed(query, values, activations, *(column.item() for column in scalars))
        for query, values, activations, *scalars in zip(queries, *columns, strict=True)
    ]


def _attributions(study: Study, fact: str) -> dict[str, list[Attributed]]:
    """By source, of the fact's known locating queries; `wrong-labels` for one fact of each relation."""
    groups, turn = study.groups, study.chosen.index(fact)
    known = _known(study, fact)
    queries = [query for query in split_queries(groups[fact], HELD_OUT).locate if query.query_id in known]
    found = {source: _attributed(study, f"{fact}-{source}", queries, source) for source in SOURCES}
    found["activation"] = [replace(one, values=one.activations) for one in found["integrated"]]
    if turn % 8 == turn // 8 % 8:  # one of each relation, as facts are in turns
        own = groups[fact][0]
        other = next(name for name in study.chosen if groups[name][0].relation == own.relation and groups[name][0].answer != own.answer)
        answers = {query.language: query.answer for query in groups[other]}
        relabelled = [replace(query, answer=answers[query.language]) for query in queries]
        found["wrong-labels"] = _attributed(study, f"{fact}-wrong-labels", relabelled)
    return found


def _fact(study: Study, fact: str, known: dict[str, set[str]], backgrounds: dict[str, dict[str, Background]]) -> dict[str, Any]:
    """The measured row of one fact."""
    groups = study.groups
    by_source = _attributions(study, fact)
    integrated = by_source["integrated"]
    gate = {one.query.query_id: True for one in integrated}
    sets: dict[str, list[int]] = {}
    for name, recipe in {**PRESETS, **VARIANTS}.items():
        evidence = evidence_of(by_source[recipe.source], gate, backgrounds.get(recipe.source, {}), recipe)
        sets[name] = np.argsort(-recipe.score(evidence), kind="stable")[: max(COUNTS)].tolist()
    activations = np.mean([np.abs(one.activations) for one in integrated], axis=0)
    offsets = layer_offsets(study.engine)
    sets["random-matched"] = matched_random(np.array(sets["matrice"]), activations, offsets, seed=0).tolist()
    sets |= _sanity(integrated, by_source.get("wrong-labels"), backgrounds["integrated"], offsets)
    whole = split_queries(groups[fact], HELD_OUT)
    phrasing, language = (tuple(q for q in queries if q.query_id in known[fact]) for queries in (whole.phrasing, whole.language))
    counts = {name: COUNTS if name in MAIN else (ONE_COUNT,) for name in sets}
    controls = _unrelated(study, fact, known)
    split = Split(whole.locate, phrasing, language)
    rows = selectivity(study.engine, study.loaded, split, controls, sets, counts) if phrasing or language else []
    return {
        "fact": fact,
        "relation": groups[fact][0].relation,
        "queries": len(integrated),
        "certified": sum(one.certified for one in integrated),
        "languages": len({one.query.language for one in integrated}),
        "held_out": [len(phrasing), len(language)],
        "controls": {kind: len(queries) for kind, queries in controls.items()},
        "rows": rows,
    }


def _sanity(
    attributed: Sequence[Attributed], wrong: Sequence[Attributed] | None, background: dict[str, Background], offsets: np.ndarray
) -> dict[str, list[int]]:
    generator = np.random.default_rng(0)
    names = generator.permutation([one.query.language for one in attributed]).tolist()
    mixed = [replace(one, query=replace(one.query, language=name)) for one, name in zip(attributed, names, strict=True)]
    shuffled = []
    for one in attributed:
        values = one.values.copy()
        for start, end in itertools.pairwise(offsets):
            generator.shuffle(values[start:end])
        shuffled.append(replace(one, values=values))
    gate = {one.query.query_id: True for one in attributed}
    cases = {"shuffled-languages": mixed, "shuffled-weights": shuffled} | ({} if wrong is None else {"wrong-labels": wrong})
    result = {}
    for name, found in cases.items():
        scores = PRESETS["matrice"].score(evidence_of(found, gate, background, PRESETS["matrice"]))
        result[name] = np.argsort(-scores, kind="stable")[: max(COUNTS)].tolist()
    return result


def _unrelated(study: Study, fact: str, known: dict[str, set[str]]) -> dict[str, list[Query]]:
    """Known queries of two other chosen facts a kind, in up to three languages each: what is known has as much to lose."""
    groups = study.groups
    own = groups[fact][0]
    kinds: dict[str, list[Query]] = {"same_relation": [], "other_relation": [], "same_object": []}
    used = dict.fromkeys(kinds, 0)
    for name in sorted(study.chosen, key=lambda other: draw_key(2, fact + other)):
        query = groups[name][0]
        kind = "same_object" if query.answer == own.answer else "same_relation" if query.relation == own.relation else "other_relation"
        by_language = {query.language: query for query in groups[name] if query.query_id in known[name]}
        if name == fact or used[kind] == 2 or not by_language:
            continue
        used[kind] += 1
        kinds[kind] += [by_language[code] for code in sorted(by_language, key=lambda code: draw_key(3, name + code))[:3]]
    return kinds
